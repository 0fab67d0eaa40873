"""What `farm client` prints is given to the real clients as it stands; the installed file says whether they used the farm."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.client_world import FARM, ClientWorld, client_python, environment, sdist, wheel
from tests.fakes.tls import self_signed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.client_tools import Tools

REPOSITORY = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")
TOKEN = "s3cret-token"
TARGET = "cp311-manylinux_2_36_x86_64"


@dataclass(kw_only=True)
class Desk:
    """A project folder into which a client's lines are written."""

    folder: Path
    world: ClientWorld
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.env = environment(self.folder) | self.env

    def advice(self, tool: str, *options: str) -> list[dict[str, str]]:
        """Return the blocks that `farm client` prints for a tool."""
        return list(self.told(tool, *options)["clients"][0]["blocks"])

    def told(self, tool: str, *options: str) -> dict[str, Any]:
        argv = [sys.executable, "-m", "farm", "client", tool, "--json", "--index-url", self.world.origin, *options]
        done = subprocess.run(
            argv,
            cwd=self.folder,
            env=self.env | {"PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert isinstance(found, dict)
        return found

    def follow(self, block: dict[str, str]) -> None:
        """Do what a block says: write the file, set the variables, or run the command."""
        text = block["text"].replace("TOKEN", TOKEN) if block["where"] in {"environment", "~/.netrc"} else block["text"]
        home = self.folder / "home"
        places = {
            "pip.conf": home / ".config/pip/pip.conf",
            "uv.toml": home / ".config/uv/uv.toml",
            "~/.netrc": home / ".netrc",
        }
        if block["where"] == "environment":
            exported = (line.removeprefix("export ").split("=", 1) for line in block["text"].splitlines())
            # A token's place holder, not the word in a variable's name.
            self.env |= {name: re.sub(r"^TOKEN$", TOKEN, value) for name, value in exported}
        elif block["where"] == "command":
            self.run(*block["text"].split())
        else:
            path = places.get(block["where"], self.folder / block["where"])
            path.parent.mkdir(parents=True, exist_ok=True)
            before = path.read_text() if path.exists() else ""
            path.write_text(before + text)
            path.chmod(0o600)

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            argv, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def site(self, name: str = "demo") -> str:
        found = [*self.folder.glob(f"site/{name}.py"), *self.folder.glob(f".venv/lib/python*/site-packages/{name}.py")]
        return found[0].read_text() if found else ""


def fill(world: ClientWorld) -> None:
    world.add(sdist("demo", "1.0"), wheel("demo", "1.0"), sdist("bare", "1.0"))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with ClientWorld() as world:
        fill(world)
        yield Desk(folder=tmp_path, world=world)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Desk]:
    """The same behind TLS with a CA of its own and with a token."""
    certificate, key = self_signed(tmp_path)
    with ClientWorld(token=TOKEN, tls=(certificate, key)) as world:
        fill(world)
        yield Desk(folder=tmp_path, world=world)


@pytest.fixture(scope="module")
def pip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return client_python(tmp_path_factory.mktemp("venv") / "client")


def block(blocks: list[dict[str, str]], where: str, *, last: bool = False) -> dict[str, str]:
    found = [one for one in blocks if one["where"] == where]
    assert found, where
    return found[-1] if last else found[0]


@pytest.mark.parametrize("where", ["pip.conf", "environment", "requirements.txt"])
@pytest.mark.parametrize("view", ["merged", "wheels"])
def test_pip(desk: Desk, pip: str, where: str, view: str) -> None:
    options = ["--wheels-only"] if view == "wheels" else []
    if view == "wheels":
        # The usual index beside which the farm is put.
        desk.env["PIP_INDEX_URL"] = desk.world.up
    desk.follow(block(desk.advice("pip", *options), where))
    with (desk.folder / "requirements.txt").open("a") as file:
        file.write("demo\nbare\n")
    desk.run(pip, "-m", "pip", "install", "--target", "site", "-r", "requirements.txt")
    assert desk.site() == FARM
    assert (desk.folder / "compiled").read_text() == "bare\n"
    assert any(path.startswith("/up/") for path in desk.world.requests) == (view == "wheels")


def test_pip_with_a_wheels_only_index_prefers_the_farm_to_a_newer_sdist(desk: Desk, pip: str) -> None:
    desk.world.add(sdist("demo", "1.1"))
    desk.env["PIP_INDEX_URL"] = desk.world.up
    desk.follow(block(desk.advice("pip", "--wheels-only"), "pip.conf"))
    desk.run(pip, "-m", "pip", "install", "--target", "site", "demo")
    assert desk.site() == FARM


@pytest.mark.parametrize("where", ["pip.conf", "environment", "requirements.txt"])
def test_pip_with_a_token_and_a_ca(guarded: Desk, pip: str, where: str) -> None:
    blocks = guarded.advice("pip", "--token", "--cert", str(guarded.folder / "ca.pem"))
    guarded.follow(block(blocks, where))
    guarded.follow(block(blocks, "~/.netrc"))
    if where == "requirements.txt":
        # A file of requirements cannot name a CA.
        guarded.env["PIP_CERT"] = str(guarded.folder / "ca.pem")
    with (guarded.folder / "requirements.txt").open("a") as file:
        file.write("demo\n")
    guarded.run(pip, "-m", "pip", "install", "--no-input", "--target", "site", "-r", "requirements.txt")
    assert guarded.site() == FARM
    assert "__token__" in guarded.world.users


def test_plain_http_from_elsewhere_is_told_to_pip(desk: Desk, pip: str) -> None:
    """The host is reached through a proxy, which is the server itself."""
    desk.world.remote = "farm.example:8417"
    blocks = desk.told("pip", "--index-url", "http://farm.example:8417/simple/")["clients"][0]["blocks"]
    assert "trusted-host = farm.example:8417\n" in block(blocks, "pip.conf")["text"]
    desk.follow(block(blocks, "pip.conf"))
    desk.env |= {"http_proxy": desk.world.origin}
    desk.run(pip, "-m", "pip", "install", "--target", "site", "demo")
    assert desk.site() == FARM


@pytest.mark.parametrize("where", ["pyproject.toml", "uv.toml", "environment"])
@pytest.mark.parametrize("view", ["merged", "wheels"])
def test_uv(desk: Desk, where: str, view: str) -> None:
    if view == "wheels":
        desk.env["UV_DEFAULT_INDEX"] = desk.world.up
    blocks = desk.advice("uv", *(["--wheels-only"] if view == "wheels" else []))
    _uv_project(desk, block(blocks, where))
    desk.run(str(UV), "sync", "--no-progress", "--python", sys.executable)
    assert desk.site() == FARM
    assert set((desk.folder / "compiled").read_text().split()) == {"bare"}
    assert any(path.startswith("/up/") for path in desk.world.requests) == (view == "wheels")


def _uv_project(desk: Desk, told: dict[str, str]) -> None:
    (desk.folder / "pyproject.toml").write_text(
        '[project]\nname = "mine"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = ["demo", "bare"]\n\n'
    )
    desk.follow(told)
    desk.env["UV_CACHE_DIR"] = str(desk.folder / "uv-cache")


def test_uv_with_a_token_and_a_ca(guarded: Desk) -> None:
    blocks = guarded.advice("uv", "--token", "--cert", str(guarded.folder / "ca.pem"))
    _uv_project(guarded, block(blocks, "pyproject.toml"))
    for one in blocks:
        if one["where"] == "environment" and one["about"] != "instead":
            guarded.follow(one)
    guarded.run(str(UV), "sync", "--no-progress", "--python", sys.executable)
    assert guarded.site() == FARM


@pytest.mark.network
@pytest.mark.parametrize("form", ["open", "guarded"])
def test_poetry(form: str, tools: Tools, request: pytest.FixtureRequest) -> None:
    poetry = tools.program("poetry", "poetry>=2.1")
    desk: Desk = request.getfixturevalue("desk" if form == "open" else "guarded")
    (desk.folder / "pyproject.toml").write_text(
        '[project]\nname = "mine"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = ["demo (==1.0)"]\n\n'
        "[tool.poetry]\npackage-mode = false\n\n"
    )
    options = ["--token", "--cert", str(desk.folder / "ca.pem")] if form == "guarded" else []
    for one in desk.advice("poetry", *options):
        desk.follow(one)
    desk.env |= {
        "POETRY_VIRTUALENVS_IN_PROJECT": "true", "POETRY_NO_INTERACTION": "1", "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }  # fmt: skip
    desk.run(poetry, "lock")
    desk.run(poetry, "install", "--no-root")
    assert desk.site() == FARM


@pytest.mark.network
@pytest.mark.parametrize("way", ["pyproject.toml", "environment", "guarded", "wheels"])
def test_pdm(way: str, tools: Tools, request: pytest.FixtureRequest) -> None:
    # Newer ones of these two keep this pdm from starting.
    pdm = tools.program("pdm", "pdm>=2.29", "unearth<0.18", "hishel<1.2")
    desk: Desk = request.getfixturevalue("guarded" if way == "guarded" else "desk")
    (desk.folder / "pyproject.toml").write_text(
        '[project]\nname = "mine"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = ["demo"]\n\n'
        "[tool.pdm]\ndistribution = false\n\n"
    )
    options = {"guarded": ["--token", "--cert", str(desk.folder / "ca.pem")], "wheels": ["--wheels-only"]}.get(way, [])
    desk.env |= {"PDM_CHECK_UPDATE": "0", "PDM_USE_VENV": "1", "PDM_IGNORE_SAVED_PYTHON": "1"}
    if way == "wheels":
        desk.env["PDM_PYPI_URL"] = desk.world.up
    desk.env["PATH"] = f"{Path(pdm).parent}:{desk.env['PATH']}"
    desk.run(pdm, "venv", "create", "--with", "venv", sys.executable)
    for one in desk.advice("pdm", *options):
        if way in {"guarded", "wheels"} or one["where"] == way:
            desk.follow(one)
    desk.run(pdm, "install", "--no-self")
    assert desk.site() == FARM


def test_the_dockerfile_s_lines(guarded: Desk, pip: str) -> None:
    """The mounts are as BuildKit takes them; the shell's part is run with the secrets lying where the mounts would put them."""
    blocks = guarded.advice("docker", "--token", "--cert", str(guarded.folder / "ca.pem"))
    text = block(blocks, "Dockerfile")["text"]
    joined = text.replace("\\\n", " ")
    assert joined.count("\n") == 1
    mounts = [dict(pair.split("=", 1) for pair in mount.split(",")) for mount in re.findall(r"--mount=(\S+)", joined)]
    secrets = {
        mount["id"]: mount.get("target", f"/run/secrets/{mount['id']}") for mount in mounts if mount["type"] == "secret"
    }
    given = dict(re.findall(r'--secret id=([\w-]+),src="?([^\s"]+)', block(blocks, "command")["text"]))
    assert set(secrets) == set(given) == {"farm-netrc", "farm-ca"}
    assert TOKEN not in text
    guarded.follow(block(blocks, "~/.netrc"))
    (guarded.folder / "requirements.txt").write_text("demo\n")
    shell = re.sub(r"--mount=\S+", "", joined.removeprefix("RUN ")).replace("/tmp/requirements.txt", "requirements.txt")
    shell = shell.replace(secrets["farm-ca"], given["farm-ca"]).replace("python3", pip)
    assert secrets["farm-netrc"] == "/root/.netrc"
    guarded.run("sh", "-ec", f"{shell.strip()} --no-input --target site")
    assert guarded.site() == FARM


def test_the_strict_view_s_url(desk: Desk) -> None:
    told = desk.told("pip", "--strict", "--target", TARGET)
    assert told["url"] == f"{desk.world.origin}/strict/{TARGET}/simple/"
    assert f"index-url = {told['url']}" in told["clients"][0]["blocks"][0]["text"]


@pytest.mark.parametrize(
    ("config", "url"),
    [
        ("", "http://127.0.0.1:8417/simple/"),
        ('[serve]\npublic-url = "https://farm.example/py"\n', "https://farm.example/py/simple/"),
        ('[serve]\nhost = "::1"\nport = 81\npath-prefix = "/py"\n', "http://[::1]:81/py/simple/"),
    ],
)
def test_without_a_url_it_is_the_one_that_is_configured(desk: Desk, config: str, url: str) -> None:
    (desk.folder / "config.toml").write_text(config)
    assert _client(desk, "pip", "--json").stdout.count(url) >= 2


def test_a_farm_that_wants_tokens_for_reading_says_so_unasked(desk: Desk) -> None:
    (desk.folder / "config.toml").write_text('[serve]\nread-access = "token"\n')
    assert "login __token__" in _client(desk, "pip").stdout


def test_an_address_that_no_client_can_use_is_refused(desk: Desk) -> None:
    (desk.folder / "config.toml").write_text('[serve]\nhost = "0.0.0.0"\n')
    done = _client(desk, "pip")
    assert done.returncode == 2
    assert "public-url" in done.stderr


def _client(desk: Desk, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "farm", "client", *arguments]
    env = desk.env | {"PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(argv, cwd=desk.folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--strict"], "needs a --target"),
        (["--strict", "--target", "cp311-nonsense"], "cp311-nonsense"),
        (["--strict", "--wheels-only", "--target", TARGET], "one of them"),
        (["--index-url", "farm.example"], "expected the farm's URL"),
        (["--index-url", "https://me:secret@farm.example/"], "without credentials"),
    ],
)
def test_what_cannot_be_meant_is_refused(desk: Desk, arguments: list[str], says: str) -> None:
    done = _client(desk, "pip", *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "secret" not in done.stderr
