"""`farm watch`: the requirement sets that every night keeps served."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import click

from farm.cli import render
from farm.cli.inputs import refresh_option
from farm.errors import UsageError
from farm.model.report import THERE
from farm.model.watch import NAME, WatchSet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farm.cli.main import Context
    from farm.model.watch import Look, SetSeen, Watched

_PLAIN = re.compile(r"(requirements.*|constraints.*|pyproject|pylock.*|uv|poetry|Pipfile|base|prod|production|dev|main|index|src|app)")
_MOST = 40
"""Lines of what is missing that `check` and `show` print; JSON has all."""


@click.group()
def watch() -> None:
    """Register requirement sets that the farm keeps served, list them, and look what they lack (docs/watch.md)."""


@watch.command()
@click.argument("source")
@click.option("--name", metavar="NAME", help="What to call it. Default: by the source.")
@click.option("--target", "target", multiple=True, metavar="T", help="A kind of client. Repeatable. Default: those of config.toml.")
@click.option("--targets", metavar="T,T,...", help="Several targets at once, with commas.")
@click.option("--extra", "extras", multiple=True, metavar="NAME", help="An extra of a lock or pyproject.toml. Repeatable.")
@click.option("--group", "groups", multiple=True, metavar="NAME", help="A dependency group of a lock or pyproject.toml. Repeatable.")
@click.option("--default-groups/--no-default-groups", default=True, help="Whether a lock's groups count that its tool installs unasked.")
@click.option("-c", "--constraint", "constraints", multiple=True, metavar="FILE", help="A constraints file, as pip's. Repeatable.")
@click.option("--dry-run", is_flag=True, help="Only say what would be registered.")
@click.pass_obj
def add(context: Context, /, source: str, **options: Any) -> int:
    """Register SOURCE: a file, a folder, a 'pattern', a URL, or git+URL[@REF][#SUBDIR].

    It is read at once, so that a mistake is seen now; nothing is built. Of a folder or repository its lock is taken, else its
    requirements*.txt, else its pyproject.toml.

    \b
    farm watch add services/shop/requirements.txt
    farm watch add 'services/*/uv.lock' --name services --target cp313-musllinux_1_2_x86_64
    farm watch add git+https://git.example/team/shop.git@main#backend

    Exit code 0: registered, 2: it cannot be read or its name is taken, 3: a server did not answer.
    """
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks
    from farm.wire.watch import describe, named, register  # noqa: PLC0415 - the same

    made = _made(source, options)
    with Farm(context.settings(), context.env) as farm:
        if made.name in {each.name for each in named(farm, ())}:
            raise UsageError(
                f"{made.name}: expected a name that is free, found a watch set that has it",
                solution=f"choose another one with --name, or `farm watch remove {made.name}` first",
            )
        found = describe(farm, made, _say)
        if not options["dry_run"]:
            register(farm, made)
    for remark in found.remarks:
        render.err(f"note: {remark}")
    counts = [f"{count} {word}{'' if count == 1 else 's'}" for count, word in
              ((found.requirements, "requirement"), (found.packages, "locked package")) if count]  # fmt: skip
    what = ", ".join(counts) or "nothing that is asked for"
    would = "would be registered" if options["dry_run"] else "registered"
    render.out(f"{made.name}: {would}: {what} in {', '.join(found.files)} ({', '.join(found.kinds)})")
    return 0


def _made(source: str, options: Mapping[str, Any]) -> WatchSet:
    """Return the set that a command line asks for. UsageError for a name or target that is none."""
    from farm.model.target import parse_target  # noqa: PLC0415 - only what a command needs
    from farm.wire.watch import absolute  # noqa: PLC0415 - the same

    given = (*options["target"], *(part.strip() for part in (options["targets"] or "").split(",")))
    targets = tuple(dict.fromkeys(parse_target(name).name for name in given if name))
    name = options["name"] or _name(source)
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r}: expected a name of letters, digits, '.', '_' and '-', at most 64", solution="choose one with --name"
        )
    here = Path.cwd()
    return WatchSet(
        name=name, sources=(absolute(source, here),), targets=targets, extras=options["extras"], groups=options["groups"],
        default_groups=options["default_groups"], constraints=tuple(absolute(each, here) for each in options["constraints"]),
    )  # fmt: skip


def _name(source: str) -> str:
    """Return a name by what tells most of a source: its file, or the folder or repository of a file that is called as all are."""
    head, _, fragment = source.partition("#")
    path = urlsplit(head.removeprefix("git+")).path if "://" in head else str(Path(head).absolute())
    inside = re.sub(r"^(subdirectory|subdir)=", "", fragment) if head.startswith("git+") else ""
    words = [re.sub(r"@.*$|\.git$", "", word) for word in f"{unquote(path)}/{inside}".split("/") if word and "*" not in word]
    for word in reversed(words):
        stem = word.rsplit(".", 1)[0] if re.search(r"\.(txt|in|toml|lock)$", word) else word
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:64]
        if plain and not _PLAIN.fullmatch(stem):
            return plain
    return "requirements"


@watch.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_sets(context: Context, *, as_json: bool) -> int:
    """Show all sets, config.toml's too: where each is from, and how the last look at it went. Looks at none now."""
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks
    from farm.wire.watch import named, states  # noqa: PLC0415 - the same

    with Farm(context.settings(), context.env) as farm:
        found = named(farm, ())
        looks, counts = states(farm)
    if as_json:
        listed = [_set_json(each, looks.get(each.name), counts.get(each.name, {})) for each in found]
        render.out(json.dumps({"schema": 1, "sets": listed}, indent=2))
        return 0
    if not found:
        render.err("no watch sets; `farm watch add requirements.txt` registers one")
        return 0
    rows = [
        (each.name, _sources(each), each.origin, _targets(each), *_state(looks.get(each.name), counts.get(each.name, {})))
        for each in found
    ]
    render.out(render.table(("name", "source", "from", "targets", "pins", "wheels", "last look"), rows))
    return 0


@watch.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(context: Context, name: str, *, as_json: bool) -> int:
    """Show one set: what it is, how the last look at it went, and what it lacked then."""
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks
    from farm.wire.watch import named, states  # noqa: PLC0415 - the same

    with Farm(context.settings(), context.env) as farm:
        each = named(farm, (name,))[0]
        looks, counts = states(farm)
        wants = farm.records.watches.last(name)
    look = looks.get(name)
    missing = [cell for cell in wants if cell.state not in THERE]
    if as_json:
        content = _set_json(each, look, counts.get(name, {}))
        cells = [_cell_json(cell) for cell in wants]
        render.out(json.dumps({"schema": 1, **content, "cells": cells}, indent=2))
        return 0
    facts = [("source", _sources(each)), ("from", each.origin), ("targets", _targets(each))]
    more = (("extras", each.extras), ("groups", each.groups), ("constraints", each.constraints))
    facts += [(word, ", ".join(values)) for word, values in more if values]
    pins, wheels, when = _state(look, counts.get(name, {}))
    facts += [("last look", when), ("pins", pins), ("wheels", wheels)]
    render.out("\n".join(f"{word + ':':<13}{text}" for word, text in facts))
    if look is not None and look.error:
        render.out(f"could not be read: {look.error}")
    for cell in missing[:_MOST]:
        render.out(f"{cell.name} {cell.version} for {cell.target}: {cell.state}: {cell.reason}")
    _rest(len(missing))
    return 0


@watch.command()
@click.argument("name")
@click.pass_obj
def remove(context: Context, name: str) -> int:
    """Remove the registered set NAME. Its wheels stay until `farm gc` finds that nothing else wants them."""
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks
    from farm.wire.watch import unregister  # noqa: PLC0415 - the same

    with Farm(context.settings(), context.env) as farm:
        unregister(farm, name)
    render.err(f"{name}: removed")
    return 0


@watch.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@refresh_option
@click.pass_obj
def check(context: Context, names: tuple[str, ...], *, as_json: bool, refresh: bool) -> int:
    """Look at all sets, or at those named: what they want, and what of that has no wheel. Builds nothing, starts no engine.

    Exit code 0: nothing is missing, 1: there are gaps, 2: a set could not be read, 3: an index did not answer, 7: no solution.
    """
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks
    from farm.wire.watch import look, named  # noqa: PLC0415 - the same

    started = time.monotonic()
    with Farm(context.settings(), context.env, refresh=refresh) as farm:
        farm.reads_only = True
        chosen = named(farm, names)
        watched = look(farm, chosen, _say if context.verbose else _quiet)
    code = exit_code(watched)
    seconds = time.monotonic() - started
    if as_json:
        render.out(json.dumps(_watched_json(watched, code, seconds), indent=2))
    elif chosen:
        _tell(watched, seconds)
    else:
        render.err("no watch sets; `farm watch add requirements.txt` registers one")
    return code


def exit_code(watched: Watched) -> int:
    """Return 7 where a target has no solution, 3 where an index did not answer, 2 for a set that cannot be read, 1 for gaps."""
    states = {cell.state for cell in watched.cells.values()}
    kinds = {problem.kind for seen in watched.sets for problem in seen.problems}
    if "unresolved" in kinds:
        return 7
    if "unknown" in states:
        return 3
    if any(seen.look.error for seen in watched.sets):
        return 2
    return 1 if kinds or states - THERE else 0


def _tell(watched: Watched, seconds: float) -> None:
    rows = [(seen.watch.name, str(seen.look.pins), *_counted(seen)) for seen in watched.sets]
    render.out(render.table(("name", "pins", "wheels", "to build", "otherwise"), rows))
    for seen in watched.sets:
        if seen.look.error:
            render.out(f"{seen.watch.name}: could not be looked at, so what it wanted before stays: {seen.look.error}")
        for problem in seen.problems:
            render.out(f"{seen.watch.name}: {problem.subject}: {problem.text}")
    missing = [cell for _, cell in sorted(watched.cells.items()) if cell.state not in THERE]
    for cell in missing[:_MOST]:
        render.out(f"{cell.name} {cell.version} for {cell.target}: {render.WORDS[cell.state]}: {cell.reason}")
    _rest(len(missing))
    for note in watched.notes:
        render.err(f"note: {note}")
    there = len(watched.cells) - len(missing)
    sets = f"{len(watched.sets)} set{'' if len(watched.sets) == 1 else 's'}"
    jobs = f"; {len(watched.plan.jobs)} to build" if watched.plan.jobs else ""
    render.out(f"{there} of {len(watched.cells)} wheels of {sets} are there{jobs} ({seconds:.1f} s)")


def _counted(seen: SetSeen) -> tuple[str, str, str]:
    counts: Counter[str] = Counter(cell.state for cell in seen.wants)
    there = sum(counts[state] for state in THERE)
    others = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()) if state not in {*THERE, "build"})
    return f"{there} of {counts.total()}", str(counts["build"]), others or "-"


