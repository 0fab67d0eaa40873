"""`farm images update` against an archive on loopback, and what can be said of images without an engine."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.functional.conftest import Shell

SPEC = "debian-forky-x86_64-builder"
LOCK = "images.lock"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        """Say nothing."""


class Archive:
    """A Debian archive's Release files, over HTTP."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self.url = f"http://127.0.0.1:{port}/debian"

    def release(self, suite: str, date: str, day: str = "") -> None:
        path = self._folder / "debian" / day / "dists" / suite / "InRelease"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"Origin: Debian\nSuite: {suite}\nDate: {date}\nMD5Sum:\n", encoding="utf-8")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    folder = tmp_path / "archive"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    made = Archive(folder, server.server_port)
    made.release("forky", "Fri, 30 Oct 2026 08:08:01 UTC")
    made.release("forky-updates", "Wed, 28 Oct 2026 08:08:01 UTC")
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_suite_is_pinned_to_the_newest_day_of_its_pockets_and_moves_with_it(shell: Shell, archive: Archive) -> None:
    shell.write("config.toml", f'[images]\ndebian-mirror = "{archive.url}"\n')
    lock = shell.folder / LOCK
    dry = shell.run("images", "update", SPEC, "--dry-run")
    assert (dry.code, dry.out) == (0, "forky: not pinned → 20261030T080801Z (dry run)\n")
    assert not lock.exists()

    assert shell.run("images", "update", SPEC).code == 0
    assert 'snapshot = "20261030T080801Z"' in lock.read_text(encoding="utf-8")
    assert "already the newest" in shell.run("images", "update", SPEC).out

    archive.release("forky-updates", "Sun, 01 Nov 2026 09:00:00 UTC")
    (row,) = shell.run("images", "update", SPEC, "--json").json["pins"]
    assert (row["before"], row["now"], row["moved"]) == ("20261030T080801Z", "20261101T090000Z", True)


def test_both_roles_and_free_threading_have_one_pin(shell: Shell, archive: Archive) -> None:
    shell.write("config.toml", f'[images]\ndebian-mirror = "{archive.url}"\n')
    names = (SPEC, SPEC.replace("builder", "runtime"), "debian-forky-cp314t-x86_64-builder")
    assert len(shell.run("images", "update", *names, "--json").json["pins"]) == 1


def test_an_archive_that_lacks_the_suite_leaves_the_pin_and_is_exit_code_3(shell: Shell, archive: Archive) -> None:
    shell.write("config.toml", f'[images]\ndebian-mirror = "{archive.url}"\n')
    assert shell.run("images", "update", SPEC).code == 0
    before = (shell.folder / LOCK).read_bytes()
    shell.write("config.toml", f'[images]\ndebian-mirror = "{archive.url}-gone"\n')
    done = shell.run("images", "update", SPEC)
    assert done.code == 3
    assert "forky: stays at 20261030T080801Z" in done.out
    assert "404" in done.out
    assert (shell.folder / LOCK).read_bytes() == before


def test_an_answer_that_is_no_release_file_is_told(shell: Shell, archive: Archive) -> None:
    shell.write("config.toml", f'[images]\ndebian-mirror = "{archive.url}"\n')
    archive.release("forky", "yesterday")
    done = shell.run("images", "update", SPEC)
    assert done.code == 3
    assert "expected a Release file with a Date" in done.out


def test_a_lock_that_makes_no_sense_is_a_usage_error(shell: Shell, archive: Archive) -> None:
    shell.write("config.toml", f'[images]\ndebian-mirror = "{archive.url}"\nlock = "pins"\n')
    shell.write("pins", "nonsense")
    done = shell.run("images", "update", SPEC)
    assert done.code == 2
    assert "pins: expected" in done.err


def test_targets_without_an_engine_name_the_image_that_would_serve(shell: Shell) -> None:
    targets = ("cp315-manylinux_2_43_x86_64", "cp314t-manylinux_2_45_x86_64", "cp312-manylinux_2_43_x86_64")
    listed = ", ".join(f'"{target}"' for target in targets)
    shell.write("config.toml", f'targets = [{listed}]\n[images]\nfamily = "debian"\n')
    rows = {row["name"]: row for row in shell.run("targets", "list", "--json").json["targets"]}
    assert [rows[target]["image"] for target in targets] == ["debian-forky-x86_64-builder", "debian-forky-cp314t-x86_64-builder", None]
    assert "cp312-manylinux_2_43_x86_64" in rows[targets[2]]["reason"]


def test_doctor_warns_of_a_proxy_that_containers_cannot_reach(shell: Shell) -> None:
    assert "warn   proxy:" in shell.run("doctor", HTTPS_PROXY="http://localhost:9", NO_PROXY="127.0.0.1").out
    assert "proxy:" not in shell.run("doctor", NO_PROXY="127.0.0.1,localhost").out
