"""wrk against one server: which requests, and what one run gave."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_UV = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"
CASES = {
    "html": ("text/html", ""),
    "json": (_UV, "gzip"),
    "304": (_UV, "gzip"),
    "wheel 40 kB": ("", ""),
    "wheel 5 MB": ("", ""),
    "metadata": ("", ""),
    "root": ("text/html", ""),
    "root gzip": (_UV, "gzip"),
}
_SAMPLE = 200
_CONNECTIONS = 16
_LUA = """
local asked = {}
function init(arguments)
  for line in io.lines(arguments[1]) do
    local path, etag = line:match("^([^\\t]+)\\t(.*)$")
    local headers = {}
    if arguments[2] ~= "-" then headers["Accept"] = arguments[2] end
    if arguments[3] ~= "-" then headers["Accept-Encoding"] = arguments[3] end
    if etag ~= "" then headers["If-None-Match"] = etag end
    asked[#asked + 1] = wrk.format("GET", path, headers)
  end
end
function request() return asked[math.random(#asked)] end
function done(s, latency)
  io.write(string.format('\\nRESULT {"requests":%d,"us":%d,"p50":%d,"p99":%d,"errors":%d}\\n', s.requests, s.duration,
    latency:percentile(50), latency:percentile(99),
    s.errors.connect + s.errors.read + s.errors.write + s.errors.status + s.errors.timeout))
end
"""


@dataclass(frozen=True)
class Side:
    """A running server. nginx's requests are its child's work, so processes are looked up below `pid`."""

    name: str
    port: int
    pid: int

    def cpu(self) -> float:
        """Return the processor seconds of the server and its children."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        ticks = 0
        for pid in (str(self.pid), *children):
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run: requests a second, the server's processor time for each in microseconds, latencies in milliseconds."""

    rate: float
    cpu: float
    p50: float
    p99: float

    @property
    def figures(self) -> dict[str, float]:
        """As they are told in JSON."""
        return {"rate": round(self.rate, 1), "cpu_us": round(self.cpu, 2), "p50_ms": self.p50, "p99_ms": self.p99}

    @classmethod
    def best(cls, runs: Sequence[Measured]) -> Measured:
        """Return the highest rate and the least processor time of several runs: others disturb, and never help."""
        rate = max(run.rate for run in runs)
        return cls(
            rate=rate,
            cpu=min(run.cpu for run in runs),
            p50=min(run.p50 for run in runs),
            p99=min(run.p99 for run in runs),
        )


class Load:
    """One kind of request, the same paths for both servers."""

    def __init__(self, folder: Path, case: str, sides: Sequence[Side], processor: str) -> None:
        self._folder = folder
        self._accept, self._encoding = CASES[case]
        self._processor = processor
        self._script = folder / "load.lua"
        self._script.write_text(_LUA)
        paths = _paths(folder, case)
        for side in sides:
            etags = self._etags(side, paths) if case == "304" else [""] * len(paths)
            lines = "".join(f"{path}\t{etag}\n" for path, etag in zip(paths, etags, strict=True))
            (folder / f"{side.name}.txt").write_text(lines)

    def measure(self, side: Side, seconds: int) -> Measured:
        """Run wrk once."""
        before = side.cpu()
        done = subprocess.run(
            ["taskset", "-c", self._processor, "wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "-s", str(self._script),
             f"http://127.0.0.1:{side.port}", "--", str(self._folder / f"{side.name}.txt"), self._accept or "-", self._encoding or "-"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        cpu = side.cpu() - before
        found = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))[7:])
        assert not found["errors"], found
        return Measured(
            rate=found["requests"] / found["us"] * 1e6,
            cpu=cpu / found["requests"] * 1e6,
            p50=found["p50"] / 1e3,
            p99=found["p99"] / 1e3,
        )

    def _etags(self, side: Side, paths: Sequence[str]) -> list[str]:
        connection = http.client.HTTPConnection("127.0.0.1", side.port)
        etags = []
        for path in paths:
            connection.request("GET", path, headers={"Accept": self._accept, "Accept-Encoding": self._encoding})
            answer = connection.getresponse()
            answer.read()
            etags.append(answer.headers["ETag"])
        connection.close()
        return etags


def _paths(folder: Path, case: str) -> list[str]:
    if case.startswith("root"):
        return ["/wheels/simple/"]
    names = (folder / "store" / "projects").read_text().split()
    if case in {"html", "json", "304"}:
        return [f"/wheels/simple/{name}/" for name in names]
    some = names[-4:] if case == "wheel 5 MB" else names[:_SAMPLE]
    pages = [json.loads((folder / "tree" / "wheels" / "simple" / name / "index.json").read_bytes()) for name in some]
    suffix = ".metadata" if case == "metadata" else ""
    return ["/" + page["files"][0]["url"].lstrip("./") + suffix for page in pages]
