"""Uploads to `farm serve` itself, with an upstream index behind it, and stores that an older or dead farm left."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from farm.adapters.store import Store
from farm.serve.simple import render_project
from tests.fakes.store import FakeClock, Wheelmaker
from tests.functional.test_serve_command import get, started
from tests.functional.upload_server import EDGE, form
from tests.unit.adapters.test_schema_steps import make_old
from tests.unit.adapters.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.index_server import IndexServer
    from tests.functional.conftest import Shell

JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}


@pytest.fixture
def secret(shell: Shell) -> str:
    return shell.run("token", "create", "ci", "--scope", "upload").out.strip()


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return make_wheel(tmp_path, "demo", {"demo.py": b"X = 1\n"})


def post(base: str, secret: str, wheel: Path) -> tuple[int, str]:
    login = base64.b64encode(f"__token__:{secret}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": f"multipart/form-data; boundary={EDGE}"}
    request = urllib.request.Request(f"{base}/legacy/", form([], wheel.name, wheel.read_bytes()), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def listed(base: str, view: str = "") -> list[str]:
    status, _, body = get(f"{base}{view}/simple/demo/", JSON)
    return [] if status == 404 else [entry["filename"] for entry in json.loads(body)["files"]]


def test_an_upload_is_merged_with_upstream_s_files_at_once(
    shell: Shell, index: IndexServer, secret: str, wheel: Path
) -> None:
    index.add(("demo-1.0.tar.gz", b"an sdist"), yanked="broken", upload_time="2024-05-06T07:08:09Z")
    with started(shell) as (base, _):
        assert listed(base) == ["demo-1.0.tar.gz"]
        assert post(base, secret, wheel) == (200, "")
        assert sorted(listed(base)) == [wheel.name, "demo-1.0.tar.gz"]
        assert listed(base, "/wheels") == [wheel.name]
        entry = next(
            e for e in json.loads(get(f"{base}/simple/demo/", JSON)[2])["files"] if e["filename"] == wheel.name
        )
        assert (entry["yanked"], entry["upload-time"][:10]) == ("broken", "2024-05-06")


def test_upstream_s_own_file_is_never_replaced(shell: Shell, index: IndexServer, secret: str, wheel: Path) -> None:
    index.add((wheel.name, b"upstream's own"))
    with started(shell) as (base, _):
        status, text = post(base, secret, wheel)
        assert (status, text.startswith("400 File already exists")) == (400, True)
        assert listed(base, "/wheels") == []


@pytest.mark.parametrize("state", ["archived", "quarantined"])
def test_a_project_that_is_closed_upstream_takes_no_uploads(
    shell: Shell, index: IndexServer, secret: str, wheel: Path, state: str
) -> None:
    page = {"meta": {"api-version": "1.4"}, "name": "demo", "project-status": {"status": state}, "files": []}
    index.raw_pages["demo"] = (JSON["Accept"], json.dumps(page).encode())
    with started(shell) as (base, _):
        status, text = post(base, secret, wheel)
        assert (status, state in text) == (403, True)


def test_revoking_a_token_needs_no_restart(shell: Shell, secret: str, wheel: Path) -> None:
    with started(shell) as (base, _):
        assert post(base, secret, wheel)[0] == 200
        assert shell.run("token", "revoke", "ci").code == 0
        assert post(base, secret, wheel)[0] == 401


def test_a_store_of_an_older_farm_is_served_from_the_start(shell: Shell, tmp_path: Path) -> None:
    make_old(shell.folder / ".farm", Wheelmaker(folder=tmp_path / "built"))
    with started(shell) as (base, _):
        assert listed(base) == listed(base, "/wheels") == ["demo-1.0-py3-none-any.whl"]


def test_what_a_dead_publisher_left_undone_is_served_from_the_start(shell: Shell, tmp_path: Path) -> None:
    store = Store(shell.folder / ".farm", render_project, FakeClock())
    record, verified = Wheelmaker(folder=tmp_path / "built").make("demo", "1.0")
    store.publish(record, verified)
    later = Wheelmaker(folder=tmp_path / "built").make("demo", "1.1")[0]
    # Its row was durable, its page was not made.
    store.catalogue.add_wheels([later])
    store.close()
    with started(shell) as (base, _):
        assert listed(base, "/wheels") == [record.filename, later.filename]
