"""A real campaign: one project is built, one fails and stops nothing, and metrics and logs tell of both."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fakes.index_server import IndexServer
from tests.integration.container_fixtures import TARGET, clean_environment
from tests.projects.sdist import make_sdist

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.docker, pytest.mark.network]
ROOT = Path(__file__).resolve().parents[2]
OLD = "2020-01-01T00:00:00Z"


@pytest.fixture
def folder(tmp_path: Path, dependencies: Path) -> Iterator[Path]:
    with IndexServer() as index:
        for wheel in dependencies.glob("*.whl"):
            index.add((wheel.name, wheel.read_bytes()))
        for project in ("c", "lacks-header"):
            sdist = make_sdist(project, tmp_path / "sdists", static=True)
            index.add((sdist.name, sdist.read_bytes()), upload_time=OLD)
        (tmp_path / "config.toml").write_text(
            f'targets = ["cp313-manylinux_2_41_x86_64"]\n[index]\nurl = "{index.url}"\n[images]\nfamily = "debian"\n'
            '[build]\nheal = "off"\n[watch.app]\nsource = "app.txt"\n'
        )
        (tmp_path / "app.txt").write_text("farm-c==1.0\nfarm-lacks-header==1.0\n")
        yield tmp_path


def farm(folder: Path, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "farm", *arguments], cwd=folder, capture_output=True, text=True, timeout=500, check=False,
        env={**clean_environment(), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def test_a_campaign_builds_what_it_can_and_says_what_fails(folder: Path) -> None:
    farm(folder, "watch", "check")
    assert farm(folder, "campaign", "new", "--target", TARGET.name, "--name", "old-python")[0] == 0
    code, out, err = farm(folder, "--log-format", "json", "campaign", "run", "old-python", "--budget", "8m", "--json")
    assert code == 1, err
    found = json.loads(out)
    assert {row["name"]: (row["state"], row["cause"]) for row in found["rows"]} == {
        "farm-c": ("built", None), "farm-lacks-header": ("failed", "missing-system-header"),
    }  # fmt: skip
    assert (found["counts"]["farm"], found["counts"]["failed"], found["failing"]) == (1, 1, {"missing-system-header": 1})
    lines = [json.loads(line) for line in err.splitlines()]
    stages = [line["stage"] for line in lines if line.get("package") == "farm-c" and "stage" in line]
    assert stages[-1] == "published"
    assert {"building", "proving"} <= set(stages)
    assert len({line["run"] for line in lines if line["event"] == "progress"}) == 1

    _, metrics, _ = farm(folder, "metrics")
    assert 'farm_builds_total{cause="",outcome="published"} 1.0' in metrics
    assert 'farm_builds_total{cause="missing-system-header",outcome="failed"} 1.0' in metrics
    assert 'farm_build_duration_seconds_count{outcome="published"} 1.0' in metrics

    code, out, _ = farm(folder, "backfill", "--target", TARGET.name, "--json")
    left = json.loads(out)
    assert (code, left["served"]) == (1, 1)
    assert [(gap["name"], gap["cause"]) for gap in left["gaps"]] == [("farm-lacks-header", "missing-system-header")]
