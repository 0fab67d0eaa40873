"""A synthetic upstream index on the loopback interface, behind a link of a stated delay and bandwidth.

Its pages weigh what real ones do (measured: 40 pages of binary packages are 130,000 files, 85 MB of JSON, 19 MB
compressed): `Shape.real` gives the sizes. All connections share the bandwidth; each answer, and each new connection, costs
one round trip. Pages are JSON, compressed, with ETag, `core-metadata` and `.metadata` files. Runs in a process of its own,
so that it takes none of its client's interpreter: `python benchmarks/upstream.py` prints its URL and serves until stdin ends.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import hashlib
import json
import random
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

CHUNK = 16_384
LARGEST, SHRINK = 14_917, 0.89
PYTHONS = ("cp38-cp38", "cp39-cp39", "cp310-cp310", "cp311-cp311", "cp312-cp312", "cp313-cp313", "cp313-cp313t", "cp314-cp314",
           "cp314-cp314t")  # fmt: skip
PLATFORMS = ("manylinux_2_17_x86_64.manylinux2014_x86_64", "manylinux_2_28_aarch64", "musllinux_1_2_x86_64",
             "musllinux_1_2_aarch64", "macosx_11_0_arm64", "macosx_10_12_x86_64", "win_amd64")  # fmt: skip
NATIVE = tuple(f"{python}-{platform}" for python in PYTHONS for platform in PLATFORMS)
SMALL = (*(f"cp38-abi3-{platform}" for platform in PLATFORMS), *NATIVE[-5:])
TEXT = "A paragraph of a description, of which real packages have many. " * 60


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One project: how many versions, and the tags of each version's wheels; an sdist comes with each."""

    versions: int
    tags: tuple[str, ...]

    @staticmethod
    def of(number: int, small: int) -> Shape:
        """Return the shape of the project of a number: as large as real ones, or `small` versions of a dozen wheels each.

        Every fourth is pure, with many versions of two files.
        """
        if small:
            return Shape(versions=small, tags=("py3-none-any",) if number % 4 == 3 else SMALL)
        files = int(LARGEST * SHRINK**number)
        if number % 4 == 3:
            return Shape(versions=min(files // 2, 2555), tags=("py3-none-any",))
        return Shape(versions=max(files // (len(NATIVE) + 1), 2), tags=NATIVE)


def name_of(number: int) -> str:
    return f"package-{number:04d}"


def newest(number: int, small: int) -> str:
    return f"{Shape.of(number, small).versions - 1}.0"


def metadata(number: int, version: str, count: int) -> bytes:
    """Return the METADATA of a version: three requirements on other projects of the index, some of them conditional.

    They are among the `count` projects that begin at a multiple of it.
    """
    first = number // count * count
    needs = [name_of(first + (number - first + step) % count) for step in (1, 7, 13)]
    lines = [
        "Metadata-Version: 2.1", f"Name: {name_of(number)}", f"Version: {version}", "Requires-Python: >=3.8",
        f"Requires-Dist: {needs[0]}>=1.0", f"Requires-Dist: {needs[1]}>=1.0; python_version < '3.13'",
        f"Requires-Dist: {needs[2]}>=1.0; sys_platform == 'win32'",
        "Provides-Extra: test", "Requires-Dist: not-there>=1; extra == 'test'", "", TEXT,
    ]  # fmt: skip
    return "\n".join(lines).encode()


def page(number: int, small: int, count: int) -> bytes:
    """Return a project's page as JSON, the same for the same arguments. Digests are random, as digests are."""
    shape, name = Shape.of(number, small), name_of(number)
    chance = random.Random(number)
    files = []
    for major in range(shape.versions):
        version = f"{major}.0"
        told = hashlib.sha256(metadata(number, version, count)).hexdigest() if major == shape.versions - 1 else _hex(chance)
        stem = f"{name.replace('-', '_')}-{version}"
        for filename in (*(f"{stem}-{tag}.whl" for tag in shape.tags), f"{stem}.tar.gz"):
            entry = {
                "filename": filename,
                "url": f"/files/{number}/{version}/{_hex(chance)}/{filename}",
                "hashes": {"sha256": _hex(chance)},
                "requires-python": ">=3.8",
                "size": chance.randrange(10_000, 9_000_000),
                "upload-time": f"20{10 + major % 16}-0{1 + major % 9}-11T10:20:{major % 60:02d}.{chance.randrange(10**6):06d}Z",
                "yanked": False,
                "provenance": None,
            }
            if filename.endswith(".whl"):
                # Of an old version each wheel was made by another tool, and says so in its metadata.
                told = told if major == shape.versions - 1 else _hex(chance)
                entry |= {"core-metadata": {"sha256": told}, "data-dist-info-metadata": {"sha256": told}}
            files.append(entry)
    return json.dumps({"meta": {"api-version": "1.4"}, "name": name, "files": files}).encode()


def _hex(chance: random.Random) -> str:
    return f"{chance.getrandbits(256):064x}"


class Link:
    """One line that all connections share: `rate` in bytes a second, 0 for no bound."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._free_at = 0.0

    async def carry(self, size: int) -> None:
        """Return when so many bytes have passed."""
        if not self._rate:
            return
        now = asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now) + size / self._rate
        # A sleep of less than the clock's grain would make the line slower than stated.
        if self._free_at - now > 0.002:
            await asyncio.sleep(self._free_at - now)


class Server:
    """The index over plain HTTP/1.1, with keep-alive."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self._count, self._small, self._delay = asked.count, asked.small, asked.delay
        self._near = asked.near or asked.count
        self._link = Link(asked.rate)
        self._page = lru_cache(maxsize=max(400, asked.prepare))(self._made)
        self._every = 0

    def _made(self, number: int, *, released: bool = False) -> tuple[bytes, str]:
        plain = page(number, self._small, self._near)
        if released:
            content = json.loads(plain)
            name = f"{name_of(number).replace('-', '_')}-9999.0.tar.gz"
            new = {"filename": name, "url": f"/files/{number}/9999.0/0/{name}", "hashes": {"sha256": "0" * 64}}
            plain = json.dumps({**content, "files": [*content["files"], new]}).encode()
        body = gzip.compress(plain, 6, mtime=0)
        return body, f'"{hashlib.sha256(body).hexdigest()[:20]}"'

    def prepare(self, pages: int) -> int:
        """Make the first pages beforehand; return their compressed size in bytes."""
        return sum(len(self._page(number)[0]) for number in range(pages))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            await asyncio.sleep(self._delay)
            while head := await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(self._delay)
                await self._answer(head.decode("latin-1"), writer)
        writer.close()

    async def _answer(self, head: str, writer: asyncio.StreamWriter) -> None:
        path = head.split(" ", 2)[1]
        status, headers, body = self._found(path, head)
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        for start in range(0, len(body), CHUNK):
            part = body[start : start + CHUNK]
            await self._link.carry(len(part))
            writer.write(part)
            await writer.drain()

    def _found(self, path: str, head: str) -> tuple[str, list[str], bytes]:
        parts = path.strip("/").split("/")
        if parts[0] == "simple" and len(parts) == 2 and parts[1].startswith("package-"):
            number = int(parts[1].removeprefix("package-"))
            if number < self._count:
                released = self._every and number % self._every == 0
                body, etag = self._made(number, released=True) if released else self._page(number)
                headers = ["Content-Type: application/vnd.pypi.simple.v1+json", f"ETag: {etag}", "Cache-Control: max-age=600"]
                if etag in head:
                    return "304 Not Modified", headers, b""
                return "200 OK", [*headers, "Content-Encoding: gzip"], body
        if parts[0] == "release":
            # From now on every so many-th project has a new release, an sdist.
            self._every = int(parts[1])
            return "200 OK", [], b""
        if parts[0] == "files" and path.endswith(".whl.metadata"):
            return "200 OK", ["Content-Type: text/plain"], metadata(int(parts[1]), parts[2], self._near)
        return "404 Not Found", [], b"not found"


@dataclass(frozen=True, kw_only=True)
class Line:
    """The line to the index: round trip in seconds, bytes a second (0: no bound)."""

    delay: float
    rate: float

    def __str__(self) -> str:
        return f"{self.delay * 1000:.0f} ms, {self.rate * 8 / 1e6:.0f} Mbit/s" if self.rate else "no delay, no bound"


SLOW = Line(delay=0.020, rate=100e6 / 8)
FAST = Line(delay=0.0, rate=0.0)


class Upstream:
    """The server as a child process; a context manager. Projects need others of the same `near`, 0: of all.

    `size` is what its prepared pages weigh, compressed, in bytes.
    """

    def __init__(self, *, count: int, small: int, line: Line, prepare: int = 0, near: int = 0) -> None:
        self._argv = [sys.executable, str(Path(__file__)), "--count", str(count), "--small", str(small), "--delay", str(line.delay),
                      "--rate", str(line.rate), "--prepare", str(prepare), "--near", str(near)]  # fmt: skip

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url, size = self._process.stdout.readline().split()
        self.size = int(size)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)


async def _main(asked: argparse.Namespace) -> None:
    server = Server(asked)
    size = server.prepare(asked.prepare)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}/simple", size, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--small", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--prepare", type=int, default=0)
    parser.add_argument("--near", type=int, default=0, help="projects need only others of the same so many; 0: of all")
    asyncio.run(_main(parser.parse_args()))
