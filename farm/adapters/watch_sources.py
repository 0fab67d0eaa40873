"""The sources of watch sets: paths, patterns of paths, folders, URLs and git repositories, opened to the files that are read.

A repository's files are kept below `cache/watches`, so that an unchanged commit costs one question to its server. Nothing of it
is run, and nothing outside of it is read for it.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import shutil
import tempfile
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from farm.adapters.direct_place import place_of, shown
from farm.adapters.durable import storing
from farm.adapters.git import Git, is_commit, may_be_abbreviated, no_such
from farm.adapters.process import redact
from farm.errors import FarmError, UsageError
from farm.model.build import BadSdist
from farm.model.demand import Origin
from farm.model.direct import Asked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from farm.adapters.direct_place import Place

_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_LOCKS = (("pylock.toml", "pylock.*.toml"), ("uv.lock",), ("poetry.lock",), ("Pipfile.lock",))
_PLAIN = (("requirements*.txt",), ("requirements/*.txt",), ("pyproject.toml",), ("requirements*.in",))
EXPECTED = "uv.lock, pylock.toml, poetry.lock, Pipfile.lock, requirements*.txt or pyproject.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Files that are read together, as one `pip install -r` would.

    Relative paths in them count from the folder `base`. `root` is a repository's files, of which nothing leads out; `source` is
    how people see where it is from, without credentials.
    """

    inputs: tuple[str, ...]
    base: str
    source: str
    root: Path | None = None

    def told(self, text: str) -> str:
        """Return a text for people: a repository's files go by its URL, and no URL shows credentials."""
        return redact(text.replace(f"{self.root}{os.sep}", f"{self.source}: ") if self.root else text)


def absolute(source: str, folder: Path) -> str:
    """Return a source as it is kept: a relative path counts from `folder`. UsageError for a kind that the farm does not know."""
    if "\n" in source or "\0" in source or not source.strip():
        raise UsageError(f"expected a path, a URL or git+URL, found {source!r}", solution="farm watch add requirements.txt")
    scheme = _scheme(source)
    if scheme in {"http", "https", "file"} or scheme.startswith("git+"):
        return source
    if scheme and "://" in source:
        known = "http://, https://, file:// or git+https://"
        raise UsageError(f"{shown(source)}: expected a path or a URL with {known}, found {scheme}:", solution="correct the URL")
    if source.startswith("${"):
        return source
    return os.path.normpath(folder / Path(source).expanduser())


def shown_source(source: str) -> str:
    """Return a source as people may see it: no credentials, and of a URL's query nothing."""
    head, mark, fragment = source.partition("#")
    return f"{shown(head)}{mark}{fragment}" if "://" in head else source


