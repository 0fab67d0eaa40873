"""The recipes that healed builds: one JSON file each in the store's `recipes/`, for a person to read too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from packaging.specifiers import SpecifierSet

from farm.adapters.durable import make_dirs, replace_file, storing
from farm.errors import StoreError
from farm.model.healing import Learned
from farm.model.job import Recipe

if TYPE_CHECKING:
    from pathlib import Path

    from farm.model.package import NormalizedName, Pin
    from farm.model.target import Target


class Lessons:
    """Satisfies `ports.Lessons`. StoreError when a file cannot be written, or is damaged."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def learn(self, learned: Learned) -> None:
        """Keep a recipe, durably, in the place of an older one for the same package, version and target.

        A proposal never takes the place of what has healed a build.
        """
        path = self._folder / f"{learned.name}-{learned.version}-{learned.target}.json"
        if learned.proposed and path.exists() and not self._read(path).proposed:
            return
        make_dirs(self._folder)
        replace_file(path, msgspec.json.format(msgspec.json.encode(learned)))

    def all(self, name: NormalizedName | None = None) -> tuple[Learned, ...]:
        """Return every recipe, or those of one package, by name and version."""
        if not self._folder.is_dir():
            return ()
        with storing(self._folder):
            found = [self._read(path) for path in self._folder.glob(f"{name or '*'}-*.json")]
        return tuple(
            sorted(
                (one for one in found if name in {None, one.name}), key=lambda one: (one.name, one.version, one.target)
            )
        )

    def recipe(self, pin: Pin, target: Target) -> Recipe:
        """Return what was learned for a package on a target: that version's own, else the newest that fits."""
        best = self.best(pin, target)
        return best.recipe if best else Recipe()

    def best(self, pin: Pin, target: Target) -> Learned | None:
        """Return what `recipe` takes, with its evidence; None where nothing fits."""
        fitting = [one for one in self.all(pin.name) if not one.proposed and _fits(one, pin, target)]
        return max(
            fitting, key=lambda one: (one.version == str(pin.version), one.target == target.name, one.at), default=None
        )

    def forget(self, name: NormalizedName) -> tuple[Learned, ...]:
        """Remove the recipes of a package and return them."""
        gone = self.all(name)
        with storing(self._folder):
            for one in gone:
                (self._folder / f"{one.name}-{one.version}-{one.target}.json").unlink(missing_ok=True)
        return gone

    def _read(self, path: Path) -> Learned:
        try:
            content = msgspec.json.decode(path.read_bytes())
            return msgspec.convert(_today(content), type=Learned)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise StoreError(
                f"{path}: expected a learned recipe, found: {error}", solution="remove the file; it is learned again"
            ) from error


def _today(content: Any) -> Any:
    """Files of earlier farms name a module to skip without its reason."""
    recipe = content.get("recipe") if isinstance(content, dict) else None
    if isinstance(recipe, dict) and isinstance(recipe.get("skip_imports"), list):
        recipe["skip_imports"] = [(item, "proposed") if isinstance(item, str) else item for item in recipe["skip_imports"]]
    return content


def _fits(one: Learned, pin: Pin, target: Target) -> bool:
    right_python = one.python in {"", target.python_tag}
    return right_python and SpecifierSet(one.versions).contains(pin.version, prereleases=True)
