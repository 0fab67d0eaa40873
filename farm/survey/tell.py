"""Matrix and plan -> rows of a report: what is there, what would be built, and what cannot be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from farm.model.gap import Cell, Hidden, Impossible, Matrix, Missing, Present, Unknown
from farm.model.job import JobId, job_id, make_job_id
from farm.model.outcome import Diagnosis
from farm.model.report import Problem, Row
from farm.survey.direct import counts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from farm.model.direct import Unsettled
    from farm.model.job import Job, Plan, Refusal
    from farm.model.report import State
    from farm.model.target import Target



def rows(matrix: Matrix, plan: Plan) -> tuple[Row, ...]:
    """Return a row for each cell, and one for each job or refusal that only a build dependency asked for."""
    refused = {job_id(refusal.pin, refusal.target): refusal for refusal in plan.refused}
    told = {job_id(cell.pin, cell.target) for cell in matrix.cells}
    own = [_row(cell, refused) for cell in matrix.cells]
    own += [_unknown_row(entry, target) for entry in matrix.unsettled if entry.unknown for target in _where(entry, matrix)]
    tools = [job_row(job) for job in plan.jobs if job.id not in told]
    lost = [_refusal_row(refusal) for identity, refusal in refused.items() if identity not in told]
    return (*own, *tools, *lost)


def carried_over(before: Iterable[Row], after: Iterable[Row], plan: Plan) -> tuple[Row, ...]:
    """Return the rows of a later round, with what an earlier one of the same run already built, or tried to, told as it was."""
    told = {make_job_id(row.name, row.version, row.target): row for row in before}
    again = {job.id for job in plan.jobs}
    found = []
    for row in after:
        identity = make_job_id(row.name, row.version, row.target)
        old = told.pop(identity, None)
        kept = old is not None and identity not in again and (old.state == "built") == (row.state == "farm-wheel")
        found.append(replace(old, required_by=row.required_by) if old is not None and kept and old.attempt else row)
    # What only a build dependency asked for is in no matrix; it was built all the same.
    return (*found, *(row for row in told.values() if row.attempt))


def problems(matrix: Matrix) -> tuple[Problem, ...]:
    """Return what is no row: targets without a solution, and paths, URLs and repositories that cannot be used."""
    unresolved = [Problem(subject=u.target.name, text=u.explanation, kind="unresolved") for u in matrix.unresolved]
    direct = [
        Problem(subject=str(entry.origin), text=f"{entry.direct.url}: {entry.reason}", kind="direct")
        for entry in matrix.unsettled
        if not entry.unknown
    ]
    return (*unresolved, *direct)


def _row(cell: Cell, refused: dict[JobId, Refusal]) -> Row:
    base = Row(
        name=cell.pin.name, version=str(cell.pin.version), target=cell.target.name, state="unknown", required_by=cell.via,
        url=cell.direct.url if cell.direct else "", commit=cell.direct.commit if cell.direct else "",
    )  # fmt: skip
    match cell.presence:
        case Present(file=file, where=where, note=note):
            theirs: State = "pure-fallback" if note.startswith("pure fallback") else "upstream-wheel"
            return _with(base, "farm-wheel" if where == "farm" else theirs, note, file.filename)
        case Hidden(file=file):
            return _with(base, "hidden", cell.presence.reason, file.filename)
        case Missing(reason=reason):
            refusal = refused.get(job_id(cell.pin, cell.target))
            return _told(base, refusal) if refusal else _with(base, "build", reason)
        case Impossible(reason=reason):
            return _with(base, "impossible", reason)
        case Unknown(reason=reason):
            return _with(base, "unknown", reason)
        case _:
            assert_never(cell.presence)


def _where(entry: Unsettled, matrix: Matrix) -> Iterable[Target]:
    return (target for target in matrix.targets if counts(entry.marker, target))


def _unknown_row(entry: Unsettled, target: Target) -> Row:
    return Row(
        name=entry.name, version="", target=target.name, state="unknown", reason=entry.reason, required_by=(str(entry.origin),),
        url=entry.direct.url, commit=entry.direct.commit,
    )  # fmt: skip


def _with(row: Row, state: State, reason: str, file: str = "") -> Row:
    return replace(row, state=state, reason=reason, file=file)


def _refused(refusal: Refusal) -> State:
    return "unknown" if refusal.unknown else "refused"


def job_row(job: Job) -> Row:
    """Return the row of a job that only a build dependency asked for."""
    return Row(
        name=job.pin.name, version=str(job.pin.version), target=job.target.name, state="build",
        reason=f"{job.reason}; a build dependency", required_by=job.via,
    )  # fmt: skip


def _refusal_row(refusal: Refusal) -> Row:
    base = Row(
        name=refusal.pin.name, version=str(refusal.pin.version), target=refusal.target.name, state="refused", required_by=refusal.via,
    )  # fmt: skip
    return _told(base, refusal)


def _told(row: Row, refusal: Refusal) -> Row:
    """With what a person may do about it, as beside a failed build."""
    diagnosis = Diagnosis(cause=refusal.cause, summary=refusal.reason, remedy=refusal.remedy) if refusal.remedy else None
    return replace(_with(row, _refused(refusal), refusal.reason), diagnosis=diagnosis)
