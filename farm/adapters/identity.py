"""The name and version that a project's sources state, read without running any of them; and how its version is found in git."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from farm.adapters.toml_text import sub_table, toml_tables

if TYPE_CHECKING:
    from farm.adapters.sdist_archive import Sdist
    from farm.model.package import NormalizedName

# setuptools-scm, hatch-vcs, flit-scm, pdm's `source = "scm"`, use_scm_version, vcs-versioning ...
_SCM = re.compile(r"scm|vcs|git[-_]archival|dunamai|dynamic-versioning", re.IGNORECASE)
_ANY_NUMBER = ("*[0-9]*",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What is stated; None for what only the build backend can tell."""

    name: NormalizedName | None = None
    version: Version | None = None


def stated(sdist: Sdist) -> Identity:
    """Return what a PKG-INFO of core metadata 2.2 or later, else pyproject.toml ([project], or Poetry's table) states.

    A PKG-INFO that an older tool wrote may lie in a repository since years ago.
    """
    from packaging.metadata import parse_email  # noqa: PLC0415 - slow to import

    raw, _ = parse_email(sdist.text("PKG-INFO"))
    major, _, minor = raw.get("metadata_version", "").strip().partition(".")
    if major.isdigit() and minor.isdigit() and (int(major), int(minor)) >= (2, 2):
        return text_identity(raw.get("name"), raw.get("version"))
    pyproject = toml_tables(sdist.text("pyproject.toml"))
    project = sub_table(pyproject, "project")
    if "name" in project:
        dynamic = project.get("dynamic")
        return text_identity(
            project["name"], None if isinstance(dynamic, list) and "version" in dynamic else project.get("version")
        )
    # Other backends of Poetry's kin find the version elsewhere.
    if sub_table(pyproject, "build-system").get("build-backend") == "poetry.core.masonry.api":
        poetry = sub_table(sub_table(pyproject, "tool"), "poetry")
        return text_identity(poetry.get("name"), poetry.get("version"))
    return Identity()


def describe_patterns(sdist: Sdist) -> tuple[str, ...]:
    """Return which tags tell the version (`git describe --match`): setuptools-scm's default, or what the project says instead.

    None of them where nothing says that the version hangs on the repository: it would make each commit another source.
    """
    if not any(_SCM.search(sdist.text(name)) for name in ("pyproject.toml", "setup.py", "setup.cfg")):
        return ()
    tool = sub_table(toml_tables(sdist.text("pyproject.toml")), "tool")
    hatch = sub_table(sub_table(sub_table(tool, "hatch"), "version"), "raw-options")
    for settings in (sub_table(tool, "setuptools_scm"), hatch):
        command = settings.get("git_describe_command")
        words = command.split() if isinstance(command, str) else command if isinstance(command, list) else []
        found = tuple(_matches([str(word) for word in words]))
        if found:
            return found
    return _ANY_NUMBER


def _matches(words: list[str]) -> list[str]:
    joined = [word.partition("=")[2] for word in words if word.startswith("--match=")]
    return joined + [value for flag, value in pairwise(words) if flag == "--match"]


def text_identity(name: object, version: object) -> Identity:
    """Return a name and a version as written; None for what is none."""
    try:
        found = Version(version) if isinstance(version, str) else None
    except InvalidVersion:
        found = None
    return Identity(name=canonicalize_name(name) if isinstance(name, str) and name else None, version=found)


def metadata_identity(text: str) -> Identity:
    """Return what a METADATA or PKG-INFO text says, whatever its version."""
    from packaging.metadata import parse_email  # noqa: PLC0415 - slow to import

    raw, _ = parse_email(text)
    return text_identity(raw.get("name"), raw.get("version"))
