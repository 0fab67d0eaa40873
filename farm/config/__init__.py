"""config.toml and the recipes folder -> Settings. Every fault at once, each with its file, line and dotted path."""

from farm.config.document import ConfigError
from farm.config.fields import FIELDS, PATCH_FIELDS, RECIPE_FIELDS, WATCH_FIELDS, Field
from farm.config.load import DEFAULT_TARGETS, examined, load, parse
from farm.config.recipes import read_recipe_file

__all__ = [
    "DEFAULT_TARGETS", "FIELDS", "PATCH_FIELDS", "RECIPE_FIELDS", "WATCH_FIELDS", "ConfigError", "Field", "examined", "load", "parse",
    "read_recipe_file",
]  # fmt: skip
