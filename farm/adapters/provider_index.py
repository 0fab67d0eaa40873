"""Debian's Contents indexes as one small SQLite file: made once, asked in milliseconds."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from farm.adapters.provider_rank import Found, rank
from farm.adapters.provider_sources import binary_names, source_names, source_rows
from farm.errors import StoreError
from farm.model.healing import Candidate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from farm.model.healing import Need

SCHEMA = 3
"""Of the file, and part of its name: raise it with the tables below."""
_TABLES = """
CREATE TABLE files (base TEXT NOT NULL, path TEXT NOT NULL, owners TEXT NOT NULL);
CREATE TABLE packages (name TEXT PRIMARY KEY, source TEXT NOT NULL, uses INTEGER NOT NULL, named INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE defaults (package TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE installed (package TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE builds (source TEXT PRIMARY KEY, needs TEXT NOT NULL) WITHOUT ROWID;
"""
_OWN_LIBRARIES = "SELECT name FROM packages WHERE source = ? AND name GLOB 'lib*-dev' ORDER BY length(name), name"
_MOST_OWN = 2
_FOLDERS = {
    "header": r"(?:^|/)include/", "program": r"^(?:usr/)?s?bin/", "pkg-config": r"/pkgconfig/", "cmake": r"\.cmake$",
    "library": r"^(?:usr/)?lib/", "module": r"\.mod$",
}  # fmt: skip
_SONAME = re.compile(r"^(?:lib)?(?P<stem>.+?)\.(?:so|a)(?:\.[\d.]+)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """What an index is made of: Contents lines ("PATH  SECTION/PACKAGE,..."), package lines ("NAME TAB SOURCE TAB DEPENDS"), source
    lines ("SOURCE TAB BUILD-DEPENDS"), and the names of what the image has.
    """

    files: Iterable[str]
    packages: Iterable[str]
    sources: Iterable[str] = ()
    installed: Iterable[str] = ()


def make_index(lists: Lists, target: Path) -> None:
    """Write the index. The file appears whole or not at all. StoreError when it cannot be written."""
    beside = target.with_suffix(".tmp")
    beside.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(beside)) as database:
            database.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; {_TABLES}")
            database.executemany("INSERT INTO files VALUES (?, ?, ?)", _file_rows(lists.files))
            rows = [line.rstrip("\n").split("\t") for line in lists.packages]
            needs = {row[0]: _depends(row[2]) for row in rows}
            sources = {row[0]: row[1].split(" ")[0] for row in rows}
            uses = _uses(needs, sources)
            named = Counter(other for direct in needs.values() for other in direct)
            database.executemany(
                "INSERT INTO packages VALUES (?, ?, ?, ?)",
                ((name, source, uses[source], named[name]) for name, source in sources.items()),
            )
            database.executemany("INSERT OR IGNORE INTO defaults VALUES (?, ?)", _default_rows(needs))
            database.executemany("INSERT OR IGNORE INTO installed VALUES (?)", ((name.strip(),) for name in lists.installed))
            database.executemany("INSERT OR REPLACE INTO builds VALUES (?, ?)", source_rows(lists.sources))
            database.execute("CREATE INDEX files_by_base ON files (base)")
            database.commit()
        beside.rename(target)
    except (OSError, sqlite3.Error) as error:
        beside.unlink(missing_ok=True)
        raise StoreError(
            f"{target}: cannot be written: {error}", solution="free space, or correct the permissions"
        ) from error


def _file_rows(lines: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    for line in lines:
        path, _, owners = line.rstrip("\n").rpartition(" ")
        path = path.rstrip()
        if path and owners:
            yield path.rsplit("/", 1)[-1].lower(), path, owners


def _depends(text: str) -> tuple[str, ...]:
    """Return the first alternative of each dependency (Debian policy 7.1)."""
    return tuple(re.split(r"[ (|:]", part.strip())[0] for part in text.split(",") if part.strip())


def _uses(needs: Mapping[str, Sequence[str]], sources: Mapping[str, str]) -> Counter[str]:
    """Count, for each source, the packages of other sources that depend on something made from it."""
    counted: Counter[str] = Counter()
    for name, direct in needs.items():
        counted.update({sources[other] for other in direct if other in sources} - {sources[name]})
    return counted


def _default_rows(needs: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """(package, what stands for it): `default-*-dev` for what it depends on, directly and one further; `libfoo-dev` for
    `libfoo1.2-dev`, where it depends on that.
    """
    for name, direct in needs.items():
        if not name.endswith("-dev"):
            continue
        if name.startswith("default-") or name.endswith("-default-dev"):
            for first in (package for package in direct if package.endswith(("-dev", "-compat"))):
                stem = re.sub(r"-dev.*$", "", first)
                yield first, name
                yield from ((second, name) for second in needs.get(first, ()) if second.startswith(stem))
            continue
        stem = name.removesuffix("-dev")
        yield from (
            (first, name) for first in direct if first.endswith("-dev") and re.match(rf"{re.escape(stem)}\d", first)
        )


class PackageIndex:
    """One index, open for reading. StoreError when it is damaged."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, need: Need) -> tuple[Candidate, ...]:
        """Return the packages that have what is needed, the best first; none when no package has it."""
        try:
            with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as database:
                if need.kind == "project":
                    return tuple(_built_with(database, need.name))
                found = tuple(self._found(database, need))
                names = {one.package for one in found}
                defaults = {package: name for package in names for name in _default(database, package)}
                installed = names & {row[0] for row in database.execute("SELECT package FROM installed")}
        except sqlite3.Error as error:
            raise StoreError(
                f"{self._path}: {error}", solution="remove the file; it is made anew when needed"
            ) from error
        return tuple(replace(one, installed=one.package in installed) for one in rank(need, found, defaults))

    def _found(self, database: sqlite3.Connection, need: Need) -> Iterator[Found]:
        if need.kind == "package":
            yield from _by_name(database, need.name)
            return
        bases = tuple(dict.fromkeys(_bases(need)))
        marks = ",".join("?" * len(bases))
        query = f"SELECT path, owners FROM files WHERE base IN ({marks})"  # noqa: S608 - question marks only
        folder = re.compile(_FOLDERS[need.kind])
        rows = [row for row in database.execute(query, bases) if folder.search(row[0])]
        if need.kind == "header":
            rows = [row for row in rows if row[0].endswith(f"/{need.name}")]
        exact = [row for row in rows if row[0].rsplit("/", 1)[-1].lower() == bases[0]]
        if need.kind == "program" and not rows:
            # What update-alternatives links is not in the index under its own name: mpicc is mpicc.openmpi.
            query = "SELECT path, owners FROM files WHERE base > ? AND base < ?"
            rows = [row for row in database.execute(query, (f"{bases[0]}.", f"{bases[0]}/")) if folder.search(row[0])]
        for path, owners in exact or rows:
            yield from _owners(database, path, owners)


def _default(database: sqlite3.Connection, package: str) -> Iterator[str]:
    yield from (row[0] for row in database.execute("SELECT name FROM defaults WHERE package = ?", (package,)))


def _owners(database: sqlite3.Connection, path: str, owners: str) -> Iterator[Found]:
    for owner in owners.split(","):
        section, _, package = owner.rpartition("/")
        source = database.execute("SELECT source, uses, named FROM packages WHERE name = ?", (package,)).fetchone()
        # An index may list what the package lists no longer have: that cannot be installed.
        if source is not None:
            yield Found(package=package, path=path, section=section, source=source[0], uses=source[1], named=source[2])


def _built_with(database: sqlite3.Connection, project: str) -> Iterator[Candidate]:
    """What the distribution builds its own package of a project with, in the order in which it says so."""
    names = binary_names(project)
    marks = ",".join("?" * len(names))
    query = f"SELECT source FROM packages WHERE name IN ({marks})"  # noqa: S608 - question marks only
    sources = dict.fromkeys((*(row[0] for row in database.execute(query, names)), *source_names(project)))
    for source in sources:
        own = [row[0] for row in database.execute(_OWN_LIBRARIES, (source,))]
        if own:
            # The library and its bindings for Python are one source there; the project on an index is only the bindings.
            yield from (Candidate(package=name, path=f"made from {source}") for name in own[:_MOST_OWN])
            return
        row = database.execute("SELECT needs FROM builds WHERE source = ?", (source,)).fetchone()
        if row is not None:
            for name in row[0].split():
                known = database.execute("SELECT 1 FROM packages WHERE name = ?", (name,)).fetchone()
                has = database.execute("SELECT 1 FROM installed WHERE package = ?", (name,)).fetchone()
                if known:
                    yield Candidate(package=name, path=f"Build-Depends of {source}", installed=bool(has))
            return


def _by_name(database: sqlite3.Connection, name: str) -> Iterator[Found]:
    plain = name.lower()
    stem = re.sub(r"^lib|(?:-dev|-devel)$", "", plain)
    names = dict.fromkeys((plain, f"{plain}-dev", f"lib{stem}-dev", f"{stem}-dev", f"lib{stem}"))
    marks = ",".join("?" * len(names))
    query = f"SELECT name, source FROM packages WHERE name IN ({marks})"  # noqa: S608 - question marks only
    found = {row[0]: row[1] for row in database.execute(query, tuple(names))}
    numbered = database.execute("SELECT name, source FROM packages WHERE name GLOB ?", (f"lib{stem}[0-9]*-dev",))
    found |= {row[0]: row[1] for row in numbered}
    names |= dict.fromkeys(sorted(found))
    # In the order of `names`: a package of the very name, its -dev, then those made by the distribution's convention.
    for position, wanted in enumerate(names):
        if wanted in found:
            yield Found(package=wanted, path="/" * position, section="libdevel", source=found[wanted])


def _bases(need: Need) -> Iterator[str]:
    name = need.name.lower()
    if need.kind == "pkg-config":
        yield f"{name}.pc"
        yield f"lib{name}.pc" if not name.startswith("lib") else f"{name[3:]}.pc"
    elif need.kind == "cmake":
        yield from (f"{name}config.cmake", f"{name}-config.cmake")
    elif need.kind == "library":
        match = _SONAME.match(name)
        stem = match["stem"] if match else name
        yield from (f"lib{stem}.so", f"lib{stem}.a")
    elif need.kind == "module":
        yield f"{name.removesuffix('.mod')}.mod"
    else:
        yield name.rsplit("/", 1)[-1]
