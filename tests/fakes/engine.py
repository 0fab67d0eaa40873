"""Scripted hands: every command is answered by a rule, in an order that the test chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farm.model.messages import (
    Build,
    BuildDone,
    Command,
    Event,
    Order,
    Publish,
    PublishDone,
    Verify,
    VerifyDone,
    Wait,
    WaitDone,
)
from tests.fakes.nouns import built, failed, published, verified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from farm.engine.machine import Machine
    from farm.model.job import JobId


def answer(command: Order, breaks: Callable[[Command], bool]) -> Event:
    """Carry a command out the way its job's kind says; `breaks` names the commands that fail."""
    identity = command.job.id
    match command:
        case Wait():
            return WaitDone(job=identity)
        case Build():
            return BuildDone(job=identity, outcome=failed(identity) if breaks(command) else built(command.job))
        case Verify():
            targets = [proof.target for proof in command.proofs]
            outcome = failed(identity, "proof") if breaks(command) else verified(command.built, *targets)
            return VerifyDone(job=identity, outcome=outcome)
        case Publish():
            outcome = failed(identity, "publish") if breaks(command) else published(command.verified)
            return PublishDone(job=identity, outcome=outcome)


def drive(
    machine: Machine,
    *,
    fail: Iterable[JobId] = (),
    stage: type[Command] = Build,
    pick: Callable[[int], int] = lambda _: 0,
    most: list[int] | None = None,
) -> list[Order]:
    """Run a machine to its end and return the commands in the order given; `pick` chooses which of n answers next."""
    bad = set(fail)
    under_way = list(machine.start())
    story: list[Order] = list(under_way)
    while under_way:
        if most is not None:
            most.append(len(under_way))
        command = under_way.pop(pick(len(under_way)) % len(under_way))
        following = machine.on(answer(command, lambda c: isinstance(c, stage) and c.job.id in bad))
        under_way.extend(following)
        story.extend(following)
    return story
