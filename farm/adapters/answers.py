"""Whole answers of `farm check` on disk: an unchanged question within the index's TTL is answered without reading a page.

An answer is found by a key over everything that is known before anything is read (the command line, the configuration, the
indexes, the farm's serial and version), and holds while what was read for it is still the same: the bytes of each
requirement file, the variables that these files name, and the age of the oldest page.
"""

from __future__ import annotations

import hashlib
import stat
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from farm.adapters.page_cache import keep
from farm.model.report import Checked, Cost, Problem, Report, Row, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_SCHEMA = 1
# (name, version, target, state, reason, file, required by, estimate): a row as a tuple of texts costs a third of a record.
_Cells = list[tuple[str, str, int, State, str, str, tuple[str, ...], float | None]]
_ProblemKind = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """What an answer was read from: files by path (sha256 of their bytes), variables by name (sha256, None where unset)."""

    files: Mapping[str, str]
    variables: Mapping[str, str | None]


class _Kept(msgspec.Struct, array_like=True):
    schema: int
    until: float
    at: float
    files: dict[str, str]
    variables: dict[str, str | None]
    targets: tuple[str, ...]
    rows: _Cells
    problems: list[_ProblemKind]
    notes: tuple[str, ...]
    cost: tuple[int, int, float, float, float, int, tuple[str, ...]] | None
    remarks: tuple[str, ...]
    places: tuple[tuple[str, int], ...]


class AnswerCache:
    """Answers by key. `now` returns seconds since 1970. What cannot be read is treated as absent."""

    def __init__(self, folder: Path, *, now: Callable[[], float]) -> None:
        self._folder = folder
        self._now = now

    def load(self, key: str, env: Mapping[str, str]) -> Checked | None:
        """Return the answer if nothing that it depends on has changed."""
        try:
            kept = msgspec.msgpack.decode((self._folder / key).read_bytes(), type=_Kept)
        except (OSError, msgspec.DecodeError):
            return None
        if kept.schema != _SCHEMA or not kept.at <= self._now() <= kept.until:
            return None
        if any(file_digest(path) != digest for path, digest in kept.files.items()):
            return None
        if any(text_digest(env.get(name)) != digest for name, digest in kept.variables.items()):
            return None
        return _checked(kept)

    def save(self, key: str, checked: Checked, witness: Witness, until: float) -> None:
        """Keep an answer until then, in seconds since 1970. A disk that cannot be written costs speed only."""
        report = checked.report
        places = {target: number for number, target in enumerate(report.targets)}
        kept = _Kept(
            schema=_SCHEMA, until=until, at=self._now(), files=dict(witness.files), variables=dict(witness.variables),
            targets=report.targets, rows=[_cells(row, places[row.target]) for row in report.rows],
            problems=[(problem.subject, problem.text, problem.kind) for problem in report.problems], notes=report.notes,
            cost=None if report.cost is None else astuple(report.cost), remarks=checked.remarks, places=checked.places,
        )  # fmt: skip
        keep(self._folder / key, msgspec.msgpack.encode(kept))
        self._tidy()

    def _tidy(self) -> None:
        """Remove what is long past its time, so that the folder does not grow with each change of a file."""
        try:
            old = [path for path in self._folder.iterdir() if path.stat().st_mtime < self._now() - 7 * 86400]
            for path in old:
                path.unlink(missing_ok=True)
        except OSError:
            return


def _cells(row: Row, place: int) -> tuple[str, str, int, State, str, str, tuple[str, ...], float | None]:
    return row.name, row.version, place, row.state, row.reason, row.file, row.required_by, row.estimate_s


def _checked(kept: _Kept) -> Checked:
    rows = tuple(
        Row(
            name=name, version=version, target=kept.targets[place], state=state, reason=reason, file=file,
            required_by=required_by, estimate_s=estimate,
        )
        for name, version, place, state, reason, file, required_by, estimate in kept.rows
    )  # fmt: skip
    problems = tuple(Problem(subject=subject, text=text, kind=kind) for subject, text, kind in kept.problems)  # type: ignore[arg-type]
    report = Report(targets=kept.targets, rows=rows, problems=problems, notes=kept.notes, cost=_cost(kept), dry_run=True)
    return Checked(report=report, remarks=kept.remarks, places=kept.places)


def _cost(kept: _Kept) -> Cost | None:
    if kept.cost is None:
        return None
    jobs, known, total, critical, elapsed, side_by_side, longest = kept.cost
    return Cost(
        jobs=jobs, known=known, total_s=total, critical_s=critical, elapsed_s=elapsed, side_by_side=side_by_side, longest=longest
    )


def file_digest(path: str) -> str | None:
    """Return the sha256 of a regular file; None for all else, which cannot be read twice, or not at all."""
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return None
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except (OSError, ValueError):
        return None


def text_digest(text: str | None) -> str | None:
    """Return the sha256 of a variable's value, which may be a secret; None where it is not set."""
    return None if text is None else hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


class Watched(dict[str, str]):
    """An environment that remembers which variables were asked for, there or not."""

    def __init__(self, env: Mapping[str, str]) -> None:
        super().__init__(env)
        self.asked: dict[str, None] = {}

    def __getitem__(self, name: str) -> str:
        self.asked[name] = None
        return super().__getitem__(name)

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        self.asked[name] = None
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self.asked[str(name)] = None
        return super().__contains__(name)

    def __iter__(self) -> Iterator[str]:
        self.asked |= dict.fromkeys(super().__iter__())
        return super().__iter__()


def witness(files: Iterable[str], env: Watched, since: float) -> Witness | None:
    """Return what an answer depends on, or None where it cannot be told later: a URL, a pipe, a file changed after `since`."""
    found: dict[str, str] = {}
    for path in files:
        digest = file_digest(path)
        if digest is None or Path(path).stat().st_mtime >= since:
            return None
        found[path] = digest
    return Witness(files=found, variables={name: text_digest(dict.get(env, name)) for name in env.asked})
