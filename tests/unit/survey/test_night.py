"""What a night's report says of what was seen and done; that it adds up; and that it comes back from JSON as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from farm.model.job import Plan, Refusal
from farm.model.night import Fault, Item, Night, from_text, to_text
from farm.model.outcome import Diagnosis
from farm.model.report import Problem, Row, State, Tried
from farm.model.watch import Look, SetSeen, Watched, WatchedCell, WatchSet
from farm.serve.night_html import page
from farm.serve.night_text import chat, headline, markdown, plain
from farm.survey.night import Evening, tell
from farm.survey.retry import Retry
from tests.fakes.nouns import CP311, job

if TYPE_CHECKING:
    from collections.abc import Callable

    from farm.model.night import NightState

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
START = Night(id="20260301-023000-abcdef", started="2026-03-01T02:30:00+00:00", state="ended")
JOBS = {name: job(f"{name}==1.0") for name in ("good", "bad", "worse", "late", "flaky")}
LACK = Diagnosis(cause="missing-system-header", summary="no yaml.h", line="fatal error: yaml.h", remedy="apt install libyaml-dev")

HEALED = Tried(build="a", stage="build", diagnosis=LACK, change="libyaml-dev", kept=True)


def cell(name: str, state: State) -> WatchedCell:
    return WatchedCell(name=name, version="1.0", target=CP311.name, state=state, reason="sdist only" if state == "build" else "")


def row(name: str, state: State, **more: object) -> Row:
    return replace(Row(name=name, version="1.0", target=CP311.name, state=state), **more)  # type: ignore[arg-type]


def watched(*cells: WatchedCell, error: str = "") -> Watched:
    look = Look(name="app", looked=NOON, digest="", error=error, pins=len(cells), seconds=0.1)
    seen = SetSeen(watch=WatchSet(name="app", sources=("app.txt",)), look=look, wants=cells)
    wanted = tuple(JOBS[each.name] for each in cells if each.name in JOBS)
    users = {each.id: ("app",) for each in wanted}
    return Watched(sets=(seen,), plan=Plan(jobs=wanted), users=users, cells={each.key: each for each in cells})


EVERYTHING = Evening(
    watched=watched(
        cell("there", "upstream-wheel"), *(cell(name, "build") for name in JOBS), cell("never", "impossible"),
    ),
    rows=(
        row("good", "built", file="good-1.0-py3-none-any.whl", tried=(HEALED,)),
        row("bad", "failed", diagnosis=LACK), row("worse", "blocked", reason="needs bad 1.0, which failed"),
        row("tool", "built"),
    ),
    later={JOBS["late"].id: "no time left tonight"},
    waiting={JOBS["flaky"].id: Retry(failures=3, why="failed 3 times in a row")},
    ever=frozenset({("bad", CP311.name)}),
    day="2026-03-01",
)  # fmt: skip


def names(items: tuple[Item, ...]) -> list[str]:
    return [item.name for item in items]


def test_everything_that_lacked_a_wheel_is_told_once_where_it_belongs() -> None:
    night = tell(START, EVERYTHING)
    assert night.adds_up
    assert (night.sets, night.cells, night.there, night.lacking) == (1, 7, 1, 7)
    assert names(night.built) == ["good", "tool"]
    assert names(night.healed) == ["good"]
    assert names(night.regressions) == ["bad"], "the farm has built it before"
    assert names(night.failing) == ["worse"]
    assert (names(night.deferred), names(night.waiting), names(night.hopeless)) == (["late"], ["flaky"], ["never"])
    assert names(night.missing) == ["bad", "flaky", "good", "late", "never", "tool", "worse"]
    assert night.regressions[0].since == "2026-03-01"
    assert (night.changed, night.failed) == (True, True)


def test_the_next_night_tells_only_what_is_new() -> None:
    first = tell(START, EVERYTHING)
    cells = watched(cell("there", "upstream-wheel"), cell("good", "farm-wheel"), cell("bad", "build"), cell("never", "impossible"))
    again = (row("bad", "failed", diagnosis=LACK),)
    second = tell(START, Evening(watched=cells, rows=again, before=first, ever=EVERYTHING.ever, day="2026-03-02"))
    assert (names(second.failing), second.regressions, second.missing) == (["bad"], (), ())
    assert second.failing[0].since == "2026-03-01"
    assert (second.changed, second.failed, second.adds_up) == (False, False, True)
    assert not second.worth("changes")
    assert second.worth("always")


def test_what_was_built_and_fails_later_is_a_regression_and_missing_anew() -> None:
    first = tell(START, Evening(watched=watched(cell("good", "build")), rows=(row("good", "built"),), day="2026-03-01"))
    assert (first.changed, first.failed) == (True, False)
    second = tell(
        START, Evening(watched=watched(cell("good", "build")), rows=(row("good", "failed", diagnosis=LACK),), before=first,
                       ever=frozenset({("good", CP311.name)}), day="2026-03-02"),
    )  # fmt: skip
    assert (names(second.regressions), names(second.missing)) == (["good"], ["good"])


def test_an_index_that_does_not_answer_is_one_fault_and_nothing_is_forgotten_meanwhile() -> None:
    first = tell(START, EVERYTHING)
    silent = watched(*(replace(each, state="unknown", reason="no answer") for each in EVERYTHING.watched.cells.values()))
    second = tell(START, Evening(watched=replace(silent, plan=Plan(), users={}), before=first, day="2026-03-02"))
    assert (second.unknown, second.missing, [fault.subject for fault in second.unreadable]) == (7, (), ["index"])
    assert (second.changed, second.adds_up) == (True, True)
    third = tell(START, Evening(watched=replace(silent, plan=Plan(), users={}), before=second, day="2026-03-03"))
    assert third.changed is False
    assert [item.reason for item in third.hopeless if item.name == "worse"] == ["no answer; before: needs bad 1.0, which failed"]
    fourth = tell(START, replace(EVERYTHING, before=third, day="2026-03-04"))
    assert {item.since for item in fourth.failing} == {"2026-03-01"}
    assert "worse" not in names(fourth.missing)


@pytest.mark.parametrize("how", ["set", "target"])
def test_what_cannot_be_read_is_told_and_new_only_once(how: str) -> None:
    seen = watched(cell("there", "upstream-wheel"), error="app.txt: no such file" if how == "set" else "")
    if how == "target":
        problem = Problem(subject=CP311.name, text="no solution", kind="unresolved")
        seen = replace(seen, sets=(replace(seen.sets[0], problems=(problem,)),))
    first = tell(START, Evening(watched=seen))
    second = tell(START, Evening(watched=seen, before=first))
    assert (len(first.unreadable), len(second.unreadable)) == (1, 1)
    assert (first.changed, second.changed) == (True, False)


def test_what_cannot_be_planned_is_told_once_and_with_what_helps() -> None:
    seen = watched(cell("good", "build"))
    refusal = Refusal(pin=JOBS["good"].pin, target=CP311, reason="no sdist can be read", via=(), cause="no-sdist", remedy="ask upstream")
    seen = replace(seen, plan=Plan(refused=(refusal,)), users={})
    night = tell(START, Evening(watched=seen))
    assert [(item.name, item.reason, item.remedy) for item in night.hopeless] == [("good", "no sdist can be read", "ask upstream")]
    assert night.adds_up


def test_a_dry_run_tells_what_would_be_built() -> None:
    night = tell(START, Evening(watched=watched(cell("good", "build")), rows=(row("good", "build"),)))
    assert (names(night.planned), night.adds_up) == (["good"], True)


def test_a_night_comes_back_from_json_as_it_was_also_from_a_newer_farm() -> None:
    night = tell(replace(START, notes=("a note",)), EVERYTHING)
    assert from_text(to_text(night)) == night
    newer = json.loads(to_text(night))
    newer["new"] = 1
    newer["built"][0]["new"] = 2
    assert from_text(json.dumps(newer)) == night
    with pytest.raises(ValueError, match="expected a night"):
        from_text("{}")


def test_every_form_says_everything_and_as_text_only() -> None:
    nasty = "</td><script>alert(1)</script> *bold* `code` [x](y)"
    night = replace(tell(START, EVERYTHING), notes=(nasty,), saved_s=5400.0, saved_days="2026-02-28", collected=3, collected_bytes=5 << 20)
    night = replace(night, failing=(replace(night.failing[0], line=nasty, reason=nasty),))
    html, text = page(night), markdown(night)
    for name in (*JOBS, "never", "tool"):
        assert name in html
        assert name in text
        assert name in plain(night)
    assert "<script" not in html
    assert "src=" not in html
    assert "http" not in html, "nothing is fetched from anywhere"
    assert "\\*bold\\*" in text
    assert "1 h 30 min of building" in plain(night)
    assert headline(night) == "farm nightly: 1 regression, 2 built, 1 failing, 1 deferred, 1 not to be had"
    assert "<script" not in json.loads(chat(night, ""))["text"]


def test_a_long_list_is_cut_in_a_chat_only() -> None:
    many = tuple(Item(name=f"p{number}", version="1", target="t") for number in range(20))
    night = replace(START, built=many)
    told = json.loads(chat(night, ""))["text"]
    assert (told.count("\n• p"), "\n• and 15 more\n" in told) == (5, True)
    assert plain(night).count("\n  p") == 20


def test_what_waits_after_a_failure_keeps_its_day_and_is_no_regression_when_it_is_tried_again() -> None:
    ever = frozenset({("flaky", CP311.name)})
    seen = watched(cell("flaky", "build"))
    failed = (row("flaky", "failed", diagnosis=LACK),)
    first = tell(START, Evening(watched=seen, rows=failed, ever=ever, day="2026-03-01"))
    assert names(first.regressions) == ["flaky"]
    verdict = {JOBS["flaky"].id: Retry(failures=2, why="failed 2 times in a row")}
    second = tell(START, Evening(watched=seen, waiting=verdict, before=first, ever=ever, day="2026-03-02"))
    assert [item.since for item in second.waiting] == ["2026-03-01"]
    third = tell(START, Evening(watched=seen, rows=failed, before=second, ever=ever, day="2026-03-03"))
    assert (third.regressions, [item.since for item in third.failing]) == ((), ["2026-03-01"])
    assert third.changed is False


@pytest.mark.parametrize("how", ["no-time", "cancelled"])
def test_a_failure_that_there_was_no_time_for_is_as_old_as_before(how: str) -> None:
    ever = frozenset({("bad", CP311.name)})
    seen = watched(cell("bad", "build"))
    failed = (row("bad", "failed", diagnosis=LACK),)
    first = tell(START, Evening(watched=seen, rows=failed, ever=ever, day="2026-03-01"))
    late = Evening(watched=seen, later={JOBS["bad"].id: "no time left tonight"}) if how == "no-time" else Evening(
        watched=seen, rows=(row("bad", "cancelled"),)
    )  # fmt: skip
    second = tell(START, replace(late, before=first, ever=ever, day="2026-03-02"))
    assert [item.since for item in second.deferred] == ["2026-03-01"]
    third = tell(START, Evening(watched=seen, rows=failed, before=second, ever=ever, day="2026-03-03"))
    assert (third.regressions, [item.since for item in third.failing], third.changed) == ((), ["2026-03-01"], False)


def test_what_there_was_no_time_for_and_fails_the_next_night_is_news() -> None:
    seen = watched(cell("late", "build"))
    first = tell(START, Evening(watched=seen, later={JOBS["late"].id: "no time left tonight"}, day="2026-03-01"))
    assert (first.changed, first.failed) == (True, False)
    failed = (row("late", "failed", diagnosis=LACK),)
    second = tell(START, Evening(watched=seen, rows=failed, before=first, day="2026-03-02"))
    assert (names(second.failing), second.failed, second.worth("changes"), second.worth("failures")) == (["late"], True, True, True)
    third = tell(START, Evening(watched=seen, rows=failed, before=second, day="2026-03-03"))
    assert third.changed is False


def test_a_long_part_of_a_mail_says_how_much_it_leaves_out() -> None:
    many = tuple(Item(name=f"p{number}", version="1", target="t") for number in range(10_000))
    night = replace(START, failing=many)
    for told in (plain(night, 200), page(night, "", 200)):
        assert told.count("p199") == 1
        assert "p200" not in told
        assert "Still failing (10000)" in told
        assert f"and 9800 more: farm report {START.id}" in told
    assert len(page(night, "", 200)) < 200_000
    assert "more: farm report" not in page(night)


@pytest.mark.parametrize("form", [page, markdown, plain, lambda night: json.loads(chat(night, ""))["text"]])
def test_what_only_a_terminal_would_heed_is_in_no_report(form: Callable[[Night], str]) -> None:
    nasty = "\x1b[31mred\x1b[0m\x07 \u202eback\x9b2J half \ud800"
    item = Item(name="demo", version="1", target="t", reason=nasty, line=nasty)
    told = form(replace(START, failing=(item,), notes=(nasty,), unreadable=(Fault(subject=nasty, text=nasty),)))
    assert "red" in told
    assert not {"\x1b", "\x07", "\u202e", "\x9b", "\ud800"} & set(told)
    told.encode()


def test_markdown_shows_entities_as_they_were_written() -> None:
    assert "a\\&lt;b" in markdown(replace(START, notes=("a&lt;b",)))


def test_a_note_of_two_lines_is_one_in_a_text() -> None:
    assert plain(replace(START, notes=("app: gone\nto do: look",))).endswith("\nnote: app: gone to do: look")


def test_what_has_no_encoding_can_be_kept() -> None:
    to_text(replace(START, notes=("half \ud800",))).encode()


@pytest.mark.parametrize(("state", "words"), [("killed", "was killed before it could report"), ("running", "has not ended yet")])
def test_a_night_that_has_no_report_is_not_said_to_be_quiet(state: NightState, words: str) -> None:
    assert headline(Night(id="a", started="2026-03-01T02:30:00+00:00", state=state)) == f"farm nightly: {words}"


def test_what_only_a_campaign_wants_names_it_and_what_a_set_wants_too_names_the_set() -> None:
    seen = watched(cell("good", "build"))
    others = (JOBS["bad"], JOBS["late"], JOBS["flaky"])
    marks = {each.id: "python-3.15" for each in (*others, JOBS["good"])}
    seen = replace(seen, plan=Plan(jobs=(*seen.plan.jobs, *others)), campaigns=marks)
    night = tell(
        START, Evening(
            watched=seen, rows=(row("good", "built"), row("bad", "failed", diagnosis=LACK)), later={JOBS["late"].id: "no time left"},
            waiting={JOBS["flaky"].id: Retry(failures=2, why="failed 2 times in a row")},
        ),
    )  # fmt: skip
    assert [item.sets for item in night.built] == [("app",)]
    for items in (night.failing, night.deferred, night.waiting):
        assert [item.sets for item in items] == [("campaign python-3.15",)]
    assert "wanted by campaign python-3.15" in plain(night)
