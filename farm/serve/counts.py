"""From answers to what the catalogue keeps: which sdist was fetched for which target, who asks for pages, which wheels are taken. Pure."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.utils import InvalidSdistFilename, canonicalize_name, parse_sdist_filename
from packaging.version import InvalidVersion, Version

from farm.model.demand_seen import MissKey, Seen
from farm.serve.agents import target_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farm.model.package import NormalizedName
    from farm.serve.tally import Answered

_OLD_ENDINGS = (".tar.bz2", ".tar.xz", ".tgz")
_LONGEST = 100


def seen(answers: Mapping[Answered, int]) -> Seen:
    """Return what is worth keeping of some answers.

    A request for a page counts for the client, answered in full or with 304; one that says that it only resolves compiles nothing.
    """
    misses: Counter[MissKey] = Counter()
    clients: Counter[tuple[str, str]] = Counter()
    downloads: Counter[str] = Counter()
    for answered, count in answers.items():
        agent = answered.agent
        if answered.kind == "page" and answered.fetched:
            clients[target_of(agent), str(agent)] += count
        if not answered.fetched or not agent.installs:
            continue
        if answered.kind == "wheel" and answered.own:
            downloads[answered.name] += count
        elif answered.kind == "sdist":
            pin = sdist_pin(answered.name)
            if pin is not None:
                misses[MissKey(name=pin[0], version=pin[1], target=target_of(agent), client=str(agent))] += count
    return Seen(misses=misses, clients=clients, downloads=downloads)


@lru_cache(maxsize=4096)
def sdist_pin(filename: str) -> tuple[NormalizedName, str] | None:
    """Return the project and version in an sdist's file name; None where it has none. Old names are read as pip reads them."""
    for ending in _OLD_ENDINGS:
        if filename.endswith(ending):
            filename = filename.removesuffix(ending) + ".tar.gz"
    try:
        name, version = parse_sdist_filename(filename)
    except (InvalidSdistFilename, InvalidVersion):
        found = _old_pin(filename.removesuffix(".tar.gz").removesuffix(".zip"))
        if found is None:
            return None
        name, version = found
    if not name or len(name) > _LONGEST or len(str(version)) > _LONGEST:
        return None
    return name, str(version)


def _old_pin(stem: str) -> tuple[NormalizedName, Version] | None:
    # demo-1.0-beta1: the version begins after the first dash that makes it one.
    for at, char in enumerate(stem[:_LONGEST]):
        if char == "-" and at and stem[at + 1 : at + 2].isdigit():
            try:
                return canonicalize_name(stem[:at]), Version(stem[at + 1 :])
            except InvalidVersion:
                continue
    return None
