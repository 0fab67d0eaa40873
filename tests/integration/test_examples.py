"""The examples end to end, as README.md and docs/ tell them: built, served, and installed where there is no compiler."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from datetime import datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from farm.config import load
from farm.wire import Farm
from tests.console import PAGES, ROOT, Player, steps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.docker, pytest.mark.network]

TARGETS = ("cp311-manylinux_2_36_x86_64", "cp313-manylinux_2_41_x86_64")
BUILD = "farm build -r examples/requirements.txt"
README = PAGES[0]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    """A checkout with a store of its own, in which README.md has been played from its first Docker command to its last."""
    player = Player(folder=tmp_path_factory.mktemp("examples") / "checkout", port=_free_port())
    try:
        images = player.run("farm images build 2>/dev/null")
        assert player.code == 0, player.run("farm images build")
        player.client = next(line.split()[1] for line in images.splitlines() if "-runtime " in line)
        for step in steps(README, "docker"):
            player.play(step)
        yield player
    finally:
        player.close()


@pytest.fixture(scope="session")
def builds(checkout: Player) -> list[dict[str, str]]:
    return json.loads(checkout.run("farm status --json --limit 100"))["builds"]


@pytest.fixture(scope="session")
def report(checkout: Player) -> dict[str, object]:
    text = checkout.run(f"{BUILD} --json --junit report.xml 2>/dev/null")
    assert checkout.code == 0, text
    return json.loads(text)


def of(builds: list[dict[str, str]], name: str) -> list[dict[str, str]]:
    return [build for build in builds if build["name"] == name]


@pytest.mark.parametrize("page", [p for p in PAGES[1:] if steps(p, "docker")], ids=lambda page: page.name)
def test_the_other_pages_print_what_they_show(checkout: Player, page: Path) -> None:
    for step in steps(page, "docker"):
        checkout.play(step)
    assert checkout.code == 0


def test_what_upstream_has_is_not_built(builds: list[dict[str, str]]) -> None:
    assert {build["name"] for build in builds if build["state"] == "published"} == {
        "calver", "crcmod", "docopt", "mysqlclient", "psycopg2", "python-ldap", "regex", "rpds-py", "trove-classifiers",
    }  # fmt: skip
    assert of(builds, "certifi") == of(builds, "pyasn1") == []


def test_a_pure_package_is_built_once_for_both_targets(builds: list[dict[str, str]], report: dict[str, list]) -> None:
    for name in ("docopt", "calver", "trove-classifiers"):
        assert len(of(builds, name)) == 1, name
    for name in ("crcmod", "psycopg2", "python-ldap", "regex", "rpds-py"):
        assert sorted(build["target"] for build in of(builds, name)) == sorted(TARGETS), name
    docopt = next(package for package in report["packages"] if package["name"] == "docopt")
    assert {cell["file"] for cell in docopt["cells"].values()} == {"docopt-0.6.2-py2.py3-none-any.whl"}
    assert set(docopt["cells"]) == set(TARGETS)


def test_a_build_dependency_is_there_before_what_needs_it(builds: list[dict[str, str]]) -> None:
    (calver,), (classifiers,) = of(builds, "calver"), of(builds, "trove-classifiers")
    assert datetime.fromisoformat(calver["ended"]) <= datetime.fromisoformat(classifiers["started"])


def test_the_report_as_json_and_junit(checkout: Player, report: dict[str, object]) -> None:
    assert report["schema"] == 1
    assert report["exit_code"] == 0
    assert report["targets"] == list(TARGETS)
    assert report["summary"] == {"farm-wheel": 14, "upstream-wheel": 6}
    suites = ET.parse(checkout.folder / "report.xml").getroot().findall("testsuite")
    assert [(suite.get("name"), suite.get("tests"), suite.get("failures")) for suite in suites] == [(t, "10", "0") for t in TARGETS]


def test_once_more_starts_no_container(checkout: Player, builds: list[dict[str, str]]) -> None:
    began = int(time.time())
    checkout.run(BUILD)
    assert checkout.code == 0
    assert _containers_made(checkout.folder / "config.toml", began) == 0
    assert json.loads(checkout.run("farm status --json --limit 100"))["builds"] == builds


def _containers_made(config: Path, since: int) -> int:
    """How many containers farms on this store have made, by the engine's own record. Others may use the engine meanwhile."""
    with Farm(load(config, home=config.parent), {}) as farm:
        label = f"label=farm.store={farm.store_mark}"
    # To the end of this second, as the engine compares whole ones.
    span = ["--since", str(since), "--until", str(int(time.time()) + 1)]
    argv = ["docker", "events", *span, "--filter", "event=create", "--filter", label]
    return len(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines())


