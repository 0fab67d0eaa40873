"""`farm why`: which file a client would take, and why."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click
from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Specified
from packaging.utils import canonicalize_name

from farm.cli import render
from farm.cli.inputs import Files, file_options, refresh_option
from farm.errors import UsageError
from farm.model.client import Client, parse_pip
from farm.model.target import parse_target
from farm.survey.survey import policy_of
from farm.survey.why import Question, key_words, why

if TYPE_CHECKING:
    from collections.abc import Iterator

    from farm.cli.main import Context
    from farm.model.demand import Demand
    from farm.model.package import Project
    from farm.model.target import Target
    from farm.survey.why import Answer, Candidate
    from farm.survey.why_lock import AskPages
    from farm.wire import Farm

_VIEWS = {"merged": "one merged index", "extra": "the farm as an extra index"}
_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Files):
    """The command line of one `farm why`."""

    package: str
    target: str | None
    client: str
    client_pip: str | None
    as_json: bool
    refresh: bool


@click.command("why")
@click.argument("package", metavar="PKG[==VERSION]")
@click.option("--target", metavar="T", help="The kind of client. Default: the first configured one.")
@click.option("--client", type=click.Choice(["pip", "uv"]), default="pip", show_default=True, help="Who installs.")
@click.option("--client-pip", metavar="VERSION", help="The version of that pip, e.g. 20.2 (config.toml: client-pip).")
@file_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/targets.md).")
@refresh_option
@click.pass_obj
def why_command(context: Context, /, **options: Any) -> int:
    """Say which file a client would take for a package, from the farm's index, and why no other.

    Told for the two ways to use the farm: its pages merged with upstream's as the one index, and as an extra index beside
    upstream's. The bounds, hashes and options of -r and -c count; of a lock it is told what installing from it takes.

    \b
    farm why numpy==2.1.0 --target cp312-manylinux_2_28_x86_64
    farm why numpy --client uv -r uv.lock

    Exit code 0 when a wheel is taken each time, 1 otherwise. More: docs/targets.md.
    """
    asked = Asked(**options)
    asked.check_constraints()
    wanted = _wanted(asked.package)
    if asked.client == "uv" and asked.client_pip:
        raise UsageError("--client-pip is about pip, and the client is uv", solution="leave one of the two out")
    from farm.wire import Farm  # noqa: PLC0415 - after the cheap checks
    from farm.wire.exact import exact_targets  # noqa: PLC0415 - the same

    settings = context.settings()
    targets = (parse_target(asked.target),) if asked.target else settings.targets[:1]
    version = parse_pip(asked.client_pip) if asked.client_pip else settings.client_pip
    client = Client(name="uv") if asked.client == "uv" else Client(version=version)
    with Farm(settings, context.env, refresh=asked.refresh) as farm:
        target = exact_targets(targets, farm.cache)[0]
        question, answers = _ask(farm, asked, wanted, (target, client))
    render.out(_json(question, answers) if asked.as_json else _text(question, answers))
    return 0 if all(answer.chosen and answer.chosen.file.is_wheel for answer in answers) else 1


def _wanted(text: str) -> Specified:
    try:
        found = Specified(text)
    except InvalidRequirement as error:
        raise UsageError(f"expected PKG or PKG==VERSION, found {text!r}", solution="farm why numpy==2.1.0") from error
    if found.url:
        raise UsageError(f"{text}: what comes from a URL is not chosen from an index", solution="name a project") from None
    return found


def _ask(farm: Farm, asked: Asked, wanted: Specified, who: tuple[Target, Client]) -> tuple[Question, tuple[Answer, ...]]:
    from farm.model.demand import Demand  # noqa: PLC0415 - after the cheap checks

    given = asked.requirements or asked.constraints
    demand = farm.read(asked.requirements, asked.constraints, asked.choice) if given else Demand()
    question = _question(demand, wanted, who)
    reading = farm.reading(demand.options)

    def pages() -> tuple[Project | None, Project | None]:
        return reading.upstream.project(question.name), reading.farm.project(question.name)

    return question, (*_of_indexes(demand, question, pages), *_of_locks(demand, question, pages))


def _of_indexes(demand: Demand, question: Question, pages: AskPages) -> tuple[Answer, ...]:
    """Whoever installs from a lock chooses from no index."""
    if demand.locks and not (demand.requirements or demand.constraints):
        return ()
    return why(question, *pages())


def _of_locks(demand: Demand, question: Question, pages: AskPages) -> tuple[Answer, ...]:
    if not demand.locks:
        return ()
    from farm.survey.why_lock import why_locked  # noqa: PLC0415 - only for locks

    return tuple(why_locked(question, lock, pages) for lock in demand.locks)


def _question(demand: Demand, wanted: Specified, who: tuple[Target, Client]) -> Question:
    target, client = who
    name = canonicalize_name(wanted.name)
    question = Question(name=name, specifier=wanted.specifier, target=target, client=client, options=demand.options)
    environment = {**target.markers, "extra": ""}
    for entry in (*demand.requirements, *demand.constraints):
        if entry.name != name or (entry.marker is not None and not entry.marker.evaluate(environment)):
            continue
        if entry.url is not None:
            raise UsageError(f"{entry.origin} takes {name} from a URL, so it is not chosen from an index", solution="leave -r out")
        question = replace(question, specifier=question.specifier & entry.specifier)
    return replace(question, hashes=policy_of(demand, frozenset()).hashes.get(name))


def _text(question: Question, answers: tuple[Answer, ...]) -> str:
    asked = f"{question.name}{question.specifier}"
    lines = [f"{asked} for {question.target.full_name}, by {question.client}"]
    for answer in answers:
        lines.append(f"{_VIEWS.get(answer.view, f'the lock {answer.source}')}:")
        if answer.chosen is None:
            lines.append("  takes nothing" if answer.note and not answer.out else "  takes nothing: no file can be used")
        else:
            key = ", ".join(f"{name}: {value}" for name, value in key_words(answer.chosen.key, question))
            lines.append(f"  takes {answer.chosen.file.filename} from {answer.chosen.where}\n    ({key})")
        if answer.note:
            lines.append(f"  note: {answer.note}")
        lines.extend(f"  before {c.file.filename} ({c.where}): {c.behind}" for c in answer.runners[:_SHOWN])
        if len(answer.runners) > _SHOWN:
            lines.append(f"  and before {len(answer.runners) - _SHOWN} more (--json has them)")
        lines.extend(_out(answer))
    return "\n".join(lines)


def _out(answer: Answer) -> Iterator[str]:
    """Yield a line for each reason, with the files that it keeps out."""
    reasons: dict[str, list[str]] = {}
    for out in answer.out:
        reasons.setdefault(out.reason, []).append(f"{out.file.filename} ({out.where})")
    for reason, files in reasons.items():
        more = f" and {len(files) - 2} more" if len(files) > 3 else ""
        yield f"  out: {', '.join(files[: 2 if more else 3])}{more}: {reason}"


def _json(question: Question, answers: tuple[Answer, ...]) -> str:
    content = {
        "schema": 1,
        "package": question.name,
        "specifier": str(question.specifier),
        "target": question.target.full_name,
        "client": str(question.client),
        "views": [
            {
                "view": answer.view,
                "source": answer.source or None,
                "chosen": _candidate(answer.chosen, question) if answer.chosen else None,
                "note": answer.note,
                "runners": [_candidate(c, question) | {"behind": c.behind} for c in answer.runners],
                "out": [{"file": out.file.filename, "from": out.where, "reason": out.reason} for out in answer.out],
            }
            for answer in answers
        ],
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def _candidate(candidate: Candidate, question: Question) -> dict[str, Any]:
    return {"file": candidate.file.filename, "from": candidate.where, "key": dict(key_words(candidate.key, question))}
