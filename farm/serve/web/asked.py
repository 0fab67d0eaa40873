"""What a page's query asks for. Pages take what they can read and pass over the rest: a link from elsewhere always shows something."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from urllib.parse import urlencode

from farm.model.overview import MatrixQuery
from farm.model.overview_runs import BuildQuery, MissQuery
from farm.serve.web.words import BUILD_STATES, CELL_STATES

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams

    from farm.model.attempt import State as BuildState
    from farm.model.overview import CellState

_LONGEST = 300
_MOST_ROWS = 200
_MOST_VALUES = 50
_MOST_DAYS = 366


def matrix_query(asked: QueryParams) -> MatrixQuery:
    return MatrixQuery(
        search=_text(asked, "search"), states=cast("tuple[CellState, ...]", _known(asked, "state", CELL_STATES)),
        targets=_texts(asked, "target"), watch=_text(asked, "watch"), after=_text(asked, "after"),
        limit=max(_number(asked, "limit", 50, _MOST_ROWS), 1),
    )  # fmt: skip


def build_query(asked: QueryParams) -> BuildQuery:
    return BuildQuery(
        name=_text(asked, "name"), states=cast("tuple[BuildState, ...]", _known(asked, "state", BUILD_STATES)),
        target=_text(asked, "target"), run=_text(asked, "run"), after=_text(asked, "after"),
        limit=max(_number(asked, "limit", 50, _MOST_ROWS), 1),
    )  # fmt: skip


def miss_query(asked: QueryParams) -> MissQuery:
    return MissQuery(
        days=max(_number(asked, "days", 30, _MOST_DAYS), 1), name=_text(asked, "name"), offset=_number(asked, "offset", 0, 10_000),
        limit=max(_number(asked, "limit", 50, _MOST_ROWS), 1),
    )  # fmt: skip


def after(asked: QueryParams) -> str:
    return _text(asked, "after")


def query_string(asked: QueryParams, **changes: str) -> str:
    """Return the query that was asked for with some values changed (taken out where ""), "" or beginning with "?"."""
    kept = [(name, value) for name, value in asked.multi_items() if name not in changes and value]
    kept += [(name, value) for name, value in changes.items() if value]
    return f"?{urlencode(kept)}" if kept else ""


def twin_query(path: str, asked: QueryParams) -> str:
    """Return the query of a page's JSON twin: what the page itself understood of its own, as the API refuses the rest."""
    if path == "matrix":
        matrix = matrix_query(asked)
        values = {"search": matrix.search, "state": matrix.states, "target": matrix.targets, "watch": matrix.watch, "after": matrix.after}
    elif path == "builds":
        builds = build_query(asked)
        values = {"name": builds.name, "state": builds.states, "target": builds.target, "run": builds.run, "after": builds.after}
    elif path == "misses":
        misses = miss_query(asked)
        values = {"name": misses.name, "days": str(misses.days), "offset": str(misses.offset or "")}
    else:
        values = {"after": after(asked)}
    told = {name: value for name, value in values.items() if value}
    return f"?{urlencode(told, doseq=True)}" if told else ""


def _text(asked: QueryParams, name: str) -> str:
    return asked.get(name, "").strip()[:_LONGEST].replace("\0", "")


def _texts(asked: QueryParams, name: str) -> tuple[str, ...]:
    values = (value.strip()[:_LONGEST].replace("\0", "") for value in asked.getlist(name)[:_MOST_VALUES])
    return tuple(dict.fromkeys(value for value in values if value))


def _known(asked: QueryParams, name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(value for value in _texts(asked, name) if value in known)


def _number(asked: QueryParams, name: str, default: int, most: int) -> int:
    text = asked.get(name, "")
    # ASCII only: int() takes digits of every script, and so many that it refuses.
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        return default
    return min(int(text), most)
