"""`farm lock`: the farm's wheels beside upstream's files in locks that exist."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from farm.cli import render
from farm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from farm.cli.main import Context
    from farm.model.shelf import Augmented

_SHOWN = 5
_STDIN = "-"


@click.command()
@click.option("-r", "--requirement", "requirements", multiple=True, metavar="FILE",
              help="uv.lock, pylock.toml, poetry.lock, Pipfile.lock, or requirements with hashes. Repeatable; - is stdin.")  # fmt: skip
@click.option("-i", "--in-place", is_flag=True, help="Write the new text into the file itself.")
@click.option("-o", "--output", metavar="FILE", help="Write it into another file. Default: standard output.")
@click.option("--check", is_flag=True, help="Write nothing; exit code 1, and a list, when a farm wheel is missing or stale.")
@click.option("--strip", is_flag=True, help="Take the farm's wheels out again; with --check: fail when there are any.")
@click.option("--index-url", "farm", metavar="URL", help="The farm, e.g. https://HOST/simple/. Default: the store of this machine.")
@click.option("--target", "targets", multiple=True, metavar="T", help="A kind of client of which to say what it lacks. Repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print what is different as JSON (docs/lock.md).")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.pass_obj
def lock(context: Context, /, **options: Any) -> int:
    """Add the farm's wheels to locks: hashes, and URLs where the format has them. Nothing else in them changes.

    Only wheels of the locked versions, built from the very sdist that the lock names. Exit code 0: done, or nothing to do;
    1: with --check, something is missing or stale; 3: the farm did not answer.
    """
    inputs = _inputs(options)
    settings = context.settings()
    if options["targets"]:
        from farm.model.target import parse_target  # noqa: PLC0415 - only when asked for

        settings = replace(settings, targets=tuple(dict.fromkeys(parse_target(name) for name in options["targets"])))
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks
    from farm.wire.lock import Question, write  # noqa: PLC0415 - the same
    from farm.wire.lock import lock as run  # noqa: PLC0415 - the same

    question = Question(files=inputs, mode="strip" if options["strip"] else "add", farm=options["farm"])
    with Farm(settings, context.env) as farm:
        done = run(farm, question)
    changed = any(each.changes for each in done)
    code = 1 if options["check"] and changed else 0
    for each in done if not options["check"] else ():
        if options["output"]:
            write(options["output"], each.text)
        elif options["in_place"] and each.changes:
            write(each.file, each.text)
        elif not options["in_place"] and not options["as_json"]:
            render.data(each.text.encode())
    if options["as_json"]:
        render.out(json.dumps({"schema": 1, "exit_code": code, "files": [_json(each) for each in done]}, indent=2))
    else:
        _tell(done, options)
    return code


def _inputs(options: dict[str, Any]) -> tuple[str, ...]:
    inputs = tuple(dict.fromkeys(options["requirements"] + options["files"]))
    if not inputs:
        raise UsageError("no lock: expected at least one -r FILE", solution="farm lock -r uv.lock")
    ways = [name for name in ("check", "in_place", "output") if options[name]]
    if len(ways) > 1:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in ways)
        raise UsageError(f"expected one of --check, --in-place and --output, found {names}", solution="leave out all but one")
    if len(inputs) > 1 and not (options["check"] or options["in_place"]):
        raise UsageError(f"expected one file, found {len(inputs)}", solution="use --in-place or --check with several")
    if _STDIN in inputs and options["in_place"]:
        raise UsageError("--in-place: expected a file, found -", solution="leave out --in-place: the new text goes to standard output")
    return inputs


def _json(done: Augmented) -> dict[str, Any]:
    content = asdict(replace(done, text=""))
    del content["text"]
    for change in content["changes"]:
        change["version"] = str(change["version"])
    return content


def _tell(done: tuple[Augmented, ...], options: dict[str, Any]) -> None:
    """The changes go to stdout only with --check, where they are the result; else stdout may be the lock itself."""
    for each in done:
        for remark in each.remarks:
            render.err(f"note: {remark}")
        if options["check"]:
            for line in _differences(each):
                render.out(line)
        for line in _passed_over(each):
            render.err(line)
        for line in _lacking(each):
            render.err(line)
        render.err(_closing(each, options))


def _differences(done: Augmented) -> Iterator[str]:
    here: tuple[object, ...] = ()
    for change in done.changes:
        if here != (change.line, change.name):
            here = (change.line, change.name)
            yield f"{done.file}:{change.line}: {change.name} {change.version}"
        sign = "+" if change.kind == "add" else "-"
        yield f"  {sign} {' '.join(filter(None, (change.filename, f'sha256:{change.sha256}')))}"


def _passed_over(done: Augmented) -> Iterator[str]:
    for wheel in done.passed_over:
        yield f"{done.file}:{wheel.line}: {wheel.filename} is not added: {wheel.reason}"


def _lacking(done: Augmented) -> Iterator[str]:
    for each in done.lacking:
        count, some = len(each.pins), ", ".join(each.pins[:_SHOWN]) + (", …" if len(each.pins) > _SHOWN else "")
        what = f"{count} package{'s' if count > 1 else ''}"
        if each.certain:
            yield f"{done.file}: {each.target}: no wheel of {what} ({some}): `farm build -r {done.file}` makes them"
        else:
            yield f"{done.file}: {each.target}: the farm has no wheel of {what} ({some}): `farm check -r {done.file}` tells which compile"


def _closing(done: Augmented, options: dict[str, Any]) -> str:
    counts: Counter[str] = Counter(change.kind for change in done.changes)
    if not done.changes:
        return f"{done.file}: nothing to {'take out' if options['strip'] else 'add'}"
    said = [f"{counts[kind]} {word}" for kind, word in (("add", "missing"), ("remove", "stale")) if counts[kind]]
    if options["check"]:
        if options["strip"]:
            said = [f"{counts['remove']} of the farm"]
        hint = f"farm lock -r {done.file} {'--strip ' if options['strip'] else ''}--in-place"
        return f"{done.file}: {', '.join(said)}: run `{hint}`"
    words = [f"{counts[kind]} {word}" for kind, word in (("add", "added"), ("remove", "taken out")) if counts[kind]]
    where = f" ({options['output']})" if options["output"] else ""
    return f"{done.file}: {', '.join(words)}{where}"


