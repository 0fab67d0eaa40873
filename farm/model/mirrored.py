"""What is known of a project's pages on the upstream indexes at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from farm.model.package import NormalizedName


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamPage:
    """A page of one index as it was decoded: an object with a list of `files` (PEP 691). Relative links count from `base`."""

    document: dict[str, Any]
    base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPage:
    """Where a page's bytes are kept: `digest` is theirs, `url` where they were read, without credentials."""

    index: str
    url: str
    content_type: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrored:
    """The pages of the indexes that have the project, in the order of the indexes; none when all say 404.

    `token` changes whenever anything here does that a reader could see. `read` is when the oldest answer was had or
    confirmed, None where nobody was asked (private names). `stale`: it is older than it should be, as upstream does not answer.
    """

    name: NormalizedName
    pages: tuple[StoredPage, ...]
    token: str
    read: datetime | None
    stale: bool
