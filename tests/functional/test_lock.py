"""`farm lock` and the real clients: an augmented lock installs the farm's wheel, and nothing is compiled."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name

from farm.adapters.clock import SystemClock
from farm.adapters.store import Store
from farm.model.attempt import Attempt
from farm.model.package import Digest, Version
from farm.model.page import file_url
from farm.serve.simple import render_project
from tests.fakes.client_world import COMPILED, FARM, ClientWorld, File, client_python, environment, sdist, wheel
from tests.fakes.store import Wheelmaker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.fakes.client_tools import Tools

REPOSITORY = Path(__file__).resolve().parents[2]
UV = str(Path(sys.executable).with_name("uv"))
TARGET = "cp311-manylinux_2_36_x86_64"
PROJECT = '[project]\nname = "mine"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = ["demo"]\n'


class LockWorld(ClientWorld):
    """A farm that gives its files the URLs that a farm gives them, below a path of its own."""

    unlisted: Sequence[File] = ()

    def answer(self, path: str) -> tuple[int, str, bytes]:
        path = path.removeprefix("/farm")
        parts = path.strip("/").split("/")
        if path.endswith(".metadata"):
            every = [*self.unlisted, *(file for files in self.farm.values() for file in files)]
            return (
                (200, "text/plain", b"")
                if any(parts[1] + parts[2] == file.sha256 for file in every)
                else (404, "text/plain", b"")
            )
        if len(parts) == 4 and parts[0] == "files":
            path = f"/files/{parts[1]}{parts[2]}/{parts[3]}"
        return super().answer(path)

    @property
    def base(self) -> str:
        return f"{self.origin}/farm/"


def farm_wheel(source: File, version: str = "1.0", tags: str = "py3-none-any", name: str = "demo") -> File:
    """Return the wheel that the farm built from an sdist, listed as a farm lists it."""
    made = wheel(name, version, tags, _farm={"sdist": source.name, "sdist-sha256": source.sha256})
    made.page["url"] = f"/farm/{file_url(Digest(made.sha256), made.name)}"
    return made


@dataclass(kw_only=True)
class Desk:
    """A project folder with its tools."""

    folder: Path
    world: LockWorld
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.env = environment(self.folder) | {
            "UV_CACHE_DIR": str(self.folder / "uv-cache"),
            "UV_PYTHON": sys.executable,
        }
        self.env |= {"PIP_INDEX_URL": self.world.up, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

    def run(self, *argv: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            argv, cwd=self.folder, env=self.env | env, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == code, f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def farm(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = self.run(sys.executable, "-m", "farm", *arguments, code=code, PYTHONPATH=str(REPOSITORY))
        assert "Traceback" not in done.stderr
        return done

    def lock(self, name: str) -> str:
        """Augment a lock in place from the farm's URL; check that it goes back to the byte, and return the new text."""
        path, url = self.folder / name, ["--index-url", f"{self.world.base}simple/"]
        before = path.read_bytes()
        differences = self.farm("lock", "-r", name, "--check", *url, code=1)
        assert "+ " in differences.stdout
        self.farm("lock", "-r", name, "--in-place", *url)
        after = path.read_bytes()
        self.farm("lock", "-r", name, "--strip", "--in-place", *url)
        assert path.read_bytes() == before
        self.farm("lock", "-r", name, "--in-place", *url)
        assert path.read_bytes() == after
        assert self.farm("lock", "-r", name, "--check", *url).stdout == ""
        return after.decode()

    def origin(self, where: str) -> str:
        (found,) = self.folder.glob(f"{where}/demo.py")
        return found.read_text()

    @property
    def compiled(self) -> bool:
        return (self.folder / "compiled").exists()

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with LockWorld() as world:
        source = sdist("demo", "1.0")
        world.add(source, farm_wheel(source))
        folder = tmp_path / "project"
        folder.mkdir()
        yield Desk(folder=folder, world=world)


@pytest.fixture(scope="module")
def pip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return client_python(tmp_path_factory.mktemp("venv") / "client")


SITE = ".venv/lib/python*/site-packages"


def pinned(desk: Desk) -> None:
    desk.write(
        "requirements.txt", f"demo==1.0 \\\n    --hash=sha256:{desk.world.upstream['demo'][0].sha256}\n    # via me\n"
    )


