"""A lock file open for farm wheels: its packages beside their slots, and where each counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from farm.errors import UsageError
from farm.model.lock import LockedPackage
from farm.model.package import parse_digest
from farm.survey.augment.environments import LineScope, LockScope
from farm.survey.augment.hashes import line_slots, pipfile_slots
from farm.survey.augment.tables import read_slots, strange
from farm.survey.inputs import Kind, kind_of
from farm.survey.locks.pipfile import read_pipfile
from farm.survey.locks.poetry import read_poetry
from farm.survey.locks.pylock import read_pylock
from farm.survey.locks.uv import read_uv
from farm.survey.read import read_requirements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from farm.model.demand import Requirement
    from farm.model.target import Target
    from farm.survey.augment.environments import Place
    from farm.survey.augment.slots import Slot
    from farm.survey.locks.document import Document, Found

_READERS: Mapping[str, Callable[[Document], Found]] = {
    "uv": read_uv, "pylock": read_pylock, "poetry": read_poetry, "pipfile": read_pipfile,
}  # fmt: skip
TITLES: Mapping[str, str] = {
    "requirements": "requirements file", "uv": "uv.lock", "pylock": "pylock.toml", "poetry": "poetry.lock", "pipfile": "Pipfile.lock",
}  # fmt: skip


_MARK = "\ufeff"


class Scope(Protocol):
    """Where packages count."""

    def places(self, target: Target) -> frozenset[Place]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What reading a requirements file asks of the world; as in `read_requirements`. Locks ask nothing."""

    read_text: Callable[[str], str]
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockFile:
    """One lock, read. `rows` are its packages with their slots, in the file's order.

    `text` is without a byte order mark, `mark` is that. `reread` gives the slots of a text with the same packages.
    """

    file: str
    kind: Kind
    mark: str
    text: str
    rows: Sequence[tuple[LockedPackage, Slot]]
    scope: Scope
    reread: Callable[[str], Sequence[Slot]]
    remarks: tuple[str, ...] = ()

    @property
    def urls(self) -> bool:
        """Whether the format has files' URLs, by which the farm's are known."""
        return self.kind in {"uv", "pylock"}

    @property
    def named(self) -> bool:
        """Whether the format has files' names."""
        return self.kind in {"uv", "pylock", "poetry"}

    @property
    def slots(self) -> Sequence[Slot]:
        return [slot for _, slot in self.rows]


def open_lock(file: str, text: str, world: World) -> LockFile:
    """Return a lock file read. RequirementsError when it is malformed, UsageError when it is none."""
    kind = kind_of(file, lambda: text)
    if kind == "pyproject":
        raise UsageError(f"{file}: expected a lock, found a pyproject.toml", solution="give the lock that was made from it")
    if kind == "requirements":
        return _open_lines(file, text, world)
    plain = text.removeprefix(_MARK)
    scope = LockScope(_READERS[kind], file, plain)
    reread = pipfile_slots if kind == "pipfile" else partial(read_slots, kind=kind)
    packages, slots = scope.lock.packages, reread(plain)
    if len(packages) != len(slots):
        raise strange(f"found places for {len(slots)} packages, of which {len(packages)} count")
    return LockFile(
        file=file,
        kind=kind,
        mark=text[: len(text) - len(plain)],
        text=plain,
        rows=tuple(zip(packages, slots, strict=True)),
        scope=scope,
        reread=reread,
    )


def _open_lines(file: str, text: str, world: World) -> LockFile:
    plain = text.removeprefix(_MARK)

    def entries(content: str) -> tuple[Requirement, ...]:
        def read_text(path: str) -> str:
            return content if path == file else world.read_text(path)

        return read_requirements([file], [], read_text=read_text, env=world.env).requirements

    def here(found: Iterable[Requirement]) -> list[Requirement]:
        return [entry for entry in found if entry.origin.file == file and entry.hashes]

    found = entries(plain)
    own = here(found)
    others = sorted({entry.origin.file for entry in found if entry.origin.file != file and entry.hashes})
    remarks = [f"{other} has hashes too and is not looked at: give it with -r of its own" for other in others]
    if not own:
        remarks.append(f"{file} has no hashes: its clients take the farm's wheels from the index as they are")
    return LockFile(
        file=file,
        kind="requirements",
        mark=text[: len(text) - len(plain)],
        text=plain,
        rows=tuple(zip(map(_package, own), line_slots(plain, own, world.env), strict=True)),
        scope=LineScope(own),
        reread=lambda content: tuple(line_slots(content, here(entries(content)), world.env)),
        remarks=tuple(remarks),
    )


def _package(entry: Requirement) -> LockedPackage:
    return LockedPackage(
        name=entry.name,
        version=entry.pinned,
        origin=entry.origin,
        marker=entry.marker,
        hashes=frozenset(parse_digest(value) for value in entry.hashes if value.startswith("sha256:")),
        direct=entry.url,
    )
