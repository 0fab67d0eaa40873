"""What a log is read with: the rules, remedies and package index from the files beside this one."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import TYPE_CHECKING

from farm.errors import UsageError
from farm.work.diagnosis.explain import Knowledge
from farm.work.diagnosis.packages import PackageIndex
from farm.work.diagnosis.remedies import load_remedies
from farm.work.diagnosis.rules import load_rules

if TYPE_CHECKING:
    from pathlib import Path

_HOME = "farm.work.diagnosis"


def knowledge(own_rules: Path | None = None) -> Knowledge:
    """Return the shipped rules and remedies; those of `own_rules` are tried first. UsageError when that file is not as expected."""
    home = files(_HOME)
    platforms = home.joinpath("platforms.toml").read_text(encoding="utf-8")
    rules = load_rules(
        home.joinpath("rules.toml").read_text(encoding="utf-8"),
        before=_text(own_rules) if own_rules else "",
        before_source=str(own_rules) if own_rules else "",
    )
    index = PackageIndex(
        read=lambda kind: home.joinpath("debian", f"{kind}.z").read_bytes(),
        preferred=tomllib.loads(platforms)["preferred"],
    )
    remedies = load_remedies(home.joinpath("remedies.toml").read_text(encoding="utf-8"), platforms, index)
    return Knowledge(rules=rules, remedies=remedies)


def shipped_rules() -> str:
    """Return rules.toml as it is."""
    return files(_HOME).joinpath("rules.toml").read_text(encoding="utf-8")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path}: expected a rules file in UTF-8, found {error}", solution="name an existing TOML file"
        ) from error
