"""Reads an sdist's files out of its archive, in memory: nothing is unpacked and nothing is run."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from farm.model.build import BadSdist

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import IO

_MEMBERS = 200_000
_UNPACKED = 4 << 30
_TEXT = 8 << 20
# What the facts are read from; everything else counts by its name only.
_READ = frozenset({"PKG-INFO", "pyproject.toml", "setup.py", "setup.cfg", "meson.build", "requires.txt", "Cargo.toml"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sdist:
    """An sdist's contents: `names` are paths below its top folder, `texts` those that facts are read from."""

    names: tuple[str, ...]
    texts: dict[str, str]

    def text(self, path: str) -> str:
        return self.texts.get(path, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    wanted: Callable[[str], bool]
    most: int


def read_sdist(path: Path, wanted: Callable[[str], bool] | None = None, most: int = _TEXT) -> Sdist:
    """Return what an sdist (.tar.gz, .tar.bz2, .zip) holds; the first `most` bytes of each file that is `wanted`.

    BadSdist when it is no archive, when a member would leave the folder it is unpacked into (an absolute path, `..`,
    a link out of it; the rules of tarfile's data filter), when it is a device, or when there is no folder of its own.
    """
    try:
        members = _zip_members if path.suffix == ".zip" else _tar_members
        found = dict(members(path, _Reading(wanted=wanted or _wanted, most=most)))
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        EOFError,
        OSError,
        zlib.error,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise _bad(path, f"no readable archive ({error})") from error
    top = _top(path, found)
    inside = {name.removeprefix(top): data for name, data in found.items() if name.startswith(top)}
    texts = {name: data.decode("utf-8", "replace") for name, data in inside.items() if data is not None}
    return Sdist(names=tuple(inside), texts=texts)


def _bad(path: Path, found: str) -> BadSdist:
    return BadSdist(
        f"{path.name}: expected an sdist, found {found}",
        solution="use another version of the package, or tell its author",
    )


def _wanted(name: str) -> bool:
    parts = name.split("/")
    # Deeper ones belong to vendored projects; the egg-info lies one level down, or two in a `src` layout.
    return parts[-1] in _READ and len(parts) <= 4


def _tar_members(path: Path, reading: _Reading) -> Iterator[tuple[str, bytes | None]]:
    total = 0
    with tarfile.open(path, "r:*") as archive:
        for count, member in enumerate(archive):
            total += member.size
            if count > _MEMBERS or total > _UNPACKED:
                raise _bad(path, f"more than {_MEMBERS} members or {_UNPACKED >> 30} GiB")
            if member.isdir():
                _inside(path, member.name)
                continue
            name = _inside(path, member.name)
            if member.issym() or member.islnk():
                base = PurePosixPath(name).parent if member.issym() else PurePosixPath()
                _inside(path, str(base / member.linkname), link=member.name)
                yield name, None
                continue
            if not member.isfile():
                raise _bad(path, f"a device or pipe, {member.name!r}")
            opened = archive.extractfile(member) if reading.wanted(name) else None
            yield name, _head(opened, reading.most) if opened else None


def _zip_members(path: Path, reading: _Reading) -> Iterator[tuple[str, bytes | None]]:
    with zipfile.ZipFile(path) as archive:
        for count, info in enumerate(archive.infolist()):
            if count > _MEMBERS:
                raise _bad(path, f"more than {_MEMBERS} members")
            name = _inside(path, info.filename.replace("\\", "/"))
            if info.is_dir():
                continue
            if not reading.wanted(name):
                yield name, None
                continue
            with archive.open(info) as opened:
                yield name, _head(opened, reading.most)


def _head(opened: IO[bytes], most: int) -> bytes:
    with opened:
        return opened.read(most)


def _inside(path: Path, name: str, *, link: str | None = None) -> str:
    """Return the normalised member name; BadSdist when it leaves the folder."""
    parts: list[str] = []
    escapes = name.startswith("/") or (len(name) > 1 and name[1] == ":")
    for part in name.split("/"):
        if part == "..":
            escapes = escapes or not parts
            parts = parts[:-1]
        elif part not in {"", "."}:
            parts.append(part)
    # A plain name with `..` in it is refused even where it stays inside: no tool that makes sdists writes one.
    if escapes or (link is None and ".." in name.split("/")):
        what = f"a link that leaves its folder, {link!r}" if link else f"a path that leaves its folder, {name!r}"
        raise _bad(path, what)
    return "/".join(parts)


def _top(path: Path, found: dict[str, bytes | None]) -> str:
    """Return the archive's own folder with a slash: the one with the project's files, else the only one."""
    tops = {name.partition("/")[0] for name in found if "/" in name}
    for marker in ("PKG-INFO", "pyproject.toml", "setup.py"):
        having = sorted(top for top in tops if f"{top}/{marker}" in found)
        if len(having) == 1:
            return having[0] + "/"
        if having:
            stem = path.name.lower()
            return next((top for top in having if stem.startswith(top.lower())), having[0]) + "/"
    if len(tops) == 1:
        return tops.pop() + "/"
    raise _bad(path, "no folder of its own at the top" if found else "an empty archive")
