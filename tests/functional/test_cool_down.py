"""The cool-down by upload age, file by file: `farm check` says a wheel is missing exactly where pip and uv then compile."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from uv import find_uv_bin

from farm.model.interpreter import running_target
from tests.fakes.store import wheel_bytes
from tests.functional.conftest import METADATA, Shell
from tests.projects.make import Made

if TYPE_CHECKING:
    from tests.fakes.index_server import IndexServer

HERE = running_target()
OWN, PURE = f"{HERE.python_tag}-{HERE.python_tag}-manylinux_2_17_{HERE.arch}", "py3-none-any"
NOW = datetime.now(UTC)
OLD, YOUNG = ((NOW - timedelta(days=days)).isoformat() for days in (30, 2))


def host(index: IndexServer, files: dict[str, str | None]) -> None:
    """Put files of demo 1.0 on the index, each with its upload time; "sdist" is the sdist, other names are tags."""
    made = Made(name="demo", version="1.0")
    setuptools, _ = wheel_bytes("setuptools", "80.0")
    text = METADATA.format(name="setuptools", version="80.0")
    index.add(("setuptools-80.0-py3-none-any.whl", setuptools), metadata=text, upload_time=OLD)
    for what, uploaded in files.items():
        file = made.sdist() if what == "sdist" else (f"demo-1.0-{what}.whl", wheel_bytes("demo", "1.0", what)[0])
        metadata = None if what == "sdist" else METADATA.format(name="demo", version="1.0")
        index.add(file, metadata=metadata, **({"upload_time": uploaded} if uploaded else {}))


def client(name: str, index: IndexServer, shell: Shell) -> str | None:
    """Return what a client with a cool-down of seven days takes: the tags of a wheel, "sdist", or None."""
    before = (NOW - timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%SZ")
    index.requests.clear()
    if name == "pip":
        argv = [sys.executable, "-m", "pip", "--isolated", "install", "--dry-run", "--ignore-installed", "--no-cache-dir", "--no-deps",
                "--no-build-isolation", "--retries=0", "--index-url", index.url, "--uploaded-prior-to", before]  # fmt: skip
    else:
        argv = [find_uv_bin(), "pip", "install", "--no-config", "--no-cache", "--no-deps", "--python", sys.executable, "--target",
                str(shell.folder / "target"), "--default-index", index.url, "--exclude-newer", before]  # fmt: skip
    env = {"PATH": os.environ["PATH"], "HOME": str(shell.folder), "NO_PROXY": "127.0.0.1", "UV_PYTHON_DOWNLOADS": "never"}
    subprocess.run([*argv, "demo"], env=env, cwd=shell.folder, capture_output=True, timeout=60, check=False)
    # uv reads the metadata of a wheel that it will not take, too.
    asked = [path for path in index.requests if path.startswith("/files/demo/") and (name == "pip" or not path.endswith(".metadata"))]
    if not asked:
        return None
    filename = asked[0].rpartition("/")[2].removesuffix(".metadata")
    return "sdist" if filename.endswith(".tar.gz") else filename.removeprefix("demo-1.0-").removesuffix(".whl")


@pytest.mark.parametrize(
    ("files", "state", "taken"),
    [
        ({OWN: OLD, "sdist": OLD}, "upstream-wheel", OWN),
        ({OWN: YOUNG, "sdist": OLD}, "build", "sdist"),
        ({OWN: YOUNG, PURE: OLD, "sdist": OLD}, "upstream-wheel", PURE),
        ({OWN: OLD, "sdist": YOUNG}, "upstream-wheel", OWN),
    ],
)
def test_a_wheel_is_there_where_clients_with_such_a_cool_down_take_it(
    files: dict[str, str | None], state: str, taken: str, shell: Shell, index: IndexServer
) -> None:
    host(index, files)
    shell.write("config.toml", 'targets = ["native"]\n[policy]\ncool-down = "7d"\n')
    shell.requirements("demo")
    (cell,) = shell.run("check", "-r", "requirements.txt", "--json").json["packages"][0]["cells"].values()
    assert cell["state"] == state
    assert state == "build" or cell["file"] == f"demo-1.0-{taken}.whl"
    assert [client(name, index, shell) for name in ("pip", "uv")] == [taken, taken]


def test_the_reason_tells_file_and_age_and_a_pin_takes_it(shell: Shell, index: IndexServer) -> None:
    host(index, {OWN: YOUNG, "sdist": OLD})
    shell.write("config.toml", 'targets = ["native"]\n[policy]\ncool-down = "7d"\n')
    shell.requirements("demo")
    told = shell.run("check", "-r", "requirements.txt", "--json").json["packages"][0]["cells"][HERE.name]["reason"]
    assert told.startswith(f"demo-1.0-{OWN}.whl fits, but was uploaded at {YOUNG[:10]} ")
    assert "name the version with == to take it" in told
    shell.requirements("demo==1.0")
    assert shell.run("check", "-r", "requirements.txt").code == 0