def test_pip_with_require_hashes(desk: Desk, pip: str) -> None:
    pinned(desk)
    merged = [
        "-m",
        "pip",
        "install",
        "--require-hashes",
        "--no-cache-dir",
        "--index-url",
        desk.world.merged,
        "-r",
        "requirements.txt",
    ]
    desk.run(pip, *merged, "--target", "before")
    assert (desk.origin("before"), desk.compiled) == (COMPILED, True)
    (desk.folder / "compiled").unlink()
    desk.lock("requirements.txt")
    desk.run(pip, *merged, "--target", "after")
    assert (desk.origin("after"), desk.compiled) == (FARM, False)


def test_pip_with_require_hashes_and_the_farm_as_an_extra_index(desk: Desk, pip: str) -> None:
    pinned(desk)
    desk.lock("requirements.txt")
    indexes = ["--index-url", desk.world.up, "--extra-index-url", f"{desk.world.base}wheels/simple/"]
    desk.run(pip, "-m", "pip", "install", "--require-hashes", "--target", "site", *indexes, "-r", "requirements.txt")
    assert (desk.origin("site"), desk.compiled) == (FARM, False)


def test_uv_pip_with_require_hashes(desk: Desk) -> None:
    pinned(desk)
    desk.lock("requirements.txt")
    desk.run(
        UV,
        "pip",
        "install",
        "--target",
        "site",
        "--require-hashes",
        "--default-index",
        desk.world.merged,
        "-r",
        "requirements.txt",
    )
    assert (desk.origin("site"), desk.compiled) == (FARM, False)


def test_a_lock_that_uv_compiled_for_pip(desk: Desk, pip: str) -> None:
    """The generator's own layout, comments included."""
    desk.write("requirements.in", "demo\n")
    desk.run(
        UV,
        "pip",
        "compile",
        "-q",
        "--generate-hashes",
        "--default-index",
        desk.world.up,
        "requirements.in",
        "-o",
        "requirements.txt",
    )
    (desk.folder / "compiled").unlink(missing_ok=True)
    assert "# via" in desk.lock("requirements.txt")
    index = ["--index-url", desk.world.merged]
    desk.run(pip, "-m", "pip", "install", "--require-hashes", "--target", "site", *index, "-r", "requirements.txt")
    assert (desk.origin("site"), desk.compiled) == (FARM, False)


def uv_project(desk: Desk) -> None:
    desk.write("pyproject.toml", f'{PROJECT}\n[[tool.uv.index]]\nurl = "{desk.world.up}"\ndefault = true\n')
    desk.run(UV, "lock")
    # uv asks the sdist's backend for its metadata while it locks, which this one answers by building.
    (desk.folder / "compiled").unlink(missing_ok=True)
    shutil.rmtree(desk.folder / "uv-cache")


@pytest.mark.parametrize("command", [["sync", "--locked"], ["sync"], ["sync", "--frozen"]])
def test_uv_sync(desk: Desk, command: list[str]) -> None:
    uv_project(desk)
    text = desk.lock("uv.lock")
    desk.run(UV, "lock", "--check")
    assert not desk.compiled
    desk.run(UV, *command)
    assert (desk.origin(SITE), desk.compiled) == (FARM, False)
    assert (desk.folder / "uv.lock").read_text() == text


def test_uv_without_the_farms_wheel_compiles(desk: Desk) -> None:
    uv_project(desk)
    desk.run(UV, "sync", "--locked")
    assert (desk.origin(SITE), desk.compiled) == (COMPILED, True)


def test_uv_drops_the_farms_wheels_when_it_locks_anew_and_they_can_be_put_back(desk: Desk) -> None:
    uv_project(desk)
    other = sdist("other", "1.0")
    desk.world.add(other, farm_wheel(other, name="other"))
    desk.lock("uv.lock")
    desk.run(UV, "add", "other", "--no-sync")
    (desk.folder / "compiled").unlink(missing_ok=True)
    text = desk.lock("uv.lock")
    assert text.count(f"{desk.world.base}files/") == 2
    desk.run(UV, "sync", "--locked")
    assert (desk.origin(SITE), desk.compiled) == (FARM, False)
    assert (desk.folder / "uv.lock").read_text() == text


