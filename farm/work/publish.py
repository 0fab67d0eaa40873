"""Verified -> Published: only a wheel that was proven can come here, because the types differ."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from farm.model.attempt import WheelRecord
from farm.model.build import NameTaken
from farm.model.outcome import Diagnosis, Failed, Published
from farm.model.package import Digest
from farm.model.page import file_url

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
    """Make a proven wheel visible.

    Where the index has other bytes of the name and they were built from the same sdist (another farm was faster), clients
    are served and nothing is lost: the job counts as published. From any other sdist, Failed with cause "name-taken".
    """
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
    attempt = ports.catalogue.attempt(built.attempt)
    ended = replace(attempt, state="published", ended=ports.clock.now()) if attempt else None
    already = False
    try:
        url = ports.store.publish(record, command.verified)
    except NameTaken as error:
        theirs = ports.catalogue.wheel(record.filename)
        if theirs is None or not _same_source(theirs, record):
            diagnosis = Diagnosis(cause="name-taken", summary=error.reason, remedy=error.solution)
            if ended:
                told = replace(ended, state="failed", cause=diagnosis.cause, summary=diagnosis.summary, remedy=diagnosis.remedy)
                ports.catalogue.finish(told)
            ports.progress.say(job.id, f"failed: {diagnosis.summary}")
            return Failed(attempt=built.attempt, stage="publish", diagnosis=diagnosis, seconds=0.0)
        url, already = file_url(theirs.sha256, theirs.filename), True
        if ended:
            ended = replace(ended, summary="the index had a wheel of this name from the same sdist already; that one is served")
    if ended:
        ports.catalogue.finish(ended)
    ports.progress.say(job.id, f"published {built.wheel.filename}" + (" (already there)" if already else ""))
    return Published(verified=command.verified, url=url, already=already)


def _same_source(theirs: WheelRecord, ours: WheelRecord) -> bool:
    """An sdist without a known hash is nobody's equal."""
    known = theirs.sdist_sha256 is not None and theirs.sdist_sha256 == ours.sdist_sha256
    return known and (theirs.name, theirs.version) == (ours.name, ours.version)
