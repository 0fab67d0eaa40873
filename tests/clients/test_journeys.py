"""Ways through several commands: publish and install, lock and sync, cache and come again. The installed file says who won."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from farm.model.seeding import TESTED
from tests.clients.programs import NEW, OLD, Desk, find_client, installed
from tests.clients.samples import upstream_wheel
from tests.clients.site import ROOT, running
from tests.fakes.client_world import sdist, wheel
from tests.unit.adapters.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clients.site import Site
    from tests.fakes.client_tools import Tools

_CONFIG = '[index]\nprivate = ["acme-*", "acme_*"]\n[serve]\nupstream-max-age = "1s"\n'
_OLD = [pytest.param(name, marks=[pytest.mark.clients, pytest.mark.network]) for name in OLD]
every_client = pytest.mark.parametrize("client", [*NEW, *_OLD])
_PROJECT = '[project]\nname = "mine"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = ["demo==1.0"]\n'


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Site]:
    with running(tmp_path / "farm", _CONFIG) as site:
        source = sdist("demo", "1.0")
        site.host(source)
        site.publish(wheel("demo", "1.0"), source)
        site.start()
        yield site


@pytest.fixture
def desk(tmp_path: Path) -> Desk:

    return Desk(folder=tmp_path / "desk")


def caches(desk: Desk) -> None:
    """Let pip keep what it was told it may keep, as it does by default."""
    desk.env.pop("PIP_NO_CACHE_DIR", None)
    desk.env["PIP_CACHE_DIR"] = str(desk.folder / "pip-cache")


@every_client
def test_a_new_wheel_is_seen_by_the_next_command_of_a_client_that_caches(
    farm: Site, desk: Desk, tools: Tools, client: str
) -> None:
    caches(desk)
    program, index = find_client(client, tools), ("--index-url", farm.view("merged"))
    for version in ("1.0", "1.1", "1.2"):
        farm.publish(wheel("acme-new", version))
        assert desk.install(program, ["acme-new"], *index) == f"farm {version}"
    assert desk.install(program, ["acme-new==1.1"], *index) == "farm 1.1"


@every_client
def test_upstream_that_goes_down_stops_nobody(farm: Site, desk: Desk, tools: Tools, client: str) -> None:
    program, index = find_client(client, tools), ("--index-url", farm.view("merged"))
    assert desk.install(program, ["demo"], *index) == "farm 1.0"
    farm.upstream.fail("/simple/", "503")
    time.sleep(1.1)
    desk.env["UV_CACHE_DIR"] = str(desk.folder / "another-cache")
    assert desk.install(program, ["demo"], *index) == "farm 1.0"
    assert not (desk.folder / "compiled").exists()


@pytest.mark.parametrize(
    "uploader", ["twine", "uv", pytest.param("uv-0.4.30", marks=[pytest.mark.clients, pytest.mark.network])]
)
def test_what_is_uploaded_is_installed(farm: Site, desk: Desk, tools: Tools, uploader: str) -> None:
    path = make_wheel(desk.folder, "acme_up", {"acme_up.py": b'ORIGIN = "uploaded"\n'})
    secret = farm.farm("token", "create", "ci", "--scope", "upload").strip()
    legacy = f"{farm.url}/legacy/"
    if uploader == "twine":
        login = {"TWINE_USERNAME": "__token__", "TWINE_PASSWORD": secret}
        twine = str(Path(sys.executable).with_name("twine"))
        argv = [twine, "upload", "--non-interactive", "--disable-progress-bar", "--repository-url", legacy, str(path)]
    else:
        login = {"UV_PUBLISH_TOKEN": secret}
        argv = [find_client(uploader, tools).argv[0], "publish", "--publish-url", legacy, str(path)]
    for _ in range(2):
        done = desk.run(*argv, **login)
        assert done.returncode == 0, done.stdout + done.stderr
    for client in NEW:
        assert (
            desk.install(find_client(client, tools), ["acme-up"], "--index-url", farm.view("merged")) == "uploaded 1.0"
        )


@pytest.mark.parametrize("client", ["uv", pytest.param("uv-0.4.30", marks=[pytest.mark.clients, pytest.mark.network])])
@pytest.mark.parametrize("view", ["merged", "strict"])
def test_uv_locks_and_syncs(farm: Site, desk: Desk, tools: Tools, client: str, view: str) -> None:
    uv = find_client(client, tools).argv[0]
    (desk.folder / "pyproject.toml").write_text(_PROJECT)
    desk.env |= {"UV_DEFAULT_INDEX": farm.view(view), "UV_INDEX_URL": farm.view(view), "UV_PYTHON": sys.executable}
    for step in (("lock",), ("lock", "--locked"), ("sync", "--locked")):
        done = desk.run(uv, *step)
        assert done.returncode == 0, done.stderr
    (site,) = desk.folder.glob(".venv/lib/python*/site-packages")
    assert installed(site, "demo") == "farm 1.0"
    assert not (desk.folder / "compiled").exists()
    assert ("demo-1.0.tar.gz" in (desk.folder / "uv.lock").read_text()) == (view == "merged")


def test_a_wheel_that_uv_built_itself_outranks_the_farms_until_its_cache_is_cleaned(
    farm: Site, desk: Desk, tools: Tools
) -> None:
    """A trap that `farm doctor --client` tells of; should uv change its mind, that is to be told no more."""
    program, index, source = find_client("uv", tools), ("--index-url", farm.view("merged")), sdist("late", "1.0")
    farm.host(source)
    assert desk.install(program, ["late"], *index) == "compiled 1.0"
    farm.publish(wheel("late", "1.0"), source)
    assert desk.install(program, ["late"], *index) == "compiled 1.0"
    assert desk.run(program.argv[0], "cache", "clean", "late").returncode == 0
    assert desk.install(program, ["late"], *index) == "farm 1.0"


@pytest.mark.parametrize(
    "client",
    [
        "pip",
        *(
            pytest.param(name, marks=[pytest.mark.clients, pytest.mark.network])
            for name in OLD
            if name.startswith("pip")
        ),
    ],
)
def test_a_seeded_cache_serves_a_lock_with_only_the_sdists_hash(
    farm: Site, desk: Desk, tools: Tools, client: str
) -> None:
    caches(desk)
    program = find_client(client, tools)
    assert client == "pip" or client.removeprefix("pip-") in TESTED.values()
    lock = f"demo==1.0 --hash=sha256:{sdist('demo', '1.0').sha256}"
    (desk.folder / "lock.txt").write_text(lock + "\n")
    # The cache is that of the index that the client will use: upstream.
    done = desk.run(
        sys.executable, "-m", "farm", "seed", "--python", program.argv[0], "--index-url", farm.view("merged"), "-r", "lock.txt",
        PYTHONPATH=str(ROOT), PIP_INDEX_URL=farm.upstream.url,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert desk.install(program, [lock], "--require-hashes", "--index-url", farm.upstream.url) == "farm 1.0"
    assert not (desk.folder / "compiled").exists()


@pytest.mark.clients
@pytest.mark.network
@pytest.mark.parametrize("view", ["merged", "strict"])
def test_poetry_locks_and_installs(farm: Site, desk: Desk, tools: Tools, view: str) -> None:
    poetry = tools.program("poetry", "poetry>=2.1")
    source = f'\n[[tool.poetry.source]]\nname = "farm"\nurl = "{farm.view(view)}"\npriority = "primary"\n'
    (desk.folder / "pyproject.toml").write_text(f"{_PROJECT}\n[tool.poetry]\npackage-mode = false\n{source}")
    desk.env |= {
        "POETRY_VIRTUALENVS_IN_PROJECT": "true", "POETRY_NO_INTERACTION": "1", "POETRY_CACHE_DIR": str(desk.folder / "cache"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }  # fmt: skip
    project(desk, [poetry, "lock"], [poetry, "check", "--lock"], [poetry, "install", "--no-root"])


@pytest.mark.clients
@pytest.mark.network
@pytest.mark.parametrize("view", ["merged", "strict"])
def test_pdm_locks_and_installs(farm: Site, desk: Desk, tools: Tools, view: str) -> None:
    # PDM 2.29 does not start with the newest of what it allows: they speak another HTTP library than it does.
    pdm = tools.program("pdm", "pdm>=2.29", "unearth<0.18", "hishel<1.2")
    source = f'\n[[tool.pdm.source]]\nname = "pypi"\nurl = "{farm.view(view)}"\nverify_ssl = false\n'
    (desk.folder / "pyproject.toml").write_text(f"{_PROJECT}\n[tool.pdm]\ndistribution = false\n{source}")
    desk.env |= {"PDM_CHECK_UPDATE": "0", "PDM_USE_VENV": "1", "PDM_IGNORE_SAVED_PYTHON": "1"}
    desk.env["PATH"] = f"{Path(pdm).parent}{os.pathsep}{desk.env['PATH']}"
    project(desk, [pdm, "venv", "create", "--with", "venv", sys.executable], [pdm, "lock"], [pdm, "sync", "--no-self"])


def project(desk: Desk, *steps: list[str]) -> None:
    """Run the steps, and see that the farm's wheel was installed and nothing compiled after the lock."""
    for step in steps:
        done = desk.run(*step)
        assert done.returncode == 0, f"{step}: {done.stdout}{done.stderr}"
    (site,) = desk.folder.glob(".venv/lib/python*/site-packages")
    assert installed(site, "demo") == "farm 1.0"
    assert not (desk.folder / "compiled").exists()


@every_client
def test_a_file_of_upstream_comes_through_the_mirror_too(tmp_path: Path, desk: Desk, tools: Tools, client: str) -> None:
    with running(tmp_path / "mirror", '[serve]\nmirror = "cache"\n') as farm:
        farm.host(upstream_wheel("theirs", "1.0"))
        farm.start()
        assert (
            desk.install(find_client(client, tools), ["theirs"], "--index-url", farm.view("merged")) == "upstream 1.0"
        )
        farm.upstream.fail("/", "503")
        desk.env["UV_CACHE_DIR"] = str(desk.folder / "another-cache")
        assert (
            desk.install(find_client(client, tools), ["theirs"], "--index-url", farm.view("merged")) == "upstream 1.0"
        )
