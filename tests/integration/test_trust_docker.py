"""Built, signed, verified, tampered with; built twice; what came along in a wheel; wheels for one processor. All real."""

from __future__ import annotations

import json
import shutil
import zipfile
from typing import TYPE_CHECKING

import pytest

from farm.adapters.signing import Keys
from tests.integration.container_fixtures import TARGET
from tests.integration.test_direct_docker import Slow, slow
from tests.projects.sdist import PROJECTS

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

__all__ = ["slow"]
pytestmark = [pytest.mark.docker, pytest.mark.network]


def built(slow: Slow, project: str, *options: str) -> tuple[int, dict[str, Any]]:
    if not (slow.folder / project).is_dir():
        shutil.copytree(PROJECTS / project, slow.folder / project)
    slow.write("requirements.txt", f"./{project}\n")
    code, out, err = slow.farm("build", "-r", "requirements.txt", "--json", *options)
    packages = json.loads(out)["packages"]
    cell: dict[str, Any] = next(p["cells"][TARGET.name] for p in packages if p["name"] == f"farm-{project}")
    assert cell["state"] in {"built", "failed"}, f"{cell}\n{err[-3000:]}"
    return code, cell


def wheel(slow: Slow, cell: dict[str, Any]) -> Path:
    """Return a copy of the only wheel of the store that has a statement, under its name."""
    (statement,) = (slow.folder / "store" / "provenance").rglob("*.jsonl")
    blob = slow.folder / "store" / "blobs" / statement.parent.name / statement.stem
    copy = slow.folder / cell["file"]
    shutil.copyfile(blob, copy)
    return copy


def test_a_reproducible_wheel_is_signed_and_every_change_to_it_is_found(slow: Slow) -> None:
    # Debian's Python has everything compiled with -g, and debugging information holds the path of the build.
    slow.write("config.toml", (slow.folder / "config.toml").read_text() + '[recipes.farm-c]\nenvironment = { CFLAGS = "-g0" }\n')
    code, cell = built(slow, "c", "--twice")
    assert (code, cell["state"]) == (0, "built")
    assert cell["reproduction"]["reproducible"] is True, cell["reproduction"]
    copy = wheel(slow, cell)
    code, out, _ = slow.farm("verify", copy.name, "--json")
    told = json.loads(out)
    assert (code, told["verified"]) == (0, True)
    definition = told["statement"]["predicate"]["buildDefinition"]
    assert definition["internalParameters"]["network"] is False
    assert any(command.startswith("cibuildwheel==") for command in definition["internalParameters"]["commands"])
    roles = [one["annotations"]["role"] for one in definition["resolvedDependencies"]]
    assert roles[:3] == ["sdist", "builder image", "build dependency"]
    assert "sha256" in next(one for one in told["statement"]["predicate"]["runDetails"]["byproducts"] if one["name"] == "log")["digest"]

    stranger = Keys(slow.folder / "stranger")
    slow.write("stranger.pub", stranger.create().pem)
    assert slow.farm("verify", copy.name, "--key", "stranger.pub")[0] == 1
    slow.write("other.tar.gz", "another sdist")
    assert slow.farm("verify", copy.name, "--sdist", "other.tar.gz")[0] == 1
    data = bytearray(copy.read_bytes())
    data[100] ^= 1
    copy.write_bytes(data)
    assert slow.farm("verify", copy.name)[0] == 1


def test_what_holds_times_and_paths_is_told_and_refused_where_that_is_wanted(slow: Slow) -> None:
    code, cell = built(slow, "stamps", "--twice")
    assert (code, cell["state"]) == (0, "built")
    told = {one["member"]: one["reason"] for one in cell["reproduction"]["differences"]}
    assert told["farm_stamps.py"] == "the time of the build is in it"
    assert told["farm_stamps_where.py"] == "the path of the build is in it (/project/package)"
    (slow.folder / "stamps" / "README").write_text("other sources, so that it is built anew")
    code, cell = built(slow, "stamps", "--reproducible")
    assert (code, cell["state"]) == (1, "failed")
    assert cell["diagnosis"]["cause"] == "not-reproducible"


def test_a_wheel_tells_which_libraries_came_along_and_from_which_package(slow: Slow) -> None:
    code, cell = built(slow, "lacks-libyaml")
    assert (code, cell["state"]) == (0, "built")
    with zipfile.ZipFile(wheel(slow, cell)) as archive:
        (member,) = [name for name in archive.namelist() if name.endswith(".dist-info/sboms/farm.cdx.json")]
        (component,) = json.loads(archive.read(member))["components"]
    assert component["name"] == "libyaml-0-2"
    assert component["purl"].startswith("pkg:deb/debian/libyaml-0-2@0.2.5")
    assert component["properties"][0]["value"].startswith("farm_lacks_libyaml.libs/libyaml-0-")


def test_a_wheel_for_one_processor_is_refused_unless_a_recipe_says_why(slow: Slow) -> None:
    config = (slow.folder / "config.toml").read_text()
    recipe = '[recipes.farm-simd-plain]\nenvironment = { CFLAGS = "-march=x86-64-v3" }\n'
    slow.write("config.toml", config + recipe)
    code, cell = built(slow, "simd-plain")
    assert (code, cell["state"], cell["diagnosis"]["cause"]) == (1, "failed", "processor")
    slow.write("config.toml", config + recipe + 'allow-instructions = "our own cluster"\n')
    code, cell = built(slow, "simd-plain")
    assert (code, cell["state"]) == (0, "built")
    statement = json.loads(slow.farm("verify", wheel(slow, cell).name, "--json")[1])["statement"]
    said = statement["predicate"]["buildDefinition"]["externalParameters"]["recipe"]
    assert said["allow_instructions"] == "our own cluster"
