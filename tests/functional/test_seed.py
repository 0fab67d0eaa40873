"""`farm seed` with real pips: what is in pip's cache is not compiled, and the installed file says who won."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from farm.adapters.clock import SystemClock
from farm.adapters.store import Store
from farm.model.package import Digest
from farm.model.seeding import TESTED
from farm.serve.simple import render_project
from tests.fakes.client_world import FARM, ClientWorld, client_python, environment, interpreter, sdist, wheel
from tests.fakes.store import Wheelmaker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.client_tools import Tools

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(kw_only=True)
class Client:
    """A machine with a pip that knows only the upstream index, and `farm` on it."""

    folder: Path
    world: ClientWorld
    python: str
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        own = {"PIP_INDEX_URL": self.world.up, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        self.env = environment(self.folder) | own | self.env

    def lock(self, *lines: str) -> str:
        path = self.folder / "lock.txt"
        path.write_text("".join(f"{line}\n" for line in lines))
        return str(path)

    def farm(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        done = self.run(
            [sys.executable, "-m", "farm", "seed", "--python", self.python, "--json", *arguments],
            PYTHONPATH=str(REPOSITORY),
        )
        assert done.returncode == code, done.stderr + done.stdout
        assert "Traceback" not in done.stderr
        told = json.loads(done.stdout) if done.stdout else {"rows": [], "error": done.stderr}
        assert isinstance(told, dict)
        return told

    def states(self, *arguments: str, code: int = 0) -> dict[str, str]:
        told = self.farm("--index-url", self.world.merged, *arguments, code=code)
        return {row["name"]: row["state"] for row in told["rows"]}

    def install(self, *arguments: str, into: str = "site") -> str:
        """Install, and return what the module says; "" when pip failed."""
        done = self.run([self.python, "-m", "pip", "install", "--no-deps", "--target", into, *arguments])
        module = self.folder / into / "demo.py"
        return module.read_text() if done.returncode == 0 else ""

    def run(self, argv: list[str], **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv, cwd=self.folder, env=self.env | env, capture_output=True, text=True, check=False, timeout=120
        )

    @property
    def compiled(self) -> list[str]:
        mark = self.folder / "compiled"
        return mark.read_text().split() if mark.exists() else []


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    return client_python(tmp_path_factory.mktemp("venv") / "client")


@pytest.fixture
def client(tmp_path: Path, python: str) -> Iterator[Client]:
    with ClientWorld() as world:
        world.add(sdist("demo", "1.0"), wheel("demo", "1.0"))
        yield Client(folder=tmp_path, world=world, python=python)


def pinned(world: ClientWorld) -> str:
    return f"demo==1.0 --hash=sha256:{world.upstream['demo'][0].sha256}"


def test_an_untouched_lock_with_only_the_sdists_hash_installs_without_compiling(client: Client) -> None:
    lock = client.lock(pinned(client.world))
    assert client.states("-r", lock) == {"demo": "seeded"}
    assert client.install("--require-hashes", "-r", lock) == FARM
    assert client.compiled == []


def test_without_the_seed_the_same_lock_compiles(client: Client) -> None:
    assert client.install("--require-hashes", "-r", client.lock(pinned(client.world))) != FARM
    assert client.compiled == ["demo"]


def test_an_entry_is_not_used_for_a_lock_with_another_hash(client: Client) -> None:
    client.states("-r", client.lock(pinned(client.world)))
    assert client.install("--require-hashes", "-r", client.lock(f"demo==1.0 --hash=sha256:{'0' * 64}")) == ""


def test_seeding_twice_changes_nothing_and_removing_leaves_nothing(client: Client) -> None:
    lock = client.lock(pinned(client.world))
    assert client.states("-r", lock, "--dry-run") == {"demo": "seeded"}
    cache = client.folder / "home/.cache/pip"
    assert list(cache.glob("wheels/**/*.whl")) == []
    client.states("-r", lock)
    before = {path: path.stat().st_mtime_ns for path in cache.glob("wheels/**/*")}
    assert client.states("-r", lock) == {"demo": "there"}
    assert {path: path.stat().st_mtime_ns for path in cache.glob("wheels/**/*")} == before
    assert [row["wheel"] for row in client.farm("--remove")["rows"]] == ["demo-1.0-py3-none-any.whl"]
    assert list(cache.glob("wheels/*")) == []
    assert client.install("--require-hashes", "-r", lock) != FARM


def test_a_damaged_wheel_is_put_right_and_one_that_pip_built_stays(client: Client) -> None:
    lock = client.lock(pinned(client.world))
    client.states("-r", lock)
    (seeded,) = (client.folder / "home/.cache/pip").glob("wheels/*/*/*/*/*.whl")
    seeded.write_bytes(b"damaged")
    assert client.states("-r", lock) == {"demo": "seeded"}
    assert client.install("-r", lock) == FARM
    client.farm("--remove")
    assert client.install("-r", lock, into="built") != FARM
    assert client.states("-r", lock) == {"demo": "own-build"}
    assert client.farm("--remove")["rows"] == []
    assert seeded.exists()


def test_a_newer_build_takes_the_place_of_the_older(client: Client) -> None:
    lock = client.lock(pinned(client.world))
    client.states("-r", lock)
    rebuilt = wheel("demo", "1.0")
    client.world.add(type(rebuilt)(name="demo-1.0-1-py3-none-any.whl", data=rebuilt.data, page=rebuilt.page))
    assert client.states("-r", lock) == {"demo": "seeded"}
    assert [path.name for path in (client.folder / "home/.cache/pip").glob("wheels/**/*.whl")] == [
        "demo-1.0-1-py3-none-any.whl"
    ]
    assert client.install("-r", lock) == FARM


def test_without_requirements_all_that_the_farm_has_for_this_interpreter_is_seeded(client: Client) -> None:
    client.world.add(
        sdist("other", "2.0"),
        wheel("other", "2.0"),
        sdist("foreign", "1.0"),
        wheel("foreign", "1.0", "cp27-cp27m-win32"),
    )
    assert client.states() == {"demo": "seeded", "other": "seeded"}


def test_what_would_still_be_compiled_is_told(client: Client) -> None:
    client.world.add(sdist("bare", "1.0"), sdist("foreign", "1.0"), wheel("foreign", "1.0", "cp27-cp27m-win32"))
    lines = ("demo==1.0", "bare==1.0", "foreign==1.0", "absent==1", 'demo==9; python_version < "3"')
    told = client.farm("--index-url", client.world.origin, "-r", client.lock(*lines), code=1)
    found = [(row["name"], row["state"]) for row in told["rows"]]
    assert found == [
        ("demo", "seeded"), ("bare", "no-farm-wheel"), ("foreign", "no-farm-wheel"), ("absent", "none"), ("demo", "not-here"),
    ]  # fmt: skip


def test_an_index_that_does_not_answer_is_no_index_without_the_file(client: Client) -> None:
    client.env |= {"PIP_INDEX_URL": "http://127.0.0.1:9/simple/", "PIP_RETRIES": "0"}
    assert client.states("-r", client.lock("demo==1.0"), code=3) == {"demo": "unknown"}
    # It is not asked for each of hundreds of pages.
    rows = client.farm("--index-url", client.world.merged, "-r", client.lock(*(f"p{n}==1" for n in range(9))), code=3)[
        "rows"
    ]
    assert [row["state"] for row in rows] == ["unknown"] * 9
    assert [row["note"].startswith("not asked") for row in rows] == [False] * 3 + [True] * 6


def test_a_farm_that_is_none_is_told(client: Client) -> None:
    told = client.farm("--index-url", f"{client.world.origin}/nowhere", code=3)
    assert "expected a farm's index" in told["error"]


def test_a_merged_index_that_has_a_wheel_needs_no_seed(client: Client) -> None:
    client.env["PIP_INDEX_URL"] = client.world.merged
    assert client.states("-r", client.lock("demo==1.0")) == {"demo": "wheel"}
    # With only the sdist's hash pip compiles even so: then the entry of that very URL is filled.
    lock = client.lock(pinned(client.world))
    assert client.states("-r", lock) == {"demo": "seeded"}
    assert client.install("--require-hashes", "-r", lock) == FARM


def test_a_cache_of_its_own_can_be_filled_and_one_that_is_off_is_refused(client: Client) -> None:
    lock = client.lock(pinned(client.world))
    own = client.folder / "own cache"
    assert client.states("-r", lock, "--cache-dir", "own cache") == {"demo": "seeded"}
    assert client.install("-r", lock, "--cache-dir", str(own)) == FARM
    client.env["PIP_NO_CACHE_DIR"] = "1"
    assert "no-cache-dir" in client.farm("--index-url", client.world.merged, "-r", lock, code=2)["error"]


def test_a_wheel_of_another_sdist_is_not_used(client: Client) -> None:
    """The store knows what each wheel was built from; here from an sdist with other bytes than upstream's."""
    client.folder.joinpath("config.toml").write_text('[store]\npath = "store"\n')
    store = Store(client.folder / "store", render_project, SystemClock())
    store.publish(*Wheelmaker(folder=client.folder / "made").make("demo", "1.0", FARM))
    store.close()
    told = client.farm("-r", client.lock(pinned(client.world)), code=1)
    assert [row["state"] for row in told["rows"]] == ["other-sdist"]
    assert client.install("-r", client.lock(pinned(client.world))) != FARM


