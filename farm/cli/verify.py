"""`farm verify`: is this wheel what a farm says that it built, and from what?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farm.cli import render

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from farm.cli.main import Context
    from farm.model.verification import Verification

_FILE = click.Path(path_type=Path, dir_okay=False)
_BOUNDS = (
    "The key's holder says this of these very bytes. Not proven: that the sources are harmless, "
    "or that whoever holds the key tells the truth."
)


@click.command()
@click.argument("wheel", type=_FILE)
@click.option("--key", "keys", multiple=True, type=_FILE, metavar="PUB",
              help="A public key (PEM) that counts. Repeatable. Default: those that the store trusts.")
@click.option("--provenance", default="", metavar="FILE|URL",
              help="The statement. Default: beside the wheel (.intoto.jsonl, .provenance), then the store.")
@click.option("--sdist", type=_FILE, help="The sdist that it should have been built from.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def verify(context: Context, /, wheel: Path, **options: Any) -> int:
    """Check the signed statement about WHEEL: that the bytes are those that were proven, and what they were made from.

    Offline, unless the statement is at a URL. Exit code 0 when it holds, 1 when not, 2 when something cannot be read.
    """
    from farm.wire import Farm  # noqa: PLC0415 - only what a command needs
    from farm.wire.verify import Question, verify  # noqa: PLC0415 - the same

    question = Question(wheel=wheel, keys=options["keys"], provenance=options["provenance"], sdist=options["sdist"])
    with Farm(context.settings(), context.env) as farm:
        found = verify(farm, question)
    if options["as_json"]:
        render.out(json.dumps(_json(found), indent=2))
    elif found.ok:
        render.out("\n".join(_words(found)))
    else:
        render.out(f"{found.subject.filename}: NOT VERIFIED\n" + "\n".join(f"  {fault}" for fault in found.faults))
    return 0 if found.ok else 1


def _words(found: Verification) -> Iterator[str]:
    assert found.statement is not None, "it holds"
    yield f"{found.subject.filename}: verified"
    told = list(_told(found, found.statement["predicate"]))
    width = max(len(label) for label, _ in told)
    yield from (f"  {label.ljust(width)}  {text}" for label, text in told)
    yield _BOUNDS


def _told(found: Verification, predicate: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    from farm.work.check_statement import dependency, proof  # noqa: PLC0415 - only what a command needs

    statement = found.statement or {}
    definition, run = predicate["buildDefinition"], predicate["runDetails"]
    yield "sha256", found.subject.sha256
    yield "signed by", f"key {found.keyid[:16]}"
    sdist = dependency(statement, "sdist")
    same = " (the sdist given)" if found.subject.sdist_sha256 else ""
    yield "built from", f"{sdist.get('name')}, sha256 {sdist.get('digest', {}).get('sha256', 'unknown')}{same}"
    image = dependency(statement, "builder image")
    yield "built in", f"{image.get('name')}, image {image.get('digest', {}).get('sha256', '')[:16]}"
    times = run["metadata"]
    if "startedOn" in times:
        yield "built on", f"{times['startedOn']} to {times['finishedOn']}, as {times['invocationId']}"
    yield "network", "ON while it was built" if definition["internalParameters"].get("network") else "off while it was built"
    recipe = definition["externalParameters"].get("recipe")
    if recipe:
        yield "recipe", ", ".join(sorted(recipe))
    for one in proof(statement).get("targets", ()):
        yield "proven on", f"{one['target']}: {', '.join(check['name'] for check in one['checks'] if check['ok'])}"
    coupling = predicate.get("farm_coupling")
    if coupling:
        yield "tied to", ", ".join(f"{one['name']} {one['version']}" for one in coupling)
    again = predicate.get("farm_reproduction")
    yield "built twice", "no" if again is None else "the same bytes" if again["reproducible"] else f"{again['count']} differences"


def _json(found: Verification) -> dict[str, Any]:
    return {
        "schema": 1,
        "file": found.subject.filename,
        "sha256": found.subject.sha256,
        "verified": found.ok,
        "faults": list(found.faults),
        "keyid": found.keyid or None,
        "statement": found.statement if found.ok else None,
    }
