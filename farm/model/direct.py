"""Requirements by path, URL or repository: what was asked for, what it turned out to be, or why that cannot be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.markers import Marker

    from farm.model.demand import Origin
    from farm.model.package import IndexFile, NormalizedName, Pin


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One direct reference. `url` is as written and may hold credentials; a relative path counts from the folder `base`.

    `name` is None where only the project itself tells it. `hashes` are "algorithm:hex", one of which the file must have.
    """

    url: str
    name: NormalizedName | None = None
    base: str = ""
    hashes: tuple[str, ...] = ()
    editable: bool = False
    marker: Marker | None = None
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Direct:
    """Where something that is on no index comes from. `url` is for people: without credentials. `commit` is git's, in full."""

    url: str
    commit: str = ""
    editable: bool = False

    def __str__(self) -> str:
        where = f"{self.url} at {self.commit[:12]}" if self.commit else self.url
        return (
            f"{where} (editable: each client installs it from source, the wheel is for everybody else)"
            if self.editable
            else where
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A direct reference whose name, version and bytes are known.

    `file` is the wheel itself, or the archive of its sources in the store; its URL is a path below the index's root.
    `wheels` are those that the farm has built from these very sources, newest first.
    """

    pin: Pin
    file: IndexFile
    direct: Direct
    origin: Origin
    marker: Marker | None = None
    wheels: tuple[IndexFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsettled:
    """A direct reference of which there is no more to say than this. `unknown` when asking again, or elsewhere, may tell.

    `name` is the project's name where the requirement says it, else the URL as in `direct`.
    """

    name: str
    direct: Direct
    origin: Origin
    reason: str
    marker: Marker | None = None
    unknown: bool = False
