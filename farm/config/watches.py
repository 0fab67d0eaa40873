"""Watch sets: `[watch.NAME]` of config.toml."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farm.config.fields import WATCH_FIELDS
from farm.model.watch import NAME, WatchSet

if TYPE_CHECKING:
    from farm.config.document import Document

_ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|git\\+|\\$\\{")


def watch_tables(content: Any, document: Document) -> tuple[WatchSet, ...]:
    """Return the sets of `[watch.NAME]` tables; what is wrong with them becomes the document's faults."""
    if not isinstance(content, dict):
        document.fault(("watch",), f"expected a table for each set, found {content!r}")
        return ()
    found = (_watch(name, table, document) for name, table in content.items())
    return tuple(each for each in found if each is not None)


def _watch(name: str, table: Any, document: Document) -> WatchSet | None:
    place = ("watch", name)
    if not NAME.fullmatch(name):
        document.fault(place, f"expected a name of letters, digits, '.', '_' and '-', at most 64, found {name!r}")
        return None
    if not isinstance(table, dict):
        document.fault(place, f"expected a table, found {table!r}")
        return None
    values = document.values(table, WATCH_FIELDS, place)
    if "source" not in table:
        document.fault(place, f"source is missing: expected {WATCH_FIELDS[0].expected}")
    if "source" not in values:
        return None
    targets = tuple(target.name for target in values.pop("targets", ()))
    sources = tuple(_absolute(source, document.folder) for source in values.pop("source"))
    constraints = tuple(_absolute(source, document.folder) for source in values.pop("constraints", ()))
    return WatchSet(name=name, sources=sources, targets=targets, constraints=constraints, origin="config", **values)


def _absolute(source: str, folder: Path) -> str:
    return source if _ELSEWHERE.match(source) else os.path.normpath(folder / Path(source).expanduser())
