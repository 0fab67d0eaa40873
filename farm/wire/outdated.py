"""The farm's own wheels that no longer count: config.toml's recipe for them is another one now, or all are to be looked at again.

They stay on the index, under their names, until what is built in their place is there: with a build tag that goes before them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from farm.model.gap import Cell, Matrix, Missing, Present
from farm.model.recipes import recipe_digest
from farm.model.target import parse_target
from farm.survey.detect import presence

if TYPE_CHECKING:
    from farm.survey.detect import DetectPolicy
    from farm.wire.assembly import Farm
    from farm.wire.reading import Reading

_CHANGED = "its recipe in config.toml is not the one that the farm's wheel was built with"
_ASKED = "the farm's wheel is looked at again (--rebuild)"


def without_outdated(farm: Farm, matrix: Matrix, policy: DetectPolicy, reading: Reading | None = None) -> Matrix:
    """Return the matrix with gaps in the place of outdated wheels; what was uploaded is never outdated.

    `reading` is that of the policy's index options, None for the farm's only one.
    """
    ours = [cell for cell in matrix.cells if _own(farm, cell) is not None]
    if not ours:
        return matrix
    known = farm.records.recipes.of([name for cell in ours if (name := _own(farm, cell))])
    outdated = {
        name: _ASKED if farm.rebuild else _CHANGED
        for cell in ours
        if (name := _own(farm, cell)) and _is_outdated(farm, cell, name, known.get(name))
    }
    if not outdated:
        return matrix
    strict = replace(policy, outdated=frozenset(outdated))
    again = partial(_again, reading or farm.reading(policy.options), outdated=outdated)
    return replace(matrix, cells=tuple(again(cell, strict) for cell in matrix.cells))


def _own(farm: Farm, cell: Cell) -> str | None:
    """Return the name of the farm's wheel that a cell has, where that may be outdated."""
    if not isinstance(cell.presence, Present) or cell.presence.where != "farm" or cell.direct is not None:
        return None
    return cell.presence.file.filename if farm.rebuild or cell.pin.name in farm.settings.recipes else None


def _is_outdated(farm: Farm, cell: Cell, filename: str, recipe: str | None) -> bool:
    record = farm.catalogue.wheel(filename)
    if record is None or record.key is None:
        return False
    if farm.rebuild:
        return True
    # A wheel that serves several targets was built for the first of them, with that one's recipe.
    built_for = parse_target(record.targets[0]) if record.targets else cell.target
    return recipe is not None and recipe != recipe_digest(farm.settings.recipe(cell.pin, built_for))


def _again(reading: Reading, cell: Cell, policy: DetectPolicy, outdated: dict[str, str]) -> Cell:
    if not isinstance(cell.presence, Present) or cell.presence.file.filename not in outdated:
        return cell
    found = presence(cell.pin, cell.target, reading.upstream, reading.farm, policy=policy)
    if isinstance(found, Present) and found.where == "farm":
        # An older build of the same: what is newer must not make way for it.
        return _again(reading, replace(cell, presence=found), replace(policy, outdated=policy.outdated | {found.file.filename}),
                      outdated | {found.file.filename: outdated[cell.presence.file.filename]})  # fmt: skip
    if not isinstance(found, Missing):
        return cell
    return replace(cell, presence=replace(found, reason=outdated[cell.presence.file.filename]))
