"""A client that is about to compile gets a wheel the next time: `farm serve` with `demand.build = "now"` builds it meanwhile."""

from __future__ import annotations

import json
import subprocess
import threading
from typing import TYPE_CHECKING
from urllib.parse import urljoin
from urllib.request import Request, urlopen

import pytest

from farm.model.page import JSON
from tests.fakes.index_server import IndexServer
from tests.integration.container_fixtures import TARGET
from tests.integration.test_build_tags_docker import Place
from tests.projects.sdist import make_sdist
from tests.unit.serve.test_agents import said

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.container_fixtures import Farm

pytestmark = [pytest.mark.docker, pytest.mark.network]
CONFIG = """
targets = ["{target}"]
[store]
path = "store"
[index]
url = "{index}"
[images]
family = "debian"
[demand]
build = "now"
"""
PIP = "/opt/python/cp311-cp311/bin/python -m pip --no-cache-dir --disable-pip-version-check"
ASK = PIP + " download --quiet --no-deps --dest /tmp/got --index-url {url}/simple/ farm-c"
INSTALL = PIP + " install --no-deps --target /tmp/there --index-url {url}/simple/ farm-c && ls /tmp/there"


@pytest.fixture
def place(tmp_path: Path, dependencies: Path) -> Iterator[Place]:
    with IndexServer() as index:
        for wheel in dependencies.glob("*.whl"):
            index.add((wheel.name, wheel.read_bytes()))
        sdist = make_sdist("c", tmp_path / "sdists", static=True)
        index.add((sdist.name, sdist.read_bytes()))
        (tmp_path / "config.toml").write_text(CONFIG.format(target=TARGET.name, index=index.url))
        yield Place(folder=tmp_path, index=index)


def client(farm: Farm, command: str) -> subprocess.CompletedProcess[str]:
    argv = ["docker", "run", "--rm", "--network", "host", farm.runtime.reference, "sh", "-c", command]
    return subprocess.run(argv, capture_output=True, text=True, timeout=200, check=False)


def lines_until(child: subprocess.Popen[str], end: str) -> list[str]:
    """Return what a server says up to the line that has `end` in it."""
    lines: list[str] = []
    watch = threading.Timer(300, child.kill)
    watch.start()
    try:
        assert child.stderr is not None
        for line in child.stderr:
            lines.append(line)
            if end in line:
                return lines
    finally:
        watch.cancel()
    message = f"never said {end!r}: {''.join(lines)}"
    raise AssertionError(message)


def test_three_clients_that_would_compile_are_one_build_and_the_next_takes_its_wheel(place: Place, farm: Farm) -> None:
    with subprocess.Popen(**place.command("serve", "--port", "0"), stderr=subprocess.PIPE) as child:
        try:
            url = lines_until(child, "serving ")[-1].split()[1].partition("/simple")[0]
            asking = [threading.Thread(target=client, args=(farm, ASK.format(url=url))) for _ in range(3)]
            for thread in asking:
                thread.start()
            said = "".join(lines_until(child, "is there"))
            for thread in asking:
                thread.join()
            assert said.count(f"building farm-c 1.0 for {TARGET.name}") == 1, said
            done = client(farm, INSTALL.format(url=url))
            assert done.returncode == 0, done.stdout + done.stderr
            assert "farm_c-1.0-cp311-cp311-" in done.stdout
            assert "Building wheel" not in done.stdout
        finally:
            child.terminate()
            child.communicate(timeout=30)
    status = subprocess.run(**place.command("status", "--json"), capture_output=True, timeout=60, check=True)
    assert [build["state"] for build in json.loads(status.stdout)["builds"]] == ["published"]
    told = subprocess.run(**place.command("misses", "--json"), capture_output=True, timeout=60, check=True)
    (miss,) = json.loads(told.stdout)["misses"]
    assert (miss["name"], miss["target"], miss["count"], miss["standing"]) == ("farm-c", TARGET.name, 3, "wheel")


def test_a_build_on_demand_ends_with_the_server(place: Place) -> None:
    sdist = make_sdist("hangs", place.folder / "sdists", static=True)
    place.index.add((sdist.name, sdist.read_bytes()))
    with subprocess.Popen(**place.command("serve", "--port", "0"), stderr=subprocess.PIPE) as child:
        try:
            url = lines_until(child, "serving ")[-1].split()[1].partition("/simple")[0]
            # pip would hang as well, where it asks the backend for metadata.
            page = f"{url}/simple/farm-hangs/"
            with urlopen(Request(page, headers={"Accept": JSON})) as answer:
                sdist_url = urljoin(page, json.loads(answer.read())["files"][0]["url"])
            agent = said("pip", "25.3", python="3.11.2").decode()
            with urlopen(Request(sdist_url, headers={"User-Agent": agent})) as answer:
                assert answer.status == 200
            lines_until(child, "building farm-hangs")
            log = place.folder / "store" / "demand" / f"farm-hangs-1.0-{TARGET.name}.log"
            for _ in range(600):
                if log.exists() and "building" in log.read_text():
                    break
                threading.Event().wait(0.1)
            assert "building" in log.read_text()
        finally:
            child.terminate()
            child.communicate(timeout=60)
    # Nobody of this store is left, by its command line.
    left = subprocess.run(["pgrep", "-f", f"-r {place.folder}/store/demand"], capture_output=True, text=True, check=False)
    assert left.stdout == ""
