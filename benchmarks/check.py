"""How long `farm check` takes, as a whole process, beside what else could be run: curl for the same pages, uv for each target.

The index is synthetic (benchmarks/upstream.py), behind a line of 20 ms and 100 Mbit/s for the cold cases. Every factor is of
runs of one round, one after the other; the memory is the process's largest resident set. The store, and uv's cache, are new
in each cold round. uv's own knowledge of the interpreter is made before, in all of them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import ROOT, shown, spread, table, tell
from upstream import FAST, SLOW, Line, Upstream, name_of, newest

TARGETS = (
    "cp310-manylinux_2_28_x86_64", "cp311-manylinux_2_28_x86_64", "cp312-manylinux_2_28_x86_64", "cp313-manylinux_2_28_x86_64",
    "cp312-manylinux_2_28_aarch64", "cp312-musllinux_1_2_x86_64", "cp313-macosx_14_0_arm64", "cp312-win_amd64",
    "cp311-manylinux_2_28_aarch64", "cp311-musllinux_1_2_x86_64", "cp312-macosx_14_0_arm64", "cp313-win_amd64",
)  # fmt: skip
UV = (
    ("3.10", "x86_64-manylinux_2_28"), ("3.11", "x86_64-manylinux_2_28"), ("3.12", "x86_64-manylinux_2_28"),
    ("3.13", "x86_64-manylinux_2_28"), ("3.12", "aarch64-manylinux_2_28"), ("3.12", "x86_64-unknown-linux-musl"),
    ("3.13", "aarch64-apple-darwin"), ("3.12", "x86_64-pc-windows-msvc"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A process that ended well: wall time and processor time in seconds, largest resident set in MB, and its output."""

    seconds: float
    processor: float
    megabytes: float
    output: str


@dataclass(kw_only=True)
class Bench:
    """A folder with requirements and a config.toml, on one upstream."""

    folder: Path
    url: str
    targets: tuple[str, ...]
    extra: dict[str, str] = field(default_factory=dict)

    def write(self, lines: list[str], ttl: str = "1h") -> None:
        (self.folder / "requirements.txt").write_text("\n".join(lines) + "\n")
        # As a checkout, not as a file that is being edited: an answer is kept for files older than the question.
        os.utime(self.folder / "requirements.txt", (time.time() - 60, time.time() - 60))
        names = ", ".join(f'"{target}"' for target in self.targets)
        index = f'[index]\nurl = "{self.url}"\nttl = "{ttl}"\n'
        (self.folder / "config.toml").write_text(f'targets = [{names}]\n[store]\npath = ".farm"\n{index}')

    def environment(self) -> dict[str, str]:
        """A quiet one: nothing of the user's pip and uv."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "FARM_"))}
        return {**kept, "PYTHONPATH": str(ROOT), "NO_PROXY": "*", **self.extra}

    def run(self, *argv: str) -> Ran:
        """Run to the end; ends the benchmark when it fails."""
        output = self.folder / "output"
        with output.open("wb") as stream:
            started = time.perf_counter()
            process = subprocess.Popen(
                argv, cwd=self.folder, env=self.environment(), stdin=subprocess.DEVNULL, stdout=stream, stderr=stream
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        text = output.read_text(errors="replace")
        if process.returncode:
            sys.exit(f"{argv[:4]} ended with {process.returncode}:\n{text[-3000:]}")
        return Ran(seconds=seconds, processor=usage.ru_utime + usage.ru_stime, megabytes=usage.ru_maxrss / 1024, output=text)

    def check(self, *options: str) -> Ran:
        return self.run(sys.executable, "-m", "farm", "check", "-r", "requirements.txt", *options)

    def forget(self) -> None:
        shutil.rmtree(self.folder / ".farm", ignore_errors=True)

    def curl(self, names: list[str]) -> Ran:
        """Fetch the pages and throw them away."""
        asks = "".join(f'url = "{self.url}/{name}/"\noutput = "/dev/null"\n' for name in names)
        (self.folder / "curl.txt").write_text(asks)
        accept = ("-H", "Accept: application/vnd.pypi.simple.v1+json", "-H", "Accept-Encoding: gzip")
        return self.run("curl", "--silent", "--fail", "--parallel", *accept, "--config", "curl.txt")

    def uv(self, *options: str) -> Ran:
        from uv import find_uv_bin  # noqa: PLC0415 - only where uv is measured

        shutil.rmtree(self.folder / "resolved.txt", ignore_errors=True)
        plain = ("--no-config", "--quiet", "--no-build", "--default-index", self.url, "--cache-dir", str(self.folder / "uv-cache"))
        where = ("--python", sys.executable, "--no-python-downloads", "--output-file", str(self.folder / "resolved.txt"))
        done = self.run(find_uv_bin(), "pip", "compile", *plain, *where, *options, "requirements.txt")
        (self.folder / "resolved.txt").unlink()
        return done

    def uv_each(self, *, shared: bool) -> float:
        """Return the seconds of one run for each target, from nothing; `shared`: with one cache, so that only the first is cold."""
        self.fresh_uv()
        seconds = 0.0
        for version, platform in UV:
            if not shared:
                self.fresh_uv()
            seconds += self.uv("--python-version", version, "--python-platform", platform).seconds
        return seconds

    def fresh_uv(self) -> None:
        """Leave in uv's cache only what it knows of the interpreter, which it would take a second to find out."""
        for path in (self.folder / "uv-cache").glob("*"):
            if path.is_dir() and not path.name.startswith("interpreter-"):
                shutil.rmtree(path)


