"""A built wheel built once more, elsewhere and later, to see whether the same bytes come out (`farm build --twice`)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from farm.model.outcome import Diagnosis, Failed, StagedWheel
from farm.model.provenance import Difference, Reproduction

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from farm.model.build import BuildRequest
    from farm.ports import Builder, Clock, Contents

CAUSE = "not-reproducible"


def build_again(
    request: BuildRequest, first: StagedWheel, made: datetime, folder: Path, ports: tuple[Builder, Contents, Clock]
) -> Reproduction:
    """Build with the same inputs in another folder, at another time, with another number of jobs, and compare.

    `made` is when the first was made; `folder` receives the second. That the second build fails is a difference as well.
    """
    builder, contents, clock = ports
    second = builder.build(replace(request, out=folder, again=True, volume=""))
    if not isinstance(second, StagedWheel):
        why = second.diagnosis.summary if isinstance(second, Failed) else f"it took longer than {second.limit:.0f} s"
        failed = Difference(member=first.filename, reason=f"the second build failed: {why}")
        return Reproduction(first=first.sha256, second="", differences=(failed,), count=1)
    return contents.compare(first, second, (made, clock.now()))


def refusal(reproduction: Reproduction) -> Diagnosis:
    """Return why a wheel is not taken where every wheel must be reproducible."""
    return Diagnosis(
        cause=CAUSE,
        summary=f"built twice, it is {reproduction}",
        remedy='mend its build, in which SOURCE_DATE_EPOCH is set; with --twice (build.twice = "report") it is taken all the same',
    )
