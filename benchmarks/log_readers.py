"""What readers of a growing log cost the build that writes it: its time with none and with 50 readers, as a ratio.

    python -m benchmarks.log_readers [--readers 50] [--rounds 3]

The build is a child process that computes and writes a line every so often; server and readers are another process each.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from farm.serve.api import api_routes
from farm.serve.app import Options, create_app
from farm.serve.tail import Tails
from tests.fakes.overview import RUNNING, FakeOverview
from tests.fakes.serving import serving

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from farm.serve.views import FileSource

# Some five seconds of one processor, 20,000 lines of 120 bytes.
_BUILD = """
import hashlib, sys
with open(sys.argv[1], "ab", buffering=0) as log:
    for number in range(20000):
        digest = hashlib.sha256(bytes(200000)).hexdigest()
        log.write(f"{number:8} {digest} compiling a file of a package with a long name\\n".encode())
"""


def _serve(path: Path, control: Connection) -> None:
    overview = FakeOverview(logs={RUNNING.id: path})
    files: FileSource = None  # type: ignore[assignment]  # no file is asked for
    app = create_app({}, files, Options(api=api_routes(overview, Tails(overview))))
    with serving(app) as server:
        control.send(server.url)
        control.recv()
        # The build has ended.
        overview.alive.clear()
        control.recv()


def _read(url: str, readers: int, control: Connection) -> None:
    async def one(client: httpx.AsyncClient) -> int:
        size = 0
        async with client.stream("GET", f"{url}/api/v1/builds/{RUNNING.id}/log?follow=1") as stream:
            async for piece in stream.aiter_raw():
                size += len(piece)
        return size

    async def all_of_them() -> list[int]:
        limits = httpx.Limits(max_connections=readers)
        async with httpx.AsyncClient(timeout=None, limits=limits) as client:
            return await asyncio.gather(*(one(client) for _ in range(readers)))

    control.send(asyncio.run(all_of_them()))


def measure(readers: int) -> float:
    """Return the seconds that the build takes. RuntimeError when a reader did not get all of the log."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "build.log"
        path.touch()
        ours, theirs = multiprocessing.Pipe()
        server = multiprocessing.Process(target=_serve, args=(path, theirs))
        server.start()
        url = ours.recv()
        got, sent = multiprocessing.Pipe()
        reading = multiprocessing.Process(target=_read, args=(url, readers, sent)) if readers else None
        if reading:
            reading.start()
            time.sleep(2)
        begun = time.perf_counter()
        subprocess.run((sys.executable, "-c", _BUILD, str(path)), check=True)
        seconds = time.perf_counter() - begun
        ours.send("ended")
        if reading:
            sizes = got.recv()
            reading.join()
            if set(sizes) != {path.stat().st_size}:
                message = f"expected {path.stat().st_size} bytes for each reader, found {sorted(set(sizes))}"
                raise RuntimeError(message)
        ours.send("stop")
        server.join()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    # Turn and turn about: the machine is not the same at all times.
    pairs = [(measure(0), measure(options.readers)) for _ in range(options.rounds)]
    alone, read = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratios = sorted(with_them / without for without, with_them in pairs)
    print(f"alone {alone:.2f} s, with {options.readers} readers {read:.2f} s; ratios {', '.join(f'{ratio:.3f}' for ratio in ratios)}")


if __name__ == "__main__":
    main()