def _rest(count: int) -> None:
    if count > _MOST:
        render.out(f"and {count - _MOST} more (--json has all)")


def _state(look: Look | None, counts: Mapping[str, int]) -> tuple[str, str, str]:
    if look is None:
        return "-", "-", "never"
    there = sum(count for state, count in counts.items() if state in THERE)
    when = f"{look.looked:%Y-%m-%d %H:%M}"
    return str(look.pins), f"{there} of {sum(counts.values())}", f"{when}: {look.error.splitlines()[0]}" if look.error else when


def _targets(each: WatchSet) -> str:
    return ", ".join(each.targets) or "config.toml's"


def _sources(each: WatchSet) -> str:
    from farm.wire.watch import shown_source  # noqa: PLC0415 - only what a command needs

    return ", ".join(map(shown_source, each.sources))


def _set_json(each: WatchSet, look: Look | None, counts: Mapping[str, int]) -> dict[str, Any]:
    from farm.wire.watch import shown_source  # noqa: PLC0415 - only what a command needs

    return {
        "name": each.name, "origin": each.origin, "sources": [shown_source(source) for source in each.sources],
        "targets": list(each.targets), "extras": list(each.extras), "groups": list(each.groups), "default_groups": each.default_groups,
        "constraints": [shown_source(source) for source in each.constraints], "look": _look_json(look),
        "counts": dict(sorted(counts.items())),
    }  # fmt: skip


