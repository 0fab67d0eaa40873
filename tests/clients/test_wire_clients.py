"""Real clients before the index: each takes a wheel from it, knows what it has, and believes its 304s."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from packaging.utils import parse_wheel_filename

from tests.clients.card import row
from tests.clients.programs import NEW, OLD, Client, Desk, find_client

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.wire import Index, Listed
    from tests.fakes.client_tools import Tools

every_client = pytest.mark.parametrize(
    "client", [*NEW, *(pytest.param(name, marks=[pytest.mark.clients, pytest.mark.network]) for name in OLD)]
)


@pytest.fixture
def wheel(index: Index) -> Listed:
    pure = [wheel for wheel in index.own_wheels if wheel.filename.endswith("py3-none-any.whl")]
    return pure[0] if pure else pytest.skip("no py3-none-any wheel of a moderate size")


def options(program: Client, index: Index) -> tuple[str, ...]:
    trust = "--trusted-host" if program.family == "pip" else "--allow-insecure-host"
    host = index.host.rpartition(":")[0] or index.host
    insecure = (trust, host) if index.url.startswith("http:") and not index.host.startswith("127.") else ()
    return ("--index-url", index.given_url, "--no-deps", "--only-binary", ":all:", *insecure)


def take(desk: Desk, client: Client, line: str, *more: str) -> None:
    (desk.folder / "requirements.txt").write_text(line + "\n")
    done = desk.run(*client.argv, *client.options, *more, "-r", "requirements.txt")
    assert done.returncode == 0, f"{client.name}: {(done.stderr or done.stdout).strip()[-300:]}"


def pinned(wheel: Listed) -> str:
    name, version, _, _ = parse_wheel_filename(wheel.filename)
    return f"{name}=={version}"


@row("clients", "installs a wheel by its hash")
@every_client
def test_installs_by_hash(index: Index, wheel: Listed, tools: Tools, tmp_path: Path, client: str) -> None:
    if "sha256" not in wheel.hashes:
        pytest.skip("the index tells no sha256")
    program, desk = find_client(client, tools), Desk(folder=tmp_path)
    python = ("--ignore-requires-python",) if program.family == "pip" else ()
    line = f"{pinned(wheel)} --hash=sha256:{wheel.hashes['sha256']}"
    take(desk, program, line, *options(program, index), "--require-hashes", *python)


@row("clients", "installs a wheel by its version, and again from its cache after a 304 or without asking")
@every_client
def test_installs_twice(index: Index, wheel: Listed, tools: Tools, tmp_path: Path, client: str) -> None:
    program = find_client(client, tools)
    python = ("--ignore-requires-python",) if program.family == "pip" else ()
    for folder in ("first", "second"):
        desk = Desk(
            folder=tmp_path / folder, env={"UV_CACHE_DIR": str(tmp_path / "uv"), "PIP_CACHE_DIR": str(tmp_path / "pip")}
        )
        desk.env.pop("PIP_NO_CACHE_DIR")
        take(desk, program, pinned(wheel), *options(program, index), *python)
        assert list((tmp_path / folder / "site").glob("*.dist-info/METADATA"))
