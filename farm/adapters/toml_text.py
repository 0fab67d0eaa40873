"""A stranger's TOML: what cannot be read, or is no table, is an empty table. Whoever builds the project will say it better."""

from __future__ import annotations

import tomllib
from typing import Any


def toml_tables(text: str) -> dict[str, Any]:
    """Return the document, empty where it is malformed."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def sub_table(parent: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the table at `key`, empty where there is none or something else."""
    value = parent.get(key)
    return value if isinstance(value, dict) else {}
