"""Runs that end badly and go on: what failed is not tried again for nothing, a killed run is resumed, and what builds took is learned."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from farm.adapters.catalogue import Catalogue
from farm.adapters.docker_engine import connect
from farm.adapters.locks import Locks
from farm.adapters.usages import Usages
from farm.model.package import make_pin
from tests.integration.container_fixtures import TARGET
from tests.integration.test_direct_docker import Slow, slow
from tests.projects.sdist import PROJECTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from farm.model.load import PastUsage

__all__ = ["slow"]
pytestmark = [pytest.mark.docker, pytest.mark.network]
BUILD = ("build", "-r", "requirements.txt", "--json")


def project(slow: Slow, *names: str) -> None:
    for name in names:
        shutil.copytree(PROJECTS / name, slow.folder / name)
    slow.write("requirements.txt", "".join(f"./{name}\n" for name in names))


def cell(out: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(p["cells"][TARGET.name] for p in json.loads(out)["packages"] if p["name"] == f"farm-{name}")
    return found


def states(slow: Slow) -> list[str]:
    return [found["state"] for found in json.loads(slow.farm("status", "--json")[1])["builds"]]


def usages(slow: Slow, name: str) -> tuple[PastUsage, ...]:
    url = f"sqlite:///{slow.folder / 'store/catalogue.sqlite'}"
    with closing(Catalogue(url, Locks(slow.folder / "store/locks"))) as catalogue:
        return Usages(catalogue.database).of((make_pin(name, "1").name,))


def test_what_failed_is_not_tried_again_until_something_changes_or_it_is_asked_for(slow: Slow) -> None:
    config = (slow.folder / "config.toml").read_text()
    slow.write("config.toml", f'{config}[build]\nheal = "off"\n')
    project(slow, "lacks-header")
    code, out, _ = slow.farm(*BUILD)
    first = cell(out, "lacks-header")
    assert (code, first["state"], states(slow)) == (1, "failed", ["failed"])

    code, out, err = slow.farm(*BUILD)
    again = cell(out, "lacks-header")
    assert (code, again["state"], again["build"]) == (1, "failed", first["build"])
    assert again["diagnosis"] == first["diagnosis"]
    assert again["reason"].startswith(f"failed before, not tried again ({first['build']}, missing-system-header): build: ")
    assert again["reason"].endswith("; --retry-failed tries again")
    assert "building" not in err
    assert states(slow) == ["skipped", "failed"]

    code, out, _ = slow.farm(*BUILD, "--retry-failed")
    assert cell(out, "lacks-header")["build"] not in {first["build"], again["build"]}
    assert states(slow) == ["failed", "skipped", "failed"]

    slow.write("config.toml", f'{config}[build]\nheal = "off"\n[recipes.farm-lacks-header]\nenvironment = {{ MORE = "1" }}\n')
    assert slow.farm(*BUILD)[0] == 1
    assert states(slow)[0] == "failed"


def test_healing_that_came_to_its_end_is_not_gone_through_again(slow: Slow) -> None:
    project(slow, "lacks-header")
    code, out, _ = slow.farm(*BUILD)
    first = cell(out, "lacks-header")
    assert (code, first["state"]) == (1, "failed")
    tried = len(states(slow))
    code, out, err = slow.farm(*BUILD)
    again = cell(out, "lacks-header")
    assert (code, again["build"], again["diagnosis"]) == (1, first["build"], first["diagnosis"])
    assert "failed before, not tried again" in again["reason"]
    assert ("building" in err, "trying" in err) == (False, False)
    assert states(slow)[: len(states(slow)) - tried] == ["skipped"]


def until(happened: Callable[[], bool], what: str, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.2)


def test_a_run_that_was_killed_is_resumed_with_its_options_and_what_it_left_is_gone(slow: Slow) -> None:
    project(slow, "takes-a-while", "pure")
    client = connect(slow.env.get("DOCKER_HOST"))
    log = slow.folder / "killed.log"
    with log.open("w") as stderr, subprocess.Popen(
        slow.command("-v", *BUILD, "--jobs", "1"), cwd=slow.folder, env=slow.env, stdout=subprocess.DEVNULL, stderr=stderr
    ) as process:
        until(lambda: "TAKING A WHILE" in log.read_text() or process.poll() is not None, "it builds")
        assert process.poll() is None, log.read_text()[-3000:]
        assert slow.farm("resume")[0] == 2, "a run that lives is left alone"
        os.kill(process.pid, signal.SIGKILL)
    run = json.loads(slow.farm("status", "--json")[1])["builds"][0]["run"]

    def left() -> list[Any]:
        return client.containers.list(all=True, filters={"label": [f"farm.run={run}"]})

    assert left()
    code, out, err = slow.farm("resume")
    assert code == 0, err[-3000:]
    assert f"resuming run {run}" in err
    assert "its process is gone; of 2 jobs" in err
    assert not left()
    assert {cell(out, name)["state"] for name in ("takes-a-while", "pure")} <= {"built", "farm-wheel"}
    assert "interrupted" in states(slow)

    code, out, err = slow.farm("resume")
    assert (code, out) == (0, "")
    assert "nothing to resume" in err
    took = usages(slow, "farm-takes-a-while")[0]
    assert 200 << 20 <= took.memory < 400 << 20
    assert 0 < took.cpu_seconds < took.seconds * 2
    client.close()


def test_a_changed_recipe_rebuilds_with_a_build_tag_and_the_same_inputs_are_never_built_twice(slow: Slow) -> None:
    config = (slow.folder / "config.toml").read_text()
    slow.write("requirements.txt", "docopt==0.6.2\n")

    def there(*options: str) -> tuple[str, str, str]:
        code, out, err = slow.farm(*BUILD, *options)
        assert code == 0, err[-3000:]
        (package,) = (p for p in json.loads(out)["packages"] if p["name"] == "docopt")
        found = package["cells"][TARGET.name]
        return found["state"], found["file"], found["reason"]

    assert there()[:2] == ("built", "docopt-0.6.2-py2.py3-none-any.whl")
    slow.write("config.toml", f'{config}[recipes.docopt]\nbuild-constraints = ["setuptools==75.8.0"]\n')
    assert there()[:2] == ("built", "docopt-0.6.2-1-py2.py3-none-any.whl")
    assert there()[:2] == ("farm-wheel", "docopt-0.6.2-1-py2.py3-none-any.whl")
    assert there("--rebuild") == ("built", "docopt-0.6.2-1-py2.py3-none-any.whl", "the same inputs had been built before")
    assert there()[:2] == ("farm-wheel", "docopt-0.6.2-1-py2.py3-none-any.whl")


def test_what_only_the_backend_names_and_has_no_wheel_is_built_first_in_the_same_run(slow: Slow) -> None:
    config = (slow.folder / "config.toml").read_text()
    slow.write("config.toml", f'{config}[build]\nheal = "off"\n')
    project(slow, "wants-what-has-no-wheel")
    code, out, err = slow.farm(*BUILD)
    assert (code, cell(out, "wants-what-has-no-wheel")["state"]) == (0, "built"), f"{out}\n{err[-3000:]}"
    package = next(p for p in json.loads(out)["packages"] if p["name"] == "docopt")
    tool = package["cells"][TARGET.name]
    assert (tool["state"], tool["file"]) == ("built", "docopt-0.6.2-py2.py3-none-any.whl")
    assert package["required_by"] == ["farm-wants-what-has-no-wheel==1.0 (build requirement)"]
    assert "built first: docopt==0.6.2" in err
    assert states(slow) == ["published", "published", "failed"]
