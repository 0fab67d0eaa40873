"""The words that pages use for states, and what each means. A word always stands with its colour, never the colour alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, get_args

from farm.model.attempt import State as BuildState
from farm.model.report import State

if TYPE_CHECKING:
    from collections.abc import Mapping


class Word(NamedTuple):
    """`kind` is the class of the style sheet that colours it."""

    text: str
    kind: str
    meaning: str


CELLS: Final[Mapping[str, Word]] = {
    "upstream-wheel": Word("wheel", "good", "upstream has a wheel"),
    "pure-fallback": Word("pure", "good", "only a pure wheel, native ones exist for others"),
    "farm-wheel": Word("farm", "ours", "the farm has a wheel"),
    "built": Word("built", "ours", "built and proven in the last run"),
    "building": Word("building", "todo", "being built at this moment"),
    "build": Word("to build", "todo", "has no wheel, and is to be built"),
    "failed": Word("failed", "bad", "could not be built"),
    "timed-out": Word("timeout", "bad", "took longer than a build may"),
    "blocked": Word("blocked", "warn", "needs something that has no wheel"),
    "refused": Word("refused", "bad", "cannot be planned as a build"),
    "impossible": Word("no file", "bad", "no file of it can be had"),
    "hidden": Word("hidden", "warn", "there is a wheel, and this client does not know its tag"),
    "not-needed": Word("–", "none", "this target does not need it"),
    "unknown": Word("unknown", "warn", "an index did not answer"),
    "cancelled": Word("stopped", "none", "the run ended before its turn"),
}

BUILDS: Final[Mapping[str, Word]] = {
    "building": Word("building", "todo", "under way"),
    "built": Word("built", "ours", "made a wheel that is not proven yet"),
    "proven": Word("proven", "ours", "its wheel passed the proof"),
    "published": Word("published", "good", "its wheel is on the index"),
    "failed": Word("failed", "bad", "made no wheel"),
    "timed-out": Word("timeout", "bad", "took longer than a build may"),
    "rejected": Word("rejected", "bad", "its wheel did not pass the proof"),
    "interrupted": Word("stopped", "warn", "the run ended while it was under way"),
    "skipped": Word("skipped", "none", "the same had failed before with the same inputs"),
}

NIGHTS: Final[Mapping[str, Word]] = {
    "running": Word("running", "todo", "under way"),
    "ended": Word("ended", "good", "came to its end"),
    "stopped": Word("stopped", "warn", "was stopped before its end"),
    "broken": Word("broken", "bad", "the farm itself failed"),
    "killed": Word("killed", "bad", "died before its end"),
}

CELL_STATES: Final[tuple[str, ...]] = (*get_args(State), "building")
BUILD_STATES: Final[tuple[str, ...]] = get_args(BuildState)
MISSING: Final[tuple[str, ...]] = ("build", "failed", "timed-out", "blocked", "refused", "impossible", "unknown")
"""The states of a cell that say: somebody will compile, or fail."""


def word(words: Mapping[str, Word], state: str) -> Word:
    """Return the word for a state; for one that this version does not know, the state itself."""
    return words.get(state) or Word(state, "none", "")
