"""Three real nights over two small sets: one package is built and one fails, then nothing happens, then upstream has a wheel too."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.index_server import IndexServer
from tests.integration.container_fixtures import TARGET, clean_environment
from tests.projects.sdist import make_sdist

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.docker, pytest.mark.network]
ROOT = Path(__file__).resolve().parents[2]


@dataclass(kw_only=True)
class Place:
    """A folder with two sets, whose upstream is a loopback server."""

    folder: Path
    index: IndexServer

    def farm(self, *arguments: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "farm", *arguments], cwd=self.folder, capture_output=True, text=True, timeout=500, check=False,
            env={**clean_environment(), "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout, done.stderr

    def night(self) -> dict[str, Any]:
        code, out, err = self.farm("report", "--format", "json")
        assert code == 0, err
        found = json.loads(out)
        assert isinstance(found, dict)
        return found


@pytest.fixture
def place(tmp_path: Path, dependencies: Path) -> Iterator[Place]:
    with IndexServer() as index:
        for wheel in dependencies.glob("*.whl"):
            index.add((wheel.name, wheel.read_bytes()))
        for project in ("c", "lacks-header"):
            sdist = make_sdist(project, tmp_path / "sdists", static=True)
            index.add((sdist.name, sdist.read_bytes()))
        (tmp_path / "config.toml").write_text(
            f'targets = ["{TARGET.name}"]\n[index]\nurl = "{index.url}"\nttl = "1s"\n[images]\nfamily = "debian"\n'
            '[build]\nheal = "off"\n[watch.app]\nsource = "app.txt"\n[watch.tool]\nsource = "tool.txt"\n'
        )
        (tmp_path / "app.txt").write_text("farm-c==1.0\n")
        (tmp_path / "tool.txt").write_text("farm-c==1.0\nfarm-lacks-header==1.0\n")
        yield Place(folder=tmp_path, index=index)


def test_three_nights(place: Place) -> None:
    code, out, err = place.farm("nightly", "--report", "night.html", "--report", "night.md")
    assert (code, err) == (1, ""), err
    first = place.night()
    (built,) = first["built"]
    (failing,) = first["failing"]
    assert (built["name"], built["sets"]) == ("farm-c", ["app", "tool"])
    assert (failing["name"], failing["cause"], failing["sets"]) == ("farm-lacks-header", "missing-system-header", ["tool"])
    assert failing["line"]
    assert (first["sets"], first["cells"], first["there"], first["lacking"]) == (2, 2, 0, 2)
    assert "farm nightly: 1 built, 1 failing" in out
    for text in (out, (place.folder / "night.html").read_text(), (place.folder / "night.md").read_text()):
        assert all(word in text for word in ("farm-c", "farm-lacks-header", failing["remedy"].split()[0]))

    code, out, err = place.farm("nightly")
    assert (code, out, err) == (1, "", ""), "nothing has changed, and what failed still does"
    second = place.night()
    assert (second["built"], second["missing"], second["changed"]) == ([], [], False)
    assert second["failing"][0]["since"] == failing["since"]
    builds = json.loads(place.farm("status", "--json")[1])["builds"]
    assert builds[0]["state"] == "skipped"
    assert {build["state"] for build in builds[1:]} == {"failed", "published"}

    theirs = "farm_c-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux_2_28_x86_64.manylinux_2_5_x86_64.whl"
    place.index.add((theirs, _other(_blob(place, built["file"]))), upload_time="2030-01-01T00:00:00Z")
    code, out, err = place.farm("nightly")
    assert code == 1, err
    third = place.night()
    assert [(item["file"], item["reason"]) for item in third["retired"]] == [(built["file"], f"upstream has {theirs}")]
    assert "1 retired" in out

    del place.index.projects["farm-c"][theirs]
    code, out, err = place.farm("nightly")
    assert [item["file"] for item in place.night()["returned"]] == [built["file"]]
    assert place.night()["built"] == [], "the farm's wheel is there still"


def _blob(place: Place, filename: str) -> bytes:
    code, out, err = place.farm("status", "--json")
    assert code == 0, err
    digest = next(build["sha256"] for build in json.loads(out)["builds"] if build["wheel"] == filename)
    files = (path for path in (place.folder / ".farm/blobs").rglob("*") if path.is_file())
    return next(data for path in files if hashlib.sha256(data := path.read_bytes()).hexdigest() == digest)


def _other(wheel: bytes) -> bytes:
    """Return a wheel with the same files and other bytes."""
    buffer = io.BytesIO(wheel)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = b"upstream's own build"
    return buffer.getvalue()
