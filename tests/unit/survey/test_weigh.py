"""What builds are expected to take: what was seen goes before what is guessed, and a recipe's word before both."""

from __future__ import annotations

from dataclasses import replace

from farm.model.job import Recipe
from farm.model.load import PastUsage
from farm.survey.cost import PastBuild
from farm.survey.weigh import Fair, guess, weights
from tests.fakes.nouns import CP311, CP313, job

FAIR = Fair(memory=4 << 30, cpus=1.0)


def test_before_there_is_a_past_big_native_sdists_are_taken_for_longer_than_small_pure_ones() -> None:
    native, pure = job("a==1"), job("b==1", kind="pure")
    big = replace(native, sdist=replace(native.sdist, size=20_000_000))
    assert guess(pure) < guess(native) < guess(replace(native, rust=True)) < guess(big) < guess(replace(big, rust=True)) <= 3600
    found = weights([native], (), (), FAIR)[native.id]
    assert (found.memory, found.cpus, found.exclusive) == (4 << 30, 1.0, False)


def test_what_builds_took_is_what_the_next_ones_are_given_room_for() -> None:
    one = job("a==1")
    past = [PastBuild(name=one.pin.name, version=one.pin.version, target=CP311.name, seconds=77.0)]
    used = [
        PastUsage(name=one.pin.name, target=CP311.name, memory=400, cpu_seconds=5.0, seconds=10.0),
        PastUsage(name=one.pin.name, target=CP311.name, memory=800, cpu_seconds=2.0, seconds=10.0),
        PastUsage(name=one.pin.name, target=CP313.name, memory=9000, cpu_seconds=10.0, seconds=10.0),
    ]
    found = weights([one], past, used, FAIR)[one.id]
    assert (found.seconds, found.memory, found.cpus) == (77.0, 1000, 0.5)
    elsewhere = weights([job("a==2", CP313)], past, used[:2], FAIR)
    assert [weight.memory for weight in elsewhere.values()] == [1000]


def test_a_recipe_may_say_it_all() -> None:
    one = replace(job("a==1"), recipe=Recipe(memory=6 << 30, cpus=3.0, exclusive=True))
    found = weights([one], (), (), FAIR)[one.id]
    assert (found.memory, found.cpus, found.exclusive) == (6 << 30, 3.0, True)
