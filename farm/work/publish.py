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
from farm.work.attest import attest
from farm.work.naming import same_source

if TYPE_CHECKING:
    from collections.abc import Callable

    from farm.model.direct import Direct
    from farm.model.job import Job
    from farm.model.messages import Publish
    from farm.model.package import NormalizedName
    from farm.ports import Catalogue, Clock, Progress, Store
    from farm.work.attest import AttestPorts


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishPorts:
    """What publishing asks of the world.

    `private` tells whether a project is the user's own, and so never upstream's. `served` is the URL of the farm's index,
    without a slash at its end, where it is known. `published` is told the file name of what is on a page now, and its job.
    `attest` is None for a farm that signs nothing.
    """

    clock: Clock
    store: Store
    catalogue: Catalogue
    progress: Progress
    private: Callable[[NormalizedName], bool] = lambda _: False
    attest: AttestPorts | None = None
    served: str = ""
    published: Callable[[str, Job], None] = lambda _filename, _job: None


def publish(command: Publish, ports: PublishPorts) -> Published | Failed:
    """Make a proven wheel visible.

    Where the index has other bytes of the name and they were built from the same sdist (another farm was faster), clients
    are served and nothing is lost: the job counts as published. From any other sdist, Failed with cause "name-taken"; the name
    was free when the wheel was built (`naming`), so the next run gives it a build tag.
    What is on no index goes to its project's list of links; to the page only when the name is the user's own and free there.
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
    if ports.attest is not None:
        # Before the wheel can be seen: whoever sees it finds the statement about it.
        attest(command, ports.attest)
    if job.direct is not None:
        return _publish_direct(command, job.direct, record, ports)
    attempt = ports.catalogue.attempt(built.attempt)
    ended = replace(attempt, state="published", ended=ports.clock.now()) if attempt else None
    already = False
    try:
        url = ports.store.publish(record, command.verified)
    except NameTaken as error:
        theirs = ports.catalogue.wheel(record.filename)
        if theirs is None or not same_source(theirs, job):
            diagnosis = Diagnosis(cause="name-taken", summary=error.reason, remedy=error.solution)
            if ended:
                told = replace(ended, state="failed", cause=diagnosis.cause, summary=diagnosis.summary, remedy=diagnosis.remedy)
                ports.catalogue.finish(told)
            ports.progress.say(job.id, f"failed: {diagnosis.summary}", built.attempt)
            return Failed(attempt=built.attempt, stage="publish", diagnosis=diagnosis, seconds=0.0)
        url, already = file_url(theirs.sha256, theirs.filename), True
        if ended:
            ended = replace(ended, summary="the index had a wheel of this name from the same sdist already; that one is served")
    if ended:
        ports.catalogue.finish(ended)
    ports.published(record.filename, job)
    ports.progress.say(job.id, f"published {built.wheel.filename}" + (" (already there)" if already else ""), built.attempt)
    return Published(verified=command.verified, url=url, already=already)


def _publish_direct(command: Publish, direct: Direct, record: WheelRecord, ports: PublishPorts) -> Published:
    """A fork has the names and versions of upstream's files: on the page it would be taken for them."""
    job, built = command.job, command.verified.built
    url = ports.store.publish_direct(record, command.verified, direct)
    note = how_to_ask(record.name, url, ports.served)
    if ports.private(record.name):
        try:
            ports.store.publish(record, command.verified)
            note = f"on the index, as {record.name} is private"
        except NameTaken:
            note = f"{note}; not on the index, which has other bytes as {record.filename}: raise the version to have it there"
    attempt = ports.catalogue.attempt(built.attempt)
    if attempt:
        ports.catalogue.finish(replace(attempt, state="published", ended=ports.clock.now()))
    ports.progress.say(job.id, f"published {record.filename} ({note})", built.attempt)
    return Published(verified=command.verified, url=url, note=note)


def how_to_ask(name: NormalizedName, url: str, served: str) -> str:
    """Return the line of a requirements file that takes a wheel which is on no page; `url` is its path on the index."""
    base = served or "URL-OF-FARM-SERVE"
    return f"use: {name} @ {base}/{url} (or --find-links {base}/direct/{name}/)"

