"""Whole answers that were given before, by the bytes of the request's head.

A client asks for a page with the same bytes each time, and so do all clients of one version. What was answered to exactly
these bytes is right again as long as `Answer.still` says so; only then need nothing be parsed, routed or looked up.
"""

from __future__ import annotations

import http
import os
from collections import OrderedDict
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from farm.errors import FarmError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from pathlib import Path

    from starlette.responses import Response
    from starlette.types import Scope

EXTENSION = "farm.keep"
"""The ASGI extension by which the application offers an answer: `scope["extensions"][EXTENSION]["offers"]` is a list."""

_LONGEST_HEAD = 8192
_APART = 1 << 16
# A dictionary entry, two objects and a closure.
_OVERHEAD = 1024
_STEADY_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that may be given again. `headers` are complete but for Date; either `body` or `file` follows them.

    `still` tells whether it is still what the application would answer: cheap, called in the event loop. A `file` must
    have `size` bytes, and content that never changes while it has a name. `given` is called each time that it is given again.
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""
    file: Path | None = None
    size: int = 0
    still: Callable[[], bool]
    given: Callable[[], None] | None = None

    def without_body(self) -> Answer:
        """Return what HEAD gets."""
        return Answer(status=self.status, headers=self.headers, still=self.still, given=self.given)


def offer(scope: Scope, response: Response, still: Callable[[], bool], file: tuple[Path, int] | None = None) -> None:
    """Offer a response to be kept, if the server can. `file` has the path and size of what follows the headers."""
    place = scope.get("extensions", {}).get(EXTENSION)
    if place is None:
        return
    path, size = file or (None, 0)
    body = b"" if file else bytes(response.body)
    headers = tuple(response.raw_headers)
    guard = place.get("still")
    both = still if guard is None else lambda: guard() and still()
    place["offers"].append(
        Answer(status=response.status_code, headers=headers, body=body, file=path, size=size, still=both)
    )


def unchanged(look: Callable[[], Hashable | None], seen: Hashable) -> Callable[[], bool]:
    """Return a check that `look` still gives what was seen; trouble while looking means no."""

    def still() -> bool:
        try:
            return look() == seen
        except (FarmError, OSError):
            return False

    return still


def steady(still: Callable[[], bool], pulse: Callable[[], bytes | None]) -> Callable[[], bool]:
    """Return `still` made cheaper: it is asked again when `pulse` has changed, and each second in any case.

    `pulse` changes after everything that is published, and before who publishes is told so. What else may change an answer
    (upstream's page has grown old, the store was mended by hand) is so seen a second later at most.
    """
    last: bytes | None = None
    until = 0.0

    def check() -> bool:
        nonlocal last, until
        # Before the check: what is published in between changes it once more.
        beat, now = pulse(), monotonic()
        if beat is not None and beat == last and now < until:
            return True
        if not still():
            return False
        last, until = beat, now + _STEADY_SECONDS
        return True

    return check


class Kept:
    """An answer in the form in which it is sent: `start`, then the headers that each second changes, then `rest`, then `body`."""

    __slots__ = ("body", "cost", "file", "given", "rest", "size", "start", "still")

    def __init__(self, answer: Answer, head: bytes) -> None:
        status = http.HTTPStatus(answer.status)
        self.start = b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode())
        self.rest = b"".join(b"%s: %s\r\n" % header for header in answer.headers) + b"\r\n"
        self.body = b""
        if len(answer.body) < _APART:
            self.rest += answer.body
        else:
            # Joined to the headers, it would be copied for each answer.
            self.body = answer.body
        self.file = None if answer.file is None else str(answer.file)
        self.size = answer.size
        self.still = answer.still
        self.given = answer.given
        self.cost = len(head) + len(self.start) + len(self.rest) + len(self.body) + _OVERHEAD


class KeptAnswers:
    """Answers by request head, at most `limit` bytes of them; the least recently used go first. For one event loop."""

    def __init__(self, limit: int = 48_000_000) -> None:
        self._limit = limit
        self._size = 0
        self._answers: OrderedDict[bytes, Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def size(self) -> int:
        """Bytes that are kept, about."""
        return self._size

    def find(self, head: bytes) -> Kept | None:
        """Return the answer to these bytes while it is true; what is no longer true is dropped."""
        # What is longer is never kept, so that a body need not be hashed to know it.
        kept = self._answers.get(head) if len(head) <= _LONGEST_HEAD else None
        if kept is None:
            return None
        if not kept.still():
            self.drop(head)
            return None
        self._answers.move_to_end(head)
        return kept

    def put(self, head: bytes, answer: Answer) -> None:
        """Keep an answer, unless its head or body is so large that it would crowd out others."""
        if len(head) > _LONGEST_HEAD or len(answer.body) > self._limit // 8:
            return
        self.drop(head)
        kept = self._answers[head] = Kept(answer, head)
        self._size += kept.cost
        while self._size > self._limit:
            self._size -= self._answers.popitem(last=False)[1].cost

    def drop(self, head: bytes) -> None:
        kept = self._answers.pop(head, None)
        if kept is not None:
            self._size -= kept.cost


class OpenFile:
    """A file that stays open as long as someone refers to it: a transfer may outlast its place among the open ones."""

    __slots__ = ("fd",)

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            os.close(self.fd)


class OpenFiles:
    """Files by path, at most `limit` of them open; one that lost its name is not found any more. For one event loop."""

    def __init__(self, limit: int = 256) -> None:
        self._limit = limit
        self._files: OrderedDict[str, OpenFile] = OrderedDict()

    def find(self, path: str, size: int) -> OpenFile | None:
        """Return the file if it is there and has `size` bytes."""
        file = self._files.get(path)
        if file is not None:
            found = os.fstat(file.fd)
            # Removed (0 names) or replaced by a repaired copy: the descriptor is of the past.
            if found.st_nlink and found.st_size == size:
                self._files.move_to_end(path)
                return file
            del self._files[path]
        try:
            file = OpenFile(path)
        except OSError:
            return None
        if os.fstat(file.fd).st_size != size:
            return None
        self._files[path] = file
        if len(self._files) > self._limit:
            self._files.popitem(last=False)
        return file
