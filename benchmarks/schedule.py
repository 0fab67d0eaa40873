"""How near the scheduler comes to the best possible end, and what it costs: the real machine, hands and clock simulated.

10,000 jobs in chains and bushes as build dependencies make them, 50 workers. Each job is built, proven and published, which takes
drawn seconds. No schedule ends before the longest chain, nor before all work shared equally: the larger is the lower bound.
`expected` weights are what the machine is told, off by a factor that is drawn too, as past builds are; `none` tells it nothing.
"""

from __future__ import annotations

import argparse
import random
import time
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

from bench import table, tell

from farm.engine.machine import Machine
from farm.model.job import Job, JobId, Plan
from farm.model.load import Load, Weight
from farm.model.messages import Build, Order, Publish, Verify
from tests.fakes.engine import answer
from tests.fakes.nouns import job

GIB = 1 << 30
PUBLISH_S = 0.05


@dataclass(frozen=True, kw_only=True)
class World:
    """A plan and what each job truly takes: seconds of building and of proving, bytes of memory."""

    jobs: tuple[Job, ...]
    build: dict[JobId, float]
    prove: dict[JobId, float]
    memory: dict[JobId, int]

    def seconds(self, order: Order) -> float:
        match order:
            case Build():
                return self.build[order.job.id]
            case Verify():
                return self.prove[order.job.id]
            case _:
                return PUBLISH_S

    def bound(self, workers: int, memory: int) -> tuple[float, float, float]:
        """Return the longest chain, all work shared equally, and all memory-seconds of builds shared equally, in seconds."""
        ends: dict[JobId, float] = {}
        for each in self.jobs:
            begin = max((ends[need] for need in each.needs), default=0.0)
            ends[each.id] = begin + self.build[each.id] + self.prove[each.id] + PUBLISH_S
        work = sum(self.build.values()) + sum(self.prove.values()) + PUBLISH_S * len(self.jobs)
        room = sum(self.build[i] * self.memory[i] for i in self.build) / memory if memory else 0.0
        return max(ends.values()), work / workers, room


def world(size: int, seed: int, shape: str) -> World:
    """`wide`: few needs; `deep`: long chains among them; `heavy`: a tenth of the builds want much memory."""
    rng = random.Random(seed)
    jobs: list[Job] = []
    for number in range(size):
        window = jobs[-200:] if shape == "deep" else jobs[: size // 20]
        needs = rng.sample(window, min(len(window), rng.choice((0, 0, 1, 2))))
        jobs.append(job(f"p{number}==1", needs=tuple(needs)))
    # Build times of packages are spread over three orders of magnitude: most take seconds, a few half an hour.
    longest = 120.0 if shape == "deep" else 1800.0
    build = {each.id: min(longest, rng.lognormvariate(3.0, 1.2)) for each in jobs}
    prove = {each.id: rng.uniform(1.0, 4.0) for each in jobs}
    heavy = {each.id: rng.uniform(4, 16) if rng.random() < 0.1 else rng.uniform(0.1, 0.6) for each in jobs}
    return World(jobs=tuple(jobs), build=build, prove=prove, memory={i: round(g * GIB) for i, g in heavy.items()})


def told(made: World, known: str, memory: int, seed: int) -> Load:
    if known == "none":
        return Load(memory=memory, weights={i: Weight(memory=made.memory[i]) for i in made.memory} if memory else {})
    rng = random.Random(seed + 1)
    weights = {
        i: Weight(seconds=seconds * rng.lognormvariate(0, 0.3), memory=made.memory[i]) for i, seconds in made.build.items()
    }
    return Load(memory=memory, weights=weights)


def simulate(made: World, workers: int, load: Load) -> tuple[float, float, int]:
    """Return when the last job ended, by the simulated clock, how long the machine itself took, and how many events it got."""
    began = time.perf_counter()
    machine = Machine(Plan(jobs=made.jobs), limit=workers, load=load)
    orders = machine.start()
    spent = time.perf_counter() - began
    now, events, place = 0.0, 0, 0
    under_way: list[tuple[float, int, Order]] = []
    while True:
        for order in orders:
            heappush(under_way, (now + made.seconds(order), place, order))
            place += 1
        if not under_way:
            break
        now, _, order = heappop(under_way)
        event = answer(order, lambda _: False)
        began = time.perf_counter()
        orders = machine.on(event)
        machine.changes()
        spent += time.perf_counter() - began
        events += 1
    if not machine.done or any(progress.state != "published" for progress in machine.jobs):
        message = "the simulated run lost jobs"
        raise RuntimeError(message)
    assert isinstance(order, Publish)
    return now, spent, events


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    results: list[dict[str, Any]] = []
    for shape, memory in (("wide", 0), ("deep", 0), ("heavy", 128 * GIB)):
        for known in ("expected", "none"):
            ratios, costs = [], []
            for seed in range(arguments.seeds):
                made = world(arguments.jobs, seed, shape)
                bound = max(made.bound(arguments.workers, memory))
                end, spent, events = simulate(made, arguments.workers, told(made, known, memory, seed))
                ratios.append(end / bound)
                costs.append(spent / events * 1e6)
            results.append(
                {"plan": shape, "durations": known, "worst_ratio": round(max(ratios), 4), "microseconds_per_event": round(max(costs), 1)}
            )
    heads = ("plan", "durations", "end / lower bound, at most", "microseconds of the machine for an event")
    rows = [(r["plan"], r["durations"], f"{r['worst_ratio']:.3f}", f"{r['microseconds_per_event']:.0f}") for r in results]
    tell("schedule", table(heads, rows), results)


if __name__ == "__main__":
    main()
