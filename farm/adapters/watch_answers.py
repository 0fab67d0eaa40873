"""What each watch set came to at its last look, on disk: an unchanged set over unchanged pages needs no survey.

An answer is found by a key over everything that is known before anything is read, and holds while what was read for it is the
same: the text of each file, the variables that these name, and the page of each project, upstream's and the farm's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from farm.adapters.page_cache import keep
from farm.model.report import Problem
from farm.model.watch import WatchedCell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

_SCHEMA = 1


class SetAnswer(msgspec.Struct, array_like=True):
    """`texts` and `variables` map to sha256 (None where unset), `pages` and `own` to what tells the states of a page apart.

    `pages` are upstream's, `own` the farm's; `versions` tell the same of those versions alone on which an answer depends where it
    depends on no other of a project. `wants` are encoded rows of (name, version, place in `targets`, state, reason, file):
    they take a tenth of the memory so. `inputs` is a digest of all that was read, `digest` of what
    it came to as well. `problems` are (subject, text, kind).
    """

    schema: int
    texts: dict[str, str]
    variables: dict[str, str | None]
    pages: dict[str, str]
    own: dict[str, str]
    versions: dict[str, dict[str, str]]
    targets: tuple[str, ...]
    wants: msgspec.Raw
    problems: list[tuple[str, str, str]]
    remarks: tuple[str, ...]
    files: tuple[str, ...]
    inputs: str
    digest: str


_Wants = list[tuple[str, str, int, str, str, str]]
_decoder = msgspec.msgpack.Decoder(SetAnswer)
_wants = msgspec.msgpack.Decoder(_Wants)


def encoded(wants: Iterable[WatchedCell], targets: tuple[str, ...]) -> msgspec.Raw:
    """Return cells as an answer keeps them."""
    places = {target: number for number, target in enumerate(targets)}
    rows = [(cell.name, cell.version, places[cell.target], cell.state, cell.reason, cell.file) for cell in wants]
    return msgspec.Raw(msgspec.msgpack.encode(rows))


def wants_of(answer: SetAnswer) -> Iterator[WatchedCell]:
    """Yield the cells of an answer."""
    targets = answer.targets
    for name, version, place, state, reason, file in _wants.decode(answer.wants):
        yield WatchedCell(name=name, version=version, target=targets[place], state=state, reason=reason, file=file)  # type: ignore[arg-type]


def make_answer(**values: object) -> SetAnswer:
    """Return an answer of today's schema."""
    return SetAnswer(schema=_SCHEMA, **values)  # type: ignore[arg-type]


def problems_of(answer: SetAnswer) -> tuple[Problem, ...]:
    return tuple(Problem(subject=subject, text=text, kind=kind) for subject, text, kind in answer.problems)  # type: ignore[arg-type]


class SetAnswers:
    """Answers by key. What cannot be read is treated as absent; a disk that cannot be written costs speed only."""

    def __init__(self, folder: Path, *, now: Callable[[], float]) -> None:
        self._folder = folder
        self._now = now

    def load(self, key: str) -> SetAnswer | None:
        try:
            found = _decoder.decode((self._folder / key).read_bytes())
        except (OSError, msgspec.DecodeError):
            return None
        return found if found.schema == _SCHEMA else None

    def save(self, key: str, answer: SetAnswer) -> None:
        keep(self._folder / key, msgspec.msgpack.encode(answer))

    def tidy(self, used: set[str]) -> None:
        """Remove answers that no set has had for a week."""
        try:
            for path in self._folder.iterdir():
                if path.name not in used and path.stat().st_mtime < self._now() - 7 * 86400:
                    path.unlink(missing_ok=True)
        except OSError:
            return
