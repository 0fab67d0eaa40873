"""Paths, URLs and repositories to wheels that install where there is no compiler; and nothing is done twice."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests.fakes.repositories import Repository, scm, static
from tests.functional.conftest import Shell
from tests.functional.test_direct import _Handler, cell, cells, write
from tests.integration.container_fixtures import TARGET, clean_environment
from tests.projects.sdist import PROJECTS, make_sdist

if TYPE_CHECKING:
    from collections.abc import Iterator

    from farm.model.image import Image

pytestmark = [pytest.mark.docker, pytest.mark.network]
ROOT = Path(__file__).resolve().parents[2]
BUILD = ("build", "-r", "requirements.txt", "--json")


@dataclass(kw_only=True)
class Slow(Shell):
    """A command may take minutes here, and finds the engine and the upstream index of this machine."""

    seconds: float = 0.0
    port: int = field(default=0)

    def farm(self, *arguments: str) -> tuple[int, str, str]:
        began = time.monotonic()
        done = subprocess.run(
            self.command(*arguments), cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=560, check=False
        )
        self.seconds = time.monotonic() - began
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def slow(tmp_path: Path) -> Slow:
    folder = tmp_path / "project"
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
    made = Slow(folder=folder, env={**clean_environment(), "PYTHONPATH": str(ROOT), "COLUMNS": "200"}, port=port)
    made.write(
        "config.toml",
        f'targets = ["{TARGET.name}"]\n[images]\nfamily = "debian"\n[store]\npath = "store"\n[serve]\nport = {port}\n',
    )
    return made


@pytest.fixture
def archives(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "web"
    folder.mkdir()
    handler = type("Handler", (_Handler,), {"seen": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()


@pytest.fixture
def served(slow: Slow) -> Iterator[str]:
    """`farm serve` on the store, at the address that the configuration says."""
    process = subprocess.Popen(slow.command("serve"), cwd=slow.folder, env=slow.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", slow.port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{slow.port}"
    finally:
        process.terminate()
        process.wait(20)


def installs(image: Image, *lines: str, code: str) -> str:
    """Install these requirements with nothing but pip in the runtime image, and return what a program then prints."""
    pip = "python -m pip install --no-deps --no-index --disable-pip-version-check --no-cache-dir --target /tmp/t"
    words = " ".join(f"'{line}'" for line in lines)
    script = f"PATH=$(ls -d /opt/python/cp311-cp311/bin):$PATH; {pip} {words} >&2 && cd /tmp/t && python -c \"{code}\""
    argv = ["docker", "run", "--rm", "--network", "host", image.reference, "sh", "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=200, env=dict(os.environ))
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def used(reason: str) -> str:
    """Return the line that the report says to use."""
    return reason.partition("use: ")[2].partition(" (or ")[0]


def test_all_kinds_in_one_run_install_without_a_compiler_and_a_second_run_does_nothing(
    slow: Slow, farm: object, archives: tuple[str, Path], served: str, tmp_path: Path
) -> None:
    url, folder = archives
    told = tmp_path / "told"
    shutil.copytree(PROJECTS / "c", slow.folder / "local-c")
    write(slow.folder / "edited", static("farm-edited", "0.3", "farm-c"))
    repository = Repository(folder=tmp_path / "remote")
    # A tell-tale: it may run where the farm builds, where this path is nowhere, but never on this machine.
    telling = f"import contextlib\nwith contextlib.suppress(OSError):\n    open({str(told)!r}, 'w')\n"
    files = {**scm("farm-scm"), "setup.py": f"{telling}from setuptools import setup\nsetup()\n"}
    repository.commit(files, tag="v1.4.0")
    commit = repository.commit({"farm_scm.py": "X = 2\n"})
    sdist = make_sdist("cython", folder, "2.5")
    slow.requirements(
        "./local-c", "-e ./edited", f"{repository.url}@main#egg=farm-scm", f"farm-cython @ {url}/{sdist.name}"
    )  # fmt: skip
    code, out, err = slow.farm(*BUILD)
    assert code == 0, out + err
    report = as_json(out)
    short = commit[:7]
    version = f"1.4.1.dev1+g{short}"
    found = cells(report)
    assert {name: state for name, (_, state) in found.items() if name.startswith("farm-")} == dict.fromkeys(
        ("farm-c", "farm-edited", "farm-scm", "farm-cython"), "built"
    )
    assert found["farm-scm"][0].startswith(version)
    assert cell(report, "farm-scm")["commit"] == commit
    assert not told.exists()
    lines = [used(cell(report, name)["reason"]) for name in ("farm-c", "farm-edited", "farm-scm", "farm-cython")]
    for name, line in zip(("c", "edited", "scm", "cython"), lines, strict=True):
        assert line.startswith(f"farm-{name} @ {served}/files/")
    program = "import farm_c, farm_edited, farm_scm, farm_cython; from importlib.metadata import version as v; print(v('farm-scm'))"
    assert installs(farm.runtime, *lines, code=program) == found["farm-scm"][0]  # type: ignore[attr-defined]
    links = f"--find-links={served}/direct/farm-c/"
    assert installs(farm.runtime, links, "farm-c==1.0", code="import farm_c; print(1)") == "1"  # type: ignore[attr-defined]
    attempts = slow.farm("status", "--json", "--limit", "100")[1]
    code, out, err = slow.farm(*BUILD)
    assert (code, {state for name, (_, state) in cells(as_json(out)).items() if name.startswith("farm-")}) == (0, {"farm-wheel"})
    assert slow.farm("status", "--json", "--limit", "100")[1] == attempts
    assert "building" not in err
    assert "asking its build backend" not in err


def as_json(out: str) -> dict:
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


def test_a_changed_commit_is_built_again_beside_the_first(slow: Slow, engine: object, tmp_path: Path) -> None:
    repository = Repository(folder=tmp_path / "remote")
    first = repository.commit(static("farm-forked", "1.0"))
    slow.requirements(f"farm-forked @ {repository.url}")
    code, out, err = slow.farm(*BUILD)
    assert code == 0, out + err
    second = repository.commit({"farm_forked.py": "X = 'another'\n"})
    code, out, err = slow.farm(*BUILD)
    assert (code, cells(as_json(out))["farm-forked"]) == (0, ("1.0", "built")), out + err
    assert cell(as_json(out), "farm-forked")["commit"] == second
    slow.requirements(f"farm-forked @ {repository.url}@{first}")
    code, out, err = slow.farm(*BUILD)
    assert (code, cells(as_json(out))["farm-forked"]) == (0, ("1.0", "farm-wheel"))
    assert "simple" not in {path.name for path in (slow.folder / "store").iterdir()}
    assert not (slow.folder / "store" / "pages").exists(), "a fork is on no project's page"
