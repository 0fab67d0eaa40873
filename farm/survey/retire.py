"""The farm's wheels and what upstream has now -> which of them need not be built again. Pure.

A retired wheel stays where it is, on its page too: a lock may name it by its hash alone (`farm.serve.merge`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from farm.errors import FarmError
from farm.model.target import parse_target
from farm.survey.detect import best_wheel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from farm.model.attempt import WheelRecord
    from farm.model.package import IndexFile, Project


def heir(wheel: WheelRecord, upstream: Project | None) -> str:
    """Return the upstream wheel that serves whom the farm's serves, "" where none does.

    Each target that the farm's wheel was proven for has to find a wheel of the version that is not yanked and is another one than the
    farm's; of several the first target's is named. A page that knows no such project has none.
    """
    if upstream is None or not wheel.targets:
        return ""
    files = tuple(file for file in upstream.of(wheel.version) if file.is_wheel and file.yanked is False and file.sha256 != wheel.sha256)
    found = [_serves(name, files) for name in wheel.targets] if files else [""]
    return found[0] if all(found) else ""


def _serves(target: str, files: Iterable[IndexFile]) -> str:
    try:
        best = best_wheel(files, parse_target(target))
    except FarmError:
        # A target of a farm that knew others.
        return ""
    return best.filename if best else ""
