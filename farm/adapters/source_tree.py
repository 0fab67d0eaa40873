"""Archives from strangers, unpacked so that nothing lands outside the folder meant for them.

Follows PEP 721's intent (no path, link or device that leaves the sdist) without depending on which patch release of
Python has tarfile's filters.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tarfile
import tomllib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, cast

from farm.errors import StoreError
from farm.model.build import BadSdist
from farm.model.requirements import overridden

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from farm.model.job import Recipe

_MAX_BYTES = 8 << 30
_MAX_MEMBERS = 400_000
# A zip file, and so a wheel, cannot tell times before 1980.
_OLDEST = 315_619_200
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})
_TABLE = "[build-system]"
_DEFAULT_REQUIRES = ("setuptools >= 40.8.0",)
_DEFAULT_BACKEND = "setuptools.build_meta:__legacy__"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """One entry of an archive. `link` is a symbolic link's text; `copy` the member a hard link stands for."""

    name: str
    kind: str
    size: int = 0
    executable: bool = False
    mtime: float = 0
    link: str = ""
    open: Callable[[], IO[bytes]] | None = None


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack an sdist into `folder` and return the one folder that it holds.

    BadSdist when it is no archive, has a path, link or device that leaves it, is larger than 8 GiB, or does not hold
    exactly one folder; StoreError when the disk does not take it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        # A tar that ends with a zip file would pass for one.
        if not tarfile.is_tarfile(sdist) and zipfile.is_zipfile(sdist):
            with zipfile.ZipFile(sdist) as archive:
                _write_all(_zip_members(archive), folder, sdist.name)
        else:
            with tarfile.open(sdist) as archive:
                _write_all(_tar_members(archive), folder, sdist.name)
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        UnicodeError,
        ValueError,
        RuntimeError,
    ) as error:
        raise _bad(sdist.name, f"cannot be read as an archive: {error}") from error
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise _full(folder, error) from error
        raise _bad(sdist.name, f"cannot be unpacked: {error}") from error
    inside = list(folder.iterdir())
    if len(inside) != 1 or not inside[0].is_dir() or inside[0].is_symlink():
        names = ", ".join(sorted(path.name for path in inside)[:5]) or "nothing"
        raise _bad(sdist.name, f"should hold one folder, named after the project and version; it holds {names}")
    return inside[0]


