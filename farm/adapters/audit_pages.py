"""Pages against the catalogue: each shows what its project has, in every form, and stands on the list of projects."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from farm.adapters.durable import storing
from farm.adapters.pages import SUFFIX, PageFiles
from farm.errors import StoreError
from farm.model.keeping import Damage
from farm.model.package import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from farm.adapters.inventory import Inventory
    from farm.adapters.store import Store
    from farm.model.keeping import Kind
    from farm.model.package import IndexFile, NormalizedName
    from farm.model.page import Page


class PageAudit:
    """Looks at one project at a time, under the lock of its page."""

    def __init__(
        self, root: Path, store: Store, inventory: Inventory, render: Callable[[Project], tuple[Page, ...]]
    ) -> None:
        self.projects = 0
        self._root = root
        self._store = store
        self._inventory = inventory
        self._render = render
        self._names = frozenset(store.names())

    def look(self, *, fix: bool) -> Iterator[Damage]:
        """Yield what is wrong with the pages; with `fix` they are made anew from the catalogue."""
        for name in sorted({*self._inventory.names(), *self._files(), *self._names}):
            self.projects += 1
            # A new reader: what a page's file holds must come from the disk.
            pages = PageFiles(self._root)
            with self._store.locks.page(name, wait=True):
                found = self._found(name, pages)
            if found is None:
                continue
            if fix:
                self._store.refresh((name,))
            yield Damage(
                kind=found[0],
                subject=name,
                found=found[1],
                remedy="" if fix else "farm fsck --fix makes it anew",
                mended=fix,
            )

    def _found(self, name: NormalizedName, pages: PageFiles) -> tuple[Kind, str] | None:
        try:
            files = tuple(map(self._store.entry, self._store.catalogue.wheels(name)))
        except (ValueError, TypeError, KeyError):
            # Told as a row with nonsense already.
            return None
        if self._store.catalogue.page_state(name)[0]:
            return "page-dirty", "a publisher died before the page showed all"
        return self._differs(name, files, pages) or self._on_list(name, there=bool(files))

    def _differs(self, name: NormalizedName, files: tuple[IndexFile, ...], pages: PageFiles) -> tuple[Kind, str] | None:
        try:
            own = pages.project(name)
            there = [
                pages.page(name, page.content_type, page.encoding)
                for page in self._render(Project(name=name, files=files))
            ]
        except StoreError as error:
            return "page-damaged", error.reason
        if files and own is None:
            return "page-missing", f"no page, and {len(files)} files in the catalogue"
        if own is not None and not files:
            return "page-orphan", "a page, and no file in the catalogue"
        if own is not None and (own.files != files or there != list(self._render(own))):
            return "page-stale", "the page shows something else than the catalogue has"
        return None

    def _on_list(self, name: NormalizedName, *, there: bool) -> tuple[Kind, str] | None:
        if there == (name in self._names) or there == (name in self._store.names()):
            return None
        return (
            ("name-missing", "not on the list of projects")
            if there
            else ("name-extra", "on the list of projects without a file")
        )

    def _files(self) -> list[NormalizedName]:
        folder = self._root / "pages"
        with storing(folder), suppress(FileNotFoundError):
            found = (entry.name for entry in os.scandir(folder))
            return [
                cast("NormalizedName", name.removesuffix(SUFFIX))
                for name in found
                if name.endswith(SUFFIX) and name[0] != "."
            ]
        return []
