"""What a page shows, before it is an answer: a template, what fills it, and where the page stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from markupsafe import Markup
    from starlette.requests import Request

API: Final = "api/v1"
"""Where the JSON twins of the pages are, relative to the server's root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """`twin` is the path of the page's JSON, "" for none; `here` the entry of the navigation. `stream` goes where the
    template puts `log`.
    """

    template: str
    context: dict[str, Any]
    twin: str = ""
    here: str = ""
    status: int = 200
    stream: Iterator[Markup] | AsyncIterator[Markup] | None = None


def missing(title: str, text: str) -> Shown:
    """Return the page that says that there is no such thing."""
    return Shown(template="trouble.html", context={"title": title, "text": text}, status=404)


def root_of(request: Request) -> str:
    """Return the relative path from a page to the server's root: pages know neither host name nor path prefix."""
    path: str = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    return "../" * (path.count("/") - 1) or "./"
