"""The crates of a Rust sdist, fetched by `cargo vendor` in a container that has the network but runs no package code.

Cargo reads manifests and locks and runs nothing of theirs. A `.cargo/config.toml` could name programs for it to run, so
none is copied in.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from farm.adapters import patches
from farm.adapters.container import Container, ContainerPlan
from farm.adapters.frontend import PROJECT, telling_line
from farm.adapters.sandbox import HOME
from farm.adapters.source_tree import unpack
from farm.errors import UpstreamError
from farm.model.build import BuildFailed
from farm.model.outcome import Diagnosis

if TYPE_CHECKING:
    from farm.adapters.container import ContainerHost, Ran
    from farm.model.build import Limits
    from farm.model.image import Image
    from farm.model.job import Job, Patch

_SOURCE = "/tmp/source"  # noqa: S108 - a path inside the container
_CRATES = f"{PROJECT}/crates"
_LIMIT = 8 << 30
_NETWORK = re.compile(
    r"network failure|could not resolve|spurious network|failed to connect|SSL|timed? ?out", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorRequest:
    """What to fetch crates for. `cache` is a folder that is kept; `environment` holds the site's proxies for the container."""

    sdist: Path
    image: Image
    cache: Path
    log: Path
    attempt: str
    limits: Limits
    environment: tuple[tuple[str, str], ...] = ()
    patches: tuple[Patch, ...] = ()


class CargoCrates:
    """Implements `farm.ports.Crates`. `cache` is kept between runs; `environment` holds the site's proxies for containers."""

    def __init__(
        self, host: ContainerHost, *, cache: Path, limits: Limits, environment: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self._host = host
        self._cache = cache
        self._limits = limits
        self._environment = environment

    def vendor(self, job: Job, image: Image, sdist: Path, log: Path) -> Path | None:
        """Return the folder of crates, or None when the sdist has no Cargo.toml; failures as in the function `vendor`."""
        request = VendorRequest(
            sdist=sdist, image=image, cache=self._cache, log=log, attempt=f"crates-{job.id}", limits=self._limits,
            environment=self._environment, patches=job.recipe.patches,
        )  # fmt: skip
        return vendor(self._host, request)


def vendor(host: ContainerHost, request: VendorRequest) -> Path | None:
    """Return a folder with `config.toml` and `vendor/`, or None when the sdist has no Cargo.toml.

    Cached by the manifests and locks, as patched: the same ones are fetched once. BuildFailed when cargo cannot make sense of them;
    UpstreamError when the crates' registry did not answer; BadSdist; EngineError.
    """
    host.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="crates-", dir=host.scratch) as scratch:
        folder = Path(scratch)
        package = unpack(request.sdist, folder / "sdist")
        patches.apply(request.patches, package, host.environment)
        tree = _cargo_files(package, folder / "tree")
        manifests = _roots(tree)
        if not manifests:
            return None
        kept = request.cache / _digest(tree)
        if kept.is_dir():
            _note(request, f"(crates: found in the cache as {kept.name[:12]})")
            return kept
        _fetch(host, request, tree, manifests)
        request.cache.mkdir(parents=True, exist_ok=True)
        _keep(folder / "crates", kept)
        return kept


def _fetch(host: ContainerHost, request: VendorRequest, tree: Path, manifests: list[str]) -> None:
    plan = ContainerPlan(
        image=request.image.digest, attempt=request.attempt, limits=request.limits, network=True,
        environment=(*request.environment, ("CARGO_HOME", f"{HOME}/cargo"), ("CARGO_TERM_COLOR", "never")),
    )  # fmt: skip
    first, *others = (f"{_SOURCE}/{manifest}" for manifest in manifests)
    empty = tree.parent / "empty"
    empty.mkdir()
    with Container(host, plan) as container:
        container.put({HOME: empty, PROJECT: empty, _CRATES: empty, _SOURCE: tree})
        if not (tree / manifests[0]).with_name("Cargo.lock").is_file():
            _note(
                request,
                "(crates: the sdist has no Cargo.lock, so the newest versions that its Cargo.toml admits are taken)",
            )
            _check(container.run(("cargo", "generate-lockfile", "--manifest-path", first), log=request.log))
        sync = [word for other in others for word in ("--sync", other)]
        script = 'exec cargo vendor --locked --versioned-dirs --manifest-path "$@" > config.toml'
        argv = ("sh", "-c", f"cd {_CRATES} && {script}", "sh", first, *sync, f"{_CRATES}/vendor")
        _check(container.run(argv, log=request.log))
        container.get(_CRATES, tree.parent, _LIMIT)


def _check(ran: Ran) -> None:
    if ran.ok:
        return
    line = telling_line(ran.tail)
    if ran.timed_out or _NETWORK.search("\n".join(ran.tail)):
        reason = f"crates could not be downloaded: {line or 'no answer within the time limit'}"
        raise UpstreamError(reason, solution="check the network, the proxies and cargo's registry, then run again")
    raise BuildFailed(Diagnosis(cause="crates", summary=f"cargo cannot fetch the crates of this sdist: {line}"))


def _cargo_files(package: Path, tree: Path) -> Path:
    """Copy manifests, locks and Rust sources (cargo wants each target's file to exist), and nothing else."""
    for path in sorted(package.rglob("*")):
        wanted = path.name in ("Cargo.toml", "Cargo.lock") or path.suffix == ".rs"
        relative = path.relative_to(package)
        if wanted and path.is_file() and not path.is_symlink() and ".cargo" not in relative.parts:
            target = tree / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    tree.mkdir(parents=True, exist_ok=True)
    return tree


def _roots(tree: Path) -> list[str]:
    """Return the manifests with no other above them, those with a lock first."""
    manifests = sorted(tree.rglob("Cargo.toml"), key=lambda path: (len(path.parts), str(path)))
    folders = {path.parent for path in manifests}
    roots = [path for path in manifests if not folders.intersection(path.parent.parents)]
    roots.sort(key=lambda path: not path.with_name("Cargo.lock").is_file())
    return [path.relative_to(tree).as_posix() for path in roots]


def _digest(tree: Path) -> str:
    state = hashlib.sha256()
    for path in sorted(tree.rglob("Cargo.*")):
        state.update(f"{path.relative_to(tree).as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return state.hexdigest()


def _keep(made: Path, kept: Path) -> None:
    # The rename is atomic on one disk; a copy beside it first makes it so on two. Whoever comes second keeps the first's.
    beside = Path(tempfile.mkdtemp(prefix=".new-", dir=kept.parent))
    shutil.copytree(made, beside / "crates", symlinks=True)
    try:
        (beside / "crates").rename(kept)
    except OSError:
        if not kept.is_dir():
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _note(request: VendorRequest, line: str) -> None:
    with request.log.open("a", encoding="utf-8") as log:
        log.write(line + "\n")
