"""How long `farm explain` takes on a log of 10 MB, and how much memory: a verbose build, and one of nothing but error lines.

python benchmarks/explain.py [MEGABYTES]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ROOT = Path(__file__).resolve().parents[1]
_FLAGS = " ".join(f"-I/usr/include/part{number} -DOPTION_{number}=1" for number in range(12))
_CAUSE = "src/last.c:3:10: fatal error: lber.h: No such file or directory"


def verbose(size: int) -> Iterator[str]:
    """A build that prints its commands, with some warnings, and fails at its end."""
    total = number = 0
    while total < size:
        number += 1
        new = f"copying src/module_{number}.py -> build/lib.linux-x86_64-cpython-312/package\n"
        new += f"x86_64-linux-gnu-gcc -Wno-unused-result -O2 -Werror=format-security {_FLAGS} -c src/a{number}.c -o build/a{number}.o\n"
        if number % 20 == 0:
            new += f"src/a{number}.c:{number}:7: warning: unused variable ‘not_used_{number}’ [-Wunused-variable]\n"
        total += len(new)
        yield new
    yield f"{_CAUSE}\nerror: command '/usr/bin/gcc' failed with exit code 1\n"


def dense(size: int) -> Iterator[str]:
    """A log in which every second line might be an error: the worst case."""
    total = number = 0
    while total < size:
        number += 1
        new = f"src/a{number}.c:{number}:7: error: something is not right with ‘x{number}’ here\n  {number} |   call(x{number});\n"
        total += len(new)
        yield new
    yield f"{_CAUSE}\n"


def measure(parts: Iterable[str]) -> tuple[float, float, int]:
    """Megabytes of the log, seconds of the whole process (the best of three), KiB."""
    with tempfile.NamedTemporaryFile("w", suffix=".log", encoding="utf-8") as log:
        log.writelines(parts)
        log.flush()
        best, memory = 1e9, 0
        for _ in range(3):
            started = time.perf_counter()
            argv = [sys.executable, "-m", "farm", "explain", "--json", "--offline", log.name]
            child = subprocess.Popen(
                argv, cwd=_ROOT, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(_ROOT)}
            )
            assert child.stdout is not None
            output = child.stdout.read()
            _, status, usage = os.wait4(child.pid, 0)
            best = min(best, time.perf_counter() - started)
            memory = max(memory, usage.ru_maxrss)
            assert status == 0, output
        return Path(log.name).stat().st_size / 1e6, best, memory


def main() -> None:
    size = int(float(sys.argv[1]) * 1e6) if len(sys.argv) > 1 else 10_000_000
    for name, parts in (
        ("one line", [f"{_CAUSE}\n"]),
        ("verbose build", verbose(size)),
        ("nothing but errors", dense(size)),
    ):
        megabytes, seconds, memory = measure(parts)
        print(f"{name:20} {megabytes:6.1f} MB  {seconds:6.2f} s  {memory / 1024:6.1f} MiB")


if __name__ == "__main__":
    main()
