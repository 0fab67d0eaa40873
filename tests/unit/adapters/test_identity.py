"""Name and version as sources state them, and the tags that tell a version."""

from __future__ import annotations

import pytest

from farm.adapters.identity import describe_patterns, stated
from farm.adapters.sdist_archive import Sdist

PROJECT = '[project]\nname = "Demo.Name"\n{more}'
POETRY = '[tool.poetry]\nname = "demo"\nversion = "1.2"\n[build-system]\nbuild-backend = "{backend}"\n'


def identity(**texts: str) -> tuple[str | None, str | None]:
    names = {"pyproject": "pyproject.toml", "info": "PKG-INFO"}
    found = stated(Sdist(names=(), texts={names[key]: text for key, text in texts.items()}))
    return found.name, None if found.version is None else str(found.version)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({"pyproject": PROJECT.format(more='version = "1.0"')}, ("demo-name", "1.0")),
        ({"pyproject": PROJECT.format(more='dynamic = ["version"]')}, ("demo-name", None)),
        ({"pyproject": PROJECT.format(more='dynamic = ["version"]\nversion = "9"')}, ("demo-name", None)),
        ({"pyproject": PROJECT.format(more='version = "no version"')}, ("demo-name", None)),
        ({"pyproject": POETRY.format(backend="poetry.core.masonry.api")}, ("demo", "1.2")),
        ({"pyproject": POETRY.format(backend="poetry_dynamic_versioning.backend")}, (None, None)),
        ({"pyproject": "not = = toml"}, (None, None)),
        ({"pyproject": "project = 1"}, (None, None)),
        ({}, (None, None)),
        (
            {"info": "Metadata-Version: 2.2\nName: a_b\nVersion: 3\n", "pyproject": PROJECT.format(more="")},
            ("a-b", "3"),
        ),
        (
            {
                "info": "Metadata-Version: 2.1\nName: old\nVersion: 3\n",
                "pyproject": PROJECT.format(more='version = "1"'),
            },
            ("demo-name", "1"),
        ),
    ],
)
def test_what_is_stated(texts: dict[str, str], expected: tuple[str | None, str | None]) -> None:
    assert identity(**texts) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ('[project]\ndynamic = ["version"]\n[tool.setuptools.dynamic]\nversion = {attr = "x.y"}', ()),
        ('[build-system]\nrequires = ["hatchling", "hatch-vcs"]', ("*[0-9]*",)),
        ("[tool.setuptools_scm]", ("*[0-9]*",)),
        ('[tool.setuptools_scm]\ngit_describe_command = "git describe --tags --long --match sub-v*"', ("sub-v*",)),
        (
            '[tool.setuptools_scm]\ngit_describe_command = ["git", "describe", "--match=a*", "--match", "b*"]',
            ("a*", "b*"),
        ),
        ('[tool.hatch.version]\nsource = "vcs"\nraw-options.git_describe_command = ["git", "describe", "--match", "x*"]', ("x*",)),
        ("[tool.setuptools_scm]\ngit_describe_command = 3", ("*[0-9]*",)),
    ],
)
def test_the_tags_that_tell_a_version(text: str, expected: tuple[str, ...]) -> None:
    assert describe_patterns(Sdist(names=(), texts={"pyproject.toml": text})) == expected
