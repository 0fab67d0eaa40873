"""Child processes end when they should, with everything they started, and tell no secrets."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from farm.adapters.process import Command, redact, run
from farm.errors import FarmError


def python(code: str, **rest: object) -> Command:
    return Command(argv=(sys.executable, "-c", code), **rest)  # type: ignore[arg-type]


def ended(pid: int) -> bool:
    """Tell whether a process ends within two seconds; a killed one may take its time."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False


def test_outputs_are_kept_apart_and_the_exit_code_told() -> None:
    done = run(python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"))
    assert (done.stdout, done.stderr, done.returncode, done.ok) == ("out\n", "err\n", 3, False)


def test_standard_input_is_closed_unless_given() -> None:
    assert run(python("import sys; print(repr(sys.stdin.read()))")).stdout == "''\n"
    assert run(python("import sys; print(sys.stdin.read())", input=b"hello")).stdout == "hello\n"


def test_a_child_that_reads_none_of_its_input_is_no_failure() -> None:
    assert run(python("pass", input=b"x" * 1_000_000)).ok


def test_more_output_than_a_pipe_holds() -> None:
    done = run(python("import sys; sys.stdout.write('a' * 500_000); sys.stderr.write('b' * 500_000)"))
    assert (len(done.stdout), len(done.stderr)) == (500_000, 500_000)


def test_timing_out_ends_grandchildren_too(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    code = f"import subprocess, time; p = subprocess.Popen(['sleep', '60']); open({str(told)!r}, 'w').write(str(p.pid)); time.sleep(60)"
    done = run(python(code, timeout=1.0))
    assert done.timed_out
    assert not done.ok
    assert done.seconds < 10
    assert ended(int(told.read_text()))


def test_a_child_that_ignores_the_request_to_end_is_killed() -> None:
    done = run(
        python(
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)", timeout=0.7, grace=0.2
        )
    )
    assert done.timed_out
    assert done.returncode == -signal.SIGKILL


def test_what_a_finished_program_left_running_does_not_hold_us() -> None:
    done = run(python("import subprocess; print(subprocess.Popen(['sleep', '30']).pid)"))
    assert done.ok
    assert done.seconds < 10
    assert ended(int(done.stdout))


def test_cancelling_from_another_thread() -> None:
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    done = run(python("import time; time.sleep(60)", cancel=cancel))
    assert done.cancelled
    assert done.seconds < 10


def test_lines_arrive_as_they_are_written_and_go_to_the_log_without_secrets(tmp_path: Path) -> None:
    lines: list[str] = []
    log = tmp_path / "log"
    log.write_text("before\n")
    code = "import sys; print('get https://me:secret@host/simple'); sys.stdout.flush(); print('oops', file=sys.stderr)"
    done = run(python(code, log=log, on_line=lines.append))
    assert done.ok
    assert lines == ["get https://***@host/simple", "oops"]
    assert log.read_text() == "before\nget https://***@host/simple\noops\n"


def test_a_failing_listener_is_heard() -> None:
    def complain(line: str) -> None:
        raise ValueError(line)

    with pytest.raises(ValueError, match="hello"):
        run(python("print('hello')", on_line=complain))


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(FarmError, match="cannot start no-such-program"):
        run(Command(argv=("no-such-program",)))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FarmError, match="expected a folder"):
        run(python("pass", cwd=tmp_path / "gone"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://user:pass@host/simple", "https://***@host/simple"),
        ("https://token@host/simple and http://a:b@c", "https://***@host/simple and http://***@c"),
        ("git+ssh://git@host/repository", "git+ssh://git@host/repository"),
        ("git+https://x:y@host/repository@v1", "git+https://***@host/repository@v1"),
        ("https://host/path@1.0", "https://host/path@1.0"),
        ("name @ https://host/a.whl", "name @ https://host/a.whl"),
    ],
)
def test_credentials_are_taken_out(text: str, expected: str) -> None:
    assert redact(text) == expected
