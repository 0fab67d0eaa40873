"""Built -> Verified or Failed: the wheel is what it says, agrees with its sdist, and installs and imports in a clean room.

The builder's word is not trusted: everything here is looked at by the host, or run in an image without compilers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from farm.errors import UpstreamError
from farm.model.build import BuildFailed, IntegrityError, Limits, ProofRequest, WheelFacts
from farm.model.instructions import ScanRequest
from farm.model.outcome import Diagnosis, Failed, Verdict, Verified
from farm.model.package import parse_wheel_name
from farm.work.baseline import needs, processor_faults
from farm.work.diagnosis.explain import WHY_LEFT_OUT, diagnose
from farm.work.metadata import drift, identity_faults

_PROCESSOR_REMEDY = (
    "take -march=native, -mavx2 or target-cpu out of its build (an option of the package, a recipe's environment or a patch), or "
    'allow it with `allow-instructions = "REASON"` in a recipe'
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from farm.model.attempt import State
    from farm.model.instructions import Code, X86Level
    from farm.model.job import Proof
    from farm.model.messages import Verify
    from farm.ports import (
        Catalogue,
        Clock,
        Downloads,
        Images,
        Inspector,
        Progress,
        Prover,
        Room,
        Rooms,
        Scanner,
        Sdists,
        Store,
    )
    from farm.work.diagnosis.explain import Knowledge

_NOT_COMPILED = 'sources to compile gave a wheel without compiled code; if that is meant, set kind = "pure" in a recipe'


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyPorts:
    """What verifying asks of the world; `cancelled` as in BuildPorts."""

    cancelled: Callable[[], bool]
    limits: Limits
    knowledge: Knowledge
    clock: Clock
    inspector: Inspector
    scanner: Scanner
    x86_64_level: X86Level
    sdists: Sdists
    downloads: Downloads
    images: Images
    prover: Prover
    store: Store
    catalogue: Catalogue
    rooms: Rooms
    progress: Progress


def verify(command: Verify, ports: VerifyPorts) -> Verified | Failed:
    """Prove a wheel on each target that it serves. Failed with stage "check" (the file) or "proof" (the clean room)."""
    started = ports.clock.monotonic()
    ports.progress.say(command.job.id, "proving", command.built.attempt)
    try:
        with ports.rooms.room(command.built.attempt) as room:
            return _verified(command, room, ports, started)
    except (UpstreamError, IntegrityError) as error:
        # Says nothing against the wheel: it stays "built", and the next run proves it without building it again.
        diagnosis = Diagnosis(cause="network", summary=error.reason, remedy=error.solution)
        return _failed(command, "proof", diagnosis, ports, started)


def _verified(command: Verify, room: Room, ports: VerifyPorts, started: float) -> Verified | Failed:
    wheel = room.place(command.built.wheel.path, room.folder("wheel"), command.built.wheel.filename)
    facts = ports.inspector.inspect(wheel)
    faults = _faults(command, facts, ports)
    if faults:
        diagnosis = _why_left_out(command, ports) if faults == (_NOT_COMPILED,) else None
        diagnosis = diagnosis or Diagnosis(cause="rejected", summary="; ".join(faults))
        return _rejected(command, "check", diagnosis, ports, started)
    codes, unfit = _processors(command, facts, room, ports)
    if unfit is not None:
        return _rejected(command, "check", unfit, ports, started)
    verdicts = []
    for proof in command.proofs:
        verdict = _prove(command, proof, facts, room, ports)
        if not verdict.ok:
            return _rejected(command, "proof", _why(verdict), ports, started)
        verdicts.append(verdict)
    _mark(command, "proven", ports)
    return Verified(
        built=command.built, verdicts=tuple(verdicts), metadata=facts.metadata, platforms=facts.platforms, instructions=needs(codes)
    )


def _processors(
    command: Verify, facts: WheelFacts, room: Room, ports: VerifyPorts
) -> tuple[tuple[Code, ...], Diagnosis | None]:
    """Return what the wheel's code asks of a processor, and why that is too much."""
    job = command.job
    if not facts.native or job.recipe.allow_instructions:
        return (), None
    image = ports.images.ensure(job.image, lambda text: ports.progress.say(job.id, text, command.built.attempt))
    wheel = room.folder("wheel") / command.built.wheel.filename
    request = ScanRequest(
        wheel=wheel, image=image, target=job.target, log=room.log, attempt=command.built.attempt, limits=ports.limits
    )
    try:
        codes = ports.scanner.scan(request)
    except BuildFailed as error:
        return (), error.diagnosis
    faults = processor_faults(codes, ports.x86_64_level)
    if not faults:
        return codes, None
    more = f"; and {len(faults) - 3} more files" if len(faults) > 3 else ""
    summary = "it does not run on every processor that its tag admits: " + "; ".join(faults[:3]) + more
    return codes, Diagnosis(cause="processor", summary=summary, remedy=_PROCESSOR_REMEDY)