def test_a_farm_that_tells_of_another_sdist_is_believed(client: Client) -> None:
    client.world.add(sdist("other", "1.0"), wheel("other", "1.0", _farm={"sdist-sha256": "5" * 64}))
    assert client.states("-r", client.lock("demo==1.0", "other==1.0"), code=1) == {
        "demo": "seeded",
        "other": "other-sdist",
    }


def test_the_real_server_tells_which_sdist_a_wheel_is_from(client: Client) -> None:
    """`farm serve` on a store with a wheel of the very sdist that upstream has."""
    (file,) = client.world.upstream["demo"]
    settings = f'[store]\npath = "store"\n[serve]\nport = 0\n[index]\nurl = "{client.world.up}"\n'
    client.folder.joinpath("config.toml").write_text(settings)
    store = Store(client.folder / "store", render_project, SystemClock())
    record, verified = Wheelmaker(folder=client.folder / "made").make("demo", "1.0", FARM)
    store.publish(replace(record, sdist_sha256=Digest(file.sha256)), verified)
    store.close()
    with serving(client) as url:
        told = client.farm("--index-url", url, "-r", client.lock(pinned(client.world)))
    assert [row["state"] for row in told["rows"]] == ["seeded"]
    assert client.install("--require-hashes", "-r", client.lock(pinned(client.world))) == FARM
    assert client.compiled == []


