"""`farm check` as a child process: what it says, its exit codes, and that it never says yesterday's answer."""

from __future__ import annotations

import os
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from farm.adapters.catalogue import Catalogue
from farm.adapters.locks import Locks
from farm.model.attempt import Attempt
from farm.model.job import JobKey
from tests.functional.conftest import TARGET, add_sdist, add_wheel

if TYPE_CHECKING:
    from tests.fakes.index_server import IndexServer
    from tests.functional.conftest import Shell

OTHER = "cp313-manylinux_2_41_x86_64"
BOTH = ("--target", TARGET, "--target", OTHER)


@pytest.fixture
def stocked(index: IndexServer, shell: Shell) -> Shell:
    """An index with a pure wheel that needs a package of which there is only an sdist, and a backend to build it."""
    add_wheel(index, "app", "1.0", requires=("native>=1",))
    add_sdist(index, "native", "1.0", shell.folder)
    add_wheel(index, "setuptools", "80.0")
    shell.requirements("# ours", "  app==1.0", "native==1.0")
    _age(shell)
    return shell


def _age(shell: Shell) -> None:
    """An answer is kept only if its files are older than the question: a file can change twice within a clock's tick."""
    old = time.time() - 10
    for path in shell.folder.glob("*.txt"):
        os.utime(path, (old, old))


