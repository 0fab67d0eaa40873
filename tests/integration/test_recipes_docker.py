"""Recipes at work: a patched build, versions that need different things, resources, and a smoke test that decides."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.integration.container_fixtures import TARGET
from tests.integration.test_direct_docker import Slow, slow
from tests.projects.sdist import PROJECTS

if TYPE_CHECKING:
    from typing import Any

__all__ = ["slow"]
pytestmark = [pytest.mark.docker, pytest.mark.network]
PATCH = """\
The check is older than Python 3; nothing else here is.

--- a/farm_needs_patch.c
+++ b/farm_needs_patch.c
@@ -3,2 +3,2 @@
-#if PY_MAJOR_VERSION != 2
+#if PY_MAJOR_VERSION < 2
 #error "written for Python 2"
"""
RECIPE = """\
[[recipe]]
versions = "<2"
memory = "768MiB"
cpus = 0.5
smoke-test = "import farm_needs_patch as it; assert it.answer() == 42, it.answer()"

[[recipe.patches]]
file = "python3.patch"
reason = "builds on Python 3"
upstream = "pending"

[[recipe]]
versions = ">=2"
environment = { CFLAGS = "-DPY3=1" }
smoke-test = ["python", "-c", "import farm_needs_patch as it; raise SystemExit(it.answer() != 43)"]
"""


@pytest.fixture
def patched(slow: Slow) -> Slow:
    config = (slow.folder / "config.toml").read_text()
    slow.write("config.toml", f'{config}[build]\nheal = "off"\n')
    shutil.copytree(PROJECTS / "needs-patch", slow.folder / "needs-patch")
    slow.write("requirements.txt", "./needs-patch\n")
    (slow.folder / "recipes").mkdir()
    slow.write("recipes/python3.patch", PATCH)
    slow.write("recipes/farm-needs-patch.toml", RECIPE)
    return slow


def build(slow: Slow, project: str = "farm-needs-patch") -> tuple[int, dict[str, Any], str]:
    code, out, err = slow.farm("build", "-r", "requirements.txt", "--json")
    packages = json.loads(out)["packages"]
    cell: dict[str, Any] = next(p["cells"][TARGET.name] for p in packages if p["name"] == project)
    return code, cell, err


def log(slow: Slow) -> str:
    newest = json.loads(slow.farm("status", "--json")[1])["builds"][0]["id"]
    return slow.farm("log", newest)[1]


def test_a_patch_mends_one_version_a_variable_the_next_and_the_smoke_test_decides(patched: Slow) -> None:
    shutil.move(patched.folder / "recipes", patched.folder / "later")
    code, cell, _ = build(patched)
    assert (code, cell["state"]) == (1, "failed")
    assert "written for Python 2" in log(patched)

    shutil.move(patched.folder / "later", patched.folder / "recipes")
    code, cell, err = build(patched)
    assert (code, cell["state"]) == (0, "built"), err[-3000:]
    told = log(patched)
    assert "builds on Python 3" in told
    assert "limit memory 805306368" in told
    assert "limit cpu 50000" in told
    assert "(smoke test: python -c 'import farm_needs_patch as it;" in told

    source = patched.folder / "needs-patch" / "farm_needs_patch.c"
    source.write_text(source.read_text().replace("PY_MAJOR_VERSION != 2", "!defined(PY3)"))
    project = patched.folder / "needs-patch" / "pyproject.toml"
    project.write_text(project.read_text().replace('version = "1.0"', 'version = "2.1"'))
    code, cell, _ = build(patched)
    assert (code, cell["state"]) == (1, "failed")
    assert f"smoke test on {TARGET.name}" in json.dumps(cell)

    recipe = patched.folder / "recipes" / "farm-needs-patch.toml"
    recipe.write_text(recipe.read_text().replace("!= 43", "!= 42"))
    code, cell, err = build(patched)
    assert (code, cell["state"]) == (0, "built"), err[-3000:]


def test_a_patch_that_does_not_fit_fails_its_package_by_name(patched: Slow) -> None:
    source = patched.folder / "needs-patch" / "farm_needs_patch.c"
    source.write_text(source.read_text().replace("PY_MAJOR_VERSION != 2", "PY_VERSION_HEX > 0x03000000"))
    code, cell, _ = build(patched)
    assert (code, cell["state"]) == (1, "failed")
    told = json.dumps(cell)
    assert "patch-failed" in told
    assert "the recipe's python3.patch cannot be applied: patch failed: farm_needs_patch.c:3" in told


def test_the_recipes_time_is_the_builds_limit_and_an_unknown_variant_is_told(patched: Slow) -> None:
    patched.write("needs-patch/setup.py", "import time\n\ntime.sleep(600)\n")
    patched.write("recipes/farm-needs-patch.toml", 'time-limit = "20s"\n')
    code, cell, _ = build(patched)
    assert (code, cell["state"]) == (1, "timed-out"), cell
    assert "20 s" in json.dumps(cell)
    patched.write("recipes/farm-needs-patch.toml", 'variant = "manylinux_9_99"\n')
    code, _, err = patched.farm("build", "-r", "requirements.txt")
    assert code == 5
    assert f"no builder image of the variant 'manylinux_9_99' serves {TARGET.name}; there are: bookworm" in err


def test_the_version_that_a_recipe_tells_the_backend_is_the_wheels_today(slow: Slow) -> None:
    (slow.folder / "told").mkdir()
    slow.write(
        "told/pyproject.toml",
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "farm-told"\ndynamic = ["version"]\n',
    )
    slow.write("told/setup.py", 'import os\nfrom setuptools import setup\nsetup(version=os.environ["TOLD"], py_modules=["told"])\n')
    slow.write("told/told.py", "")
    slow.write("requirements.txt", "./told\n")
    (slow.folder / "recipes").mkdir()
    for version in ("1.4.0", "1.5.0"):
        slow.write("recipes/farm-told.toml", f'environment = {{ TOLD = "{version}" }}\n')
        code, out, err = slow.farm("build", "-r", "requirements.txt", "--json")
        (package,) = json.loads(out)["packages"]
        assert (code, package["version"], package["cells"][TARGET.name]["state"]) == (0, version, "built"), err[-3000:]
