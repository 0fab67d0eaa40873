"""DockerBuilder: builds one wheel, choosing between cibuildwheel (native) and the plain front end (pure)."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement

from farm.adapters import cibuildwheel, frontend
from farm.adapters.meter import Meter
from farm.errors import StoreError
from farm.model.build import BadSdist, BuildFailed
from farm.model.outcome import Diagnosis, Failed, StagedWheel, TimedOut
from farm.model.package import Digest, parse_wheel_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from farm.adapters.compiled import CompilerCache
    from farm.adapters.container import ContainerHost
    from farm.model.build import BuildRequest
    from farm.model.load import Usage

_MOST_REQUIREMENTS = 500
_WHEEL_BYTES = 4 << 30
_PURE_AFTER_ALL = "(no binary in this wheel: building it again as a pure one)"
_UNKNOWN = "(the installed cibuildwheel does not build for {target}: built by `python -m build` and repaired by auditwheel)"
_NATIVE_AFTER_ALL = "(this wheel is for one platform: building it again with cibuildwheel, which repairs it)"


class DockerBuilder:
    """Implements `farm.ports.Builder` on a Docker engine. `cache` says what compilers may take from earlier builds; None: nothing."""

    def __init__(
        self, host: ContainerHost, cache: CompilerCache | None = None, took: Callable[[str, Usage], None] = lambda _attempt, _usage: None
    ) -> None:
        """`took` is told what each build took, by attempt."""
        self._host = host
        self._cache = cache
        self._took = took

    def requirements(self, request: BuildRequest) -> tuple[str, ...]:
        """Return what the backend asks for beyond the static requirements (PEP 517 get_requires_for_build_wheel).

        BuildFailed when it fails or answers with what is no requirement; BadSdist; EngineError.
        """
        answer = frontend.ask(self._host, request, "requirements")
        if not isinstance(answer, list) or len(answer) > _MOST_REQUIREMENTS:
            raise _nonsense(
                f"expected a list of at most {_MOST_REQUIREMENTS} requirements, found {type(answer).__name__}"
            )
        for item in answer:
            try:
                Requirement(str(item))
            except InvalidRequirement as error:
                raise _nonsense(f"expected requirements (PEP 508), found {item!r}: {error}") from error
        return tuple(str(item) for item in answer)

    def metadata(self, request: BuildRequest) -> str:
        """Return the METADATA of the wheel that would be built (PEP 517 prepare_metadata_for_build_wheel, else a build).

        Failures as in `requirements`; the build dependencies, dynamic ones included, must be in `request.wheels`.
        """
        answer = frontend.ask(self._host, request, "metadata")
        if not isinstance(answer, str):
            raise _nonsense(f"expected the text of METADATA, found {type(answer).__name__}")
        return answer

    def build(self, request: BuildRequest) -> StagedWheel | Failed | TimedOut:
        """Build the wheel and leave it in `request.out`. EngineError, StoreError; everything else is an outcome."""
        started = time.monotonic()
        if self._cache is not None and not request.again:
            request = replace(request, volume=self._cache.volume(request.job, request.image))
        try:
            self._host.scratch.mkdir(parents=True, exist_ok=True)
            labels = self._host.labels(request.attempt)
            with (
                tempfile.TemporaryDirectory(prefix="build-", dir=self._host.scratch) as scratch,
                Meter(self._host.client, labels) as meter,
            ):
                found = _Attempt(self._host, request, Path(scratch)).run()
            self._took(request.attempt, meter.usage)
        except OSError as error:
            raise StoreError(f"cannot stage a build: {error}", solution=f"make room in {self._host.scratch}") from error
        except BadSdist as error:
            found = Diagnosis(cause="broken-sdist", summary=error.reason, remedy=error.solution)
        except BuildFailed as error:
            found = error.diagnosis
        seconds = time.monotonic() - started
        if isinstance(found, StagedWheel):
            return found
        if found is None:
            return TimedOut(attempt=request.attempt, limit=request.limits.seconds, seconds=seconds)
        return Failed(attempt=request.attempt, stage="build", diagnosis=found, seconds=seconds)


class _Attempt:
    """One build within one staging folder; both ways of building share its time limit. None stands for "out of time"."""

    def __init__(self, host: ContainerHost, request: BuildRequest, scratch: Path) -> None:
        self._host = host
        self._request = request
        self._scratch = scratch
        self._deadline = time.monotonic() + request.limits.seconds

    def run(self) -> StagedWheel | Diagnosis | None:
        staged = self._scratch / "project"
        staged.mkdir()
        frontend.stage(self._host, self._request, staged)
        native = self._request.job.kind == "native"
        found = self._native(staged) if native else self._pure(staged)
        if found == "other":
            self._note(_PURE_AFTER_ALL if native else _NATIVE_AFTER_ALL)
            found = self._pure(staged) if native else self._native(staged)
        if found == "other":
            return Diagnosis(cause="build-failed", summary="the package builds a pure wheel and a native one by turns")
        return found if not isinstance(found, str) else None

    def _native(self, staged: Path) -> StagedWheel | Diagnosis | str | None:
        if not cibuildwheel.knows(self._request.job.target):
            self._note(_UNKNOWN.format(target=self._request.job.target.name))
            return self._pure(staged, repair=cibuildwheel.auditwheel(self._request))
        since = time.time()
        completed, step = cibuildwheel.build_wheels(self._host, self._request, staged, self._seconds_left())
        if completed.timed_out:
            return None
        if completed.returncode == cibuildwheel.PURE_WHEEL:
            return "other"
        if not completed.ok:
            no_memory = self._host.ran_out_of_memory(self._request.attempt, since)
            return cibuildwheel.diagnosis(completed, step, no_memory=no_memory)
        return self._collect(self._scratch / "made", cibuildwheel.commands(self._request))

    def _pure(self, staged: Path, repair: str = "") -> StagedWheel | Diagnosis | str | None:
        ran = frontend.build_wheels(self._host, self._request, staged, self._seconds_left(), repair)
        if ran.timed_out:
            return None
        if not ran.ok:
            return frontend.failure(ran, "building")
        commands = (*frontend.before_build(self._request), frontend.build_command(self._request))
        repaired = (f"{repair} repair --plat auto",) if repair else ()
        found = self._collect(staged / "made" / "out", (*map(shlex.join, commands), *repaired))
        name = parse_wheel_name(found.filename) if isinstance(found, StagedWheel) else None
        if name is not None and not name.pure and not any(tag.platform.startswith("many") for tag in name.tags):
            (self._request.out / name.filename).unlink()
            return "other"
        return found

    def _collect(self, folder: Path, commands: tuple[str, ...]) -> StagedWheel | Diagnosis:
        # Only the name's ending and the kind of file are trusted of what a container left here.
        wheels = [path for path in folder.iterdir() if path.suffix == ".whl"] if folder.is_dir() else []
        if len(wheels) != 1:
            names = ", ".join(sorted(path.name for path in wheels)) or "none"
            return Diagnosis(cause="no-wheel", summary=f"expected one wheel from the build, found {names}")
        wheel = wheels[0]
        if wheel.is_symlink() or not wheel.is_file() or wheel.stat().st_size > _WHEEL_BYTES:
            return Diagnosis(
                cause="no-wheel", summary=f"expected a wheel of at most 4 GiB, found {wheel.name} to be none"
            )
        self._request.out.mkdir(parents=True, exist_ok=True)
        path = self._request.out / wheel.name
        shutil.move(wheel, path)
        path.chmod(0o644)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = path.stat().st_size
        return StagedWheel(filename=path.name, path=path, sha256=Digest(digest), size=size, commands=commands)

    def _seconds_left(self) -> float:
        return max(1.0, self._deadline - time.monotonic())

    def _note(self, line: str) -> None:
        with self._request.log.open("a", encoding="utf-8") as log:
            log.write(line + "\n")
        self._host.output(self._request.attempt, line)


def _nonsense(what: str) -> BuildFailed:
    return BuildFailed(Diagnosis(cause="build-failed", summary=f"the build backend's answer makes no sense: {what}"))
