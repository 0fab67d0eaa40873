"""What installing from a lock takes: the files that it names by hash, and none that came to the indexes later."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from packaging.markers import Marker
from packaging.specifiers import SpecifierSet

from farm.errors import UpstreamError
from farm.survey.why import Question
from farm.survey.why_lock import why_locked
from tests.fakes.nouns import CP311, CP313, canonical, project
from tests.unit.survey.test_locks_survey import lock, package

if TYPE_CHECKING:
    from farm.model.lock import Lock
    from farm.model.package import Project
    from farm.survey.why import Answer

OWN, LINUX, SDIST = (
    "demo-1.0-cp311-cp311-manylinux_2_28_x86_64.whl", "demo-1.0-cp311-cp311-linux_x86_64.whl", "demo-1.0.tar.gz",
)  # fmt: skip
DEMO = Question(name=canonical("demo"), target=CP311)


def ask(locked: Lock, question: Question = DEMO, upstream: tuple[str, ...] = (), farm: tuple[str, ...] = ()) -> Answer:
    def pages() -> tuple[Project | None, Project | None]:
        return project("demo", *upstream) if upstream else None, project("demo", *farm) if farm else None

    return why_locked(question, locked, pages)


def silent() -> tuple[Project | None, Project | None]:
    raise UpstreamError("the index is silent", solution="try again")


def taken(answer: Answer) -> tuple[str, str] | None:
    return (answer.chosen.file.filename, answer.chosen.where) if answer.chosen else None


def test_only_files_that_the_lock_names_are_taken_and_the_others_are_told() -> None:
    found = ask(lock(package("demo", SDIST)), upstream=(SDIST, OWN, "demo-2.0-py3-none-any.whl"), farm=(LINUX,))
    assert (taken(found), found.source) == ((SDIST, "lock"), "uv.lock:7")
    assert found.note == "uv then compiles it"
    assert {(out.file.filename, out.where, out.reason) for out in found.out} == {
        (OWN, "upstream", "uv.lock:7 does not name it"), (LINUX, "farm", "uv.lock:7 does not name it"),
    }  # fmt: skip


def test_uv_lock_is_installed_by_uv_and_others_by_the_client_that_was_asked_about() -> None:
    """pip ranks linux_* first, uv last."""
    both = package("demo", OWN, LINUX, SDIST)
    assert taken(ask(lock(both))) == (OWN, "lock")
    assert taken(ask(replace(lock(both), kind="pylock.toml"))) == (LINUX, "lock")


def test_a_lock_that_tells_urls_needs_no_index() -> None:
    found = why_locked(DEMO, lock(package("demo", OWN)), silent)
    assert taken(found) == (OWN, "lock")
    assert found.note == "what the lock does not name is not told: the index is silent"
    with pytest.raises(UpstreamError):
        why_locked(DEMO, lock(package("demo", OWN, urls=False)), silent)


def test_a_lock_without_urls_takes_from_the_indexes_what_it_names() -> None:
    poetry = replace(lock(package("demo", SDIST, urls=False)), kind="poetry.lock")
    found = ask(poetry, upstream=(SDIST, OWN))
    assert taken(found) == (SDIST, "upstream")
    assert [out.file.filename for out in found.out] == [OWN]
    assert ask(poetry, upstream=(OWN,)).note == "no index has a file that uv.lock:7 names"


def test_what_a_lock_does_not_install_is_said_with_the_reason() -> None:
    assert ask(lock(package("other", OWN))).note == f"uv.lock installs no demo for {CP311}"
    marked = replace(package("demo", OWN), marker=Marker("python_version >= '3.13'"))
    assert ask(lock(marked)).note == f"uv.lock installs no demo for {CP311}: it has it only for other targets, extras or groups"
    assert taken(ask(lock(replace(package("demo", SDIST), marker=marked.marker)), replace(DEMO, target=CP313))) == (SDIST, "lock")
    assert ask(lock(package("demo", OWN), requires_python=">=3.12")).note == "uv.lock is for Python >=3.12, the target has 3.11.2"
    bounded = replace(DEMO, specifier=SpecifierSet(">=2"))
    assert ask(lock(package("demo", OWN)), bounded).note == "uv.lock:7 has demo==1.0, which is not >=2"
    elsewhere = ask(lock(package("demo", direct="git+https://git.example/demo@abc")), upstream=(OWN,))
    assert (taken(elsewhere), elsewhere.note) == (None, "uv.lock:7 takes it from git+https://git.example/demo@abc, not from an index")


def test_a_locked_prerelease_is_taken_unasked() -> None:
    wheel = "demo-2.0b1-py3-none-any.whl"
    assert taken(ask(lock(package("demo", wheel, version="2.0b1")))) == (wheel, "lock")
