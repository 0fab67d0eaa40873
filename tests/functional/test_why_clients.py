"""`farm why` against the clients themselves: real pip and real uv choose from real indexes, and must choose as it says."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from uv import find_uv_bin

from farm.model.client import Client
from farm.model.demand import IndexOptions
from farm.model.interpreter import running_target
from farm.model.package import Digest, IndexFile, Project, file_version
from farm.survey.why import Question, why
from tests.fakes.index_server import IndexServer
from tests.fakes.store import wheel_bytes

if TYPE_CHECKING:
    from pathlib import Path

NAME = canonicalize_name("demo")
HERE = running_target()
CP = HERE.python_tag
OWN, LINUX, PURE = f"{CP}-{CP}-manylinux_2_17_{HERE.arch}", f"{CP}-{CP}-linux_{HERE.arch}", "py3-none-any"
NEWER = f"{CP}-{CP}-manylinux_2_28_{HERE.arch}"
STABLE = f"cp39-abi3-manylinux_2_17_{HERE.arch}"
FOREIGN = f"{CP}-{CP}-win_amd64"
SDIST = "demo-1.0.tar.gz"


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is on the two indexes (file name, or file name and page keys), and what is asked."""

    upstream: tuple[str | tuple[str, dict[str, object]], ...]
    farm: tuple[str | tuple[str, dict[str, object]], ...] = ()
    asked: str = ""
    options: IndexOptions = field(default_factory=IndexOptions)
    arguments: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()


def wheel(tags: str, version: str = "1.0") -> str:
    return f"demo-{version}-{tags}.whl"


CASES = {
    "the farm's wheel beats upstream's sdist": Case(upstream=(SDIST,), farm=(wheel(OWN),)),
    "a newer sdist beats an older wheel": Case(upstream=(SDIST, "demo-1.1.tar.gz"), farm=(wheel(OWN),)),
    "a newer sdist that is asked for": Case(upstream=(SDIST, "demo-1.1.tar.gz"), farm=(wheel(OWN),), asked=">=1.1"),
    "prefer binary": Case(
        upstream=("demo-1.1.tar.gz", wheel(OWN)), options=IndexOptions(prefer_binary=True), arguments=("--prefer-binary",)
    ),
    "only binary": Case(
        upstream=("demo-1.1.tar.gz", wheel(OWN)),
        options=IndexOptions(only_binary=frozenset({"demo"})), arguments=("--only-binary=demo",),
    ),
    "no binary": Case(
        upstream=(SDIST, wheel(OWN)), options=IndexOptions(no_binary=frozenset({"demo"})), arguments=("--no-binary=demo",)
    ),
    "the better tag": Case(upstream=(wheel(PURE), wheel(OWN), wheel(STABLE))),
    "the stable abi before pure": Case(upstream=(wheel(PURE), wheel(STABLE), wheel(FOREIGN))),
    "the newer libc level": Case(upstream=(wheel(NEWER), wheel(OWN))),
    "linux against manylinux": Case(upstream=(wheel(OWN), wheel(LINUX))),
    "the farm's linux against upstream's manylinux": Case(upstream=(wheel(OWN),), farm=(wheel(LINUX),)),
    "the higher build tag": Case(upstream=(wheel(OWN), wheel(f"2-{OWN}"), wheel(f"10-{OWN}"))),
    "the farm's build tag": Case(upstream=(wheel(OWN),), farm=(wheel(f"1-{OWN}"),)),
    "the same name on both": Case(upstream=(wheel(OWN),), farm=(wheel(OWN),)),
    "a foreign wheel on the farm": Case(upstream=(SDIST,), farm=(wheel(FOREIGN),)),
    "requires python": Case(upstream=((wheel(OWN, "1.1"), {"requires_python": ">=3.99"}), wheel(PURE))),
    "yanked": Case(upstream=((wheel(OWN, "1.1"), {"yanked": "broken"}), wheel(OWN))),
    "yanked and pinned": Case(upstream=((wheel(OWN, "1.1"), {"yanked": "broken"}), wheel(OWN)), asked="==1.1"),
    "one of a version yanked": Case(upstream=((wheel(OWN), {"yanked": True}), wheel(PURE)), asked=">=1.0"),
    "a pre-release": Case(upstream=(wheel(OWN, "2.0b1"), wheel(OWN))),
    "only pre-releases": Case(upstream=(wheel(OWN, "2.0b1"), wheel(OWN, "2.0a1"))),
    "a pre-release that is asked for": Case(upstream=(wheel(OWN, "2.0b1"), wheel(OWN)), asked=">=1.0b1"),
    "malformed names": Case(upstream=("demo-1.0-py3-none.whl", "demo-1.0.win32.exe", wheel(PURE))),
    "a pre-release in the range": Case(upstream=(wheel(OWN, "2.0b1"), wheel(OWN)), asked=">1.0"),
    "a pre-release bound above": Case(upstream=(wheel(OWN, "2.0b2"), wheel(OWN, "2.0b1"), wheel(OWN)), asked=">=2.0b1"),
    "a pre-release pin": Case(upstream=(wheel(OWN, "2.0b1"), wheel(OWN)), asked="==2.0b1"),
    "a pre-release beside a newer one": Case(upstream=(wheel(OWN, "2.0b1"), wheel(OWN, "1.0"), wheel(OWN, "1.5")), asked=">=1.0b1,<2.0b3"),
    "pre": Case(upstream=(wheel(OWN, "2.0b1"), wheel(OWN)), options=IndexOptions(pre=True), arguments=("--pre",)),
    "a bound": Case(upstream=(wheel(OWN, "3.0"), wheel(OWN, "2.0"), wheel(OWN)), asked="<3"),
    "the hash of the sdist": Case(upstream=(SDIST, wheel(OWN)), hashed=(SDIST,), asked="==1.0"),
    "the hash of a worse wheel": Case(upstream=(wheel(PURE), wheel(OWN)), hashed=(wheel(PURE),), asked="==1.0"),
    "nothing fits": Case(upstream=(wheel(FOREIGN),)),
}  # fmt: skip


