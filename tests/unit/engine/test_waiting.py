"""Builds on demand: one for many that ask, one at a time, not at once again, and never too many that wait."""

from __future__ import annotations

from farm.engine.waiting import Pace, Waiting, Wish

PACE = Pace(settle=3.0, most=5, rest=100.0, longest=350.0)


def wish(name: str = "demo", target: str = "cp311-manylinux_2_36_x86_64") -> Wish:
    return Wish(name=name, version="1.0", target=target)


def test_many_that_ask_for_the_same_are_one_build_after_a_moment() -> None:
    waiting = Waiting(PACE)
    for second in range(3):
        assert waiting.ask(wish(), 2, float(second))
    assert waiting.next(2.9) is None
    assert waiting.next(3.0) == (wish(), 6)
    assert waiting.next(9.0) is None


def test_one_at_a_time_the_most_wanted_first() -> None:
    waiting = Waiting(PACE)
    for name, count in (("a", 1), ("b", 5), ("c", 5)):
        waiting.ask(wish(name), count, 0.0)
    order = []
    for _ in range(3):
        found = waiting.next(10.0)
        assert found is not None
        assert waiting.next(10.0) is None
        order.append(found[0].name)
        waiting.ended(found[0], well=True, now=10.0)
    assert order == ["b", "c", "a"]


def test_who_asks_while_it_is_built_or_just_was_does_not_make_a_second_build() -> None:
    waiting = Waiting(PACE)
    waiting.ask(wish(), 1, 0.0)
    assert waiting.next(5.0) is not None
    assert not waiting.ask(wish(), 1, 6.0)
    assert waiting.ended(wish(), well=True, now=10.0) == 100.0
    assert not waiting.ask(wish(), 1, 109.0)
    assert waiting.ask(wish(), 1, 110.0)


def test_what_failed_rests_longer_each_time_up_to_a_bound() -> None:
    waiting, now, rests = Waiting(PACE), 0.0, []
    for _ in range(4):
        assert waiting.ask(wish(), 1, now)
        assert waiting.next(now + 3) is not None
        rests.append(waiting.ended(wish(), well=False, now=now + 3))
        assert not waiting.ask(wish(), 1, now + 3 + rests[-1] - 1)
        now += 3 + rests[-1]
    assert rests == [200.0, 350.0, 350.0, 350.0]


def test_what_is_there_and_asked_for_all_the_same_is_looked_at_less_and_less() -> None:
    """Whoever installs with --no-binary goes on to fetch the sdist."""
    waiting, now, rests = Waiting(PACE), 0.0, []
    for well in (True, True, True, False, True):
        assert waiting.ask(wish(), 1, now)
        assert waiting.next(now + 3) is not None
        rests.append(waiting.ended(wish(), well=well, now=now + 3))
        now += 3 + rests[-1]
    assert rests == [100.0, 200.0, 350.0, 200.0, 100.0]


def test_targets_are_told_apart_and_the_queue_is_bounded() -> None:
    waiting = Waiting(PACE)
    taken = [waiting.ask(wish(target=f"cp31{number}-win32"), 1, 0.0) for number in range(8)]
    assert taken == [True] * 5 + [False] * 3
    assert len(waiting) == 5
    # One that waits already may be asked for on and on.
    assert waiting.ask(wish(target="cp310-win32"), 1, 0.0)
