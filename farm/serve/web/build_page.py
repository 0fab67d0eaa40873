"""A build's page: what went wrong on top, its log below. While the build runs the page does not end: the log grows in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from markupsafe import Markup

from farm.serve.web.ansi import line_items
from farm.serve.web.excerpt import LONGEST, read_excerpt, read_lines
from farm.serve.web.shown import API, Shown, missing
from farm.serve.web.templates import count

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from starlette.requests import Request

    from farm.serve.overview import Overview
    from farm.serve.web.excerpt import Stretch

_PIECE = 500


class Follow(Protocol):
    """Gives a log as it is written: what is there, then what comes, in pieces of any size, up to the end of the build."""

    def __call__(self, identity: str) -> AsyncIterator[bytes]: ...


class BuildPage:
    """Makes the page of a build. Without `follow` a running build's log is shown as far as it goes at that moment."""

    def __init__(self, overview: Overview, follow: Follow | None) -> None:
        self._overview = overview
        self._follow = follow

    def make(self, request: Request) -> Shown:
        identity = request.path_params["id"]
        view = self._overview.build(identity)
        if view is None:
            return missing("No such build", f"The farm knows no build {identity}.")
        build = view.build
        path = None if view.log_size is None else self._overview.log(build.id)
        live = build.running and self._follow is not None and path is not None
        whole = request.query_params.get("log") == "whole"
        raw = f"{API}/builds/{build.id}/log"
        context = {
            "view": view, "build": build, "diagnosis": view.diagnosis, "live": live, "whole": whole, "cut": False, "raw": raw,
            "log": None,
        }  # fmt: skip
        mark = view.diagnosis.number if view.diagnosis else 0
        shown = Shown(template="build.html", context=context, twin=f"{API}/builds/{build.id}", here="builds")
        if live and self._follow is not None:
            return _streaming(shown, _follow_items(self._follow(build.id)))
        if path is not None and whole:
            return _streaming(shown, _all_items(path, mark))
        if path is not None:
            _put_excerpt(context, path, mark)
        return shown


def _streaming(shown: Shown, stream: Iterator[Markup] | AsyncIterator[Markup]) -> Shown:
    return Shown(template=shown.template, context=shown.context, twin=shown.twin, here=shown.here, stream=stream)


def _put_excerpt(context: dict[str, object], path: Path, mark: int) -> None:
    try:
        stretches = read_excerpt(path, mark)
    except OSError:
        # Removed since the overview looked.
        return
    context["log"] = Markup("").join(_excerpt_items(stretches, mark))
    context["cut"] = len(stretches) > 1


def _excerpt_items(stretches: tuple[Stretch, ...], mark: int) -> Iterator[Markup]:
    shown = 0
    for stretch in stretches:
        if stretch.first > shown + 1:
            left_out = stretch.first - shown - 1
            yield Markup('<li class="gap">{} lines are not shown</li>\n').format(count(left_out))
        yield from line_items(stretch.lines, stretch.first, mark)
        shown = stretch.last


def _all_items(path: Path, mark: int) -> Iterator[Markup]:
    """Yield all of a log, some hundred lines at a time."""
    piece: list[str] = []
    first = 1
    try:
        with path.open("rb") as file:
            for line in read_lines(file):
                piece.append(line)
                if len(piece) == _PIECE:
                    yield Markup("").join(line_items(piece, first, mark))
                    first += _PIECE
                    piece = []
    except OSError:
        # Half a page is out: it ends with what was read.
        pass
    yield Markup("").join(line_items(piece, first, mark))


async def _follow_items(pieces: AsyncIterator[bytes]) -> AsyncIterator[Markup]:
    """Yield whole lines as they come; the last one also without its end."""
    number, rest = 1, b""
    async for piece in pieces:
        first, *others = piece.split(b"\n")
        # What nobody reads of a line is not gathered either: a log may be one line of any length.
        *lines, rest = (rest + first[: max(LONGEST - len(rest), 0)], *others)
        if lines:
            texts = [line.decode("utf-8", "replace") for line in lines]
            yield Markup("").join(line_items(texts, number))
            number += len(texts)
    if rest:
        yield Markup("").join(line_items([rest.decode("utf-8", "replace")], number))
