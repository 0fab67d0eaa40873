"""What pips and uv of each age take: which pip first knows which tag, and in what order each ranks them.

A wheel that is there is of no use to a pip that does not know its tag. The versions are those of pip's release notes and of
the `packaging` that each release carries (resolution.md in the research has the dates).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from packaging.version import InvalidVersion, Version

from farm.errors import UsageError
from farm.model.target import rank_tags, tags_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.tags import Tag

    from farm.model.target import Target

Name = Literal["pip", "uv"]

_FREE_THREADED = re.compile(r"cp\d+t")
_MACOS_SINCE_11 = re.compile(r"macosx_(?:1[1-9]|[2-9]\d)_\d+_.+")
# By platform, the first match counts: the pip that first knows such tags (PEP 513, 571, 599, 600, 656; macOS 11; PEP 730, 738).
_PLATFORMS: tuple[tuple[re.Pattern[str], Version], ...] = (
    (re.compile(r"manylinux1_.+"), Version("8.1")),
    (re.compile(r"manylinux2010_.+"), Version("19.0")),
    (re.compile(r"manylinux2014_.+"), Version("19.3")),
    (re.compile(r"manylinux_\d+_\d+_.+"), Version("20.3")),
    (re.compile(r"musllinux_\d+_\d+_.+"), Version("21.2")),
    (_MACOS_SINCE_11, Version("20.3")),
    (re.compile(r"ios_\d+_.+"), Version("24.3")),
    (re.compile(r"android_\d+_.+"), Version("25.1")),
)
_SINCE_FREE_THREADED = Version("24.1")
_SINCE_ABI3T = Version("26.1")
_SINCE_LINUX_FIRST = Version("26.3")
_SINCE_YANKED = Version("19.2")
_ALWAYS = Version("0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who installs. `version` None is today's."""

    name: Name = "pip"
    version: Version | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.version}" if self.version else self.name

    @property
    def knows_yanked(self) -> bool:
        """Whether a yanked file is passed over (PEP 592)."""
        return self.name == "uv" or self.version is None or self.version >= _SINCE_YANKED


def parse_pip(text: str) -> Version:
    """Return the version of a pip. UsageError when it is none."""
    try:
        return Version(text)
    except InvalidVersion as error:
        raise UsageError(f"expected a version of pip such as 20.2, found {text!r}", solution="`pip --version` shows it") from error


@cache
def first_pip(tag: Tag) -> Version:
    """Return the first pip that knows a tag; 0 for one that every pip knows."""
    platform = next((since for pattern, since in _PLATFORMS if pattern.fullmatch(tag.platform)), _ALWAYS)
    if tag.abi == "abi3t":
        return max(platform, _SINCE_ABI3T)
    return max(platform, _SINCE_FREE_THREADED) if _FREE_THREADED.fullmatch(tag.abi) else platform


def visible(tags: Iterable[Tag], pip: Version | None) -> frozenset[Tag]:
    """Return those tags that a pip knows; of a compressed set one known tag is enough to see the wheel. None: all."""
    return frozenset(tag for tag in tags if pip is None or first_pip(tag) <= pip)


def needed_pip(tags: frozenset[Tag], target: Target) -> Version | None:
    """Return the oldest pip that can take a wheel with these tags on `target`; None when none can."""
    return min((first_pip(tag) for tag in tags if tag in target.ranks), default=None)


@cache
def client_ranks(target: Target, client: Client) -> Mapping[Tag, int]:
    """Return the rank of each tag that this client takes on such a machine; 0 is the best.

    uv and every pip before 26.3 put `linux_*` after manylinux and musllinux.
    """
    new = client.name == "pip" and (client.version is None or client.version >= _SINCE_LINUX_FIRST)
    tags = tags_for(target, linux_first=new)
    pip = client.version if client.name == "pip" else None
    return rank_tags(tag for tag in tags if pip is None or first_pip(tag) <= pip)
