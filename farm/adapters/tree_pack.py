"""A project's folder as one archive whose bytes follow from its files alone: sorted, one time, one owner, not compressed.

Compressed bytes would follow from the compressor's version too, and the archive's sha256 is what a build is known by.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from farm.model.build import BadSdist

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TOP = "source"
"""The archive's own folder. Its name is not the project's: that may be known only after a backend was asked."""

_HISTORY = frozenset({".git", ".hg", ".svn", ".bzr", "CVS"})
_CACHES = frozenset({"__pycache__", ".tox", ".nox", ".venv", ".eggs", ".mypy_cache", ".pytest_cache", ".ruff_cache",
                     ".hypothesis", "node_modules", ".coverage", ".DS_Store", ".idea"})  # fmt: skip
# What `setup.py build_ext --inplace` leaves behind would be taken for a file of the package, and is this machine's own.
_MADE = ("*.py[co]", "*.cpython-*-*.so", "*.pypy*-*.so", "*.cp3*-win*.pyd", "*.egg-info")
_OUTPUTS = frozenset({"build", "dist", "wheelhouse"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """How to pack.

    `within` is the folder that links may lead to: a link out of the project, but not out of its repository, becomes a
    copy. `more` are files to add or to replace, by their path. `tidy` leaves out what a working copy gathers: caches,
    virtual environments, build outputs; `omit` are further folders to leave out. At most `files` files and `size` bytes are taken.
    """

    within: Path
    more: Mapping[str, bytes] = field(default_factory=dict)
    tidy: bool = False
    omit: tuple[Path, ...] = ()
    files: int = 200_000
    size: int = 2 << 30


def pack(project: Path, archive: BinaryIO, packing: Packing) -> None:
    """Write the project's folder as a tar with the one folder TOP.

    BadSdist for a link that leads out, for what is neither file, folder nor link, and for more than it may be.
    """
    count, size = 0, 0
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(_info("", tarfile.DIRTYPE, 0o755))
        for path, name in sorted(_entries(project, packing), key=lambda entry: entry[1]):
            info, source = _member(path, name, project, packing)
            count, size = count + 1, size + info.size
            if count > packing.files or size > packing.size:
                raise _bad(
                    project,
                    f"more than {packing.files} files or {packing.size >> 20} MiB",
                    "leave out what no build needs",
                )
            if source is None:
                tar.addfile(info)
            else:
                with _opened(source, project) as opened:
                    tar.addfile(info, opened)
        for name, data in sorted(packing.more.items()):
            info = _info(name, tarfile.REGTYPE, 0o644)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def _opened(source: Path, project: Path) -> BinaryIO:
    try:
        return source.open("rb")
    except OSError as error:
        raise _bad(project, f"{source.name}, which cannot be read ({error.strerror})", "make it readable, or remove it") from error


def _entries(project: Path, packing: Packing) -> Iterator[tuple[Path, str]]:
    """Yield each entry's path and its name in the archive; folders that are left out are not looked into."""
    for folder, folders, files in os.walk(project):
        here = Path(folder)
        top = here == project
        linked = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(name for name in folders if name not in linked and _kept(here / name, packing, top=top))
        for name in (*folders, *(n for n in (*linked, *files) if _kept(here / n, packing, top=top))):
            relative = (here / name).relative_to(project).as_posix()
            if relative not in packing.more:
                yield here / name, relative


def _kept(path: Path, packing: Packing, *, top: bool) -> bool:
    name = path.name
    if name in _HISTORY or path.absolute() in packing.omit:
        return False
    if not packing.tidy:
        return True
    if name in _CACHES or any(fnmatchcase(name, pattern) for pattern in _MADE):
        return False
    if top and name in _OUTPUTS and path.is_dir() and not (path / "__init__.py").exists():
        return False
    return not (path / "pyvenv.cfg").is_file()


def _member(path: Path, name: str, project: Path, packing: Packing) -> tuple[tarfile.TarInfo, Path | None]:
    found = path.lstat()
    if stat.S_ISDIR(found.st_mode):
        return _info(name, tarfile.DIRTYPE, 0o755), None
    if stat.S_ISREG(found.st_mode):
        return _file(name, found), path
    if stat.S_ISLNK(found.st_mode):
        return _link(path, name, project, packing)
    raise _bad(project, f"{name!r}, which is neither a file, a folder nor a link", "remove it from the project")


def _link(path: Path, name: str, project: Path, packing: Packing) -> tuple[tarfile.TarInfo, Path | None]:
    text = str(path.readlink())
    try:
        end = path.resolve()
    except (OSError, RuntimeError) as error:
        raise _bad(project, f"the link {name} -> {text}, which leads nowhere ({error})", "remove it") from error
    inside = not PurePosixPath(text).is_absolute() and end.is_relative_to(project.resolve())
    if inside and _stays(name, text):
        info = _info(name, tarfile.SYMTYPE, 0o777)
        info.linkname = text
        return info, None
    # A project in a folder of its repository often has links to the licence beside that folder.
    if not PurePosixPath(text).is_absolute() and end.is_relative_to(packing.within.resolve()) and end.is_file():
        return _file(name, end.stat()), end
    raise _bad(
        project,
        f"the link {name} -> {text}, which leads out of the project",
        "replace it by a copy of what it leads to",
    )


def _stays(name: str, text: str) -> bool:
    """Tell whether the link's own text, step by step, stays in the folder: who unpacks it sees no other links."""
    parts = list(PurePosixPath(name).parent.parts)
    for part in PurePosixPath(text).parts:
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            return False
    return True


def _file(name: str, found: os.stat_result) -> tarfile.TarInfo:
    info = _info(name, tarfile.REGTYPE, 0o755 if found.st_mode & 0o111 else 0o644)
    info.size = found.st_size
    return info


def _info(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(f"{TOP}/{name}" if name else TOP)
    info.type, info.mode, info.mtime = kind, mode, 0
    return info


def _bad(project: Path, found: str, advice: str) -> BadSdist:
    return BadSdist(f"{project.name}: expected a project's sources, found {found}", solution=advice)