def _faults(command: Verify, facts: WheelFacts, ports: VerifyPorts) -> tuple[str, ...]:
    job = command.job
    faults = list(facts.faults)
    name = parse_wheel_name(command.built.wheel.filename)
    if name is None or (name.name, name.version) != (job.pin.name, job.pin.version):
        faults.append(f"the file is called {command.built.wheel.filename}, expected a wheel of {job.pin}")
    elif job.target not in {proof.target for proof in command.proofs}:
        tags = ", ".join(sorted(map(str, name.tags)))
        faults.append(f"its tags ({tags}) do not fit the target {job.target}")
    if job.kind == "native" and not facts.native:
        faults.append(_NOT_COMPILED)
    if facts.metadata:
        faults.extend(identity_faults(facts.metadata, job.pin))
        static = ports.sdists.facts(job.pin, job.sdist)
        if static.metadata and not static.provisional:
            faults.extend(drift(static.metadata, facts.metadata))
    return tuple(faults)


def _why_left_out(command: Verify, ports: VerifyPorts) -> Diagnosis | None:
    """What the build's log says of the extension that was left out; None where it does not say."""
    found = diagnose(ports.rooms.log_lines(command.built.attempt), ports.knowledge)
    return replace(found, summary=f"its extension was left out: {found.summary}") if found.cause.startswith(WHY_LEFT_OUT) else None


def _prove(command: Verify, proof: Proof, facts: WheelFacts, room: Room, ports: VerifyPorts) -> Verdict:
    job = command.job
    image = ports.images.ensure(
        ports.images.choose(proof.target, "runtime"), lambda text: ports.progress.say(job.id, text, command.built.attempt)
    )
    skipped = dict(job.recipe.skip_imports)
    return ports.prover.prove(
        ProofRequest(
            target=proof.target,
            image=image,
            wheel=room.place(command.built.wheel.path, room.folder("wheel"), command.built.wheel.filename),
            beside=_beside(command, proof, room.folder(f"beside-{proof.target}"), room, ports),
            modules=tuple(module for module in facts.modules if module not in skipped),
            name=job.pin.name,
            version=job.pin.version,
            log=room.log,
            attempt=command.built.attempt,
            limits=ports.limits,
            smoke_test=job.recipe.smoke_test,
        )
    )


def _beside(command: Verify, proof: Proof, folder: Path, room: Room, ports: VerifyPorts) -> tuple[Path, ...]:
    found = []
    for dependency in proof.beside:
        if dependency.file is not None:
            own = ports.store.blob(dependency.file.sha256) if dependency.file.sha256 else None
            found.append(room.place(own or ports.downloads.fetch(dependency.file), folder, dependency.file.filename))
        elif dependency.job is not None and dependency.job in command.made:
            wheel = command.made[dependency.job].wheel
            found.append(room.place(wheel.path, folder, wheel.filename))
    return tuple(found)


def _why(verdict: Verdict) -> Diagnosis:
    failed = next(check for check in verdict.checks if not check.ok)
    lines = failed.detail.strip().splitlines()
    last = lines[-1] if lines else ""
    return Diagnosis(
        cause="rejected", summary=f"{failed.name} on {verdict.target}: {last}".rstrip(": "), line=last, remedy=""
    )


def _rejected(command: Verify, stage: str, diagnosis: Diagnosis, ports: VerifyPorts, started: float) -> Failed:
    # A proof that was killed proves nothing either.
    if not ports.cancelled():
        _mark(command, "rejected", ports, diagnosis)
    return _failed(command, stage, diagnosis, ports, started)


def _failed(command: Verify, stage: str, diagnosis: Diagnosis, ports: VerifyPorts, started: float) -> Failed:
    told = "stopped by the user" if ports.cancelled() else diagnosis.summary
    ports.progress.say(command.job.id, f"failed: {told}", command.built.attempt)
    seconds = ports.clock.monotonic() - started
    return Failed(attempt=command.built.attempt, stage=stage, diagnosis=diagnosis, seconds=seconds)


def _mark(command: Verify, state: State, ports: VerifyPorts, diagnosis: Diagnosis | None = None) -> None:
    attempt = ports.catalogue.attempt(command.built.attempt)
    if attempt is None:
        return
    ended = replace(attempt, state=state, ended=ports.clock.now())
    if diagnosis:
        ended = replace(ended, cause=diagnosis.cause, summary=diagnosis.summary, remedy=diagnosis.remedy)
    ports.catalogue.finish(ended)

