"""A farm to try clients on: `farm serve` in a process of its own, over a store that is filled here and an upstream on loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name, parse_wheel_filename

from farm.adapters.store import Store
from farm.model.package import Digest, Version
from farm.serve.simple import render_project
from tests.fakes.client_world import environment
from tests.fakes.index_server import IndexServer
from tests.fakes.store import FakeClock, Wheelmaker, wheel_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.client_world import File

ROOT = Path(__file__).resolve().parents[2]
TARGET = f"cp{sys.version_info[0]}{sys.version_info[1]}-manylinux_2_28_x86_64"
VIEWS = {"merged": "/simple/", "wheels": "/wheels/simple/", "strict": f"/strict/{TARGET}/simple/"}
BUILT = datetime(2026, 6, 1, tzinfo=UTC)


@dataclass(kw_only=True)
class Site:
    """A folder with a store, and an upstream index. `running` serves it."""

    folder: Path
    upstream: IndexServer
    config: str = ""
    url: str = ""
    process: subprocess.Popen[str] | None = None
    _made: int = field(default_factory=lambda: int.from_bytes(os.urandom(4)))

    def host(self, *files: File) -> None:
        """Put files on the upstream index; a wheel has its metadata beside it."""
        for file in files:
            metadata = None
            if file.name.endswith(".whl"):
                name, version, _, _ = parse_wheel_filename(file.name)
                metadata = wheel_bytes(name, str(version))[1].decode()
            self.upstream.add((file.name, file.data), metadata=metadata)
            name = canonicalize_name(file.name.split("-")[0] if metadata else file.name.rsplit("-", 1)[0])
            self.upstream.projects[name][file.name].page |= file.page

    def publish(self, wheel: File, source: File | None = None, *, requires_python: str = "") -> None:
        """Put a wheel on the farm, as one that it built from `source`."""
        name, version, _, _ = parse_wheel_filename(wheel.name)
        maker = Wheelmaker(folder=self.folder / f"made{self._made}", requires_python=requires_python, upload_time=BUILT)
        self._made += 1
        record, verified = maker.make(name, str(version), _body(wheel))
        staged = replace(verified.built.wheel, filename=wheel.name)
        record = replace(
            record,
            filename=wheel.name,
            version=Version(str(version)),
            built_at=BUILT,
            sdist=f"{name.replace('-', '_')}-{version}.tar.gz",
            sdist_sha256=Digest(source.sha256 if source else "5" * 64),
        )
        store = Store(self.store, render_project, FakeClock())
        store.publish(record, replace(verified, built=replace(verified.built, wheel=staged)))
        store.close()

    @property
    def store(self) -> Path:
        return self.folder / ".farm"

    @property
    def env(self) -> dict[str, str]:
        made = environment(self.folder, PYTHONPATH=str(ROOT), PIP_CONFIG_FILE=os.devnull)
        return made | {"PIP_INDEX_URL": self.upstream.url}

    def farm(self, *arguments: str) -> str:
        """Run a farm command on this store and return what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "farm", *arguments],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, port: int = 0, **env: str) -> None:
        """Start serving; returns when the address is taken. `env` are more variables, as another upstream index."""
        (self.folder / "config.toml").write_text(f'targets = ["{TARGET}"]\n{self.config}')
        self.process = subprocess.Popen(
            [sys.executable, "-m", "farm", "serve", "--port", str(port)],
            cwd=self.folder, env=self.env | env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stderr is not None
        first = self.process.stderr.readline()
        assert first.startswith("serving "), first + self.process.stderr.read()
        self.url = first.split()[1].removesuffix("/simple/")

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def stop(self, how: signal.Signals = signal.SIGTERM) -> str:
        """End the server and return what it logged; a traceback in it fails."""
        assert self.process is not None
        self.process.send_signal(how)
        _, said = self.process.communicate(timeout=30)
        assert "Traceback" not in said, said
        self.process = None
        return said

    def view(self, name: str) -> str:
        return self.url + VIEWS[name]


def _body(wheel: File) -> str:
    """Return the source of a wheel's one module."""
    import io  # noqa: PLC0415 - here only
    import zipfile  # noqa: PLC0415 - here only

    with zipfile.ZipFile(io.BytesIO(wheel.data)) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".py")]
        return archive.read(name).decode()


@contextmanager
def running(folder: Path, config: str = "") -> Iterator[Site]:
    """Yield a site whose server is not started yet, and end it."""
    folder.mkdir(parents=True, exist_ok=True)
    with IndexServer() as upstream:
        site = Site(folder=folder, upstream=upstream, config=config)
        try:
            yield site
        finally:
            if site.process is not None:
                site.stop()
