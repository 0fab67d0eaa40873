"""Built from source by policy though upstream has wheels of these very names: build tags, proven, listed, and what pip takes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin
from urllib.request import Request, urlopen

import pytest

from farm.model.page import JSON
from tests.fakes.index_server import IndexServer
from tests.integration.container_fixtures import TARGET, clean_environment
from tests.projects.sdist import make_sdist

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.container_fixtures import Farm

pytestmark = [pytest.mark.docker, pytest.mark.network]
ROOT = Path(__file__).resolve().parents[2]
PROJECTS = ("c", "pure")
INSTALL = (
    "PATH=$(ls -d /opt/python/cp311-cp311/bin):$PATH; python -m pip install -q --no-cache-dir --disable-pip-version-check"
    " --target /tmp/t --only-binary :all: --index-url {url}/simple/ --report /tmp/report.json farm-c farm-pure >&2"
    " && cat /tmp/report.json && cd /tmp/t && python -c 'import farm_c, farm_pure' >&2"
)


@dataclass(kw_only=True)
class Place:
    """A folder with a configuration whose upstream is a loopback server, and `farm` run in it."""

    folder: Path
    index: IndexServer

    def configure(self, store: str, policy: str) -> None:
        text = (
            f'targets = ["{TARGET.name}"]\n[index]\nurl = "{self.index.url}"\nttl = "1s"\n[images]\nfamily = "debian"\n'
        )
        text += f'[store]\npath = "{store}"\n[policy]\nbuild-from-source = {policy}\n'
        (self.folder / "config.toml").write_text(text)

    def command(self, *arguments: str) -> dict[str, Any]:
        return {
            "args": [sys.executable, "-m", "farm", *arguments], "cwd": self.folder, "text": True,
            "env": {**clean_environment(), "PYTHONPATH": str(ROOT)},
        }  # fmt: skip

    def build(self) -> dict[str, Any]:
        done = subprocess.run(
            **self.command("build", "-r", "requirements.txt", "--json"), capture_output=True, timeout=400, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        report = json.loads(done.stdout)
        assert isinstance(report, dict)
        return report

    @contextmanager
    def serving(self) -> Iterator[str]:
        child = subprocess.Popen(**self.command("serve", "--port", "0"), stderr=subprocess.PIPE)
        assert child.stderr is not None
        try:
            first = child.stderr.readline()
            assert first.startswith("serving "), first
            yield first.split()[1].partition("/simple")[0]
        finally:
            child.terminate()
            child.communicate(timeout=20)


@pytest.fixture
def place(tmp_path: Path, dependencies: Path) -> Iterator[Place]:
    with IndexServer() as index:
        for wheel in dependencies.glob("*.whl"):
            index.add((wheel.name, wheel.read_bytes()))
        for project in PROJECTS:
            sdist = make_sdist(project, tmp_path / "sdists", static=True)
            index.add((sdist.name, sdist.read_bytes()))
        (tmp_path / "requirements.txt").write_text("".join(f"farm-{project}\n" for project in PROJECTS))
        yield Place(folder=tmp_path, index=index)


def page(url: str, project: str) -> dict[str, str]:
    """Return the URLs of the files on a page by their names, in its order."""
    address = f"{url}/simple/{project}/"
    with urlopen(Request(address, headers={"Accept": JSON})) as answer:
        return {file["filename"]: urljoin(address, file["url"]) for file in json.loads(answer.read())["files"]}


def as_others_made_it(wheel: bytes) -> bytes:
    """Return a wheel with the same files and other bytes."""
    buffer = io.BytesIO(wheel)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = b"upstream's own build"
    return buffer.getvalue()


def test_from_source_beside_upstreams_wheels_of_the_same_names(place: Place, farm: Farm) -> None:
    place.configure("plain", "[]")
    place.build()
    names = {}
    with place.serving() as url:
        for project in PROJECTS:
            names[project], made = next(
                (name, at) for name, at in page(url, f"farm-{project}").items() if name.endswith(".whl")
            )
            with urlopen(made) as answer:
                place.index.add((names[project], as_others_made_it(answer.read())))

    place.configure("ours", '[":all:"]')
    report = place.build()
    states = {package["name"]: package["cells"][TARGET.name]["state"] for package in report["packages"]}
    assert states == {"farm-c": "built", "farm-pure": "built"}
    tagged = {project: name.replace("-1.0-", "-1.0-1-", 1) for project, name in names.items()}
    with place.serving() as url:
        for project in PROJECTS:
            sdist = f"farm_{project}-1.0.tar.gz"
            assert list(page(url, f"farm-{project}")) == [sdist, names[project], tagged[project]]
        argv = [
            "docker",
            "run",
            "--rm",
            "--network",
            "host",
            farm.runtime.reference,
            "sh",
            "-c",
            INSTALL.format(url=url),
        ]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=200, env=dict(os.environ))
    assert done.returncode == 0, done.stderr[-3000:]
    installed = {entry["download_info"]["url"].rpartition("/")[2] for entry in json.loads(done.stdout)["install"]}
    assert installed == set(tagged.values())
    again = place.build()
    assert {package["cells"][TARGET.name]["state"] for package in again["packages"]} == {"farm-wheel"}