class WatchSources:
    """Opens sources. One object is for one look: a repository that several sets are in is asked once. Safe for threads."""

    def __init__(self, cache: Path, env: Mapping[str, str], say: Callable[[str, str], None]) -> None:
        self._cache = cache / "watches" / "git"
        self._env = env
        self._say = say
        self._trees: dict[str, Path | FarmError] = {}
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def open(self, source: str) -> tuple[Part, ...]:
        """Return what a source leads to. UsageError where that is nothing to read, UpstreamError when a server does not answer."""
        plain = self._filled(source)
        scheme = _scheme(plain)
        if scheme.startswith("git+"):
            return self._repository(plain)
        if scheme in {"http", "https"}:
            return (Part(inputs=(plain,), base="", source=shown_source(plain)),)
        path = unquote(urlsplit(plain).path) if scheme == "file" else plain
        return _local(path)

    def constraint(self, source: str) -> str:
        """Return a constraints file's path or URL."""
        return self._filled(source)

    def _filled(self, source: str) -> str:
        unset = [name for name in _VARIABLE.findall(source) if not self._env.get(name)]
        if unset:
            raise UsageError(
                f"{shown_source(source)}: expected the variable {unset[0]} in the environment, found none",
                solution=f"set {unset[0]} where the farm runs (cron and systemd start without your shell's variables)",
            )
        return _VARIABLE.sub(lambda match: self._env[match[1]], source)

    def _repository(self, source: str) -> tuple[Part, ...]:
        url, _, fragment = source.partition("#")
        inside = unquote(re.sub(r"^(subdirectory|subdir)=", "", fragment))
        try:
            place = place_of(Asked(url=url, origin=Origin(file="watch", line=1)))
            tree = self._tree(place)
        except BadSdist as error:
            raise UsageError(f"{shown_source(source)}: {error.reason}", solution=error.solution) from error
        told = shown_source(source)
        wanted = Path(os.path.normpath(tree / inside))
        if not wanted.is_relative_to(tree):
            raise UsageError(
                f"{told}: expected a folder or file of the repository, found {inside!r}", solution="correct what follows the #"
            )
        parts = _local(str(wanted), told=told, within=tree)
        return tuple(replace(part, root=tree, source=told) for part in parts)

    def _tree(self, place: Place) -> Path:
        key = f"{place.remote.url} {place.remote.ref}"
        with self._guard:
            alone = self._locks.setdefault(key, threading.Lock())
        with alone:
            if key not in self._trees:
                try:
                    self._trees[key] = self._checked_out(place, hashlib.sha256(key.encode()).hexdigest()[:32])
                except FarmError as error:
                    self._trees[key] = error
        found = self._trees[key]
        if isinstance(found, FarmError):
            raise found
        return found

    def _checked_out(self, place: Place, key: str) -> Path:
        """Return the folder with the files of the commit that is meant now."""
        remote, home = place.remote, self._cache / key
        tree, mark = home / "tree", home / "commit"
        with storing(home):
            home.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="fetch-", dir=home, ignore_cleanup_errors=True) as scratch:
                git = Git(self._env, Path(scratch) / "git")
                commit = remote.ref if is_commit(remote.ref) else git.refs(remote).find(remote.ref)
                if commit is None:
                    if not may_be_abbreviated(remote.ref) or remote.ref is None:
                        raise no_such(remote)
                    commit = Git(self._env, Path(scratch) / "history").whole(remote, remote.ref)
                if tree.is_dir() and mark.is_file() and mark.read_text("utf-8") == commit:
                    return tree
                self._say(str(remote), f"fetching {commit[:12]}")
                fresh = git.check_out(remote, commit)
                shutil.rmtree(fresh / ".git", ignore_errors=True)
                mark.unlink(missing_ok=True)
                if tree.exists():
                    tree.rename(Path(scratch) / "old")
                fresh.rename(tree)
                mark.write_text(commit, "utf-8")
        return tree


def _local(path: str, *, told: str = "", within: Path | None = None) -> tuple[Part, ...]:
    """Return the parts of a path or a pattern; each file that a pattern matches is read by itself."""
    place = Path(path)
    if place.is_dir():
        return (_folder(place, told or path, within),)
    matches = [path] if place.exists() or not glob.has_magic(path) else sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - it is absolute
    if not matches or not Path(matches[0]).exists():
        raise UsageError(
            f"{told or path}: expected a file or a folder, found nothing there",
            solution="correct the path, or create the file",
        )
    found = []
    for match in map(Path, matches):
        if match.is_dir():
            found.append(_folder(match, str(match), within))
        else:
            _stays(match, within, told or path)
            found.append(Part(inputs=(str(match),), base=str(match.parent), source=str(match)))
    return tuple(found)


def _folder(folder: Path, told: str, within: Path | None) -> Part:
    """Return what a person would install from in a folder: its lock, else its requirements files together, else pyproject.toml."""
    for patterns in (*_LOCKS, *_PLAIN):
        found = [path for pattern in patterns for path in sorted(folder.glob(pattern)) if path.is_file()]
        for path in found:
            _stays(path, within, told)
        if found:
            return Part(inputs=tuple(map(str, found)), base=str(folder), source=str(folder))
    raise UsageError(f"{told}: expected {EXPECTED} in the folder, found none of them", solution="name the file itself, or another folder")


def _stays(path: Path, within: Path | None, told: str) -> None:
    if within is not None and not path.resolve().is_relative_to(within.resolve()):
        raise UsageError(
            f"{told}: {path.name}: expected a file of the repository, found a link that leads out", solution="commit the file itself"
        )


def _scheme(source: str) -> str:
    if source.startswith("git+"):
        return "git+"  # with what git takes for an address, such as git@host:path
    match = _SCHEME.match(source)
    return match[0][:-1].lower() if match and ("://" in source) else ""