@contextmanager
def serving(client: Client) -> Iterator[str]:
    argv = [sys.executable, "-m", "farm", "serve"]
    env = client.env | {"PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(argv, cwd=client.folder, env=env, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            found = next((match for line in server.stderr if (match := re.search(r"https?://\S+/simple/", line))), None)
            assert found, "the server ended before it told its URL"
            yield found[0]
        finally:
            server.terminate()


def test_a_pylock_is_refused_with_what_to_do_instead(client: Client) -> None:
    (client.folder / "pylock.toml").write_text("")
    assert "farm lock" in client.farm("--index-url", client.world.merged, "-r", "pylock.toml", code=2)["error"]


OTHERS = [(7, "23.1.2"), (8, "25.0.1"), (9, "25.3"), (10, "26.3"), (12, "26.3"), (13, "26.3")]


@pytest.mark.network
@pytest.mark.parametrize("release", TESTED.values())
def test_every_pip_of_the_table_takes_the_seed(release: str, tools: Tools, tmp_path: Path) -> None:
    pip = tools.pip_wheel(release)
    with ClientWorld() as world:
        world.add(sdist("demo", "1.0"), wheel("demo", "1.0"))
        client = Client(folder=tmp_path, world=world, python=client_python(tmp_path / "venv", pip))
        lock = client.lock(pinned(world))
        told = client.farm("--index-url", world.merged, "-r", lock)
        assert told["pip"] == release
        assert client.install("--require-hashes", "-r", lock) == FARM
        assert client.compiled == []
        client.farm("--remove")
        assert client.install("--require-hashes", "-r", lock, into="compiled-site") not in {FARM, ""}
        assert client.compiled == ["demo"]


@pytest.mark.network
@pytest.mark.parametrize(("minor", "release"), OTHERS)
def test_other_pythons_take_it_too(minor: int, release: str, tools: Tools, tmp_path: Path) -> None:
    """The interpreter is part of the place in the cache, and the script that asks runs in each of them."""
    python = interpreter(minor) or pytest.skip(f"no Python 3.{minor} here")
    pip = tools.pip_wheel(release)
    with ClientWorld() as world:
        world.add(sdist("demo", "1.0"), wheel("demo", "1.0"))
        client = Client(folder=tmp_path, world=world, python=client_python(tmp_path / "venv", pip, python))
        lock = client.lock(pinned(world))
        assert client.states("-r", lock) == {"demo": "seeded"}
        assert client.install("--require-hashes", "-r", lock) == FARM
        assert client.compiled == []


@pytest.mark.network
def test_a_pip_that_was_not_tried_is_refused(tools: Tools, tmp_path: Path) -> None:
    with ClientWorld() as world:
        client = Client(
            folder=tmp_path, world=world, python=client_python(tmp_path / "venv", tools.pip_wheel("22.3.1"))
        )
        assert "expected pip 23.1 to" in client.farm("--index-url", world.merged, code=2)["error"]
