"""pylock.toml (PEP 751), read and validated by packaging.pylock. A list: each package's marker says where it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packaging.pylock import Package, Pylock, PylockUnsupportedVersionError, PylockValidationError
from packaging.utils import canonicalize_name

from farm.model.demand import Demand, Remark
from farm.model.lock import Lock, LockedDependency, LockedFile, LockedPackage
from farm.model.package import parse_wheel_name
from farm.survey.locks.document import Document, Found, digest, direct_sources, file_name, with_subdirectory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from packaging.pylock import PackageArchive, PackageSdist, PackageWheel

KNOWN = "1.0"


def read_pylock(document: Document) -> Found:
    """Return the lock of a pylock.toml; its default groups count unless they are turned off. RequirementsError when malformed."""
    root = document.toml()
    lines = document.headers("packages")
    records = root.records("packages", lines)
    # One name that packaging cannot parse (a wheel variant, PEP 817) would condemn the whole file.
    remarks = tuple(
        Remark(origin=document.origin(record.line), text=f"{name} is not a wheel's name and is passed over")
        for record in records
        for name in _drop_odd(record.data)
    )
    try:
        read = Pylock.from_dict(root.data)
    except PylockUnsupportedVersionError:
        found = repr(root.data["lock-version"])
        document.refuse(document.find("lock-version"), expected=f"lock-version {KNOWN} (PEP 751)", found=found)
    except PylockValidationError as error:
        line = next((r.line for r in records if f"{r.path}." in f"{error.context}."), 1)
        document.refuse(line, expected="a lock as PEP 751 has it", found=f"{error.message} in {error.context or 'the file'}")
    packages = tuple(
        _package(package, document, record.line) for package, record in zip(read.packages, records, strict=True)
    )
    choice = document.choice
    defaults = read.default_groups or () if choice.default_groups else ()
    lock = Lock(
        source=document.origin(),
        kind="pylock.toml",
        packages=packages,
        requires_python=read.requires_python,
        environments=tuple(read.environments or ()),
        extras=choice.extras,
        groups=choice.groups | {canonicalize_name(name) for name in defaults},
    )
    return Found(
        demand=Demand(locks=(lock,), direct=direct_sources(packages), files=(document.file,), remarks=remarks),
        extras=frozenset(read.extras or ()),
        groups=frozenset(canonicalize_name(name) for name in read.dependency_groups or ()),
    )


def _drop_odd(package: dict[str, Any]) -> list[str]:
    """Take wheels with a malformed name out of a package, and return their names."""
    wheels = package.get("wheels")
    if not isinstance(wheels, list):
        return []
    names = [_wheel_name(wheel) if isinstance(wheel, dict) else None for wheel in wheels]
    odd = [name for name in names if name is not None and parse_wheel_name(name) is None]
    package["wheels"] = [wheel for wheel, name in zip(wheels, names, strict=True) if name not in odd]
    return odd


def _wheel_name(wheel: Mapping[str, Any]) -> str | None:
    name = wheel.get("name") or wheel.get("url") or wheel.get("path")
    return file_name(name) if isinstance(name, str) else None


def _package(package: Package, document: Document, line: int) -> LockedPackage:
    files = tuple(_files(package))
    return LockedPackage(
        name=package.name,
        version=package.version or _version_of(package),
        origin=document.origin(line),
        marker=package.marker,
        requires_python=package.requires_python,
        files=files,
        hashes=frozenset(file.sha256 for file in files if file.sha256),
        dependencies=tuple(_edges(package)),
        direct=_direct(package),
        editable=bool(package.directory and package.directory.editable),
    )


def _version_of(package: Package) -> Any:
    """A wheel's name tells the version where the package does not, as for an archive."""
    wheels = [parse_wheel_name(file.filename) for file in _files(package) if file.filename.endswith(".whl")]
    return next((wheel.version for wheel in wheels if wheel), None)


def _files(package: Package) -> Iterator[LockedFile]:
    for listed in (*(package.wheels or ()), *((package.sdist,) if package.sdist else ())):
        yield _file(listed, listed.filename)
    archive = package.archive
    if archive is not None:
        yield _file(archive, file_name(archive.url or archive.path or ""))


def _file(listed: PackageWheel | PackageSdist | PackageArchive, filename: str) -> LockedFile:
    sha256 = listed.hashes.get("sha256")
    return LockedFile(
        filename=filename, url=listed.url, sha256=digest(f"sha256:{sha256}") if sha256 else None, size=listed.size
    )


def _edges(package: Package) -> Iterator[LockedDependency]:
    for entry in package.dependencies or ():
        name = entry.get("name")
        if isinstance(name, str):
            yield LockedDependency(name=canonicalize_name(name))


def _direct(package: Package) -> str | None:
    vcs, folder, archive = package.vcs, package.directory, package.archive
    if vcs is not None:
        return with_subdirectory(f"{vcs.type}+{vcs.url or vcs.path}@{vcs.commit_id}", vcs.subdirectory)
    if folder is not None:
        return with_subdirectory(folder.path, folder.subdirectory)
    place = (archive.url or archive.path) if archive is not None else None
    return with_subdirectory(place, archive.subdirectory) if archive is not None and place else place
