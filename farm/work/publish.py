"""Verified -> Published: only a wheel that was proven can come here, because the types differ."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from farm.model.attempt import WheelRecord
from farm.model.build import NameTaken
from farm.model.outcome import Diagnosis, Failed, Published
from farm.model.package import Digest

if TYPE_CHECKING:
    from farm.model.messages import Publish
    from farm.ports import Catalogue, Clock, Progress, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishPorts:
    """What publishing asks of the world."""

    clock: Clock
    store: Store
    catalogue: Catalogue
    progress: Progress


def publish(command: Publish, ports: PublishPorts) -> Published | Failed:
    """Make a proven wheel visible. A wheel that another run published meanwhile under the same name counts as published."""
    job, built = command.job, command.verified.built
    record = WheelRecord(
        filename=built.wheel.filename,
        name=job.pin.name,
        version=job.pin.version,
        sha256=built.wheel.sha256,
        size=built.wheel.size,
        metadata_sha256=Digest(hashlib.sha256(command.verified.metadata).hexdigest()),
        requires_python=job.sdist.requires_python,
        yanked=job.sdist.yanked,
        upload_time=job.sdist.upload_time,
        built_at=ports.clock.now(),
        sdist=job.sdist.filename,
        sdist_sha256=job.sdist.sha256,
        key=built.key,
        attempt=built.attempt,
        targets=tuple(verdict.target.name for verdict in command.verified.verdicts),
    )
    already = False
    try:
        url = ports.store.publish(record, command.verified)
    except NameTaken as error:
        theirs = ports.store.project(job.pin.name)
        same = [file for file in theirs.files if file.filename == record.filename] if theirs else []
        if not same:
            diagnosis = Diagnosis(cause="name-taken", summary=error.reason, remedy=error.solution)
            return Failed(attempt=built.attempt, stage="publish", diagnosis=diagnosis, seconds=0.0)
        url, already = same[0].url, True
    attempt = ports.catalogue.attempt(built.attempt)
    if attempt is not None:
        ports.catalogue.finish(replace(attempt, state="published", ended=ports.clock.now()))
    ports.progress.say(job.id, f"published {built.wheel.filename}")
    return Published(verified=command.verified, url=url, already=already)
