"""Resolution per target by uv, which sees nothing but the metadata view and may run nothing. Answers are kept on disk.

The law it keeps: no package code on this machine; a version with an sdist is never passed
over because it lacks a wheel; what metadata had to be guessed is confirmed in a container, for settled versions only.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from uv import find_uv_bin

from farm.adapters.core_metadata import same_fields
from farm.adapters.metadata_answers import SCHEMA, Answers, Scope
from farm.adapters.page_cache import keep
from farm.adapters.process import run
from farm.adapters.resolutions import Resolutions
from farm.adapters.uv_compile import Compilation, Row, applies, read_rows, requirement_lines, uv_platform
from farm.adapters.uv_explanation import explain
from farm.adapters.version_files import Selection, VersionFiles
from farm.adapters.walk import Walk, asked, walk_all
from farm.errors import FarmError, StoreError
from farm.model.demand import IndexOptions
from farm.model.gap import Resolution, ResolvedPin, Unresolved
from farm.model.package import IndexFile, Pin, Version, file_version, parse_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from farm.adapters.version_files import Sources
    from farm.model.demand import Demand, Requirement
    from farm.model.package import NormalizedName
    from farm.model.target import Target

_ROUNDS = 5


def _say_nothing(text: str) -> None:
    del text


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the resolver is told.

    `cache` is a folder; `env` the environment that uv's is made of; `state` returns a token that changes when an index
    does that the resolver cannot see (the farm's own, the configured URLs). `prepare` returns the METADATA that the
    backend computes in a container, or None when it could not. `ttl` is in seconds, `cool_down` too: files that were
    uploaded less than that before `now` (seconds since 1970) do not count. `note` is told what stays a guess.
    """

    cache: Path
    env: Mapping[str, str]
    state: Callable[[], str] = str
    prepare: Callable[[Pin, IndexFile, Target], str | None] | None = None
    refresh: bool = False
    ttl: float = 600.0
    cool_down: float = 0.0
    now: Callable[[], float] = time.time
    note: Callable[[str], None] = _say_nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settled:
    rows: tuple[Row, ...]
    asked: frozenset[NormalizedName]