def test_pylock_of_uv(desk: Desk, pip: str) -> None:
    desk.write("requirements.in", "demo\n")
    desk.run(UV, "pip", "compile", "-q", "--default-index", desk.world.up, "requirements.in", "-o", "pylock.toml")
    shutil.rmtree(desk.folder / "uv-cache")
    (desk.folder / "compiled").unlink(missing_ok=True)
    desk.lock("pylock.toml")
    desk.run(pip, "-m", "pip", "install", "--target", "by-pip", "-r", "pylock.toml")
    desk.run(UV, "pip", "sync", "--target", "by-uv", "pylock.toml")
    assert (desk.origin("by-pip"), desk.origin("by-uv"), desk.compiled) == (FARM, FARM, False)


def test_pylock_of_pip(desk: Desk, pip: str) -> None:
    desk.run(pip, "-m", "pip", "lock", "-q", "--index-url", desk.world.up, "demo")
    (desk.folder / "compiled").unlink(missing_ok=True)
    desk.lock("pylock.toml")
    desk.run(pip, "-m", "pip", "install", "--no-cache-dir", "--target", "by-pip", "-r", "pylock.toml")
    desk.run(UV, "pip", "sync", "--target", "by-uv", "pylock.toml")
    assert (desk.origin("by-pip"), desk.origin("by-uv"), desk.compiled) == (FARM, FARM, False)


@pytest.mark.network
def test_poetry(desk: Desk, tools: Tools) -> None:
    """The project was locked on the merged index before the farm had built; the lock learns of the wheel afterwards."""
    poetry = tools.program("poetry", "poetry>=2.1")
    built, desk.world.farm = desk.world.farm, {}
    source = f'\n[[tool.poetry.source]]\nname = "farm"\nurl = "{desk.world.merged}"\npriority = "primary"\n'
    desk.write(
        "pyproject.toml",
        f"{PROJECT}\n[tool.poetry]\npackage-mode = false\n{source}".replace('"demo"', '"demo (==1.0)"'),
    )
    desk.env |= {
        "POETRY_VIRTUALENVS_IN_PROJECT": "true", "POETRY_NO_INTERACTION": "1", "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        "POETRY_CACHE_DIR": str(desk.folder / "poetry-cache"),
    }  # fmt: skip
    desk.run(poetry, "lock")
    (desk.folder / "compiled").unlink(missing_ok=True)
    shutil.rmtree(desk.folder / "poetry-cache")
    desk.world.farm = built
    desk.lock("poetry.lock")
    desk.run(poetry, "check", "--lock")
    desk.run(poetry, "install", "--no-root")
    assert (desk.origin(SITE), desk.compiled) == (FARM, False)


@pytest.mark.network
def test_pipenv(desk: Desk, tools: Tools) -> None:
    pipenv = tools.program("pipenv", "pipenv>=2025.0")
    built, desk.world.farm = desk.world.farm, {}
    desk.write(
        "Pipfile",
        f'[[source]]\nurl = "{desk.world.merged}"\nverify_ssl = false\nname = "farm"\n\n[packages]\ndemo = "*"\n',
    )
    desk.env |= {
        "PIPENV_VENV_IN_PROJECT": "1",
        "PIPENV_NOSPIN": "1",
        "PIPENV_PYTHON": sys.executable,
        "CI": "1",
        "PIP_NO_CACHE_DIR": "1",
    }
    desk.env |= {"PIPENV_CACHE_DIR": str(desk.folder / "pipenv-cache")}
    desk.run(pipenv, "lock")
    (desk.folder / "compiled").unlink(missing_ok=True)
    desk.world.farm = built
    desk.lock("Pipfile.lock")
    desk.run(pipenv, "verify")
    desk.run(pipenv, "sync")
    assert (desk.origin(SITE), desk.compiled) == (FARM, False)


