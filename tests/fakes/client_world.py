"""What a client meets: an index that has only sdists, a farm that has their wheels, and pips of its own choice.

The sdists' build backend writes a mark outside and `ORIGIN = "compiled"` into the module; the farm's wheels say `ORIGIN = "farm"`:
the installed file tells who won. Nothing here needs a network.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.util
import io
import json
import os
import shutil
import ssl
import subprocess
import sys
import tarfile
import threading
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from tests.fakes.store import wheel_bytes

if TYPE_CHECKING:
    from types import TracebackType

FARM = 'ORIGIN = "farm"\n'
COMPILED = 'ORIGIN = "compiled"\n'
_TIME = "2026-01-02T03:04:05Z"
_BACKEND = """
import base64, os, pathlib
WHEEL = {wheel!r}
def _make(folder):
    mark = os.environ.get("COMPILED_MARK")
    if mark:
        with open(mark, "a") as file:
            file.write({name!r} + "\\n")
    pathlib.Path(folder, WHEEL).write_bytes(base64.b64decode({data!r}))
    return WHEEL
def build_wheel(folder, config_settings=None, metadata_directory=None):
    return _make(folder)
def get_requires_for_build_wheel(config_settings=None):
    return []
"""


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of an index page."""

    name: str
    data: bytes
    page: dict[str, Any] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def sdist(name: str, version: str, **page: Any) -> File:
    """Return an sdist that builds without any requirement, and tells that it was built."""
    module = name.replace("-", "_")
    wheel, _ = wheel_bytes(name, version, COMPILED)
    stem = f"{module}-{version}"
    backend = _BACKEND.format(name=name, wheel=f"{stem}-py3-none-any.whl", data=base64.b64encode(wheel).decode())
    members = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": backend,
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, text in members.items():
            entry = tarfile.TarInfo(f"{stem}/{member}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    # mtime 0: the same sdist has the same bytes.
    return File(
        name=f"{stem}.tar.gz", data=gzip.compress(buffer.getvalue(), mtime=0), page={"upload-time": _TIME} | _keys(page)
    )


def wheel(name: str, version: str, tags: str = "py3-none-any", **page: Any) -> File:
    """Return a wheel as the farm has it."""
    data, _ = wheel_bytes(name, version, FARM)
    return File(
        name=f"{name.replace('-', '_')}-{version}-{tags}.whl", data=data, page={"upload-time": _TIME} | _keys(page)
    )


def _keys(page: dict[str, Any]) -> dict[str, Any]:
    return {key if key.startswith("_") else key.replace("_", "-"): value for key, value in page.items()}


class ClientWorld:
    """One loopback server with `/up/simple/` (sdists), and a farm: `/simple/` merged and `/wheels/simple/`. A context manager.

    `token` asks for it as the password of basic authentication; `tls` is (certificate, key).
    """

    def __init__(self, *, token: str = "", tls: tuple[Path, Path] | None = None) -> None:
        self.token = token
        self.tls = tls
        self.upstream: dict[str, list[File]] = {}
        self.farm: dict[str, list[File]] = {}
        self.requests: list[str] = []
        self.users: list[str] = []
        self.remote = ""
        """A host for which this server plays the proxy, too."""

    def add(self, *files: File) -> None:
        """Put an sdist on the upstream index, a wheel on the farm."""
        for file in files:
            name = canonicalize_name(
                file.name.rsplit("-", 1)[0] if file.name.endswith(".tar.gz") else file.name.split("-", 1)[0]
            )
            (self.farm if file.name.endswith(".whl") else self.upstream).setdefault(name, []).append(file)

    @property
    def origin(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self._server.server_port}"

    @property
    def up(self) -> str:
        return f"{self.origin}/up/simple/"

    @property
    def merged(self) -> str:
        return f"{self.origin}/simple/"

    def __enter__(self) -> ClientWorld:
        world = self

        class Handler(_Handler):
            served = world

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str) -> tuple[int, str, bytes]:
        path = path.removeprefix(f"http://{self.remote}")
        parts = [part for part in path.split("?")[0].split("/") if part]
        views = {"up": (self.upstream,), "wheels": (self.farm,), "simple": (self.upstream, self.farm)}
        view = views.get(parts[0], ()) if parts else ()
        rest = parts if parts and parts[0] == "simple" else parts[1:]
        if rest == ["simple"]:
            names = sorted({name for files in view for name in files})
            return self._json({"meta": {"api-version": "1.1"}, "projects": [{"name": name} for name in names]})
        if len(rest) == 2 and rest[0] == "simple":
            found = [file for files in view for file in files.get(rest[1], ())]
            return self._json(_page(rest[1], found)) if found else (404, "text/plain", b"")
        if len(parts) == 3 and parts[0] == "files":
            every = [file for files in (self.upstream, self.farm) for group in files.values() for file in group]
            data = next((file.data for file in every if file.sha256 == parts[1]), None)
            return (200, "application/octet-stream", data) if data is not None else (404, "text/plain", b"")
        return 404, "text/plain", b""

    def _json(self, content: dict[str, Any]) -> tuple[int, str, bytes]:
        return 200, "application/vnd.pypi.simple.v1+json", json.dumps(content).encode()


def _page(name: str, files: list[File]) -> dict[str, Any]:
    entries = [
        {
            "filename": file.name,
            "url": f"/files/{file.sha256}/{file.name}",
            "hashes": {"sha256": file.sha256},
            "size": len(file.data),
            "yanked": False,
        }
        | file.page
        for file in files
    ]
    return {"meta": {"api-version": "1.1"}, "name": name, "versions": [], "files": entries}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    served: ClientWorld

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        world = self.served
        world.requests.append(self.path)
        given = self.headers.get("Authorization", "")
        user, _, password = base64.b64decode(given.removeprefix("Basic ")).decode().partition(":")
        world.users.append(user)
        if world.token and password != world.token:
            status, kind, body = 401, "text/plain", b"a token, please"
        else:
            status, kind, body = world.answer(self.path)
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="farm"')
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return what a client's programs run with: a home of their own and nothing of this machine's pip, uv or certificates."""
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(folder),
        "XDG_CONFIG_DIRS": str(folder / "etc"),
        "COMPILED_MARK": str(folder / "compiled"),
        "PIP_CERT": "",
    } | more


def client_python(folder: Path, pip: Path | None = None, python: str = sys.executable) -> str:
    """Return the interpreter of a new virtual environment whose pip is that of a pip wheel; None: the pip of these tests."""
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    packages = next((folder / "lib").glob("python*/site-packages"))
    if pip is not None:
        with zipfile.ZipFile(pip) as archive:
            archive.extractall(packages)
    else:
        spec = importlib.util.find_spec("pip")
        assert spec is not None
        assert spec.origin is not None
        shutil.copytree(Path(spec.origin).parent, packages / "pip", ignore=shutil.ignore_patterns("__pycache__"))
    return str(folder / "bin" / "python")


def interpreter(minor: int) -> str | None:
    """Return a Python 3.`minor` of this machine (PATH's, /usr/bin's, pyenv's), or None."""
    found = shutil.which(f"python3.{minor}")
    if found and "shims" not in found:
        return found
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return next((str(path) for path in sorted(versions.glob(f"3.{minor}.*/bin/python"))), None)
