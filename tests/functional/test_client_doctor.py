"""`farm doctor --client`: each trap laid for real, in real files and variables, with a real pip and uv; and none where there is none."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.client_world import ClientWorld, client_python, environment, interpreter, sdist, wheel
from tests.fakes.tls import self_signed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fakes.client_tools import Tools

REPOSITORY = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")


@dataclass(kw_only=True)
class Machine:
    """A client machine: its home, its environment, its pip, and uv beside it. Without further ado it uses the farm rightly."""

    folder: Path
    world: ClientWorld
    python: str
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        programs = self.folder / "programs"
        programs.mkdir()
        (programs / "uv").symlink_to(UV)
        own = {
            "PATH": f"{programs}:/usr/bin:/bin",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "UV_CACHE_DIR": str(self.folder / "uv-cache"),
        }
        self.env = environment(self.folder) | own
        self.pip_conf(f"index-url = {self.world.merged}")
        self.uv_toml(f'[[index]]\nurl = "{self.world.merged}"\ndefault = true\n')

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def pip_conf(self, *lines: str, mode: int = 0o644) -> None:
        self.write(self.home / ".config/pip/pip.conf", "[global]\n" + "\n".join(lines) + "\n", mode)

    def uv_toml(self, text: str) -> None:
        self.write(self.home / ".config/uv/uv.toml", text)

    def write(self, path: Path, text: str, mode: int = 0o644) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def doctor(self, *arguments: str, asked: bool = True) -> tuple[int, list[dict[str, Any]]]:
        """Return the exit code and what was found beside "ok"."""
        farm = ["--index-url", self.world.merged] if asked else []
        argv = [
            sys.executable,
            "-m",
            "farm",
            "doctor",
            "--client",
            "--python",
            self.python,
            "--json",
            *farm,
            *arguments,
        ]
        env = self.env | {"PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run(argv, cwd=self.folder, env=env, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode in {0, 1}, done.stderr
        return done.returncode, [one for one in json.loads(done.stdout)["findings"] if one["state"] != "ok"]

    def uv(self, *arguments: str) -> None:
        argv = [str(UV), "pip", "install", "--python", sys.executable, "--target", "uv-site", *arguments]
        subprocess.run(argv, cwd=self.folder, env=self.env, check=True, capture_output=True)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    return client_python(tmp_path_factory.mktemp("venv") / "client")


@pytest.fixture
def machine(tmp_path: Path, python: str) -> Iterator[Machine]:
    with ClientWorld() as world:
        world.add(sdist("demo", "1.0"), wheel("demo", "1.0"))
        yield Machine(folder=tmp_path, world=world, python=python)


def test_a_client_that_is_well_set_up_has_nothing_to_complain_of(machine: Machine) -> None:
    assert machine.doctor() == (0, [])
    assert machine.doctor(asked=False) == (0, [])


@dataclass(frozen=True, kw_only=True)
class Trap:
    """How a trap is laid, and what is said of it."""

    lay: Callable[[Machine], object]
    subject: str
    says: str
    fix: str
    state: str = "fault"


def _wheels(machine: Machine) -> str:
    return f"{machine.world.origin}/wheels/simple/"


TRAPS = {
    "farm-not-used": Trap(
        lay=lambda m: m.pip_conf(f"index-url = {m.world.up}"), subject="index", says="pip does not use the farm", fix="farm client pip"
    ),
    "farm-as-extra-index": Trap(
        lay=lambda m: m.pip_conf(f"index-url = {m.world.up}", f"extra-index-url = {_wheels(m)}"), subject="index",
        says="extra index", fix="prefer-binary", state="warning",
    ),
    "another-index-beside-the-farm": Trap(
        lay=lambda m: m.pip_conf(f"index-url = {m.world.merged}", f"extra-index-url = {m.world.up}"), subject="index",
        says="other indexes beside the farm", fix="extra-index-url", state="warning",
    ),
    "index-in-two-places": Trap(
        lay=lambda m: m.env.update(PIP_INDEX_URL=f"{m.world.merged}?"), subject="index", says="is set 2 times", fix="keep one",
        state="warning",
    ),
    "no-index": Trap(lay=lambda m: m.env.update(PIP_NO_INDEX="1"), subject="index", says="no-index", fix="PIP_NO_INDEX"),
    "plain-http": Trap(
        lay=lambda m: m.env.update(PIP_EXTRA_INDEX_URL="http://farm.example/simple/", no_proxy="*"), subject="http",
        says="no trusted-host", fix="trusted-host = farm.example",
    ),
    "ca-that-does-not-exist": Trap(
        lay=lambda m: m.pip_conf(f"index-url = {m.world.merged}", "cert = /nowhere/ca.pem"), subject="certificates",
        says="/nowhere/ca.pem, which does not exist", fix="unset pip's cert",
    ),
    "ca-variable-that-does-not-exist": Trap(
        lay=lambda m: m.env.update(SSL_CERT_FILE="/nowhere/ca.pem"), subject="certificates", says="SSL_CERT_FILE", fix="unset SSL_CERT_FILE"
    ),
    "token-that-all-can-read": Trap(
        lay=lambda m: m.pip_conf("index-url = " + m.world.merged.replace("//", "//__token__:s3cret@")), subject="secrets",
        says="readable by others (mode 644)", fix="chmod 600",
    ),
    "netrc-that-all-can-read": Trap(
        lay=lambda m: m.write(m.home / ".netrc", "machine elsewhere.example login a password b\n"), subject="secrets",
        says=".netrc is readable by others", fix="chmod 600",
    ),
    "token-in-uv-s-file": Trap(
        lay=lambda m: m.uv_toml('[[index]]\nurl = "' + m.world.merged.replace("//", "//__token__:s3cret@") + '"\ndefault = true\n'),
        subject="secrets", says="uv.toml holds a password", fix="chmod 600",
    ),
    "netrc-and-url-name-two-users": Trap(
        lay=lambda m: (
            m.write(m.home / ".netrc", "machine 127.0.0.1 login other password b\n", 0o600),
            m.pip_conf("index-url = " + m.world.merged.replace("//", "//__token__:s3cret@"), mode=0o600),
        ),
        subject="netrc", says="two users for 127.0.0.1", fix="keep one", state="warning",
    ),
    "netrc-default": Trap(
        lay=lambda m: m.write(m.home / ".netrc", "default login other password b\n", 0o600), subject="netrc", says="`default`",
        fix="add an entry for 127.0.0.1", state="warning",
    ),
    "netrc-that-cannot-be-read": Trap(
        lay=lambda m: m.write(m.home / ".netrc", "machne 127.0.0.1\n", 0o600), subject="netrc", says="cannot be read", fix="correct",
        state="warning",
    ),
    "no-binary": Trap(
        lay=lambda m: m.env.update(PIP_NO_BINARY=":all:"), subject="no-binary", says="pip may not use wheels", fix="PIP_NO_BINARY"
    ),
    "no-binary-of-some": Trap(
        lay=lambda m: m.env.update(UV_NO_BINARY_PACKAGE="demo"), subject="no-binary", says="uv may not use wheels of: demo",
        fix="UV_NO_BINARY", state="warning",
    ),
    "find-links": Trap(
        lay=lambda m: m.env.update(PIP_FIND_LINKS="/nowhere/wheels"), subject="find-links", says="pip has find-links /nowhere/wheels",
        fix="PIP_FIND_LINKS", state="warning",
    ),
    "find-links-of-uv": Trap(
        lay=lambda m: m.env.update(UV_FIND_LINKS="/nowhere/wheels"), subject="find-links", says="uv has find-links", fix="UV_FIND_LINKS"
    ),
    "uv-first-index": Trap(
        lay=lambda m: m.uv_toml(f'[[index]]\nurl = "{_wheels(m)}"\n'), subject="uv index", says="strategy first-index", fix="farm client uv"
    ),
    "uv-other-strategy": Trap(
        lay=lambda m: m.uv_toml(f'index-strategy = "unsafe-best-match"\n[[index]]\nurl = "{_wheels(m)}"\n'), subject="uv index",
        says="unsafe-best-match", fix="farm client uv", state="warning",
    ),
    "uv-not-told": Trap(
        lay=lambda m: m.uv_toml(""), subject="uv index", says="uv does not use the farm", fix="farm client uv", state="warning"
    ),
    "uv-index-in-two-places": Trap(
        lay=lambda m: m.env.update(UV_DEFAULT_INDEX=f"farm={m.world.merged}?"), subject="uv index", says="is set 2 times", fix="keep one",
        state="warning",
    ),
    "uv-file-that-cannot-be-read": Trap(
        lay=lambda m: m.uv_toml("[[index]\n"), subject="uv index", says="uv.toml: ", fix="correct the file"
    ),
    "cache-off": Trap(
        lay=lambda m: m.env.update(PIP_NO_CACHE_DIR="1"), subject="cache", says="no-cache-dir", fix="unset no-cache-dir", state="warning"
    ),
    "newer-sdist": Trap(
        lay=lambda m: m.world.add(sdist("demo", "1.1")), subject="sdist", says="pip takes demo-1.1.tar.gz, the farm has wheels of 1.0",
        fix="prefer-binary", state="warning",
    ),
    "uv-has-built-it": Trap(
        lay=lambda m: m.uv("--default-index", m.world.up, "demo"), subject="uv cache", says="uv has built demo 1.0 itself",
        fix="uv cache clean demo", state="warning",
    ),
    "cut-off-of-uv": Trap(
        lay=lambda m: m.env.update(UV_EXCLUDE_NEWER="2025-12-31"), subject="cut-off", says="uv's exclude-newer 2025-12-31 hides demo-1.0",
        fix="exclude-newer", state="warning",
    ),
    "cut-off-of-pip": Trap(
        lay=lambda m: m.env.update(PIP_UPLOADED_PRIOR_TO="2025-12-31"), subject="cut-off", says="pip's uploaded-prior-to", fix="move",
        state="warning",
    ),
    "index-that-does-not-answer": Trap(
        lay=lambda m: m.env.update(PIP_INDEX_URL="http://127.0.0.1:9/simple/", PIP_RETRIES="0"), subject="index",
        says="Could not fetch URL", fix="is up",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_is_found_with_its_reason_and_its_cure(name: str, machine: Machine) -> None:
    trap = TRAPS[name]
    trap.lay(machine)
    code, found = machine.doctor()
    told = [one for one in found if one["subject"] == trap.subject and trap.says in one["found"]]
    assert [one["state"] for one in told] == [trap.state], found
    assert trap.fix in told[0]["fix"]
    assert told[0]["why"]
    assert code == (1 if any(one["state"] == "fault" for one in found) else 0)
    assert "s3cret" not in json.dumps(found)


def test_what_uv_built_is_gone_after_the_cure_that_is_told(machine: Machine) -> None:
    machine.uv("--default-index", machine.world.up, "demo")
    ((fix, _),) = [(one["fix"], one["found"]) for one in machine.doctor()[1]]
    subprocess.run([str(UV), *fix.split()[1:]], env=machine.env, check=True, capture_output=True)
    assert machine.doctor() == (0, [])


def test_a_lock_with_only_the_sdist_s_hash_is_found(machine: Machine) -> None:
    machine.write(machine.folder / "lock.txt", f"demo==1.0 --hash=sha256:{machine.world.upstream['demo'][0].sha256}\n")
    _, found = machine.doctor("-r", "lock.txt")
    assert [one["subject"] for one in found] == ["sdist"]
    assert "though the farm has its wheel" in found[0]["found"]
    assert "farm seed" in found[0]["fix"]


def test_a_ca_that_is_not_trusted(tmp_path: Path, python: str) -> None:
    with ClientWorld(tls=self_signed(tmp_path)) as world:
        world.add(sdist("demo", "1.0"), wheel("demo", "1.0"))
        machine = Machine(folder=tmp_path, world=world, python=python)
        code, found = machine.doctor()
        assert code == 1
        assert [one["fix"][:24] for one in found if one["state"] == "fault"] == ["give pip the farm's CA ("]
        machine.pip_conf(f"index-url = {world.merged}", f"cert = {tmp_path}/ca.pem")
        # pip is right now; uv does not read pip's cert.
        assert [(one["subject"], one["state"]) for one in machine.doctor()[1]] == [("certificates", "warning")]
        machine.env["SSL_CERT_FILE"] = f"{tmp_path}/ca.pem"
        assert machine.doctor() == (0, [])


def test_an_environment_that_must_be_virtual(machine: Machine) -> None:
    machine.env["PIP_REQUIRE_VIRTUALENV"] = "1"
    assert machine.doctor() == (0, [])
    machine.python = str(Path(sys.base_prefix) / "bin" / "python3")
    has_pip = (
        subprocess.run([machine.python, "-m", "pip", "--version"], check=False, capture_output=True).returncode == 0
    )
    if not has_pip:
        pytest.skip("the interpreter behind these tests has no pip")
    code, found = machine.doctor(asked=False)
    assert code == 1
    told = [one["found"] for one in found if one["subject"] == "virtualenv"]
    assert told == [f"require-virtualenv is set, and {machine.python} is in none"]


def test_an_interpreter_without_pip_is_told(machine: Machine) -> None:
    bare = machine.folder / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    argv = [sys.executable, "-m", "farm", "doctor", "--client", "--python", str(bare / "bin/python")]
    done = subprocess.run(
        argv,
        cwd=machine.folder,
        env=machine.env | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "expected a Python with pip" in done.stderr


@pytest.mark.parametrize("arguments", [["-r", "x.txt", "--client"], ["--index-url", "http://127.0.0.1/"]])
def test_options_without_what_they_need_are_refused(arguments: list[str], machine: Machine) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "farm", "doctor", *arguments], cwd=machine.folder, env=machine.env | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "expected" in done.stderr


@pytest.mark.network
def test_an_old_pip_cannot_see_what_the_farm_has(tools: Tools, tmp_path: Path) -> None:
    """pip 20.2 knows no manylinux_2_17; the environment is made with the oldest Python that is here."""
    old = next((path for minor in (8, 9) if (path := interpreter(minor))), None) or pytest.skip(
        "no Python 3.8 or 3.9 here"
    )
    with ClientWorld() as world:
        world.add(sdist("demo", "1.0"), wheel("demo", "1.0", "py3-none-manylinux_2_17_x86_64"))
        python = client_python(tmp_path / "venv", tools.pip_wheel("20.2.4"), old)
        machine = Machine(folder=tmp_path, world=world, python=python)
        code, found = machine.doctor()
        assert code == 1
        assert "pip 20.2.4 cannot see demo-1.0-py3-none-manylinux_2_17_x86_64.whl, which needs pip 20.3" in [
            one["found"] for one in found
        ]


def test_the_dates_are_compared_as_moments() -> None:
    """Kept beside the traps: `7 days` and dates are read."""
    from farm.wire.client_farm import moment  # noqa: PLC0415 - the one unit of this file

    assert moment("2026-01-02") == datetime(2026, 1, 3, tzinfo=UTC)
    assert moment("2026-01-02T03:04:05Z") == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    week = moment("7 days")
    assert week is not None
    assert (datetime.now(UTC) - week).days == 7
    assert moment("next week") is None
