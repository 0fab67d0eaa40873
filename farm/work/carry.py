"""Command -> event: the only table from messages to functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from farm.model.messages import Build, BuildDone, Command, Event, Publish, PublishDone, Verify, VerifyDone
from farm.work.build import BuildPorts, build
from farm.work.publish import PublishPorts, publish
from farm.work.verify import VerifyPorts, verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from farm.model.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """Everything that carries commands out. `new_attempt` gives short, unique ids that sort by time."""

    build: BuildPorts
    verify: VerifyPorts
    publish: PublishPorts
    new_attempt: Callable[[Job], str]


def carry(command: Command, hands: Hands) -> Event:
    """Do what a command says and return what came of it. The farm's own failures are raised."""
    match command:
        case Build():
            return BuildDone(job=command.job.id, outcome=build(command, hands.new_attempt(command.job), hands.build))
        case Verify():
            return VerifyDone(job=command.job.id, outcome=verify(command, hands.verify))
        case Publish():
            return PublishDone(job=command.job.id, outcome=publish(command, hands.publish))
        case _:
            assert_never(command)
