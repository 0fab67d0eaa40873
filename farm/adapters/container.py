"""One container for one piece of strangers' work: made bare, filled by tar, bounded, and always removed.

A container gets nothing of the host mounted (at most a volume of what compilers made, `compiled`), no docker socket, no capability,
no credential, no stdin, and a network only when asked.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from farm.adapters.compiled import FOLDER
from farm.adapters.container_output import command_output, lines, logged
from farm.adapters.disk_watch import DiskWatch
from farm.adapters.docker_engine import translated
from farm.adapters.sandbox import HOME, OPEN_FILES, USER
from farm.adapters.source_tree import unpack_tar
from farm.errors import EngineError
from farm.model.build import BadSdist

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    from docker import DockerClient
    from docker.models.containers import Container as EngineContainer

    from farm.model.build import Limits

_SPOOL = 32 << 20
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FILE = 8 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerHost:
    """The engine, and what every container of this process shares.

    `run` and `store` mark the containers, so that a later process can tell what was left behind (`store` is a short
    digest of the store's path). `scratch` is where staging folders are made. `environment` is what host programs get:
    PATH, HOME, DOCKER_HOST and its like; `site` what a build that has a network gets to know of this site: the proxies,
    and pip's index where it has no password. `output` takes (attempt, line of output).
    """

    client: DockerClient
    run: str
    store: str
    scratch: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    site: Mapping[str, str] = field(default_factory=dict)
    output: Callable[[str, str], None] = lambda _attempt, _line: None

    @property
    def marks(self) -> dict[str, str]:
        """What tells this store's volumes from others'."""
        return {"farm.store": self.store, "farm.holds": "compiled"}

    def labels(self, attempt: str) -> dict[str, str]:
        return {"farm.attempt": attempt, "farm.run": self.run, "farm.store": self.store}

    def remove(self, attempt: str) -> None:
        """Kill and remove every container of an attempt, whoever started it."""
        remove_leftovers(self.client, {"farm.attempt": attempt, "farm.store": self.store})

    def disk_watch(self, attempt: str, limits: Limits, volume: str = "") -> DiskWatch:
        """Return a watch over what the containers of an attempt write, to their own disk and to a volume."""
        return DiskWatch(self.client, f"farm.attempt={attempt}", limits.disk, volume)

    def path(self, image: str) -> str:
        """Return PATH as an image sets it."""
        with translated("looking at an image"):
            environment = self.client.images.get(image).attrs["Config"]["Env"] or []
        return next((pair.removeprefix("PATH=") for pair in environment if pair.startswith("PATH=")), _PATH)

    def ran_out_of_memory(self, attempt: str, since: float) -> bool:
        """Tell whether a container of the attempt met its memory limit since then (seconds since 1970).

        Asks the engine's own record of events: it outlives the container, and the container's state (OOMKilled) knows
        only of its first process.
        """
        filters = {"label": [f"farm.attempt={attempt}"], "event": ["oom"]}
        with translated("asking for events"):
            events = self.client.api.events(since=int(since), until=int(time.time()) + 1, filters=filters, decode=True)
            return any(True for _ in events)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPlan:
    """What one container is made of. `environment` is added to the image's own; `network` is the engine's bridge.

    `volume` is the engine's volume for FOLDER of `compiled`, made when it is not there; empty for none.
    """

    image: str
    attempt: str
    limits: Limits
    network: bool = False
    volume: str = ""
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command in a container ended. `tail` are its last lines of output, `code` its exit code."""

    code: int
    tail: tuple[str, ...]
    timed_out: bool = False
    out_of_memory: bool = False
    out_of_disk: bool = False

    @property
    def ok(self) -> bool:
        return self.code == 0 and not self.timed_out


class Container:
    """A context manager over one container, which sleeps until commands are run in it.

    Its wall-time limit counts from the start and covers everything run in it; when it is over the container is killed,
    with every process in it. EngineError when the engine fails.
    """

    def __init__(self, host: ContainerHost, plan: ContainerPlan) -> None:
        self._host = host
        self._plan = plan
        self._engine: EngineContainer | None = None
        self._expired = threading.Event()
        self._deadline = 0.0
        self._since = time.time()
        self._timer: threading.Timer | None = None
        self._disk = host.disk_watch(plan.attempt, plan.limits, plan.volume)

    def __enter__(self) -> Self:
        try:
            with translated("starting a container"):
                self._engine = self._create()
                self._engine.start()
        except BaseException:
            self._remove()
            raise
        self._deadline = time.monotonic() + self._plan.limits.seconds
        self._timer = threading.Timer(self._plan.limits.seconds, self._expire)
        self._timer.daemon = True
        self._timer.start()
        self._disk.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._disk.__exit__(kind, error, trace)
        self._remove()

    def put(self, sources: Mapping[str, Path | bytes], owner: int = 1000) -> None:
        """Copy files, folders (whole) and bytes in; keys are absolute paths inside. Times, modes and links are kept."""
        with tempfile.SpooledTemporaryFile(max_size=_SPOOL) as spool:
            with tarfile.open(fileobj=spool, mode="w") as archive:
                for target, source in sources.items():
                    _add(archive, target.lstrip("/"), source, owner)
            spool.seek(0)
            with translated("copying into a container"):
                self._running.put_archive("/", spool)

    def get(self, path: str, folder: Path, limit: int) -> None:
        """Copy a folder or file out into `folder`, at most `limit` bytes.

        BadSdist when what comes out is larger, or would leave `folder`; EngineError when the path is not there.
        """
        if self._timer is not None:
            # The commands are over; copying is bounded by size.
            self._timer.cancel()
        with tempfile.SpooledTemporaryFile(max_size=_SPOOL) as spool:
            with translated("copying out of a container"):
                stream, _ = self._running.get_archive(path)
                for chunk in _bounded(stream, limit, path):
                    spool.write(chunk)
            spool.seek(0)
            with tarfile.open(fileobj=spool, mode="r:") as archive:
                unpack_tar(archive, folder, path)

    def run(
        self, argv: tuple[str, ...], *, log: Path, user: str = USER, environment: tuple[tuple[str, str], ...] = ()
    ) -> Ran:
        """Run a command without stdin in `/`, its output appended to `log` line by line and passed on.

        Once the time limit is over this runs nothing and returns `timed_out`.
        """
        tail: list[str] = []
        code = 137
        try:
            if not self._expired.is_set():
                code = self._execute(argv, log, (user, environment), tail)
        except EngineError:
            # A container that is killed under a command looks like an engine that fails.
            if not self._expired.is_set() and not self._disk.exceeded:
                raise
        expired, full = self._expired.is_set(), self._disk.exceeded
        no_memory = not expired and not full and code != 0 and self._host.ran_out_of_memory(self._plan.attempt, self._since)
        return Ran(
            code=code,
            tail=tuple(tail),
            timed_out=expired,
            out_of_memory=no_memory,
            out_of_disk=full,
        )

    def _execute(
        self, argv: tuple[str, ...], log: Path, how: tuple[str, tuple[tuple[str, str], ...]], tail: list[str]
    ) -> int:
        api = self._host.client.api
        user, environment = how
        with translated("running a command in a container"), log.open("ab") as file:
            started = api.exec_create(
                self._running.id, list(argv), stdin=False, user=user, workdir="/", environment=dict(environment)
            )
            with command_output(api.exec_start(started["Id"], socket=True)) as stream:
                for line in logged(lines(stream), file):
                    self._host.output(self._plan.attempt, line)
                    tail[:] = [*tail[-39:], line]
            code = api.exec_inspect(started["Id"])["ExitCode"]
        return 137 if code is None else int(code)

    @property
    def id(self) -> str:
        """The engine's id of the container."""
        return str(self._running.id)

    @property
    def seconds_left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    @property
    def _running(self) -> EngineContainer:
        assert self._engine is not None, "used outside its with block"
        return self._engine

    def _create(self) -> EngineContainer:
        from docker.types import LogConfig, Mount, Ulimit  # noqa: PLC0415 - see docker_engine

        plan, limits = self._plan, self._plan.limits
        return self._host.client.containers.create(
            plan.image,
            # It ends by itself even when this process is killed and nobody is left to remove it.
            ["sleep", str(int(limits.seconds) + 120)],
            labels=self._host.labels(plan.attempt),
            network_mode="bridge" if plan.network else "none",
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            mem_limit=limits.memory,
            memswap_limit=limits.memory,
            pids_limit=limits.processes,
            nano_cpus=int(limits.cpus * 1e9) or None,
            ulimits=[
                Ulimit(name="core", soft=0, hard=0),
                Ulimit(name="fsize", soft=_FILE, hard=_FILE),
                Ulimit(name="nofile", soft=OPEN_FILES, hard=OPEN_FILES),
            ],
            mounts=[Mount(target=FOLDER, source=plan.volume, type="volume", labels=self._host.marks)] if plan.volume else [],
            log_config=LogConfig(type="none"),
            environment={"HOME": HOME, **dict(plan.environment)},
            init=True,
            tty=False,
            stdin_open=False,
            working_dir="/",
        )

    def _expire(self) -> None:
        self._expired.set()
        if self._engine is not None:
            self._kill(self._engine)

    def _kill(self, engine: EngineContainer) -> None:
        from docker.errors import APIError  # noqa: PLC0415 - see docker_engine

        try:
            engine.kill()
        except APIError:
            # It ended by itself meanwhile, which is what was wanted.
            return

    def _remove(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            _remove(engine)


def remove_leftovers(client: DockerClient, labels: Mapping[str, str]) -> int:
    """Remove every container that has all these labels, running or not; return how many there were."""
    with translated("listing containers"):
        found = client.containers.list(all=True, ignore_removed=True, filters={"label": [f"{k}={v}" for k, v in labels.items()]})
    for container in found:
        _remove(container)
    return len(found)


def _remove(engine: EngineContainer) -> None:
    from docker.errors import APIError  # noqa: PLC0415 - see docker_engine

    try:
        with translated("removing a container"):
            engine.remove(force=True, v=True)
    except EngineError as error:
        # Someone else removed it, or is about to.
        if not (isinstance(error.__cause__, APIError) and error.__cause__.status_code in (404, 409)):
            raise


def _add(archive: tarfile.TarFile, target: str, source: Path | bytes, owner: int) -> None:
    def owned(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = owner
        info.uname = info.gname = ""
        return info

    if isinstance(source, bytes):
        info = owned(tarfile.TarInfo(target))
        info.size = len(source)
        info.mode = 0o644
        archive.addfile(info, io.BytesIO(source))
        return
    archive.add(source, arcname=target, filter=owned)


def _bounded(stream: Iterable[bytes], limit: int, path: str) -> Iterator[bytes]:
    total = 0
    for chunk in stream:
        total += len(chunk)
        if total > limit:
            reason = f"{path} in the build container is larger than {limit} bytes"
            raise BadSdist(reason, solution="the package makes more than a wheel may hold; see its build log")
        yield chunk
