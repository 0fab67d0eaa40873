"""Recipes as TOML: what was learned, for config.toml; and a skeleton for a recipe's own file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from farm.config import PATCH_FIELDS, RECIPE_FIELDS
from farm.model.recipes import LISTS, TABLES, key, single_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from farm.model.healing import Learned
    from farm.model.job import Patch, Recipe
    from farm.wire.recipes import Known

_EXAMPLES = {
    "versions": '"<2"',
    "targets": '["cp313*-musllinux*"]',
    "system-packages": '{ debian = ["libexample-dev"], manylinux = ["example-devel"], musllinux = ["example-dev"] }',
    "variant": '"bookworm"',
    "environment": '{ CFLAGS = "-O1" }',
    "config-settings": '{ "--build-option" = "--with-example" }',
    "build-requires": '["setuptools-scm"]',
    "build-overrides": '["numpy==1.23.2"]',
    "build-constraints": '["cython<3"]',
    "kind": '"pure"',
    "skip-imports": '{ example_gui = "needs a display" }',
    "smoke-test": '"import example; assert example.answer() == 42"',
    "graft": '["libX11.so.6"]',
    "cythonize": '"cython<3.1"',
    "old-names": "true",
    "allow-instructions": '"only for our own cluster, Haswell and later"',
    "memory": '"8GiB"',
    "cpus": "2",
    "time-limit": '"3h"',
    "exclusive": "true",
    "network": '"downloads its grammar while it builds"',
}
_PATCH = {"file": '"example-1.2-python3.patch"', "reason": '"builds on Python 3"', "upstream": '"pending"', "strip": "1"}
_WIDTH = 110


def exported(found: Iterable[Learned]) -> str:
    """Return recipes as `[[recipes.NAME]]` tables that config.toml takes as they are."""
    return "\n\n".join("\n".join(_table(one)) for one in found)


def _table(one: Learned) -> Iterator[str]:
    yield from _evidence(one)
    yield f"[[recipes.{one.name}]]"
    yield f"versions = {text(one.versions)}"
    yield from keys(one.recipe)
    yield from _patches(one.recipe.patches, f"recipes.{one.name}.patches")


def _evidence(one: Learned) -> Iterator[str]:
    state = "proposed, tried by nobody" if one.proposed else "learned"
    yield f"# {state} on {one.at:%Y-%m-%d} from {one.name} {one.version} for {one.target}"
    for evidence in one.evidence:
        yield f"# {evidence.attempt}: {evidence.cause}: {one_line(evidence.line)}"
        yield f"#   -> {one_line(evidence.change)}"


def keys(content: Recipe) -> Iterator[str]:
    """Yield a recipe's lines, patches left out: they are tables, and stand last."""
    if content.system_packages:
        families = ", ".join(f"{family} = {_texts(names)}" for family, names in content.system_packages)
        yield f"system-packages = {{ {families} }}"
    for name in TABLES:
        if pairs := getattr(content, name):
            yield f"{key(name)} = {{ {', '.join(f'{text(one)} = {text(value)}' for one, value in pairs)} }}"
    for name in LISTS:
        if name != "patches" and (texts := getattr(content, name)):
            yield f"{key(name)} = {_texts(texts)}"
    single = {name: getattr(content, name) for name in single_fields()} | {"network": content.network_reason or content.network}
    yield from (f"{key(name)} = {_value(name, value)}" for name, value in single.items() if value)


def _value(name: str, value: str | float | bool | tuple[str, ...]) -> str:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, tuple):
        return _texts(value)
    if isinstance(value, bool):
        return "true"
    return f'"{value / (1 << 20):.10g}MiB"' if name == "memory" else str(value)


def _patches(found: Iterable[Patch], name: str) -> Iterator[str]:
    for patch in found:
        yield f"[[{name}]]"
        pairs = {"file": patch.name, "reason": patch.reason, "upstream": patch.upstream}
        yield from (f"{key} = {text(value)}" for key, value in pairs.items())
        if patch.strip != 1:
            yield f"strip = {patch.strip}"


def skeleton(known: Known) -> str:
    """Return a recipe's file to begin with: what is known as comments, proposals as keys, every other key as a comment."""
    proposed = [proposal for proposal in known.proposals if known.version is None or proposal.version == str(known.version)][:1]
    set_here = {line.split(" = ")[0] for one in proposed for line in keys(one.recipe)}
    lines = [
        f"# What {known.name} needs that its sdist does not tell. Take the # from what it needs, and delete the rest.",
        f"# `farm recipe lint {known.name}` checks this file; docs/recipes.md tells more.",
        "#",
        *(f"# {one_line(fact)}".rstrip() for fact in _facts(known)),
        "",
    ]
    for one in proposed:
        lines += [*_evidence(one), *keys(one.recipe), ""]
    for field in RECIPE_FIELDS:
        if field.path in _EXAMPLES and field.path not in set_here:
            lines += [*_wrapped(field.about), f"# {field.path} = {_EXAMPLES[field.path]}", ""]
    lines += ["# Changes to its sources, applied in their order; each file stands beside this one.", "# [[patches]]"]
    for field in PATCH_FIELDS:
        lines += [f"# {field.path} = {_PATCH[field.path]}"]
    return "\n".join(lines) + "\n"


def _facts(known: Known) -> Iterator[str]:
    facts = known.facts
    if facts is None:
        yield f"Its sdist was not read: {known.silence}"
    else:
        native = ("Rust and native sources" if facts.rust else "native sources") if facts.native else "no native sources"
        yield f"{known.name} {known.version}: {native}; built by {facts.backend} with {', '.join(facts.build_requires) or 'nothing'}"
        if facts.asks:
            yield "Its backend may require more when it is asked."
        if facts.hints:
            yield f"Its own CI installs, by whichever package manager: {', '.join(facts.hints)}"
    failed = known.failed
    if failed is None:
        yield "No build of it has failed here."
        return
    yield f"The last build that failed, {failed.id} of {failed.version} for {failed.target}: {failed.cause}: {failed.summary}"
    if failed.remedy:
        yield f"  {failed.remedy}"


def _wrapped(about: str) -> Iterator[str]:
    line = "#"
    for word in about.split():
        if len(line) + len(word) >= _WIDTH:
            yield line
            line = "#"
        line += f" {word}"
    yield line


def _texts(names: tuple[str, ...]) -> str:
    return f"[{', '.join(map(text, names))}]"


def text(value: str) -> str:
    """Return a TOML string: JSON's strings are TOML's basic strings (TOML 1.0, "String") once DEL is escaped."""
    return json.dumps(value).replace("\x7f", "\\u007f")


def one_line(value: str) -> str:
    """Return a stranger's log line so that it cannot leave its comment (TOML allows no control characters there)."""
    return "".join(character if character.isprintable() else " " for character in value)[:200]