def test_the_real_pythons_of_the_images_are_known_without_asking_for_them(checkout: Player, report: dict[str, object]) -> None:
    listed = json.loads(checkout.run("DOCKER_HOST=unix:///nowhere.sock farm targets list --json 2>/dev/null"))["targets"]
    assert {one["name"]: one["assumed"] for one in listed} == dict.fromkeys(TARGETS, False)


def test_a_failed_package_is_in_the_report_with_its_cause(checkout: Player) -> None:
    (checkout.folder / "bare.toml").write_text(f'targets = ["{TARGETS[0]}"]\n[store]\npath = "bare"\n')
    (checkout.folder / "bare.txt").write_text("mysqlclient==2.3.1\ncertifi==2026.10.18\n")
    began = int(time.time())
    text = checkout.run("farm --config bare.toml build -r bare.txt --heal off --json --junit bare.xml 2>/dev/null")
    assert checkout.code == 1
    checkout.code = 0
    assert _containers_made(checkout.folder / "bare.toml", began) > 0, "the count above could not have failed"
    cells = {package["name"]: package["cells"][TARGETS[0]] for package in json.loads(text)["packages"]}
    assert cells["certifi"]["state"] == "upstream-wheel"
    failed = cells["mysqlclient"]
    assert failed["state"] == "failed"
    assert failed["diagnosis"]["cause"] == "missing-system-library"
    log = checkout.run(f"farm --config bare.toml log {failed['build']}")
    assert log.splitlines()[failed["diagnosis"]["number"] - 1].strip() == failed["diagnosis"]["line"]
    suite = ET.parse(checkout.folder / "bare.xml").getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")


def test_make_demo_installs_with_pip_and_uv_on_both_targets(checkout: Player) -> None:
    """The very script of `make demo`; examples/client.sh in it refuses a machine that has a compiler."""
    checkout.run(f"FARM_CONFIG={checkout.folder / 'config.toml'} {ROOT / 'examples/demo'}")
    assert checkout.code == 0, checkout.printed
    assert checkout.printed.count("pip install: 8 packages import") == 4, checkout.printed
    assert checkout.printed.count("uv pip install: 8 packages import") == 2
    assert "Python 3.11" in checkout.printed
    assert "Python 3.13" in checkout.printed


@pytest.mark.parametrize("case", ["no wheels", "a compiler"])
def test_the_demo_fails_where_it_should(checkout: Player, case: str, tmp_path: Path) -> None:
    """Without the farm's wheels, or in an image with a compiler, the client's script must not succeed."""
    images = checkout.run("farm images build 2>/dev/null").splitlines()
    role = "-runtime " if case == "no wheels" else "-builder "
    image = next(line.split()[1] for line in images if role in line)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    argv = ["docker", "run", "--rm", "--network", "host", "--volume", f"{tmp_path / 'examples'}:/examples:ro"]
    argv += ["--env", "PIP_RETRIES=0", image, "sh", "/examples/client.sh", f"http://127.0.0.1:{_free_port()}/simple/"]
    ran = subprocess.run(argv, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert ran.returncode != 0
    assert ("this client proves nothing" if case == "a compiler" else "No matching distribution found") in ran.stderr
