"""config.toml -> Settings, with the recipes that stand in its folder."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from farm.config.document import ConfigError, Document, refuse
from farm.config.fields import FIELDS
from farm.config.recipes import folder_recipes, recipe_tables, together
from farm.config.watches import watch_tables
from farm.model.settings import Settings
from farm.model.target import parse_target

_IMAGE_LOCK = "images.lock"
DEFAULT_TARGETS = ("cp311-manylinux_2_36_x86_64", "cp313-manylinux_2_41_x86_64")


def load(path: Path | None, *, home: Path) -> Settings:
    """Return the settings of a config.toml, or the defaults when `path` is None (the store is then below `home`).

    ConfigError with every fault of the file and of the recipes' files.
    """
    settings, faults = examined(path, home=home)
    refuse(faults, settings.source)
    return settings


def examined(path: Path | None, *, home: Path) -> tuple[Settings, tuple[str, ...]]:
    """Return the settings as far as they are sound, and every fault. ConfigError when config.toml itself cannot be read."""
    if path is None:
        store = home / ".local/share/farm"
        targets = tuple(parse_target(name) for name in DEFAULT_TARGETS)
        return Settings(targets=targets, store=store, image_lock=str(store / _IMAGE_LOCK)), ()
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except OSError as error:
        reason = f"{path}: cannot be read: {error.strerror}"
        raise ConfigError(reason, solution="name another file with --config, or leave it out for the defaults") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}", solution="correct the file at that line") from error
    return _parse(content, Document(str(path), path.resolve().parent, text))


def parse(content: dict[str, Any], *, source: str, folder: Path) -> Settings:
    """Return the settings of a parsed config.toml; relative paths count from `folder`. ConfigError with every fault."""
    settings, faults = _parse(content, Document(source, folder))
    refuse(faults, source)
    return settings


def _parse(content: dict[str, Any], document: Document) -> tuple[Settings, tuple[str, ...]]:
    source, folder = document.name, document.folder
    own = recipe_tables(content.pop("recipes", {}), document)
    watches = watch_tables(content.pop("watch", {}), document)
    values = document.values(_flat(content, ""), FIELDS, (), also=("recipes", "watch"))
    named = values.get("recipe_folder", "")
    recipes = folder / Path(named or "recipes").expanduser()
    if named and not recipes.is_dir():
        document.fault(("build", "recipes"), f"expected a folder, found none at {recipes}")
    beside, faults = folder_recipes(recipes)
    values.setdefault("targets", tuple(parse_target(name) for name in DEFAULT_TARGETS))
    values["store"] = folder / Path(values.get("store", ".farm")).expanduser()
    values["recipe_folder"] = str(recipes)
    values["image_lock"] = str(folder / Path(values.get("image_lock") or _IMAGE_LOCK).expanduser())
    for key in (key for key in ("tls_certificate", "tls_key", "signing_key") if values.get(key)):
        values[key] = str(folder / Path(values[key]).expanduser())
    for key in (key for key in ("night_webhook", "mail_password") if values.get(key, "").startswith("file:")):
        values[key] = f"file:{folder / Path(values[key].removeprefix('file:')).expanduser()}"
    return Settings(source=source, recipes=together(own, beside), watches=watches, **values), (*document.faults, *faults)


def _flat(table: dict[str, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        path = f"{prefix}{key}."
        if isinstance(value, dict) and any(f.path.startswith(path) for f in FIELDS):
            flat |= _flat(value, path)
        else:
            flat[prefix + key] = value
    return flat
