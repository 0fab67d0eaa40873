"""Where the farm has no wheels, nobody can tell its merged view from upstream: pip and uv resolve to the same files."""

from __future__ import annotations

import json
import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from farm.adapters.pipconfig import Machine, read_settings
from tests.clients.programs import NEW, OLD, Desk, find_client
from tests.clients.site import running
from tests.projects.make import Made

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.clients.programs import Client
    from tests.clients.site import Site
    from tests.fakes.client_tools import Tools

_NAMES = tuple(f"node-{n}" for n in range(14))
_WAY = {"PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"}
_TAGS = (
    "py3-none-any",
    "cp311-cp311-manylinux_2_17_x86_64",
    "cp311-cp311-manylinux_2_28_x86_64",
    "cp39-cp39-win_amd64",
)


def stock(site: Site, seed: int) -> None:
    """Fill upstream with projects that need one another, in versions with and without wheels, yanked, limited, with extras."""
    dice = random.Random(seed)
    for number, name in enumerate(_NAMES):
        below = _NAMES[number + 1 :]
        for version in ("1.0", "1.1", "2.0rc1", "2.0", "3.0")[: dice.randint(1, 5)]:
            needs = tuple(_need(dice, other) for other in dice.sample(below, min(len(below), dice.randint(0, 2))))
            made = Made(
                name=name, version=version, requires=needs, extras=("more",),
                requires_python=dice.choice([None, None, ">=3.8", ">=3.99"]),
            )  # fmt: skip
            page: dict[str, Any] = {"upload-time": f"202{dice.randint(0, 5)}-01-02T03:04:05Z"}
            page |= {"requires-python": made.requires_python} if made.requires_python else {}
            page |= {"yanked": dice.choice([True, "broken"])} if dice.random() < 0.15 else {}
            files = [made.wheel(tag) for tag in dice.sample(_TAGS, dice.randint(1, 3))]
            if not any(filename.endswith("none-any.whl") for filename, _ in files):
                files.append(made.wheel())
            for file in (made.sdist(), *files):
                site.upstream.add(file, metadata=made.metadata if file[0].endswith(".whl") else None, **page)


def _need(dice: random.Random, name: str) -> str:
    limit = dice.choice(["", "", ">=1.1", "<3", "!=2.0", ">=1.0,<2.1"])
    marker = dice.choice(["", "", "; extra == 'more'", "; python_version >= '3.9'", "; sys_platform == 'win32'"])
    return f"{name}{limit}{marker}"


@pytest.fixture(
    scope="module", params=["link", *(pytest.param(how, marks=pytest.mark.clients) for how in ("redirect", "cache"))]
)
def farm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("same"), f'[serve]\nmirror = "{request.param}"\n') as site:
        stock(site, seed=7)
        site.start()
        yield site


def resolve(desk: Desk, client: Client, index: str, wanted: tuple[str, ...], *options: str) -> tuple[int, Any]:
    """Return the exit code, and what would be installed: versions with their files and hashes."""
    desk.env["UV_CACHE_DIR"] = str(desk.folder / f"cache-{len(index)}")
    if client.family == "uv":
        (desk.folder / "wanted.in").write_text("".join(f"{line}\n" for line in wanted))
        argv = (client.argv[0], "pip", "compile", "-q", "--generate-hashes", "--no-annotate", "--no-header", *options)
        done = desk.run(*argv, "--index-url", index, "wanted.in")
        return done.returncode, done.stdout
    report = desk.folder / "report.json"
    done = desk.run(
        *client.argv,
        "-q",
        "--dry-run",
        "--ignore-installed",
        "--report",
        str(report),
        "--index-url",
        index,
        *options,
        *wanted,
    )
    if done.returncode:
        return done.returncode, ""
    return 0, sorted(_pinned(item) for item in json.loads(report.read_text())["install"])


def _pinned(item: dict[str, Any]) -> tuple[str, ...]:
    told, file = item["metadata"], item["download_info"]
    return (
        told["name"],
        told["version"],
        file["url"].rpartition("/")[2],
        file["archive_info"]["hash"],
        str(item.get("is_yanked")),
    )


WANTED = [
    ("node-0", "node-1", "node-2[more]"),
    tuple(_NAMES),
    ("node-0[more]", "node-3>=1.1", "node-5<3", "node-7"),
    ("node-4==1.0", "node-0"),
    ("node-1", "no-such-thing"),
]


@pytest.mark.parametrize(
    "client", [*NEW, *(pytest.param(name, marks=[pytest.mark.clients, pytest.mark.network]) for name in OLD)]
)
def test_a_made_up_index_resolves_the_same(farm: Site, tools: Tools, tmp_path: Path, client: str) -> None:
    program, desk = find_client(client, tools), Desk(folder=tmp_path)
    sizes = []
    for wanted in WANTED:
        direct = resolve(desk, program, farm.upstream.url, wanted)
        assert resolve(desk, program, farm.view("merged"), wanted) == direct, wanted
        sizes.append(len(direct[1]))
    # A test in which everything fails would prove nothing.
    assert sum(size > 0 for size in sizes) >= 2, sizes


REAL = [
    ("requests==2.32.3", "rich==13.9.4"),
    ("httpx[http2]==0.28.1", "pydantic==2.10.4"),
    ("jinja2<3.2", "flask==3.1.0"),
]


@pytest.mark.clients
@pytest.mark.network
@pytest.mark.parametrize("wanted", REAL, ids=["requests", "httpx", "flask"])
@pytest.mark.parametrize("client", NEW)
def test_the_configured_index_resolves_the_same(
    tools: Tools, tmp_path: Path, client: str, wanted: tuple[str, ...]
) -> None:
    index = read_settings(Machine(env=dict(os.environ), cache=tmp_path / "pip")).urls[0]
    # The way there is this machine's: its authorities and proxies.
    way = {name: value for name, value in os.environ.items() if name in _WAY}
    desk = Desk(folder=tmp_path / "desk", env=way)
    with running(tmp_path / "farm") as farm:
        farm.start(**way, PIP_INDEX_URL=index)
        before = resolve(desk, find_client(client, tools), index, wanted)
        assert (before[0], before[1] != "") == (0, True)
        assert resolve(desk, find_client(client, tools), farm.view("merged"), wanted) == before
