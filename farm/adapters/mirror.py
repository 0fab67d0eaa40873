"""Upstream's pages for those who serve them: from this disk while they are fresh, asked for anew beside the requests when not.

A page is asked for by one thread of one process at a time. Who waits, waits `Patience.stale` seconds at most when there is
a page to give, `Patience.first` when there is none yet. While an index does not answer, nobody waits for it at all.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections import Counter, OrderedDict
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from farm.adapters.index_page import BadPage, without_credentials
from farm.adapters.mirror_fetch import PageFetcher
from farm.adapters.mirror_page import read_document
from farm.adapters.process import redact
from farm.errors import FarmError, UpstreamError
from farm.model.mirrored import Mirrored, StoredPage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from farm.adapters.mirror_disk import Facts, PageDisk
    from farm.adapters.mirror_fetch import Origin
    from farm.adapters.web import Web
    from farm.adapters.workers import Workers
    from farm.model.mirrored import UpstreamPage
    from farm.model.package import NormalizedName

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_LONGEST_NAME = 200
_PROJECTS = 20_000
_CLOCKS_DIFFER = 60.0
_PRIVATE = "private"


@dataclass(slots=True, eq=False)
class _Slot:
    """One index's page of one project. `facts` None: nothing was ever heard. `failed` is until when not to ask again."""

    facts: Facts | None
    failed: float = 0.0
    error: FarmError | None = None
    asking: Future[None] | None = None


@dataclass(slots=True, eq=False)
class _Project:
    """`fresh` is until when all pages are, and the token of what they say."""

    slots: tuple[_Slot, ...]
    lock: threading.Lock = field(default_factory=threading.Lock)
    fresh: tuple[float, str] = (0.0, "")

    def settle(self) -> None:
        """Bring `fresh` up to date with the slots."""
        heard = [slot.facts for slot in self.slots if slot.facts is not None]
        if len(heard) == len(self.slots):
            self.fresh = min(facts.fresh_until for facts in heard), _token(heard)


