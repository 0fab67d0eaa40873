"""The name under which a built wheel goes on: its own, or with a build tag where that name is the name of other bytes.

Locks hold names with hashes, so bytes under a name never change (docs/decisions/0018-names-are-for-ever.md). A build tag is the
tie-breaker of the binary distribution format: the same version to every requirement, ahead of a wheel without one or with a
lower one, in pip and uv.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from farm.model.package import parse_wheel_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from farm.model.attempt import WheelRecord
    from farm.model.job import Job, JobKey
    from farm.model.outcome import StagedWheel
    from farm.model.package import Digest
    from farm.ports import Catalogue, Index, Store, Tagger


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """Who knows of names. `upstream` remembers the page that the job was planned by."""

    upstream: Index
    store: Store
    catalogue: Catalogue
    tagger: Tagger

    def settle(self, wheel: StagedWheel, job: Job, key: JobKey, folder: Path) -> StagedWheel:
        """Return the wheel as it is when its name is free for its bytes, else with the next free build tag, in `folder`.

        A build that is made again to the byte gets the name that it had. A wheel that cannot be given a tag stays as it is:
        it does not pass its check. What is on no index has names of its own. UpstreamError as ports.Index says.
        """
        name = parse_wheel_name(wheel.filename)
        if job.direct is not None or name is None:
            return wheel
        page = self.upstream.project(job.pin.name)
        theirs = {file.filename: file.sha256 for file in page.of(job.pin.version)} if page else {}
        named = wheel
        for number in count(name.build[0] + 1 if name.build else 1):
            if self._free(named, job, key, theirs):
                break
            tagged = self.tagger.tagged(wheel, number, folder)
            if tagged is None:
                return wheel
            named = tagged
        return named

    def _free(self, wheel: StagedWheel, job: Job, key: JobKey, theirs: Mapping[str, Digest | None]) -> bool:
        if theirs.get(wheel.filename, wheel.sha256) != wheel.sha256:
            return False
        taken = self.store.taken(wheel.filename)
        if taken is None or taken == wheel.sha256:
            return True
        # Another farm was faster with the same inputs: its wheel is served, and publishing says so. Other inputs, of the same sdist
        # too, make another wheel, which clients are to take.
        listed = self.catalogue.wheel(wheel.filename)
        return listed is not None and listed.key == key and same_source(listed, job)


def same_source(theirs: WheelRecord, job: Job) -> bool:
    """Tell whether a wheel on the index was built from the job's sdist; one without a known hash is nobody's equal."""
    known = theirs.sdist_sha256 is not None and theirs.sdist_sha256 == job.sdist.sha256
    return known and (theirs.name, theirs.version) == (job.pin.name, job.pin.version)
