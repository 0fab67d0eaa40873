"""Which system package has what a build lacks, asked of the image's own package database.

apt: its Contents indexes, fetched by apt itself in a container of the image (apt-file's way, Debian policy's `Contents-ARCH`),
and kept as one SQLite file. dnf: `dnf provides`. apk: `apk search`.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from farm.adapters.container import Container, ContainerPlan
from farm.adapters.provider_index import SCHEMA, Lists, PackageIndex, make_index
from farm.adapters.provider_queries import apk_answer, apk_command, dnf_answer, dnf_command
from farm.adapters.provider_rank import rank
from farm.adapters.sandbox import HOME
from farm.errors import StoreError, UpstreamError

if TYPE_CHECKING:
    from farm.adapters.container import ContainerHost
    from farm.model.build import Limits
    from farm.model.healing import Candidate, Need
    from farm.model.image import Image

_FOLDER = "/tmp/farm-contents"  # noqa: S108 - a path inside the container
_BYTES = 1 << 30
_FRESH_S = 7 * 86400.0
_SECONDS = 600.0


class ImageProviders:
    """Implements `farm.ports.Providers` on a Docker engine. `cache` keeps the indexes; `environment` are the site's proxies.

    An index is made anew when it is a week old; its name tells the suite, the architecture and a digest of the Release files.
    """

    def __init__(
        self, host: ContainerHost, *, cache: Path, limits: Limits, environment: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self._host = host
        self._cache = cache
        self._limits = limits
        self._environment = environment
        self._making = threading.Lock()
        self._asked: dict[tuple[str, Need], tuple[Candidate, ...]] = {}

    def find(self, image: Image, need: Need) -> tuple[Candidate, ...]:
        """Return the packages that have what is needed, the best first; none when none has it.

        UpstreamError when the package database cannot be fetched; EngineError; StoreError.
        """
        key = (image.digest, need)
        if key not in self._asked:
            self._asked[key] = self._find(image, need)
        return self._asked[key]

    def _find(self, image: Image, need: Need) -> tuple[Candidate, ...]:
        if image.spec.family == "debian":
            try:
                return PackageIndex(self._debian(image)).find(need)
            except StoreError:
                # Damaged, or cut off by a full disk: it is only a cache.
                return PackageIndex(self._debian(image, anew=True)).find(need)
        if need.kind == "project":
            # RPM's and Alpine's indexes do not tell what packages are built with.
            return ()
        if image.spec.family == "musllinux":
            return rank(need, apk_answer(self._lines(image, apk_command(need)), need))
        return rank(need, dnf_answer(self._lines(image, dnf_command(need))))

    def _debian(self, image: Image, *, anew: bool = False) -> Path:
        stem = f"{SCHEMA}-{image.spec.variant}-{image.spec.arch}"
        with self._making:
            kept = sorted(self._cache.glob(f"{stem}-*.sqlite"), key=lambda path: path.stat().st_mtime)
            if kept and not anew and time.time() - kept[-1].stat().st_mtime < _FRESH_S:
                return kept[-1]
            self._cache.mkdir(parents=True, exist_ok=True)
            made = self._fetch(image, stem)
            for old in kept:
                if old != made:
                    old.unlink(missing_ok=True)
            return made

    def _fetch(self, image: Image, stem: str) -> Path:
        log = self._cache / f"{stem}.log"
        log.unlink(missing_ok=True)
        with (
            tempfile.TemporaryDirectory(prefix="contents-", dir=self._cache) as scratch,
            self._container(image) as container,
        ):
            folder = Path(scratch)
            empty = folder / "empty"
            empty.mkdir()
            script = files("farm.adapters.scripts").joinpath("apt_contents.sh").read_bytes()
            container.put({HOME: empty, _FOLDER: empty, f"{HOME}/apt_contents.sh": script})
            ran = container.run(("sh", f"{HOME}/apt_contents.sh", _FOLDER), log=log)
            if not ran.ok:
                raise _no_answer(image, ran.tail)
            container.get(f"{_FOLDER}/out", folder / "got", _BYTES)
            out = folder / "got" / "out"
            release = (out / "release").read_text(encoding="ascii").strip()[:12]
            if not re.fullmatch(r"[0-9a-f]{12}", release):
                raise _no_answer(image, ran.tail)
            target = self._cache / f"{stem}-{release}.sqlite"
            with ExitStack() as opened:
                lists = Lists(**{
                    name: opened.enter_context((out / name).open(encoding="utf-8", errors="replace"))
                    for name in ("files", "packages", "sources", "installed")
                })  # fmt: skip
                make_index(lists, target)
        return target

    def _lines(self, image: Image, argv: tuple[str, ...]) -> list[str]:
        """Return what a query prints. It runs as root, which dnf and apk want for their own caches; no package's code is in it."""
        self._cache.mkdir(parents=True, exist_ok=True)
        log = self._cache / f"query-{hashlib.sha256(' '.join((image.digest, *argv)).encode()).hexdigest()[:16]}.log"
        log.unlink(missing_ok=True)
        with self._container(image) as container:
            ran = container.run(argv, log=log, user="0:0")
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        log.unlink()
        # dnf ends with 1 both when nothing provides it and when its metadata cannot be had; it tells which.
        if not ran.ok and not any("No match" in line or "No Match" in line for line in lines):
            raise _no_answer(image, ran.tail)
        return lines

    def _container(self, image: Image) -> Container:
        attempt = f"{self._host.run}-packages-{image.spec.name}"
        limits = self._limits
        plan = ContainerPlan(
            image=image.digest, attempt=attempt, limits=_with_seconds(limits), network=True,
            environment=(*self._environment, ("LC_ALL", "C.UTF-8")),
        )  # fmt: skip
        return Container(self._host, plan)


def _with_seconds(limits: Limits) -> Limits:
    return replace(limits, seconds=min(limits.seconds, _SECONDS))


def _no_answer(image: Image, tail: tuple[str, ...]) -> UpstreamError:
    line = next((text for text in reversed(tail) if text.strip()), "no output")
    return UpstreamError(
        f"the package database of {image.spec.name} could not be asked: {line}",
        solution="check the network, the proxies and the image's package sources, then run again",
    )