class Mirror:
    """Upstream's pages. `now` returns seconds since 1970. Safe for threads; several processes may share the disk."""

    def __init__(
        self, web: Web, disk: PageDisk, workers: Workers, origin: Origin, now: Callable[[], float] = time.time
    ) -> None:
        self._fetcher = PageFetcher(web, disk, origin.patience, now)
        self._disk = disk
        self._workers = workers
        self._origin = origin
        self._urls = origin.urls
        self._private = origin.private
        self._patience = origin.patience
        self._now = now
        self._down = 0.0
        """Until when to expect little: an index did not answer. Who waits long for it holds a thread that others need."""
        self._lock = threading.Lock()
        self._projects: OrderedDict[NormalizedName, _Project] = OrderedDict()
        self._counts: Counter[str] = Counter()

    def counts(self) -> dict[str, int]:
        """Return how often a page was asked for and came ("ok") or not ("error"), and how often an old one was given ("stale")."""
        with self._lock:
            return dict(self._counts)

    def _count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1

    def asks(self, name: NormalizedName) -> bool:
        """Tell whether upstream may be asked for a name."""
        possible = len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) is not None
        return possible and not any(fnmatchcase(name, pattern) for pattern in self._private)

    def fresh(self, name: NormalizedName) -> str | None:
        """Return the token of what is known, while it needs no asking; None otherwise. Touches neither disk nor network."""
        project = self._projects.get(name)
        if project is None:
            return None if self.asks(name) else _PRIVATE
        # Each request asks this; what it says was made ready when an index answered.
        until, token = project.fresh
        now = self._now()
        # A page from the future tells of a clock that was set back.
        return token if now < until <= now + self._patience.max_age + _CLOCKS_DIFFER else None

    def get(self, name: NormalizedName) -> Mirrored:
        """Return the pages of a project. May wait; UpstreamError when an index did not answer and none of its pages is known."""
        if not self.asks(name):
            return Mirrored(name=name, pages=(), token=_PRIVATE, read=None, stale=False)
        project = self._project(name)
        asked = list(self._ask(name, project))
        unheard = any(slot.facts is None for slot in project.slots)
        trouble = not unheard and any(slot.error is not None for slot in project.slots)
        if asked and not trouble:
            patient = unheard and self._now() >= self._down
            wait(asked, timeout=self._patience.first if patient else self._patience.stale)
        for number, slot in enumerate(project.slots):
            if slot.facts is None and not self._surveyed(name, project, number):
                raise slot.error or self._silence(name, self._urls[number])
        return self._mirrored(name, project)

    def _surveyed(self, name: NormalizedName, project: _Project, number: int) -> bool:
        """Take what a survey has read of a page that was never served; tell whether anything is known then."""
        found = self._origin.surveyed(self._urls[number], name)
        with project.lock:
            slot = project.slots[number]
            if slot.facts is None and found is not None:
                slot.facts = found
                project.settle()
            return slot.facts is not None

    def known(self, name: NormalizedName) -> Mirrored | None:
        """Return what is known without waiting, however old; None when an index was never heard. Asks beside, where needed."""
        if not self.asks(name):
            return self.get(name)
        project = self._project(name)
        list(self._ask(name, project))
        return None if any(slot.facts is None for slot in project.slots) else self._mirrored(name, project)

    def read(self, mirrored: Mirrored) -> tuple[UpstreamPage, ...] | None:
        """Return the pages' contents; None when they have been replaced since `get`: then call it again."""
        pages = []
        for page in mirrored.pages:
            body = self._body(mirrored.name, page)
            if body is None:
                self._forget(mirrored.name)
                return None
            try:
                pages.append(read_document(body, page.content_type, page.url))
            except BadPage:
                # What an older farm kept, this one may not take for a page.
                self._disk.discard(page.index, mirrored.name, page.digest)
                self._forget(mirrored.name)
                return None
        return tuple(pages)

    def _body(self, name: NormalizedName, page: StoredPage) -> bytes | None:
        with self._lock:
            project = self._projects.get(name)
        for slot in project.slots if project is not None else ():
            if slot.facts is not None and slot.facts.digest == page.digest and slot.facts.body is not None:
                return slot.facts.body
        return self._disk.body(page.index, name, page.digest)

    def _forget(self, name: NormalizedName) -> None:
        """Read a project's facts from the disk again: another process has replaced them, or the bytes were damaged."""
        with self._lock:
            self._projects.pop(name, None)
        for url in self._urls:
            facts = self._disk.load(url, name)
            if facts is not None and facts.digest and self._disk.body(facts.index, name, facts.digest) is None:
                # Without its bytes a page must be fetched whole.
                self._disk.drop(facts)

    def _project(self, name: NormalizedName) -> _Project:
        with self._lock:
            project = self._projects.get(name)
            if project is not None:
                self._projects.move_to_end(name)
                return project
        made = _Project(slots=tuple(_Slot(facts=self._disk.load(url, name)) for url in self._urls))
        made.settle()
        with self._lock:
            project = self._projects.setdefault(name, made)
            while len(self._projects) > _PROJECTS:
                self._projects.popitem(last=False)
            return project

    def _ask(self, name: NormalizedName, project: _Project) -> Iterator[Future[None]]:
        """Have each index asked whose page is not fresh; yield what to wait for."""
        for number, slot in enumerate(project.slots):
            with project.lock:
                now = self._now()
                if _is_fresh(slot, now) or (slot.failed > now and slot.asking is None):
                    continue
                future = slot.asking
                if future is None:
                    future = slot.asking = Future()
                    self._workers.submit(_Asking(self, name, project, number))
            yield future

    def refresh(self, name: NormalizedName, project: _Project, number: int) -> None:
        """Bring one index's page up to date; for the thread that was given the job."""
        slot, facts, error = project.slots[number], None, None
        try:
            facts = self._fetcher.updated(self._urls[number], name, slot.facts)
        except FarmError as trouble:
            error = trouble
        except Exception as trouble:
            error = UpstreamError(
                f"the page of {name} could not be read: {trouble}", solution="the server's log says where"
            )
            raise
        finally:
            self._count("error" if facts is None else "ok")
            with project.lock:
                slot.error = error
                if facts is not None:
                    slot.facts, slot.failed, self._down = facts, 0.0, 0.0
                else:
                    slot.failed = self._down = self._now() + self._patience.pause
                asking, slot.asking = slot.asking, None
                project.settle()
            if asking is not None:
                asking.set_result(None)

    def _mirrored(self, name: NormalizedName, project: _Project) -> Mirrored:
        now = self._now()
        heard = [slot.facts for slot in project.slots if slot.facts is not None]
        stale = any(facts.fresh_until < now for facts in heard)
        oldest = min(facts.read for facts in heard)
        token = _token(heard)
        if stale:
            self._count("stale")
        return Mirrored(
            name=name,
            pages=tuple(
                StoredPage(index=facts.index, url=facts.url, content_type=facts.content_type, digest=facts.digest)
                for facts in heard
                if facts.digest
            ),
            # The age is on the page then.
            token=f"{token} stale {oldest}" if stale else token,
            read=datetime.fromtimestamp(oldest, UTC),
            stale=stale,
        )

    def _silence(self, name: NormalizedName, index: str) -> UpstreamError:
        return UpstreamError(
            f"{redact(without_credentials(index))}: no page of {name} within {self._patience.first:g} s",
            solution="try again in a moment: the answer is waited for meanwhile",
        )


@dataclass(frozen=True, slots=True)
class _Asking:
    mirror: Mirror
    name: NormalizedName
    project: _Project
    number: int

    def __call__(self) -> None:
        self.mirror.refresh(self.name, self.project, self.number)


def _is_fresh(slot: _Slot, now: float) -> bool:
    facts = slot.facts
    return facts is not None and facts.read <= now + _CLOCKS_DIFFER and now < facts.fresh_until


def _token(heard: list[Facts]) -> str:
    parts = "\n".join(f"{facts.index} {facts.digest} {facts.url} {facts.content_type}" for facts in heard)
    return hashlib.blake2b(parts.encode(), digest_size=16).hexdigest()