def unpack_tar(archive: tarfile.TarFile, folder: Path, origin: str) -> None:
    """Unpack a tar stream that came out of a container, under the same rules; failures as in `unpack`."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _write_all(_tar_members(archive), folder, origin)
    except (tarfile.TarError, EOFError, UnicodeError, ValueError) as error:
        raise _bad(origin, f"cannot be read as an archive: {error}") from error
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise _full(folder, error) from error
        raise _bad(origin, f"cannot be unpacked: {error}") from error


def _tar_members(archive: tarfile.TarFile) -> Iterator[_Member]:
    for info in archive:
        if info.isdir():
            yield _Member(name=info.name, kind="folder")
        elif info.issym():
            yield _Member(name=info.name, kind="link", link=info.linkname)
        elif info.isfile() or info.islnk():
            yield _Member(
                name=info.name, kind="file", size=info.size, executable=bool(info.mode & 0o111), mtime=info.mtime,
                link=info.linkname if info.islnk() else "", open=_opener(archive, info),
            )  # fmt: skip
        elif info.type not in (tarfile.XGLTYPE, tarfile.XHDTYPE):
            yield _Member(name=info.name, kind="device")


def _opener(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
    return lambda: cast("IO[bytes]", archive.extractfile(info))


def _zip_members(archive: zipfile.ZipFile) -> Iterator[_Member]:
    for info in archive.infolist():
        mode = info.external_attr >> 16
        if info.is_dir():
            yield _Member(name=info.filename, kind="folder")
        elif stat.S_ISLNK(mode):
            yield _Member(name=info.filename, kind="link", link=archive.read(info).decode())
        else:
            yield _Member(
                name=info.filename, kind="file", size=info.file_size, executable=bool(mode & 0o111),
                open=lambda info=info: archive.open(info),  # type: ignore[misc]
            )  # fmt: skip


def _write_all(members: Iterator[_Member], folder: Path, origin: str) -> None:
    links: list[tuple[Path, str]] = []
    total = 0
    for count, member in enumerate(members):
        total += member.size
        if count >= _MAX_MEMBERS or total > _MAX_BYTES:
            raise _bad(origin, f"unpacks to more than {_MAX_MEMBERS} files or {_MAX_BYTES >> 30} GiB")
        path = folder / _inside(member.name, origin)
        if member.kind == "folder":
            path.mkdir(parents=True, exist_ok=True)
        elif member.kind == "link":
            links.append((path, member.link))
        elif member.kind == "file":
            _write_file(member, path, folder, origin)
        else:
            raise _bad(origin, f"{member.name!r} is neither a file, a folder nor a link")
    _make_links(links, folder, origin)


def _inside(name: str, origin: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or "\\" in name:
        raise _bad(origin, f"{name!r} leaves the archive's own folder")
    return path


def _write_file(member: _Member, path: Path, folder: Path, origin: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if member.link:
        # A hard link is written as a copy, so that two names never share what a build then changes.
        shutil.copyfile(folder / _inside(member.link, origin), path)
    elif member.open is not None:
        with member.open() as source, path.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    path.chmod(0o755 if member.executable else 0o644)
    # Make reruns autoconf when a generated file looks older than its source: the order of times must survive.
    moment = max(float(member.mtime), _OLDEST)
    os.utime(path, (moment, moment))


def _make_links(links: Sequence[tuple[Path, str]], folder: Path, origin: str) -> None:
    # Links come last, so that no file is ever written through one; then each is followed to its end.
    root = folder.resolve()
    for path, text in links:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(text)
    for path, text in links:
        try:
            within = path.resolve().is_relative_to(root)
        except (OSError, RuntimeError):
            within = False
        if not within or PurePosixPath(text).is_absolute():
            path.unlink()
            raise _bad(origin, f"the link {path.relative_to(folder)} -> {text} leaves the archive's own folder")


def add_build_requires(package: Path, recipe: Recipe) -> None:
    """Put a recipe's requirements and overrides into `[build-system].requires` of the unpacked copy; the rest stays as it was.

    BadSdist when its pyproject.toml cannot be edited with certainty.
    """
    if not (recipe.build_requires or recipe.build_overrides):
        return
    path = package / "pyproject.toml"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    try:
        before = tomllib.loads(text)
        wanted = [*overridden(before.get("build-system", {}).get("requires", _DEFAULT_REQUIRES), recipe), *recipe.build_requires]
        edited = _with_requires(text, before, wanted)
        after = tomllib.loads(edited)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _bad(path.name, f"is not valid TOML, so the recipe's requirements cannot be added: {error}") from error
    rest = {key: value for key, value in after.items() if key != "build-system"}
    if after["build-system"]["requires"] != wanted or rest != {k: v for k, v in before.items() if k != "build-system"}:
        raise _bad(path.name, "writes [build-system] in a way that the recipe's requirements cannot be added to")
    path.write_text(edited, encoding="utf-8")


def _with_requires(text: str, before: dict[str, object], requires: Sequence[str]) -> str:
    quoted = ", ".join(f"'{item}'" if "'" not in item else f'"{item}"' for item in requires)
    if "build-system" not in before:
        return f"{text}\n{_TABLE}\nrequires = [{quoted}]\nbuild-backend = '{_DEFAULT_BACKEND}'\n"
    start = text.find("requires", max(text.find(_TABLE), 0))
    opening = text.find("[", start) + 1
    return f"{text[:opening]}{quoted}{_after_list(text[opening:])}"


def _after_list(tail: str) -> str:
    # The list ends at the first "]" where what stands before it is a list of strings to a TOML parser: a requirement
    # such as "coverage[toml]" has brackets of its own.
    for end in (index for index, letter in enumerate(tail) if letter == "]"):
        try:
            tomllib.loads(f"x = [{tail[:end]}]")
        except tomllib.TOMLDecodeError:
            continue
        return tail[end:]
    return tail


def _bad(origin: str, what: str) -> BadSdist:
    return BadSdist(
        f"{origin} {what}", solution="the package's maintainers must repair this sdist; pin another version"
    )


def _full(folder: Path, error: OSError) -> StoreError:
    return StoreError(f"cannot write to {folder}: {error}", solution="make room, or permit writing there")
