"""Locks hold between threads and processes, and die with their holder."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from farm.adapters.locks import Locks
from farm.model.job import JobKey

KEY = JobKey("a" * 64)
ROOT = Path(__file__).parents[3]
_HOLD = """
import sys, time
from pathlib import Path
from farm.adapters.locks import Locks
with Locks(Path(sys.argv[1])).run("R1"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_run_is_alive_until_its_process_is_killed(tmp_path: Path) -> None:
    locks = Locks(tmp_path)
    assert not locks.alive("R1")
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert locks.alive("R1")
        assert not locks.alive("R2")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert not locks.alive("R1")


def test_two_who_ask_do_not_take_each_other_for_the_run(tmp_path: Path) -> None:
    locks = Locks(tmp_path)
    with locks._hold("run-R1", 1):  # LOCK_SH: as another process holds it while it asks
        assert not locks.alive("R1")


def test_a_job_waits_for_its_holder(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with Locks(tmp_path).job(KEY):
            order.append("second")

    thread = threading.Thread(target=second)
    with Locks(tmp_path).job(KEY):
        thread.start()
        thread.join(0.1)
        assert thread.is_alive()
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_page_that_another_holds_can_be_passed_over(tmp_path: Path) -> None:
    with Locks(tmp_path).page("demo", wait=True) as first, Locks(tmp_path).page("demo", wait=False) as second:  # type: ignore[arg-type]
        assert (first, second) == (True, False)


def test_the_lock_goes_with_an_exception(tmp_path: Path) -> None:
    locks = Locks(tmp_path)
    with pytest.raises(KeyError), locks.job(KEY):
        raise KeyError
    with locks.job(KEY):
        assert [path.name for path in tmp_path.iterdir()] == [f"job-{KEY}"]


@pytest.mark.parametrize("name", ["../x", "a/b", "", "a\nb"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="lock name"), Locks(tmp_path).run(f"{name}/"):
        pass