def _look_json(look: Look | None) -> dict[str, Any] | None:
    if look is None:
        return None
    return {"looked": look.looked.isoformat(), "digest": look.digest, "error": look.error, "pins": look.pins, "seconds": look.seconds}


def _cell_json(cell: Any) -> dict[str, str]:
    return {name: getattr(cell, name) for name in ("name", "version", "target", "state", "reason", "file")}


def _watched_json(watched: Watched, code: int, seconds: float) -> dict[str, Any]:
    listed = []
    for seen in watched.sets:
        counts: Counter[str] = Counter(cell.state for cell in seen.wants)
        told = [{"subject": problem.subject, "text": problem.text, "kind": problem.kind} for problem in seen.problems]
        listed.append({**_set_json(seen.watch, seen.look, counts), "problems": told, "files": list(seen.files)})
    missing = [_cell_json(cell) for _, cell in sorted(watched.cells.items()) if cell.state not in THERE]
    jobs = [{"id": job.id, "sets": list(watched.users[job.id])} for job in watched.plan.jobs]
    return {
        "schema": 1, "exit_code": code, "seconds": round(seconds, 3), "sets": listed, "cells": len(watched.cells), "missing": missing,
        "jobs": jobs, "notes": list(watched.notes),
    }  # fmt: skip


def _say(subject: str, text: str) -> None:
    render.err(f"{subject}: {text}")


def _quiet(subject: str, text: str) -> None:
    del subject, text
