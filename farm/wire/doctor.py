"""What `farm doctor` looks at. Each check answers in a few seconds and changes nothing."""

from __future__ import annotations

import os
import platform
import shutil
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from farm.adapters.docker_engine import connect
from farm.adapters.process import redact
from farm.errors import FarmError
from farm.model.finding import Finding
from farm.wire.assembly import Farm
from farm.wire.site import proxies

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from farm.model.settings import Settings

State = Literal["ok", "warning", "fault"]
_LEAST_DISK = 10 << 30
_MOST_SKEW_SECONDS = 300.0


def examine(settings: Settings, env: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return what was found: configuration, engine, images, disk, upstream, clock."""
    found = [Finding(subject="configuration", state="ok", found=f"{settings.source}; {len(settings.targets)} targets")]
    with Farm(settings, env) as farm:
        found_engine = guarded("engine", lambda: engine(farm))
        found.append(found_engine)
        found.append(
            guarded("images", lambda: _images(farm))
            if found_engine.state == "ok"
            else Finding(subject="images", state="warning", found="not looked at, as no engine answers")
        )
        found.extend(_proxies(env))
        found.append(guarded("cibuildwheel", _docker_program))
        found.append(guarded("store", lambda: store(farm.root)))
        found.extend(_upstream(farm))
    return tuple(found)


def guarded(subject: str, check: Callable[[], Finding]) -> Finding:
    """Return what a check found; the farm's own failure is a fault of its subject."""
    try:
        return check()
    except FarmError as error:
        return Finding(subject=subject, state="fault", found=error.reason, fix=error.solution)


def engine(farm: Farm) -> Finding:
    """Whether an engine answers, and has the memory for the builds that run beside each other."""
    client = connect(farm.env.get("DOCKER_HOST"))
    version = client.version()
    info = client.info()
    text = f"Docker {version.get('Version')}, API {version.get('ApiVersion')}, {info.get('NCPU')} processors,"
    text += f" {int(info.get('MemTotal', 0)) / 2**30:.1f} GiB"
    memory = farm.settings.memory * farm.jobs
    if memory > int(info.get("MemTotal", 0)):
        fix = "lower [build] memory or jobs"
        text += f"; {farm.jobs} builds of {farm.settings.memory / 2**30:.1f} GiB may need more"
        return Finding(subject="engine", state="warning", found=text, fix=fix)
    return Finding(subject="engine", state="ok", found=text)


def _images(farm: Farm) -> Finding:
    needed = farm.needed_images()
    for spec in needed:
        farm.images.check_runs(spec)
    absent = [spec.name for spec in needed if farm.images.find(spec) is None]
    text = ", ".join(spec.name for spec in needed)
    if absent:
        fix = f"`farm images build` makes them ({', '.join(absent)}); `farm build` does so too when it needs them"
        return Finding(subject="images", state="warning", found=f"{len(absent)} of {len(needed)} are not built yet", fix=fix)
    return Finding(subject="images", state="ok", found=text)


def _proxies(env: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return a warning where containers are told of a proxy that they cannot reach."""
    urls = [value for name, value in proxies(env).items() if not name.lower().startswith("no")]
    hosts = {urlsplit(url if "://" in url else f"//{url}").hostname for url in urls}
    near = sorted(host for host in hosts if host and (host == "localhost" or host.startswith("127.") or host == "::1"))
    if not near:
        return ()
    fix = "name it by an address that containers reach, such as the one of docker0, and let it listen there"
    found = f"the proxy is at {', '.join(near)}, which in a container is the container itself"
    return (Finding(subject="proxy", state="warning", found=found, fix=fix, why="images and crates cannot be fetched through it"),)


def _docker_program() -> Finding:
    path = shutil.which("docker")
    if path is None:
        fix = "install the docker command line (Debian: docker.io or docker-cli); cibuildwheel runs it"
        return Finding(subject="docker program", state="fault", found="no `docker` on PATH", fix=fix)
    return Finding(subject="docker program", state="ok", found=path)


def store(root: Path) -> Finding:
    """Whether the store can be written, and has room."""
    path = next(folder for folder in (root, *root.parents) if folder.exists())
    if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
        wrong = "a folder that this user may not write" if path.is_dir() else "a file"
        fix = "make it a folder that this user may write, or choose another with [store] path"
        return Finding(subject="store", state="fault", found=f"{root}: expected a writable folder, found {path}, {wrong}", fix=fix)
    return _disk("store", path)


def _disk(subject: str, path: Path) -> Finding:
    free = shutil.disk_usage(path).free
    text = f"{path}: {free / 2**30:.1f} GiB free"
    if free < _LEAST_DISK:
        fix = f"free space: images and builds want {_LEAST_DISK >> 30} GiB"
        return Finding(subject=subject, state="fault" if free < _LEAST_DISK // 10 else "warning", found=text, fix=fix)
    return Finding(subject=subject, state="ok", found=text)


def _upstream(farm: Farm) -> tuple[Finding, ...]:
    """The index must answer for a project that every index has; its Date header tells how wrong our clock is."""
    try:
        urls = farm.pip.urls
        date = ask_upstream(farm)
    except FarmError as error:
        return (Finding(subject="upstream", state="fault", found=error.reason, fix=error.solution),)
    found = [Finding(subject="upstream", state="ok", found=", ".join(map(redact, urls)))]
    if date:
        skew = abs((farm.clock.now() - parsedate_to_datetime(date)).total_seconds())
        state: State = "ok" if skew < _MOST_SKEW_SECONDS else "fault"
        fix = "" if state == "ok" else "set the clock (timedatectl set-ntp true): certificates and caches depend on it"
        found.append(Finding(subject="clock", state=state, found=f"{skew:.0f} s from the index's", fix=fix))
    else:
        found.append(Finding(subject="clock", state="warning", found="the index tells no time; not compared"))
    if platform.system() != "Linux":
        found.append(
            Finding(subject="platform", state="warning", found=platform.system(), fix="wheels are inspected fully on Linux only")
        )
    return tuple(found)


def ask_upstream(farm: Farm) -> str | None:
    """Ask each upstream index for a project that every index has, and return the Date header of the last answer.

    UpstreamError when one does not answer.
    """
    from farm.adapters.upstream import ACCEPT  # noqa: PLC0415 - only what a command needs
    from farm.adapters.web import Web  # noqa: PLC0415 - the same

    web = Web(farm.pip)
    try:
        replies = [web.get(f"{url.rstrip('/')}/packaging/", {"Accept": ACCEPT}, subject=url) for url in farm.pip.urls]
    finally:
        web.close()
    return replies[-1].headers.get("date")
