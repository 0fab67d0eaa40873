"""The real patch releases of the farm's own images, remembered by target. Imports little: every run asks it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from farm.adapters.page_cache import keep

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from farm.model.target import Target


class Versions(NamedTuple):
    """Python's full version, and PyPy's own."""

    full: str
    implementation: str | None = None


def exact_targets(targets: Iterable[Target], cache: Path) -> tuple[Target, ...]:
    """Return targets with the patch release of the farm's own image where that has been asked and nobody gave one.

    Of PyPy also with its own version. Costs one small read; asks no engine. `cache` is the store's.
    """
    wanted = tuple(targets)
    open_ones = any(target.assumed or target.implementation == "pp" for target in wanted)
    known = known_versions(cache) if open_ones else {}
    return tuple(_exact(target, known.get(target.name)) for target in wanted)


def _exact(target: Target, known: Versions | None) -> Target:
    if known is None or not (target.assumed or known.full == target.full_version):
        return target
    return replace(target, full_version=known.full, assumed=False, implementation_version=known.implementation)


def known_versions(cache: Path) -> dict[str, Versions]:
    """Return the versions by target name; what is damaged counts for nothing."""
    try:
        content = json.loads(_path(cache).read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(name): Versions(*_two(value)) for name, value in content.items()} if isinstance(content, dict) else {}


def _two(value: object) -> tuple[str, str | None]:
    """A bare text is a full version without an implementation's."""
    full, own = value if isinstance(value, list) and len(value) == 2 else (value, None)
    return str(full), str(own) if own else None


def keep_versions(cache: Path, targets: Iterable[Target]) -> None:
    """Remember the versions of targets that interpreters told, beside those that are known."""
    known = known_versions(cache)
    told = {target.name: Versions(target.full_version, target.implementation_version) for target in targets}
    if not told.items() <= known.items():
        content = {name: list(versions) if versions.implementation else versions.full for name, versions in {**known, **told}.items()}
        keep(_path(cache), json.dumps(content, sort_keys=True).encode())


def _path(cache: Path) -> Path:
    return cache / "interpreters" / "targets.json"