class UvResolver:
    """Satisfies `ports.Resolver`. Safe to use from several threads."""

    def __init__(self, sources: Sources, setting: Setting) -> None:
        self._sources = sources
        self._setting = setting
        self._memory = Resolutions(setting.cache / "resolutions", sources.upstream, ttl=setting.ttl, now=setting.now)

    def resolve(self, demand: Demand, target: Target) -> Resolution | Unresolved:
        """Return the pins of one target; see `ports.Resolver`. Requirements by path or repository take no part."""
        question = self._question(_wanted(demand), target)
        if question.empty:
            return Resolution(target=target, pins=())
        return self._kept(question) or self._solved(question)

    def resolve_all(self, demand: Demand, targets: Sequence[Target]) -> tuple[Resolution | Unresolved, ...]:
        """Return for each target what `resolve` would, in their order; see `ports.Resolver`.

        What needs no solver is settled for all of them at once, the rest by one run of the solver for each.
        """
        if len(targets) < 2:
            return tuple(self.resolve(demand, target) for target in targets)
        wanted = _wanted(demand)
        questions = {target: self._question(wanted, target) for target in targets}
        answers: dict[Target, Resolution | Unresolved] = {}
        open_ones: list[_Question] = []
        for target, question in questions.items():
            known = Resolution(target=target, pins=()) if question.empty else self._kept(question)
            if known is None:
                open_ones.append(question)
            else:
                answers[target] = known
        walked = self._walked(open_ones) if open_ones and not demand.options.prefer_binary else {}
        for question in open_ones:
            settled = walked.get(question.target)
            answers[question.target] = self._solved(question) if settled is None else self._keep(question, settled)
        return tuple(answers[target] for target in targets)

    def depended_on(self) -> frozenset[str]:
        """Return the projects whose pages the answers since the last such call depend on."""
        found = frozenset(self._memory.asked)
        self._memory.asked.clear()
        return found

    def learn(self, pin: Pin, sdist: IndexFile, target: Target, metadata: str) -> bool:
        """Take the METADATA of a wheel that was built for what its sdist left to guess; tell whether resolutions used another.

        An sdist that states its metadata is believed: a wheel that differs from it is a fault, not news.
        """
        facts = self._sources.sdists.facts(pin, sdist)
        if facts.metadata is not None and not facts.provisional:
            return False
        scope = Scope(target=target, options=IndexOptions())
        used = Answers(replace(self._sources, farm=None), scope).metadata(pin.name, pin.version)
        if used is None or same_fields(used, metadata):
            return False
        self._sources.exact.put(sdist, target, metadata)
        return True

    def _question(self, wanted: _Wanted, target: Target) -> _Question:
        return _Question(wanted=wanted, target=target, newest=self.newest())

    def newest(self) -> datetime | None:
        """Return the last upload time that counts; by the hour, so that an answer holds for as long."""
        if not self._setting.cool_down:
            return None
        return datetime.fromtimestamp((self._setting.now() - self._setting.cool_down) // 3600 * 3600, UTC)

    def _kept(self, question: _Question) -> Resolution | None:
        rows = None if self._setting.refresh else self._memory.load(self._key(question))
        return None if rows is None else Resolution(target=question.target, pins=_pins(rows, question))

    def _solved(self, question: _Question) -> Resolution | Unresolved:
        found = self._settle(question)
        return found if isinstance(found, Unresolved) else self._keep(question, found)

    def _keep(self, question: _Question, settled: _Settled) -> Resolution:
        self._memory.save(self._key(question), settled.rows, settled.asked)
        return Resolution(target=question.target, pins=_pins(settled.rows, question))

    def _walked(self, questions: Sequence[_Question]) -> dict[Target, _Settled]:
        """Return what needs no solver: the targets whose requirements nowhere contradict each other."""
        selection = questions[0].selection()
        files = VersionFiles(self._sources, selection)
        entries = asked(questions[0].wanted.demand, questions[0].wanted.versions)
        found: dict[Target, _Settled] = {}
        left = list(questions)
        for _ in range(_ROUNDS):
            answers = {question.target: Answers(self._sources, question.scope(selection=selection), files) for question in left}
            rows = walk_all({target: Walk(entries, answers[target]) for target in answers})
            again = []
            for question in left:
                settled = rows.get(question.target)
                if settled is None:
                    continue
                if self._confirm(settled, answers[question.target], question.target):
                    again.append(question)
                else:
                    found[question.target] = _Settled(rows=settled, asked=files.asked)
            left = again
        self._tell_young(files)
        return found

    def _tell_young(self, files: VersionFiles) -> None:
        for name, young in sorted(files.young.items()):
            ageless = len(young) - sum(young.values())
            if ageless:
                self._setting.note(
                    f"{name}: the index tells no upload time for {ageless} version{'s' if ageless > 1 else ''}, which the"
                    " cool-down therefore leaves out; name the version with == to take it"
                )

    def _settle(self, question: _Question) -> _Settled | Unresolved:
        """Resolve until the metadata of every settled version is the backend's own, or cannot be had."""
        prefer = question.wanted.demand.options.prefer_binary
        for _ in range(_ROUNDS):
            answers = Answers(self._sources, question.scope(prefer_binary=prefer))
            found = self._compile(question, answers)
            if isinstance(found, Unresolved) and prefer:
                # A preference gives way; only a solver can tell that it has to.
                prefer = False
                continue
            self._tell_young(answers.files)
            if isinstance(found, Unresolved):
                return found
            if not self._confirm(found, answers, question.target):
                return _Settled(rows=found, asked=answers.asked)
        return Unresolved(
            target=question.target,
            explanation=f"the dependencies did not settle in {_ROUNDS} rounds: what the build backends of some packages say"
            " differs from their sdists each time; pin the packages that have no static metadata",
        )

    def _compile(self, question: _Question, answers: Answers) -> tuple[Row, ...] | Unresolved:
        # Imported late: a run that finds its answers on disk needs no HTTP server.
        from farm.adapters.metadata_view import MetadataView  # noqa: PLC0415

        with _scratch(self._setting.cache) as folder, MetadataView(answers, question.target) as view:
            compilation = Compilation(
                uv=find_uv_bin(),
                env=self._setting.env,
                folder=Path(folder),
                index=view.url,
                target=question.target,
                demand=question.wanted.demand,
                lines=question.lines(),
                constraints=question.constraints(),
            )
            _known_interpreters(self._setting.cache / "interpreters", compilation.cache)
            done = run(compilation.command())
            _keep_interpreters(compilation.cache, self._setting.cache / "interpreters")
            text = compilation.output.read_text("utf-8") if done.ok else ""
        # Also when uv found an answer all the same: without that index it is another question's.
        for failure in answers.failures:
            raise failure
        if done.ok:
            return read_rows(text)
        if done.timed_out or done.returncode not in {1, 2}:
            message = f"uv ended with {done.returncode} after {done.seconds:.0f} s: {done.stderr.strip()[-400:]}"
            raise FarmError(message, solution="run again; if it stays, report it with the requirements")
        explanation = explain(done.stderr, question.wanted.demand, question.target, answers)
        return Unresolved(target=question.target, explanation=explanation)

    def _confirm(self, rows: Iterable[Row], answers: Answers, target: Target) -> bool:
        """Have the settled guesses confirmed; tell whether one was wrong, so that the resolution has to be made again."""
        wrong = False
        for row in rows:
            pin = Pin(name=row.name, version=row.version)
            guess = answers.provisional.get(pin)
            if guess is None:
                continue
            sdist, used = guess
            exact = self._setting.prepare(pin, sdist, target) if self._setting.prepare else None
            if exact is None:
                self._setting.note(
                    f"{pin}: its dependencies are read off files that its sdist's author left there, not computed"
                )
                continue
            self._sources.exact.put(sdist, target, exact)
            wrong = wrong or not same_fields(exact, used)
        return wrong

    def _key(self, question: _Question) -> str:
        uv = Path(find_uv_bin()).stat()
        target = question.target
        key = [SCHEMA, question.wanted.fingerprint, target.name, target.full_version, target.markers["implementation_version"],
               uv.st_mtime_ns, uv.st_size,
               self._setting.state(), self._sources.exact.state(), self._setting.prepare is not None,
               question.newest.isoformat() if question.newest else ""]  # fmt: skip
        return hashlib.sha256(json.dumps(key).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What a demand says whatever the target; `pins` are the entries that name one version with `==`."""

    demand: Demand
    direct: Mapping[NormalizedName, IndexFile]
    versions: Mapping[NormalizedName, Version]
    fingerprint: str
    pins: tuple[tuple[Requirement, Pin], ...]
    origins: tuple[tuple[Requirement, str], ...]


def _wanted(demand: Demand) -> _Wanted:
    direct = direct_files(demand.requirements)
    pinned = ((entry, entry.pinned) for entry in (*demand.requirements, *demand.constraints))
    return _Wanted(
        demand=demand,
        direct=direct,
        versions={name: file.version for name, file in direct.items() if file.version is not None},
        fingerprint=demand.fingerprint(),
        pins=tuple((entry, Pin(name=entry.name, version=version)) for entry, version in pinned if version is not None),
        origins=tuple((entry, str(entry.origin)) for entry in demand.requirements),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    wanted: _Wanted
    target: Target
    newest: datetime | None

    @property
    def empty(self) -> bool:
        """True when no requirement is left for a resolver."""
        return not any(self._lines((entry,)) for entry in self.wanted.demand.requirements)

    def lines(self) -> tuple[str, ...]:
        return self._lines(self.wanted.demand.requirements)

    def constraints(self) -> tuple[str, ...]:
        return self._lines(self.wanted.demand.constraints)

    def _lines(self, entries: tuple[Requirement, ...]) -> tuple[str, ...]:
        return requirement_lines(entries, target=self.target, versions=self.wanted.versions)

    def selection(self) -> Selection:
        pinned = frozenset(pin for _, pin in self.wanted.pins)
        return Selection(pinned=pinned, direct=self.wanted.direct, newest=self.newest)

    def scope(self, *, prefer_binary: bool = False, selection: Selection | None = None) -> Scope:
        return Scope(
            target=self.target,
            options=self.wanted.demand.options,
            pinned=frozenset(pin for entry, pin in self.wanted.pins if applies(entry, self.target)),
            selection=selection or self.selection(),
            fold=not uv_platform(self.target).exact,
            prefer_binary=prefer_binary,
            bounds=self._bounds() if prefer_binary else {},
        )

    def _bounds(self) -> dict[NormalizedName, SpecifierSet]:
        bounds: dict[NormalizedName, SpecifierSet] = {}
        for requirement in (*self.wanted.demand.requirements, *self.wanted.demand.constraints):
            if applies(requirement, self.target):
                bounds[requirement.name] = bounds.get(requirement.name, SpecifierSet()) & requirement.specifier
        return bounds


def direct_files(requirements: Iterable[Requirement]) -> dict[NormalizedName, IndexFile]:
    """Return the wheels and sdists that `name @ url` requirements name, where the file name tells a version.

    What is left out (a repository, an archive of a branch) cannot be resolved without running its code.
    """
    found: dict[NormalizedName, IndexFile] = {}
    for requirement in requirements:
        url = (requirement.url or "").partition("#")[0]
        if requirement.editable or not url.startswith(("https://", "http://", "file://", "files/")):
            continue
        filename = url.partition("?")[0].rpartition("/")[2].replace("%2B", "+")
        version = file_version(filename, requirement.name)
        if version is not None:
            hashes = dict(entry.partition(":")[::2] for entry in requirement.hashes)
            sha256 = parse_digest(hashes["sha256"]) if hashes.get("sha256") else None
            found[requirement.name] = IndexFile(filename=filename, url=url, version=version, sha256=sha256)
    return found


def _scratch(cache: Path) -> tempfile.TemporaryDirectory[str]:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix="resolve-", dir=cache, ignore_cleanup_errors=True)
    except OSError as error:
        message = f"cannot write into {cache}: {error.strerror or error}"
        raise StoreError(message, solution="free space there, or make the folder writable") from error


def _known_interpreters(kept: Path, cache: Path) -> None:
    """Give uv what it found out of our interpreter, which costs it half of a run; it checks that against the file's time."""
    with suppress(OSError):
        shutil.copytree(kept, cache, dirs_exist_ok=True)


def _keep_interpreters(cache: Path, kept: Path) -> None:
    for found in cache.glob("interpreter-v*/**/*"):
        if found.is_file():
            old, data = kept / found.relative_to(cache), found.read_bytes()
            if not old.exists() or old.read_bytes() != data:
                keep(old, data)


def _pins(rows: Iterable[Row], question: _Question) -> tuple[ResolvedPin, ...]:
    origins: dict[NormalizedName, list[str]] = {}
    for requirement, origin in question.wanted.origins:
        if applies(requirement, question.target):
            origins.setdefault(requirement.name, []).append(origin)
    needs: dict[NormalizedName, set[NormalizedName]] = {}
    for row in rows:
        for asker in row.via:
            needs.setdefault(asker, set()).add(row.name)
    return tuple(
        ResolvedPin(
            pin=Pin(name=row.name, version=row.version),
            via=(*dict.fromkeys(origins.get(row.name, ())), *row.via),
            dependencies=tuple(sorted(needs.get(row.name, ()))),
        )
        for row in sorted(rows, key=lambda row: row.name)
    )