class Local:
    """A farm on this machine: a store with the wheel of `demo`, and a config.toml."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.maker = Wheelmaker(folder=desk.folder / "made")
        self.source = Digest(desk.world.upstream["demo"][0].sha256)
        desk.write("config.toml", f'targets = ["{TARGET}"]\n[serve]\npublic-url = "{desk.world.base}"\n')

    def publish(self, version: str = "1.0", build: str = "", sdist: Digest | None = None) -> Digest:
        record, verified = self.maker.make("demo", version, FARM + f"# {build}", build)
        store = Store(self.desk.folder / ".farm", render_project, SystemClock())
        store.publish(replace(record, sdist_sha256=sdist or self.source), verified)
        store.close()
        return record.sha256


def test_the_store_of_this_machine_is_the_farm(desk: Desk) -> None:
    local = Local(desk)
    digest = local.publish()
    uv_project(desk)
    printed = desk.farm("lock", "-r", "uv.lock")
    assert f'url = "{desk.world.base}files/{digest[:2]}/{digest[2:]}/demo-1.0-py3-none-any.whl"' in printed.stdout
    desk.farm("lock", "uv.lock", "-o", "other.lock")
    assert (desk.folder / "other.lock").read_text() == printed.stdout
    rebuilt = local.publish(build="1")
    told = json.loads(desk.farm("lock", "other.lock", "--check", "--json", code=1).stdout)
    assert told["exit_code"] == 1
    (file,) = told["files"]
    assert [(change["kind"], change["sha256"]) for change in file["changes"]] == [("add", rebuilt)]
    assert file["kind"] == "uv.lock"


def test_farm_serve_tells_all_that_a_lock_elsewhere_needs(desk: Desk, pip: str) -> None:
    digest = Local(desk).publish()
    pinned(desk)
    # Here it is the server's own, not the one that these tests have in its place.
    desk.write("config.toml", f'targets = ["{TARGET}"]\n')
    argv, env = [sys.executable, "-m", "farm", "serve", "--port", "0"], desk.env | {"PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(argv, cwd=desk.folder, env=env, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            url = next(line.split()[1] for line in server.stderr if line.startswith("serving "))
            shutil.rmtree(desk.folder / "made")
            away = desk.folder / "away"
            away.mkdir()
            shutil.move(desk.folder / "requirements.txt", away)
            there = Desk(folder=away, world=desk.world)
            there.farm("lock", "-r", "requirements.txt", "--in-place", "--index-url", url)
            assert f"--hash=sha256:{digest}\n" in (away / "requirements.txt").read_text()
            there.run(
                pip,
                "-m",
                "pip",
                "install",
                "--require-hashes",
                "--target",
                "site",
                "--index-url",
                url,
                "-r",
                "requirements.txt",
            )
            assert (there.origin("site").startswith(FARM), there.compiled) == (True, False)
        finally:
            server.terminate()


def test_a_link_and_its_targets_permissions_and_line_ends_are_kept(desk: Desk) -> None:
    Local(desk).publish()
    real = desk.folder / "real.txt"
    real.write_bytes(f"demo==1.0 \\\r\n  --hash=sha256:{desk.world.upstream['demo'][0].sha256}\r\n".encode())
    real.chmod(0o640)
    (desk.folder / "requirements.txt").symlink_to("real.txt")
    desk.farm("lock", "-r", "requirements.txt", "--in-place")
    assert (desk.folder / "requirements.txt").is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert real.read_bytes().count(b"\r\n") == real.read_bytes().count(b"\n") == 3


def test_what_was_built_from_another_sdist_is_told_and_not_added(desk: Desk) -> None:
    Local(desk).publish(sdist=Digest("6" * 64))
    pinned(desk)
    before = (desk.folder / "requirements.txt").read_text()
    done = desk.farm("lock", "-r", "requirements.txt")
    assert done.stdout == before
    assert (
        f"requirements.txt:1: demo-1.0-py3-none-any.whl is not added: it was built from an sdist with sha256 {'6' * 64}"
        in done.stderr
    )
    assert "nothing to add" in done.stderr
    desk.farm("lock", "-r", "requirements.txt", "--check")


def test_what_the_farm_lacks_is_told_with_the_command_that_builds_it(desk: Desk) -> None:
    Local(desk).publish(version="2.0")
    uv_project(desk)
    done = desk.farm("lock", "-r", "uv.lock", "--in-place", "--target", "cp312-musllinux_1_2_x86_64")
    assert (
        "cp312-musllinux_1_2_x86_64: no wheel of 1 package (demo==1.0): `farm build -r uv.lock` makes them"
        in done.stderr
    )


def test_standard_input_goes_to_standard_output(desk: Desk) -> None:
    local = Local(desk)
    digest = local.publish()
    done = subprocess.run(
        [sys.executable, "-m", "farm", "lock", "-"], input=f"demo==1.0 --hash=sha256:{local.source}\n", cwd=desk.folder,
        env=desk.env | {"PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == f"demo==1.0 --hash=sha256:{local.source} --hash=sha256:{digest}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lock"], "no lock"),
        (["lock", "-r", "requirements.txt", "-r", "uv.lock"], "expected one file, found 2"),
        (["lock", "-r", "requirements.txt", "--check", "--in-place"], "found --check and --in-place"),
        (["lock", "-", "--in-place"], "--in-place: expected a file"),
        (["lock", "-r", "missing.txt"], "missing.txt: cannot be read"),
        (["lock", "-r", "pyproject.toml"], "expected a lock, found a pyproject.toml"),
        (["lock", "-r", "requirements.txt"], "expected the farm's store, found none"),
        (["lock", "-r", "uv.lock"], "set public-url below [serve]"),
        (["lock", "-r", "requirements.txt", "--index-url", "farm.example"], "expected the farm's URL"),
    ],
)
def test_what_cannot_be_done_is_told(desk: Desk, arguments: list[str], said: str) -> None:
    desk.write("requirements.txt", "demo==1.0\n")
    desk.write("uv.lock", "version = 1\n")
    desk.write("pyproject.toml", PROJECT)
    done = desk.farm(*arguments, code=2)
    assert said in done.stderr + done.stdout


def test_a_token_is_used_and_never_written(desk: Desk) -> None:
    uv_project(desk)
    desk.world.token = "s3cret"
    desk.farm("lock", "-r", "uv.lock", "--check", "--index-url", desk.world.base, code=3)
    url = desk.world.base.replace("://", "://me:s3cret@")
    done = desk.farm("lock", "-r", "uv.lock", "--in-place", "--index-url", f"{url}simple/")
    text = (desk.folder / "uv.lock").read_text()
    assert f'url = "{desk.world.base}files/' in text
    assert "s3cret" not in text + done.stdout + done.stderr


def test_a_farm_that_does_not_answer_is_not_a_farm_without_wheels(desk: Desk) -> None:
    pinned(desk)
    done = desk.farm(
        "lock", "-r", "requirements.txt", "--check", "--index-url", f"{desk.world.origin}/nowhere/", code=3
    )
    assert "404" in done.stderr


def test_a_wheel_that_the_farm_lists_no_more_stays_as_long_as_its_url_is_good(desk: Desk) -> None:
    uv_project(desk)
    text = desk.lock("uv.lock")
    (made,) = desk.world.farm["demo"]
    desk.world.unlisted, desk.world.farm["demo"] = [made], []
    url = ["--index-url", desk.world.base]
    desk.farm("lock", "-r", "uv.lock", "--check", *url)
    desk.world.unlisted = []
    desk.farm("lock", "-r", "uv.lock", "--check", *url, code=1)
    desk.farm("lock", "-r", "uv.lock", "--in-place", *url)
    assert made.sha256 not in (desk.folder / "uv.lock").read_text()
    assert made.sha256 in text


def test_a_farm_that_is_gone_can_be_stripped_from_a_lock_with_urls(desk: Desk) -> None:
    uv_project(desk)
    before = (desk.folder / "uv.lock").read_text()
    desk.lock("uv.lock")
    desk.world.answer = lambda path: (503, "text/plain", b"")  # type: ignore[method-assign]
    desk.farm("lock", "-r", "uv.lock", "--strip", "--in-place", "--index-url", desk.world.base)
    assert (desk.folder / "uv.lock").read_text() == before


def test_a_collected_wheel_is_still_known_as_the_farms(desk: Desk) -> None:
    """Its row is gone; the attempt that built it is not."""
    local = Local(desk)
    store = Store(desk.folder / ".farm", render_project, SystemClock())
    pinned(desk)
    before = (desk.folder / "requirements.txt").read_text()
    gone = Digest("e" * 64)
    clock = SystemClock()
    store.catalogue.begin(attempt_of("demo", "1.0", gone, clock))
    store.close()
    local.publish(version="2.0")
    desk.write("requirements.txt", before.replace("\n    # via", f" \\\n    --hash=sha256:{gone}\n    # via"))
    assert f"- sha256:{gone}" in desk.farm("lock", "-r", "requirements.txt", "--check", code=1).stdout
    desk.farm("lock", "-r", "requirements.txt", "--strip", "--check", code=1)
    desk.farm("lock", "-r", "requirements.txt", "--strip", "--in-place")
    assert (desk.folder / "requirements.txt").read_text() == before
    desk.farm("lock", "-r", "requirements.txt", "--strip", "--check")


def attempt_of(name: str, version: str, digest: Digest, clock: SystemClock) -> Attempt:
    return Attempt(
        id="A1", run="r", name=canonicalize_name(name), version=Version(version), target=TARGET, state="published",
        started=clock.now(), ended=clock.now(), log="logs/x", digest=digest,
    )  # fmt: skip
