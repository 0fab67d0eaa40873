"""From an empty recipe to a proven wheel, through the command line: what is missing is found in the image's own database."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import pytest

from tests.integration.container_fixtures import TARGET
from tests.integration.test_direct_docker import Slow, slow
from tests.projects.sdist import PROJECTS

if TYPE_CHECKING:
    from typing import Any

__all__ = ["slow"]
pytestmark = [pytest.mark.docker, pytest.mark.network]


def built(slow: Slow, project: str) -> tuple[int, dict[str, Any]]:
    shutil.copytree(PROJECTS / project, slow.folder / project)
    slow.write("requirements.txt", f"./{project}\n")
    code, out, err = slow.farm("build", "-r", "requirements.txt", "--json", "--junit", "junit.xml")
    packages = json.loads(out)["packages"]
    cell: dict[str, Any] = next(p["cells"][TARGET.name] for p in packages if p["name"] == f"farm-{project}")
    assert "attempts" in cell, f"{cell}\n{err[-3000:]}"
    return code, cell


@pytest.mark.parametrize(
    ("project", "cause", "change"),
    [
        ("lacks-libyaml", "missing-system-header", "system package libyaml-dev"),
        ("lacks-pkgconfig", "missing-system-library", "system package libuv1-dev"),
        ("lacks-silently", "unknown", "system package libyaml-dev"),
        ("lacks-build-requires", "missing-python-build-dep", "build requirement Cython"),
        ("old-names", "python-stdlib-removed", "old names: those that the standard library dropped"),
        ("old-cython", "python-api-removed", "C written anew by cython<3"),
    ],
)
def test_what_a_build_lacks_is_found_and_the_wheel_proven(slow: Slow, project: str, cause: str, change: str) -> None:
    code, cell = built(slow, project)
    assert (code, cell["state"]) == (0, "built")
    assert [text.split(" (")[0] for text in cell["healed_by"]] == [change]
    assert [attempt["diagnosis"]["cause"] for attempt in cell["attempts"]] == [cause]
    assert escape(change) in (slow.folder / "junit.xml").read_text()
    earlier = cell["attempts"][0]["build"]
    told = json.loads(slow.farm("status", "--json")[1])["builds"]
    assert [(one["state"], one["cause"]) for one in told if one["id"] == earlier] == [("failed", cause)]


def test_a_proposal_is_told_and_nothing_is_tried(slow: Slow) -> None:
    shutil.copytree(PROJECTS / "lacks-libyaml", slow.folder / "lacks-libyaml")
    slow.write("requirements.txt", "./lacks-libyaml\n")
    code, out, _ = slow.farm("build", "-r", "requirements.txt", "--json", "--heal", "propose")
    cell = next(p["cells"][TARGET.name] for p in json.loads(out)["packages"] if p["name"] == "farm-lacks-libyaml")
    assert (code, cell["state"], cell["proposal"]) == (1, "failed", "system package libyaml-dev")
