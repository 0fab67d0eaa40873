"""The real patch releases of the farm's own images, remembered by target. Imports little: every run asks it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from farm.adapters.page_cache import keep

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from farm.model.target import Target


def exact_targets(targets: Iterable[Target], cache: Path) -> tuple[Target, ...]:
    """Return targets with the patch release of the farm's own image where that has been asked and nobody gave one.

    Costs one small read; asks no engine. `cache` is the store's.
    """
    wanted = tuple(targets)
    known = known_versions(cache) if any(target.assumed for target in wanted) else {}
    return tuple(
        replace(target, full_version=known[target.name], assumed=False) if target.assumed and target.name in known else target
        for target in wanted
    )


def known_versions(cache: Path) -> dict[str, str]:
    """Return the full Python version by target name; what is damaged counts for nothing."""
    try:
        content = json.loads(_path(cache).read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(name): str(version) for name, version in content.items()} if isinstance(content, dict) else {}


def keep_versions(cache: Path, versions: Mapping[str, str]) -> None:
    """Remember versions beside those that are known."""
    known = known_versions(cache)
    if not versions.items() <= known.items():
        keep(_path(cache), json.dumps({**known, **versions}, sort_keys=True).encode())


def _path(cache: Path) -> Path:
    return cache / "interpreters" / "targets.json"
