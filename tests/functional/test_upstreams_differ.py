"""Indexes as they are: plain and fancy, slow, busy, lying. None of it turns into "there is no such package"."""

from __future__ import annotations

import signal
import subprocess
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest

from farm.adapters.page_cache import PageCache
from farm.adapters.pipconfig import IndexSettings
from farm.adapters.upstream import Upstream
from farm.adapters.web import CONNECTIONS, Retry, Web
from farm.errors import UpstreamError
from farm.model.gap import Resolution, Unresolved
from farm.model.target import parse_target
from tests.fakes.http2_server import Http2Server, certificate
from tests.fakes.index_server import IndexServer
from tests.fakes.resolving import Resolving, demand
from tests.functional.conftest import add_wheel
from tests.projects.make import Made

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.index_server import Failure
    from tests.functional.conftest import Shell

TARGETS = tuple(map(parse_target, ("cp311-manylinux_2_36_x86_64", "cp313-win_amd64")))


def stock(index: IndexServer) -> None:
    for name, requires in (("top", ("below>=1",)), ("below", ())):
        made = Made(name=name, version="1.0", requires=requires)
        index.add(made.wheel(), metadata=made.metadata)


@pytest.fixture
def world(world: Resolving, index: IndexServer) -> Resolving:
    stock(index)
    return world


def pins(found: tuple[Resolution | Unresolved, ...]) -> list[list[str]]:
    assert all(isinstance(each, Resolution) for each in found), found
    return [[str(pin.pin) for pin in each.pins] for each in found if isinstance(each, Resolution)]


WHOLE = [["below==1.0", "top==1.0"]] * 2


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"etags": False},
        {"form": "html"},
        {"form": "html", "etags": False, "ranges": False, "core_metadata": False},
        {"zipped": True},
        {"core_metadata": False},
        {"core_metadata": False, "ranges": False, "zipped": True},
    ],
    ids=lambda kind: "-".join(f"{key}={value}" for key, value in kind.items()) or "plain",
)
def test_every_kind_of_index_gives_the_same_answer(kind: dict[str, Any], tmp_path: Path) -> None:
    with IndexServer(**kind) as index:
        stock(index)
        world = Resolving(folder=tmp_path, index=index)
        assert pins(world.resolver().resolve_all(demand("top"), TARGETS)) == WHOLE
        # And once more, with whatever the first run left on the disk.
        assert pins(world.resolver(refresh=True).resolve_all(demand("top"), TARGETS)) == WHOLE
        world.close()


def test_http_2(tmp_path: Path) -> None:
    index = IndexServer()
    stock(index)
    pem = certificate(tmp_path)
    with Http2Server(index, pem) as server:
        web = Web(IndexSettings(url=server.url, timeout=5, cert=str(pem)), Retry(tries=1))
        upstream = Upstream(web, PageCache(tmp_path / "pages", ttl=0, now=lambda: 0.0), (server.url,))
        page = upstream.project(Made(name="top", version="1.0").name)
        assert page is not None
        assert [file.filename for file in page.files] == ["top-1.0-py3-none-any.whl"]
        assert web.get(f"{server.url}/absent/", {}, subject="x").status == 404
        assert server.requests == 2
        web.close()


@pytest.mark.parametrize("how", ["429", "503", "reset", "slow", "truncated"])
def test_what_passes_is_tried_again(how: Failure, world: Resolving, index: IndexServer) -> None:
    index.fail("/simple/below", how, 1)
    assert pins(world.resolver().resolve_all(demand("top"), TARGETS)) == WHOLE
    assert index.asked("/simple/below") == 2


@pytest.mark.parametrize("how", ["429", "503", "500", "reset", "truncated", "html", "401"])
@pytest.mark.parametrize("core_metadata", [True, False])
@pytest.mark.parametrize("part", ["/simple/below", "below-1.0-py3-none-any.whl"])
def test_what_stays_is_unknown_never_missing(
    how: Failure, part: str, core_metadata: bool, world: Resolving, index: IndexServer
) -> None:
    index.core_metadata = core_metadata
    index.fail(part, how)
    with pytest.raises(UpstreamError, match="below"):
        world.resolver().resolve_all(demand("top"), TARGETS)