def cells(content: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {(p["name"], target): cell["state"] for p in content["packages"] for target, cell in p["cells"].items()}


def test_all_there_is_exit_code_0(index: IndexServer, shell: Shell) -> None:
    add_wheel(index, "app", "1.0")
    shell.requirements("app==1.0")
    done = shell.run("check", "-r", "requirements.txt")
    assert (done.code, done.err) == (0, "")
    assert "1 of 1 wheel is there" in done.out


def test_gaps_are_exit_code_1_with_the_reason_and_an_honest_no_history(stocked: Shell) -> None:
    done = stocked.run("check", "-r", "requirements.txt")
    assert done.code == 1
    assert f"native 1.0 for {TARGET}: sdist only (for requirements.txt:3, app)" in done.out
    assert "1 wheel to build: no history of such builds, so no estimate" in done.out


def test_nothing_is_started_and_nothing_but_the_cache_is_written(stocked: Shell) -> None:
    spy = stocked.write("spy.py", "import runpy, sys\n"
                        "seen = []\n"
                        "sys.addaudithook(lambda e, a: seen.append(str(a[0])) if e == 'subprocess.Popen' else None)\n"
                        "sys.argv = ['farm', 'check', '-r', 'requirements.txt']\n"
                        "try:\n    runpy.run_module('farm', run_name='__main__', alter_sys=True)\n"
                        "finally:\n    print('STARTED', [path for path in seen if not path.endswith('/uv')])\n")  # fmt: skip
    import subprocess  # noqa: PLC0415 - only here
    import sys  # noqa: PLC0415 - only here

    done = subprocess.run(
        [sys.executable, str(spy)], cwd=stocked.folder, env=stocked.env, capture_output=True, text=True, timeout=60, check=False
    )
    assert "STARTED []" in done.stdout, done.stderr
    assert sorted(path.name for path in (stocked.folder / ".farm").iterdir()) == ["cache"]


def test_json_has_every_cell(index: IndexServer, stocked: Shell) -> None:
    add_wheel(index, "late", "1.0", tags="cp313-cp313-manylinux_2_28_x86_64")
    stocked.requirements("app==1.0", "late==1.0 ; python_version >= '3.13'")
    content = stocked.run("check", "-r", "requirements.txt", "--json", *BOTH).json
    assert (content["schema"], content["targets"], content["exit_code"]) == (1, [TARGET, OTHER], 1)
    assert cells(content) == {
        ("app", TARGET): "upstream-wheel", ("app", OTHER): "upstream-wheel",
        ("native", TARGET): "build", ("native", OTHER): "build",
        ("late", TARGET): "not-needed", ("late", OTHER): "upstream-wheel",
    }  # fmt: skip
    native = next(package for package in content["packages"] if package["name"] == "native")
    assert (native["version"], native["required_by"]) == ("1.0", ["app"])
    assert native["cells"][TARGET] == {"state": "build", "reason": "sdist only", "file": None, "estimate_s": None}
    assert content["cost"]["jobs"] == 2


def test_a_build_dependency_without_a_wheel_is_listed(index: IndexServer, shell: Shell) -> None:
    add_sdist(index, "native", "1.0", shell.folder)
    add_sdist(index, "setuptools", "80.0", shell.folder)
    shell.requirements("native==1.0")
    done = shell.run("check", "-r", "requirements.txt")
    assert done.code == 1
    # setuptools needs setuptools to be built: nobody can.
    assert "setuptools" in done.out
    assert "a circle of build dependencies" in done.out

    # The release before it has a wheel.
    add_wheel(index, "setuptools", "79.0")
    done = shell.run("check", "-r", "requirements.txt", "--refresh")
    assert done.code == 1
    assert f"note: setuptools==80.0 for {TARGET} is built with setuptools==79.0, of which there is a wheel" in done.out + done.err
    assert "cannot be planned" not in done.out


def test_github_annotates_the_line_that_leads_to_a_gap(index: IndexServer, stocked: Shell) -> None:
    stocked.requirements("# ours", "  app==1.0 # a comment")
    done = stocked.run("check", "-r", "requirements.txt", "--format", "github", *BOTH)
    lines = done.out.splitlines()
    assert done.code == 1
    assert lines[0] == (
        "::error file=requirements.txt,line=2,col=3,title=native 1.0%3A no wheel"
        f"::native 1.0 for {TARGET}, {OTHER}: sdist only%0Aneeded by app"
    )
    assert lines[1].startswith("::notice title=farm check::2 wheels to build")
    assert len(lines) == 2


@pytest.mark.parametrize(("fail_on", "code"), [("none", 0), ("impossible,unknown", 0), ("build", 1)])
def test_what_fails_is_the_users_choice(stocked: Shell, fail_on: str, code: int) -> None:
    assert stocked.run("check", "-r", "requirements.txt", "--fail-on", fail_on).code == code


def test_a_gap_that_does_not_exist_is_refused(stocked: Shell) -> None:
    done = stocked.run("check", "-r", "requirements.txt", "--fail-on", "biuld")
    assert done.code == 2
    assert "impossible" in done.err


def test_an_index_that_does_not_answer_is_exit_code_3_and_is_asked_again(index: IndexServer, stocked: Shell) -> None:
    index.fail("/simple/app", "401")
    done = stocked.run("check", "-r", "requirements.txt", "--json")
    assert done.code == 3
    index.failures.clear()
    assert stocked.run("check", "-r", "requirements.txt").code == 1


def test_no_solution_is_exit_code_7(stocked: Shell) -> None:
    stocked.requirements("app==1.0", "native==2.0")
    done = stocked.run("check", "-r", "requirements.txt", "--format", "github")
    assert done.code == 7
    assert done.out.startswith(f"::error title=no solution for {TARGET}::")


def test_no_requirements_is_usage(shell: Shell) -> None:
    done = shell.run("check")
    assert (done.code, "expected at least one -r FILE" in done.err) == (2, True)


def test_an_unchanged_question_asks_the_index_nothing_and_says_the_same(index: IndexServer, stocked: Shell) -> None:
    first = stocked.run("check", "-r", "requirements.txt", "--json")
    asked = len(index.requests)
    again = stocked.run("check", "-r", "requirements.txt", "--json")
    assert len(index.requests) == asked
    assert again.json | {"seconds": 0} == first.json | {"seconds": 0}
    assert len(list((stocked.folder / ".farm/cache/answers").iterdir())) == 1
    stocked.run("check", "-r", "requirements.txt", "--refresh")
    assert len(index.requests) > asked


def test_a_changed_file_below_another_is_a_new_question(index: IndexServer, stocked: Shell) -> None:
    stocked.write("all.txt", "-r requirements.txt\n")
    _age(stocked)
    assert stocked.run("check", "-r", "all.txt").code == 1
    stocked.requirements("setuptools==80.0")
    _age(stocked)
    assert stocked.run("check", "-r", "all.txt").code == 0


def test_a_changed_variable_is_a_new_question(index: IndexServer, stocked: Shell) -> None:
    stocked.requirements("setuptools==${MAJOR}.0", "native==1.0 ; python_version < '3.${MINOR}'")
    _age(stocked)
    codes = [stocked.run("check", "-r", "requirements.txt", MAJOR="80", MINOR=minor).code for minor in ("9", "99", "9")]
    assert codes == [0, 1, 0]


def test_a_changed_configuration_target_or_index_is_a_new_question(index: IndexServer, stocked: Shell) -> None:
    def native(*options: str) -> set[str]:
        content = stocked.run("check", "-r", "requirements.txt", "--json", *options).json
        return {state for (name, _), state in cells(content).items() if name == "native"}

    assert native() == {"build"}
    index.add(("native-1.0-cp313-cp313-manylinux_2_28_x86_64.whl", b""), metadata="Metadata-Version: 2.1\nName: native\nVersion: 1.0\n")
    assert native() == {"build"}, "the page is within its TTL"
    assert native("--target", OTHER, "--refresh") == {"upstream-wheel"}
    config = (stocked.folder / "config.toml").read_text()
    stocked.write("config.toml", config.replace(TARGET, OTHER))
    assert native() == {"upstream-wheel"}


def test_past_builds_give_the_estimate_and_a_new_one_changes_it(stocked: Shell) -> None:
    def remember(number: int, seconds: float, **changes: Any) -> None:
        root = stocked.folder / ".farm"
        started = datetime(2026, 1, number, tzinfo=UTC)
        fields: dict[str, Any] = {
            "id": f"2026010{number}", "run": "r", "name": canonicalize_name("native"), "version": Version("0.9"), "target": TARGET,
            "state": "published", "started": started, "ended": started + timedelta(seconds=seconds), "log": "",
            "key": JobKey(f"{number:064}"),
        } | changes  # fmt: skip
        catalogue = Catalogue(f"sqlite:///{root}/catalogue.sqlite", Locks(root / "locks"))
        catalogue.begin(Attempt(**fields))
        catalogue.close()

    def estimate() -> float | None:
        content = stocked.run("check", "-r", "requirements.txt", "--json").json
        native = next(package for package in content["packages"] if package["name"] == "native")
        found: float | None = native["cells"][TARGET]["estimate_s"]
        return found

    assert estimate() is None
    remember(1, 120)
    assert estimate() == 120
    remember(2, 5, state="failed")
    remember(3, 1, key=JobKey(f"{1:064}"))
    assert estimate() == 120, "neither a failure nor a wheel that was there already tells how long building takes"
    remember(4, 300)
    assert estimate() == 300
    told = stocked.run("check", "-r", "requirements.txt").out
    assert f"native 1.0 for {TARGET} (about 5 min): sdist only" in told
    assert "1 wheel to build: about 5 min with" in told
    with sqlite3.connect(stocked.folder / ".farm/catalogue.sqlite") as database:
        assert database.execute("select count(*) from attempts").fetchone() == (4,)