def pins(count: int, small: int = 0) -> list[str]:
    return [f"{name_of(number)}=={newest(number, small)}" for number in range(count)]


def scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="check-")


def cold(rounds: int, line: Line) -> dict[str, Any]:
    """40 pins for 8 targets from nothing, beside curl and uv."""
    with Upstream(count=40, small=0, line=line, prepare=40) as upstream, scratch() as folder:
        bench = Bench(folder=Path(folder), url=upstream.url, targets=TARGETS[:8])
        bench.write(pins(40))
        bench.uv("--python-version", "3.12", "--no-deps")
        farms, curls, uvs, alone = [], [], [], []
        for _ in range(rounds):
            bench.forget()
            curls.append(bench.curl([name_of(number) for number in range(40)]))
            farms.append(bench.check())
            uvs.append(bench.uv_each(shared=True))
            alone.append(bench.uv_each(shared=False))
        ran = [one.seconds for one in farms]
        return {
            "case": f"cold, 40 pins × 8 targets ({line})", "pages_mb": round(upstream.size / 1e6, 1),
            "farm": spread(ran), "farm_processor": spread([one.processor for one in farms]),
            "farm_mb": round(max(one.megabytes for one in farms)), "said": farms[-1].output.strip().splitlines()[-1],
            "curl": spread([one.seconds for one in curls]), "of_curl": ratios(ran, [one.seconds for one in curls]),
            "uv": spread(uvs), "faster_than_uv": ratios(uvs, ran),
            "uv_no_shared_cache": spread(alone), "faster_than_uv_no_shared_cache": ratios(alone, ran),
        }  # fmt: skip


def ratios(seconds: list[float], others: list[float]) -> dict[str, float]:
    """Return the factor of each round."""
    return spread([one / other for one, other in zip(seconds, others, strict=True)])


def warm(rounds: int, count: int, targets: int, limit: float) -> dict[str, Any]:
    """An unchanged question; then one line changed; then pages that are too old to be used unasked."""
    small = 0 if count == 40 else 20 if count <= 300 else 4
    with Upstream(count=count, small=small, line=FAST) as upstream, scratch() as folder:
        bench = Bench(folder=Path(folder), url=upstream.url, targets=TARGETS[:targets])
        bench.write(pins(count, small))
        first = bench.check()
        same = [bench.check() for _ in range(rounds)]
        bench.write(pins(count, small)[:-1])
        changed = bench.check()
        as_json, python = bench.check("--json"), bench.run(sys.executable, "-c", "pass")
        return {
            "case": f"unchanged, {count} pins × {targets} targets", "limit": limit,
            "first": round(first.seconds, 2), "first_mb": round(first.megabytes),
            "unchanged": spread([ran.seconds for ran in same]), "unchanged_mb": round(max(ran.megabytes for ran in same)),
            "json": round(as_json.seconds, 3), "json_mb": round(as_json.megabytes),
            "one_line_less": round(changed.seconds, 2), "one_line_less_mb": round(changed.megabytes),
            "python_alone": round(python.seconds, 3), "said": same[-1].output.strip().splitlines()[-1],
        }  # fmt: skip


def universal(rounds: int) -> dict[str, Any]:
    """60 requirements without pins, for 8 targets, beside one universal run of uv alone; pages known to both."""
    with Upstream(count=60, small=20, line=SLOW, prepare=60) as upstream, scratch() as folder:
        bench = Bench(folder=Path(folder), url=upstream.url, targets=TARGETS[:8])
        bench.write([f"{name_of(number)}>=2" for number in range(60)])
        bench.uv("--universal", "--python-version", "3.10")
        farms, uvs = [], []
        for _ in range(rounds):
            bench.forget()
            bench.fresh_uv()
            uvs.append(bench.uv("--universal", "--python-version", "3.10").seconds)
            farms.append(bench.check().seconds)
        case = f"60 ranges × 8 targets, cold ({SLOW})"
        return {"case": case, "farm": spread(farms), "uv_universal": spread(uvs), "of_uv": ratios(farms, uvs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three rounds instead of seven, and no 3,000 pins")
    asked = parser.parse_args()
    rounds = 3 if asked.quick else 7
    from_nothing = cold(rounds, SLOW)
    again = [warm(rounds, 40, 8, 0.2), warm(rounds, 300, 8, 0.5), *([] if asked.quick else [warm(rounds, 3000, 12, 3.0)])]
    ranges = universal(rounds)
    beside = ("farm", "curl", "of_curl", "uv", "faster_than_uv", "uv_no_shared_cache", "faster_than_uv_no_shared_cache")
    cells = [
        (r["case"], shown(r["unchanged"]), *(str(r[key]) for key in ("limit", "unchanged_mb", "json", "one_line_less", "first")))
        for r in again
    ]
    printed = [
        f"{from_nothing['case']}, pages of {from_nothing['pages_mb']} MB",
        table(
            ("farm check s", "curl s", "of curl", "uv × 8, one cache s", "farm faster", "uv × 8, a cache each s", "farm faster"),
            [[shown(from_nothing[key]) for key in beside]],
        ),
        table(("warm", "unchanged s", "aim s", "MB", "as JSON s", "one line less s", "first run s"), cells),
        table(
            ("ranges", "farm check s", "uv --universal s", "of uv"),
            [[ranges["case"], *(shown(ranges[key]) for key in ("farm", "uv_universal", "of_uv"))]],
        ),
    ]
    tell("check", "\n\n".join(printed), [from_nothing, *again, ranges])


if __name__ == "__main__":
    main()
