"""Rows and pages of files whose bytes are durable: one transaction for all who publish at the same moment.

While one thread writes, others queue; the next one takes all that are waiting along. So the wait for the disk is shared,
and a lone publisher waits for nobody.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from farm.errors import StoreError
from farm.model.package import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from farm.adapters.catalogue import Added, Catalogue
    from farm.adapters.locks import Locks
    from farm.adapters.pages import PageFiles
    from farm.model.attempt import WheelRecord
    from farm.model.keeping import Tombstone
    from farm.model.package import Digest, IndexFile, NormalizedName
    from farm.model.page import Page

# Each holds the lock file of its project open meanwhile.
_AT_ONCE = 200


@dataclass(slots=True, eq=False)
class _Waiting:
    """One publisher: what it brought, and what became of it."""

    records: Sequence[WheelRecord]
    digests: tuple[Digest, ...] | None = None
    error: BaseException | None = None

    @property
    def done(self) -> bool:
        return self.digests is not None or self.error is not None


class Publication:
    """The last steps of publishing. `catalogue` gives the catalogue when it is needed first. Safe for threads and processes."""

    def __init__(
        self,
        catalogue: Callable[[], Catalogue],
        pages: PageFiles,
        locks: Locks,
        renders: tuple[Callable[[WheelRecord], IndexFile], Callable[[Project], tuple[Page, ...]]],
    ) -> None:
        """`renders` make an entry of a row, and a page of a project."""
        self._catalogue = catalogue
        self._pages = pages
        self._locks = locks
        self._entry, self._render = renders
        self._turn = Lock()
        self._queueing = Lock()
        self._queue: list[_Waiting] = []

    def list_files(self, records: Sequence[WheelRecord]) -> tuple[Digest, ...]:
        """Put files on their projects' pages and return, for each, the digest that the index has under its name.

        A file whose name was taken stays out. StoreError when something cannot be written: what is then in the catalogue
        and not on its page is put there by whoever comes next.
        """
        waiting = _Waiting(records)
        with self._queueing:
            self._queue.append(waiting)
        while not waiting.done:
            with self._turn:
                if not waiting.done:
                    self._carry(self._next())
        if waiting.error is not None:
            raise _own(waiting.error)
        assert waiting.digests is not None
        return waiting.digests

    def finish_dirty(self, names: Sequence[NormalizedName]) -> None:
        """Make the pages that dead publishers left, but for those that a live one is making."""
        for start in range(0, len(names), _AT_ONCE):
            with ExitStack() as stack:
                # Whoever holds a page is alive and will finish it; if it dies, the next publisher comes by here.
                some = names[start : start + _AT_ONCE]
                held = [name for name in some if stack.enter_context(self._locks.page(name, wait=False))]
                found = self._catalogue().dirty_pages(held)
                if found is not None:
                    self._show(found)

    def unlist(self, stones: Sequence[Tombstone]) -> None:
        """Take files off their projects' pages, with tombstones in the catalogue; a project without files loses its page."""
        for start in range(0, len(stones), _AT_ONCE):
            some = stones[start : start + _AT_ONCE]
            with ExitStack() as stack:
                for name in sorted({stone.name for stone in some}):
                    stack.enter_context(self._locks.page(name, wait=True))
                buried = self._catalogue().bury(some)
                if buried.dirty:
                    self._show(buried)

    def refresh(self, names: Iterable[NormalizedName]) -> None:
        """Make pages anew from the catalogue, and put their names on the list if they have files."""
        for name in names:
            # Waited for: whoever has the page may have read the catalogue before it was put right.
            with self._locks.page(name, wait=True):
                self._catalogue().mark_dirty((name,))
                found = self._catalogue().dirty_pages((name,))
                if found is not None:
                    self._show(found)

    def _next(self) -> list[_Waiting]:
        """Take from the queue, oldest first, as many as fit; a large offer goes alone."""
        with self._queueing:
            count = files = 0
            for waiting in self._queue:
                files += len(waiting.records)
                if count and files > _AT_ONCE:
                    break
                count += 1
            taken, self._queue = self._queue[:count], self._queue[count:]
        return taken

    def _carry(self, group: Sequence[_Waiting]) -> None:
        try:
            digests = iter(self._list([record for waiting in group for record in waiting.records]))
            for waiting in group:
                waiting.digests = tuple(next(digests) for _ in waiting.records)
        except BaseException as error:
            for waiting in group:
                waiting.error = error
            if not isinstance(error, Exception):
                raise

    def _list(self, records: Sequence[WheelRecord]) -> list[Digest]:
        digests: list[Digest] = []
        left: tuple[NormalizedName, ...] = ()
        for start in range(0, len(records), _AT_ONCE):
            some = records[start : start + _AT_ONCE]
            with ExitStack() as stack:
                # In one order everywhere, so that two processes never wait for each other.
                for name in sorted({record.name for record in some}):
                    stack.enter_context(self._locks.page(name, wait=True))
                added = self._catalogue().add_wheels(some)
                if added.dirty:
                    left = self._show(added)
            digests += added.digests
        self.finish_dirty(left)
        return digests

    def _show(self, added: Added) -> tuple[NormalizedName, ...]:
        """Bring dirty pages up to the catalogue, and return those that are still dirty. The caller holds their locks."""
        files = {name: tuple(map(self._entry, records)) for name, records in added.files.items()}
        projects = [Project(name=name, files=listed_files) for name, listed_files in files.items() if listed_files]
        self._pages.write([(project, self._render(project)) for project in projects])
        emptied = [name for name, listed_files in files.items() if not listed_files]
        if emptied:
            with self._locks.shared_file("projects"):
                self._pages.remove(emptied)
        unlisted = [name for name, on_list in added.dirty.items() if not on_list and files[name]]
        if unlisted:
            with self._locks.shared_file("projects"):
                self._pages.append_names(unlisted)
        self._pages.write_serial(added.serial)
        if emptied:
            self._catalogue().forget_pages(emptied)
        return self._catalogue().mark_clean(added.dirty)


def _own(error: BaseException) -> BaseException:
    """Return an error of its own for each thread: raising one object in several would mix up their tracebacks."""
    if isinstance(error, StoreError):
        own = type(error)(error.reason, solution=error.solution)
        own.__cause__ = error
        return own
    return error