def test_metadata_that_is_not_what_the_page_promised(world: Resolving, index: IndexServer) -> None:
    hosted = index.projects["below"]["below-1.0-py3-none-any.whl"]
    hosted.page["core-metadata"] = {"sha256": "0" * 64}
    with pytest.raises(UpstreamError, match="expected sha256 0000"):
        world.resolver().resolve_all(demand("top"), TARGETS)


@pytest.mark.parametrize("date", [False, True], ids=["seconds", "date"])
def test_a_busy_index_is_given_the_time_that_it_asks_for(date: bool, world: Resolving, index: IndexServer) -> None:
    index.fail("/simple/below", "429", 1)
    index.retry_after = formatdate(time.time() + 2, usegmt=True) if date else "1"
    started = time.monotonic()
    assert pins(world.resolver().resolve_all(demand("top"), TARGETS)) == WHOLE
    assert time.monotonic() - started >= 0.9
    assert index.asked("/simple/below") == 2


def test_requests_are_bounded(tmp_path: Path) -> None:
    with IndexServer() as index:
        names = [f"p{number}" for number in range(40)]
        for name in names:
            made = Made(name=name, version="1.0")
            index.add(made.wheel(), metadata=made.metadata)
        world = Resolving(folder=tmp_path, index=index)
        found = pins(world.resolver().resolve_all(demand(*names), TARGETS))
        assert [len(each) for each in found] == [40, 40]
        assert 2 <= index.most_at_once <= CONNECTIONS
        # One page and one METADATA for each, however many targets there are.
        assert len(index.requests) == 80
        world.close()


def test_a_page_that_changes_while_it_is_used_is_one_page_for_the_whole_run(world: Resolving, index: IndexServer) -> None:
    resolver = world.resolver()
    assert pins(resolver.resolve_all(demand("below"), TARGETS)) == [["below==1.0"]] * 2
    made = Made(name="below", version="2.0")
    index.add(made.wheel(), metadata=made.metadata)
    # Another question of the same run: what one target got is what the others get.
    assert pins(resolver.resolve_all(demand("top"), TARGETS)) == WHOLE
    assert pins((resolver.resolve(demand("below>=1"), TARGETS[0]),)) == [["below==1.0"]]
    assert index.asked("/simple/below") == 1
    assert pins(world.resolver(refresh=True).resolve_all(demand("top"), TARGETS))[0] == ["below==2.0", "top==1.0"]


def test_a_wrong_hash_of_an_sdist_is_no_reason_to_take_another_version(world: Resolving, index: IndexServer) -> None:
    index.add(Made(name="lied", version="1.0").sdist())
    index.add(Made(name="lied", version="2.0").sdist())
    index.fail("lied-2.0", "wrong-hash")
    found = world.resolver().resolve_all(demand("lied"), TARGETS)
    assert pins(found) == [["lied==2.0"]] * 2


@pytest.mark.parametrize("targets", [("cp311-manylinux_2_36_x86_64",), ("cp311-manylinux_2_36_x86_64", "cp313-win_amd64")])
@pytest.mark.parametrize("part", ["/simple/first", "/simple/below", "below-1.0-py3"])
def test_ctrl_c_ends_a_run_that_waits_for_a_slow_index(
    part: str, targets: tuple[str, ...], shell: Shell, index: IndexServer
) -> None:
    add_wheel(index, "first", "1.0", requires=("below",))
    add_wheel(index, "below", "1.0")
    index.fail(part, "stuck")
    shell.requirements("first")
    names = [f"--target={target}" for target in targets]
    with subprocess.Popen(
        # A shell that runs the tests in the background has its children ignore SIGINT; a terminal does not.
        ["env", "--default-signal=INT", *shell.command("build", "-r", "requirements.txt", "--dry-run", *names)],
        cwd=shell.folder, env=shell.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        limit = time.monotonic() + 20
        while not index.asked(part) and time.monotonic() < limit:
            time.sleep(0.02)
        assert index.asked(part)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        try:
            _, err = process.communicate(timeout=15)
        finally:
            process.kill()
    assert time.monotonic() - started < 1.0
    assert process.returncode == 130, err
    assert "Traceback" not in err