def data_of(filename: str, where: str) -> bytes:
    version = filename.removeprefix("demo-").removesuffix(".tar.gz").split("-")[0]
    return wheel_bytes("demo", version, where)[0] if filename.endswith(".whl") else f"no archive: {filename} {where}".encode()


def put(server: IndexServer, entries: tuple[str | tuple[str, dict[str, object]], ...], where: str) -> None:
    for entry in entries:
        filename, page = (entry, {}) if isinstance(entry, str) else entry
        version = filename.split("-")[1].removesuffix(".tar.gz")
        metadata = f"Metadata-Version: 2.1\nName: demo\nVersion: {version}\n" if filename.endswith(".whl") else None
        server.projects.setdefault("demo", {})
        if filename not in server.projects["demo"]:
            server.add((filename, data_of(filename, where)), metadata=metadata, **page)


def page(entries: tuple[str | tuple[str, dict[str, object]], ...], where: str) -> Project | None:
    files = []
    for entry in entries:
        filename, keys = (entry, {}) if isinstance(entry, str) else entry
        files.append(
            IndexFile(
                filename=filename, url=filename, version=file_version(filename, NAME),
                sha256=Digest(hashlib.sha256(data_of(filename, where)).hexdigest()), **keys,  # type: ignore[arg-type]
            )
        )  # fmt: skip
    return Project(name=NAME, files=tuple(files)) if files else None


@dataclass(kw_only=True)
class Servers:
    """The indexes of a case; `taken` tells what file a client asked of which of them."""

    upstream: IndexServer
    farm: IndexServer
    merged: IndexServer

    def taken(self, name: str) -> tuple[str, str] | None:
        """pip asks for the metadata of what it has chosen; uv also for that of a wheel that it cannot take, but only to read."""
        for where, server in (("upstream", self.upstream), ("farm", self.farm), ("merged", self.merged)):
            for path in server.requests:
                if path.startswith("/files/demo/") and (name == "pip" or not path.endswith(".metadata")):
                    return path.removeprefix("/files/demo/").removesuffix(".metadata"), where
        return None


def client(name: str, view: str, servers: Servers, case: Case, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """Run the client to the point where it has chosen; it then fails on an sdist, which is no archive, before running anything."""
    line = f"demo{case.asked}"
    line += "".join(f" --hash=sha256:{hashlib.sha256(data_of(filename, 'upstream')).hexdigest()}" for filename in case.hashed)
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{line}\n", encoding="utf-8")
    main, extra = (servers.merged.url, None) if view == "merged" else (servers.upstream.url, servers.farm.url)
    if name == "pip":
        argv = [sys.executable, "-m", "pip", "--isolated", "install", "--dry-run", "--ignore-installed", "--no-cache-dir", "--no-deps",
                "--retries=0", "--index-url", main, *(("--extra-index-url", extra) if extra else ())]  # fmt: skip
    else:
        argv = [find_uv_bin(), "pip", "install", "--no-config", "--no-cache", "--no-deps", "--python", sys.executable,
                "--target", str(folder / "target"), "--default-index", main, *(("--index", extra) if extra else ())]  # fmt: skip
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "NO_PROXY": "127.0.0.1", "UV_PYTHON_DOWNLOADS": "never", "UV_HTTP_RETRIES": "0"}
    arguments = [a for a in case.arguments if not (name == "uv" and a == "--prefer-binary")]
    return subprocess.run(
        [*argv, *arguments, "-r", str(requirements)], env=env, cwd=folder, capture_output=True, timeout=60, check=False
    )


@pytest.mark.parametrize("view", ["merged", "extra"])
@pytest.mark.parametrize("name", ["pip", "uv"])
@pytest.mark.parametrize("title", CASES)
def test_the_client_takes_what_farm_why_says(title: str, name: str, view: str, tmp_path: Path) -> None:
    case = CASES[title]
    hashes = frozenset(Digest(hashlib.sha256(data_of(filename, "upstream")).hexdigest()) for filename in case.hashed) or None
    question = Question(
        name=NAME, target=HERE, specifier=SpecifierSet(case.asked), client=Client(name=name), options=case.options, hashes=hashes  # type: ignore[arg-type]
    )  # fmt: skip
    answers = {answer.view: answer for answer in why(question, page(case.upstream, "upstream"), page(case.farm, "farm"))}
    chosen = answers[view].chosen  # type: ignore[index]
    with ExitStack() as stack:
        servers = Servers(**{where: stack.enter_context(IndexServer()) for where in ("upstream", "farm", "merged")})
        put(servers.upstream, case.upstream, "upstream")
        put(servers.farm, case.farm, "farm")
        put(servers.merged, case.upstream, "upstream")
        put(servers.merged, case.farm, "farm")
        done = client(name, view, servers, case, tmp_path)
        taken = servers.taken(name)
    expected = (chosen.file.filename, "merged" if view == "merged" else chosen.where) if chosen else None
    assert taken == expected, f"{title}: {name} took {taken}, farm why says {expected}\n{done.stderr.decode()}"
    # Where nothing can be taken the client must have said so: no request at all would also come of a broken set-up.
    assert expected is not None or (done.returncode != 0 and b"demo" in done.stderr)
