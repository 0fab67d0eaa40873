"""Short ways to make the nouns in tests."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from packaging.utils import canonicalize_name as canonical

from farm.model.image import ImageSpec
from farm.model.job import Dependency, Job, JobId, JobKey, Kind, Proof, Recipe, job_id
from farm.model.outcome import Built, Check, Diagnosis, Failed, Published, StagedWheel, Verdict, Verified
from farm.model.package import Digest, IndexFile, Pin, Project, file_version, make_pin
from farm.model.target import Target, parse_target

CP311 = parse_target("cp311-manylinux_2_36_x86_64")
CP313 = parse_target("cp313-manylinux_2_41_x86_64")
MUSL = parse_target("cp313-musllinux_1_2_x86_64")
IMAGE = ImageSpec(family="debian", variant="bookworm", arch="x86_64", role="builder")
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def digest(text: str) -> Digest:
    return Digest(hashlib.sha256(text.encode()).hexdigest())


def index_file(filename: str, *, requires_python: str | None = None, yanked: bool | str = False) -> IndexFile:
    name = canonical(filename.split("-", maxsplit=1)[0])
    return IndexFile(
        filename=filename,
        url=f"https://upstream.example/files/{filename}",
        version=file_version(filename, name),
        sha256=digest(filename),
        size=1000,
        requires_python=requires_python,
        yanked=yanked,
        upload_time=NOON,
    )


def project(name: str, *filenames: str) -> Project:
    return Project(name=canonical(name), files=tuple(index_file(filename) for filename in filenames))


def job(
    pin: Pin | str,
    target: Target = CP311,
    *,
    kind: Kind = "native",
    needs: tuple[Job, ...] = (),
    beside: tuple[Job, ...] = (),
    after: Job | None = None,
    also: tuple[Target, ...] = (),
) -> Job:
    pin = make_pin(*pin.split("==")) if isinstance(pin, str) else pin
    beside_there = tuple(Dependency(pin=other.pin, file=None, job=other.id) for other in beside)
    return Job(
        id=job_id(pin, target),
        pin=pin,
        target=target,
        proofs=(Proof(target=target, beside=beside_there), *(Proof(target=t, beside=()) for t in also)),
        reason="sdist only",
        sdist=index_file(f"{pin.name}-{pin.version}.tar.gz"),
        kind=kind,
        rust=False,
        asks=False,
        recipe=Recipe(),
        image=IMAGE,
        requires=tuple(Dependency(pin=other.pin, file=None, job=other.id) for other in needs),
        via=("requirements.txt:1",),
        after=after.id if after else None,
    )


def wheel_name(pin: Pin, target: Target, kind: Kind) -> str:
    tags = "py3-none-any" if kind == "pure" else f"{target.python_tag}-{target.python_tag}-{target.platform}"
    return f"{pin.name.replace('-', '_')}-{pin.version}-{tags}.whl"


def built(made: Job, filename: str | None = None) -> Built:
    filename = filename or wheel_name(made.pin, made.target, made.kind)
    wheel = StagedWheel(filename=filename, path=Path(filename), sha256=digest(filename), size=10)
    return Built(attempt=f"a-{made.id}", key=JobKey(f"key-{made.id}"), wheel=wheel, image="sha256:0", seconds=1.0)


def verified(made: Built, *targets: Target) -> Verified:
    checks = (Check(name="installs", ok=True),)
    verdicts = tuple(Verdict(target=target, image="sha256:1", checks=checks) for target in targets)
    return Verified(built=made, verdicts=verdicts, metadata=b"")


def published(proven: Verified) -> Published:
    return Published(verified=proven, url=f"files/{proven.built.wheel.filename}")


def failed(identity: JobId, stage: str = "build") -> Failed:
    return Failed(attempt=f"a-{identity}", stage=stage, diagnosis=Diagnosis(cause="unknown", summary="it broke"), seconds=1.0)
