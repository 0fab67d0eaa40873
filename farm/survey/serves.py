"""Which jobs wait whether another one's wheel serves their target too: pure wheels, and those for the stable ABI. Pure.

The oldest Python goes first. Each waits for the one before it, so that never two build at once of which one would do.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from farm.model.job import Job, JobId
    from farm.model.package import IndexFile
    from farm.model.target import Target

_SINCE = re.compile(r"cp3(?P<minor>\d*)(?P<t>t?)")
_ABI3T_SINCE = (3, 15)
"""PEP 803: no free-threaded Python before it has a stable ABI."""


def chained(jobs: Mapping[JobId, Job]) -> dict[JobId, Job]:
    """Return the jobs, those that another's wheel may make unnecessary with `after`: the job before them in such a chain."""
    found = dict(jobs)
    last: dict[Hashable, JobId] = {}
    for job in sorted(jobs.values(), key=_oldest_first):
        family = _family(job)
        if family is None:
            continue
        if family in last:
            found[job.id] = replace(job, after=last[family])
        last[family] = job.id
    return found


def _oldest_first(job: Job) -> tuple[object, ...]:
    libc = job.target.libc
    # A wheel for an older libc serves newer ones too.
    return job.target.python, job.target.free_threaded, libc or (), job.target.name


def _family(job: Job) -> Hashable | None:
    """Return what the jobs have in common of which one's wheel may serve all; None for a wheel of one Python."""
    if job.kind == "pure":
        return job.pin
    target = job.target
    if not serves_later(job.stable_abi, target):
        return None
    libc = target.libc
    return job.pin, libc[0] if libc else target.platform, target.arch, target.free_threaded


def serves_later(stable_abi: str, target: Target) -> bool:
    """Tell whether the wheel built on `target` of a project with this stable ABI serves later Pythons (PEP 384, PEP 803)."""
    since = _SINCE.fullmatch(stable_abi)
    if since is None or target.implementation != "cp":
        return False
    if target.free_threaded:
        return bool(since["t"]) and target.python >= _ABI3T_SINCE
    return not since["t"] and target.python >= (3, int(since["minor"] or 2))


def oldest_stable(files: Iterable[IndexFile], target: Target) -> str:
    """Return the oldest Python that these wheels' stable ABI for such a target serves, as in SdistFacts.stable_abi; else empty."""
    abi = "abi3t" if target.free_threaded else "abi3"
    found = [tag.interpreter for file in files if (wheel := file.wheel) for tag in wheel.tags if tag.abi == abi]
    return f"{min(found, key=_minor)}{'t' if target.free_threaded else ''}" if found else ""


def _minor(interpreter: str) -> int:
    digits = interpreter.removeprefix("cp3")
    return int(digits) if digits.isdigit() else 0
