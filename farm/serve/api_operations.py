"""What the API can do, as a table: from it come the routes and the OpenAPI document, so that they cannot differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from farm.model import overview as records
from farm.model import overview_runs as runs
from farm.model.attempt import State as BuildState
from farm.model.report import State
from farm.serve.api_problem import Parameter
from farm.serve.lines import client_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from farm.serve.overview import Overview

CELL_STATES: tuple[str, ...] = (*get_args(State), "building")
BUILD_STATES: tuple[str, ...] = get_args(BuildState)

_LIMIT = Parameter(name="limit", about="At most so many on a page.", kind="integer", default=50, least=1, most=200)
_AFTER = Parameter(name="after", about="`next` of the page before; without it the first page.")
_MATRIX = (
    Parameter(name="search", about="A part of a project's name."),
    Parameter(name="state", about="Rows with a cell in one of these states.", many=True, choices=CELL_STATES),
    Parameter(name="target", about="Only these targets, by name.", many=True),
    Parameter(name="watch", about="Only what this set wants."),
    _AFTER,
    _LIMIT,
)
_DAYS = Parameter(name="days", about="Of so many days up to today (UTC).", kind="integer", default=30, least=1, most=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that was read: `path` and `query` hold its parameters by name, `base` is the farm's URL without a slash at its end."""

    path: dict[str, str]
    query: dict[str, Any]
    base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A GET. `answer` asks the overview, and gives None for 404; `gives` is the record that comes as JSON."""

    path: str
    name: str
    about: str
    gives: Any
    answer: Callable[[Overview, Asked], Any]
    query: tuple[Parameter, ...] = ()

    @property
    def variables(self) -> tuple[str, ...]:
        """The names in the path's braces."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiPackage:
    """A project, and what to copy so that pip and uv install it from here."""

    package: records.PackageView
    client_lines: tuple[records.ClientLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Nights:
    """The last nights, newest first."""

    nights: tuple[runs.NightRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """config.toml's targets, then the others that the farm has met."""

    targets: tuple[records.TargetView, ...]


def _matrix_query(asked: Asked) -> records.MatrixQuery:
    given = asked.query
    return records.MatrixQuery(
        search=given["search"], states=given["state"], targets=given["target"], watch=given["watch"], after=given["after"],
        limit=given["limit"],
    )  # fmt: skip


def _builds(overview: Overview, asked: Asked) -> runs.BuildPage:
    given = asked.query
    query = runs.BuildQuery(
        name=given["name"], states=given["state"], target=given["target"], run=given["run"], after=given["after"], limit=given["limit"]
    )
    return overview.builds(query)


def _package(overview: Overview, asked: Asked) -> ApiPackage | None:
    found = overview.package(asked.path["name"])
    if found is None:
        return None
    newest = found.versions[0].version if found.versions else ""
    return ApiPackage(package=found, client_lines=client_lines(asked.base, found.name, newest))


def _misses(overview: Overview, asked: Asked) -> runs.MissPage:
    given = asked.query
    return overview.misses(runs.MissQuery(days=given["days"], name=given["name"], offset=given["offset"], limit=given["limit"]))


READINGS: tuple[Reading, ...] = (
    Reading(
        path="/summary", name="summary", about="The farm at a glance.", gives=runs.Summary, query=(_DAYS,),
        answer=lambda overview, asked: overview.summary(asked.query["days"]),
    ),
    Reading(
        path="/targets", name="targets", about="The targets, and how their pins stand.", gives=Targets,
        answer=lambda overview, _: Targets(targets=overview.targets()),
    ),
    Reading(
        path="/matrix", name="matrix", about="Pins by targets, a page at a time: by name, then the newest version first.",
        gives=records.Matrix, query=_MATRIX, answer=lambda overview, asked: overview.matrix(_matrix_query(asked)),
    ),
    Reading(
        path="/gaps", name="gaps", about="What has no wheel now, and which sets want it. A page ends with a version.",
        gives=records.GapPage, query=_MATRIX, answer=lambda overview, asked: overview.gaps(_matrix_query(asked)),
    ),
    Reading(
        path="/packages/{name}", name="package", about="A project: versions, wheels, proofs, builds, who wants it.", gives=ApiPackage,
        answer=_package,
    ),
    Reading(
        path="/wheels", name="wheels", about="The files of the index by file name.", gives=records.WheelPage,
        query=(Parameter(name="name", about="Of this project only."), _AFTER, _LIMIT),
        answer=lambda overview, asked: overview.wheels(asked.query["name"], asked.query["after"], asked.query["limit"]),
    ),
    Reading(
        path="/builds", name="builds", about="Attempts, newest first.", gives=runs.BuildPage, answer=_builds,
        query=(
            Parameter(name="name", about="Of this project."),
            Parameter(name="state", about="In one of these states.", many=True, choices=BUILD_STATES),
            Parameter(name="target", about="For this target."),
            Parameter(name="run", about="Of this run of the farm."),
            _AFTER,
            _LIMIT,
        ),
    ),
    Reading(
        path="/builds/{id}", name="build", about="An attempt: diagnosis, earlier attempts, how to do it again.",
        gives=runs.BuildView, answer=lambda overview, asked: overview.build(asked.path["id"]),
    ),
    Reading(
        path="/queue", name="queue", about="What is under way, and what waits.", gives=runs.Queue,
        answer=lambda overview, _: overview.queue(),
    ),
    Reading(
        path="/nights", name="nights", about="The last nights, newest first.", gives=Nights, query=(_LIMIT,),
        answer=lambda overview, asked: Nights(nights=overview.nights(asked.query["limit"])),
    ),
    Reading(
        path="/nights/{id}", name="night", about="A night: its report, its builds on a time line.", gives=runs.NightView,
        answer=lambda overview, asked: overview.night(asked.path["id"]),
    ),
    Reading(
        path="/misses", name="misses", about="Sdists that clients fetched to compile them, the most frequent first.",
        gives=runs.MissPage, answer=_misses,
        query=(
            _DAYS, Parameter(name="name", about="Of this project."),
            Parameter(name="offset", about="Pass over so many.", kind="integer", default=0, least=0, most=10_000), _LIMIT,
        ),
    ),
    Reading(
        path="/sets", name="sets", about="Requirement sets that are watched, by name.", gives=records.SetPage, query=(_AFTER, _LIMIT),
        answer=lambda overview, asked: overview.sets(asked.query["after"], asked.query["limit"]),
    ),
    Reading(
        path="/sets/{name}", name="set", about="A set; what it wants is the matrix with `watch`.", gives=records.SetView,
        answer=lambda overview, asked: overview.set(asked.path["name"]),
    ),
)  # fmt: skip
