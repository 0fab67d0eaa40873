"""tally: what a run did to the rows of its report."""

from __future__ import annotations

from dataclasses import replace

from farm.engine.machine import Machine
from farm.engine.progress import Progress
from farm.engine.tally import tally
from farm.model.job import Job, Plan
from farm.model.messages import Stop, Verify
from farm.model.outcome import Failed, TimedOut
from farm.model.report import Row
from tests.fakes import nouns
from tests.fakes.engine import drive
from tests.fakes.nouns import CP311, CP313


def row(job: Job) -> Row:
    return Row(name=job.pin.name, version=str(job.pin.version), target=job.target.name, state="build", reason="sdist only")


def after(*jobs: Job, **given: object) -> list[Row]:
    machine = Machine(Plan(jobs=jobs), limit=2)
    drive(machine, **given)  # type: ignore[arg-type]
    return list(tally([row(job) for job in jobs], machine.jobs))


def test_a_built_wheel_s_row_names_its_file_its_log_and_its_time() -> None:
    job = nouns.job("demo==1.0")
    (found,) = after(job)
    assert (found.state, found.file, found.attempt, found.seconds) == (
        "built", "demo-1.0-cp311-cp311-manylinux_2_36_x86_64.whl", f"a-{job.id}", 1.0,
    )  # fmt: skip


def test_rows_that_no_job_was_for_stay_as_they_were() -> None:
    other = Row(name="other", version="1", target=CP311.name, state="upstream-wheel", file="other-1-py3-none-any.whl")
    assert tally([other], []) == (other,)


def test_a_failure_s_row_says_at_which_stage_and_why() -> None:
    job = nouns.job("demo==1.0")
    (found,) = after(job, fail=[job.id])
    assert (found.state, found.reason) == ("failed", "build: it broke")
    assert found.diagnosis
    (found,) = after(job, fail=[job.id], stage=Verify)
    assert (found.state, found.reason) == ("failed", "proof: it broke")


def test_what_is_blocked_names_the_job_at_the_root() -> None:
    root = nouns.job("root==1")
    middle = nouns.job("middle==1", needs=(root,))
    leaf = nouns.job("leaf==1", needs=(middle,))
    rows = {found.name: found for found in after(root, middle, leaf, fail=[root.id])}
    assert (rows["leaf"].state, rows["leaf"].reason) == ("blocked", "needs root==1, which failed")


def test_a_pure_wheel_closes_the_other_targets_rows_too() -> None:
    first = nouns.job("demo==1.0", kind="pure", also=(CP313,))
    second = nouns.job("demo==1.0", CP313, kind="pure", after=first)
    rows = after(first, second)
    assert [found.state for found in rows] == ["built", "built"]
    assert rows[1].reason == "not built: served by the wheel of another target, cp311-manylinux_2_36_x86_64"
    assert rows[1].file == rows[0].file == "demo-1.0-py3-none-any.whl"


def test_a_wheel_that_was_used_again_says_so() -> None:
    job = nouns.job("demo==1.0")
    built = replace(nouns.built(job), reused=True)
    done = nouns.published(nouns.verified(built, CP311))
    (found,) = tally([row(job)], [Progress(job=job, state="published", built=built, published=done)])
    assert found.reason == "the same inputs had been built before"


def test_a_time_out_says_how_long_it_was_given() -> None:
    job = nouns.job("demo==1.0")
    failure = TimedOut(attempt="A1", limit=3600.0, seconds=3601.0)
    (found,) = tally([row(job)], [Progress(job=job, state="failed", failure=failure)])
    assert (found.state, found.attempt) == ("timed-out", "A1")
    assert found.reason == "took longer than 3600 s: raise [build] time-limit, or build fewer at once (--jobs)"


def test_whatever_was_under_way_when_the_user_stopped_is_not_done() -> None:
    job, other = nouns.job("demo==1.0"), nouns.job("other==1.0")
    machine = Machine(Plan(jobs=(job, other)), limit=1)
    machine.start()
    machine.on(Stop())
    found = tally([row(job), row(other)], machine.jobs)
    assert [(r.state, r.reason) for r in found] == [("cancelled", "stopped before it was done")] * 2


def test_a_failure_keeps_its_log_s_id() -> None:
    job = nouns.job("demo==1.0")
    failure = nouns.failed(job.id)
    assert isinstance(failure, Failed)
    (found,) = tally([row(job)], [Progress(job=job, state="failed", failure=failure)])
    assert found.attempt == failure.attempt


def test_what_is_on_no_page_tells_how_to_ask_for_it() -> None:
    job = nouns.job("demo==1.0")
    published = replace(nouns.published(nouns.verified(nouns.built(job), CP311)), note="use: demo @ URL")
    (told,) = tally([row(job)], [Progress(job=job, state="published", published=published)])
    assert (told.state, told.reason.endswith("; use: demo @ URL")) == ("built", True)
