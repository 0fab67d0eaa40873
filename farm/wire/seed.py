"""`farm seed` put together: the client's pip says what it would compile, the farm has the wheel, pip's cache gets it."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from farm.adapters.client_pip import ClientPip, farm_access
from farm.adapters.farm_index import FarmIndex
from farm.adapters.process import redact
from farm.adapters.wheel_cache import Planting, look, plant, planted, uproot, wheels
from farm.errors import StoreError, UpstreamError, UsageError
from farm.model.package import Digest, parse_digest, parse_wheel_name
from farm.model.seeding import Seed, check_pip

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from farm.adapters.client_pip import Choice, PipFacts
    from farm.adapters.store import Store
    from farm.model.package import IndexFile, NormalizedName, Project
    from farm.model.settings import Settings

_PYLOCK = "farm seed reads what pip reads as requirements; a pylock.toml names its files with their URLs"


class Wheels(Protocol):
    """Where the farm's wheels come from."""

    def names(self) -> tuple[NormalizedName, ...]: ...

    def project(self, name: NormalizedName) -> Project | None: ...

    def fetch(self, file: IndexFile) -> Path: ...

    def source(self, file: IndexFile) -> Digest | None:
        """Return the sha256 of the sdist that a wheel was built from; None where it is not told."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The command line of `farm seed`. `farm` None is the store of this machine; without requirements: all that the farm has."""

    requirements: tuple[str, ...]
    python: str
    cache_dir: str | None = None
    farm: str | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeded:
    """What was done, for which pip and in which cache."""

    pip: str
    python: str
    cache: str
    rows: tuple[Seed, ...]


class LocalWheels:
    """The store of this machine."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def names(self) -> tuple[NormalizedName, ...]:
        return self._store.names()

    def project(self, name: NormalizedName) -> Project | None:
        return self._store.project(name)

    def fetch(self, file: IndexFile) -> Path:
        path = self._store.blob(file.sha256) if file.sha256 else None
        if path is None:
            raise StoreError(
                f"{file.filename}: listed, but its bytes are not in the store", solution="`farm fsck` tells more"
            )
        return path

    def source(self, file: IndexFile) -> Digest | None:
        record = self._store.catalogue.wheel(file.filename)
        return record.sdist_sha256 if record else None


@contextmanager
def farm_wheels(settings: Settings, env: Mapping[str, str], facts: PipFacts, url: str | None) -> Iterator[Wheels]:
    """Open the farm's wheels: over HTTP at `url`, else the store of this machine."""
    if url is None:
        from farm.adapters.clock import SystemClock  # noqa: PLC0415 - only without a URL
        from farm.adapters.store import Store  # noqa: PLC0415 - the same
        from farm.serve.simple import render_project  # noqa: PLC0415 - the same

        if not (settings.store / "pages").is_dir():
            raise UsageError(
                f"{settings.store}: expected the farm's store, found none here",
                solution="name the farm with --index-url https://HOST",
            )
        store = Store(settings.store, render_project, SystemClock())
        try:
            yield LocalWheels(store)
        finally:
            store.close()
        return
    from farm.adapters.web import Web  # noqa: PLC0415 - only with a URL

    web = Web(farm_access(facts, url, env))
    with tempfile.TemporaryDirectory(prefix="farm-seed-") as folder:
        try:
            yield FarmIndex(web, url, Path(folder))
        finally:
            web.close()


def seed(settings: Settings, env: Mapping[str, str], question: Question) -> Seeded:
    """Put the farm's wheels into the client's pip cache.

    UsageError for a pip that this was not tested with, or whose cache is off; UpstreamError when the farm does not answer.
    """
    if any(Path(name).name.startswith("pylock.") and name.endswith(".toml") for name in question.requirements):
        raise UsageError(_PYLOCK, solution="`farm lock` adds the farm's wheels to it")
    arguments = ("--cache-dir", str(Path(question.cache_dir).absolute())) if question.cache_dir else ()
    pip = ClientPip(question.python, env)
    facts = pip.settings(arguments)
    check_pip(facts.pip)
    if facts.cache is None or facts.cache_trouble:
        raise UsageError(
            f"{facts.cache_trouble}",
            solution="let pip use its cache (unset no-cache-dir), or choose one with --cache-dir",
        )
    with farm_wheels(settings, env, facts, question.farm) as farm:
        gardener = _Gardener(farm, facts, dry_run=question.dry_run)
        named = tuple(part for name in question.requirements for part in ("-r", name)) or gardener.everything()
        choices = pip.choose((*arguments, *named)).rows if named else ()
        rows = tuple(gardener.tend(choice) for choice in choices)
    return Seeded(pip=facts.pip, python=facts.python, cache=facts.cache, rows=rows)


def unseed(env: Mapping[str, str], question: Question) -> Seeded:
    """Take all wheels that `farm seed` put there out of the client's pip cache; those that pip built stay. Any pip."""
    arguments = ("--cache-dir", str(Path(question.cache_dir).absolute())) if question.cache_dir else ()
    facts = ClientPip(question.python, env).settings(arguments)
    rows = []
    for folder, name in tuple(planted(Path(facts.cache))) if facts.cache else ():
        wheel = parse_wheel_name(name)
        told = Seed(name=wheel.name if wheel else name, asked="", state="seeded", wheel=name, folder=str(folder))
        ours = question.dry_run or uproot(folder)
        rows.append(
            told if ours else replace(told, state="own-build", note="pip has put its own wheel there since: it stays")
        )
    return Seeded(pip=facts.pip, python=facts.python, cache=facts.cache or "", rows=tuple(rows))


class _Gardener:
    def __init__(self, farm: Wheels, facts: PipFacts, *, dry_run: bool) -> None:
        self._farm = farm
        self._ranks = {tag: rank for rank, tag in reversed(tuple(enumerate(facts.tags)))}
        self._dry_run = dry_run
        self._pages: dict[str, Project | None] = {}

    def everything(self) -> tuple[str, ...]:
        """Return a pin for each version of which the farm has a wheel that this client takes."""
        pins = []
        for name in self._farm.names():
            page = self._page(name)
            fitting = (file for file in page.files if self._rank(file.filename) is not None) if page else ()
            pins += [f"{name}=={version}" for version in dict.fromkeys(file.version for file in fitting) if version]
        return tuple(pins)

    def tend(self, choice: Choice) -> Seed:
        """Return what became of one requirement, after it was done."""
        told = Seed(name=choice.name, asked=choice.asked, state="none", version=choice.version)
        if choice.state != "found":
            return replace(told, state=choice.state, note=redact("; ".join(choice.faults)))
        if choice.wheel:
            return replace(told, state="wheel", wheel=choice.filename)
        told = replace(told, sdist=choice.filename, folder=choice.folder or "")
        file = self._best(choice)
        if file is None or file.sha256 is None or choice.folder is None:
            return replace(told, state="no-farm-wheel")
        told = replace(told, wheel=file.filename)
        source = self._farm.source(file)
        listed = _sha256(choice)
        if source and listed and source != listed:
            return replace(told, state="other-sdist", note=f"built from sha256 {source}, the index has {listed}")
        if (source or listed) is None:
            return replace(told, state="unhashed", note="neither the index nor the farm tells the sdist's sha256")
        planting = Planting(
            folder=Path(choice.folder),
            filename=file.filename,
            sha256=file.sha256,
            url=choice.url,
            sdist=listed or source or Digest(""),
        )
        return replace(told, state=self._plant(planting, file))

    def _plant(self, planting: Planting, file: IndexFile) -> Literal["there", "own-build", "seeded"]:
        fitting = frozenset(name for name in wheels(planting.folder) if self._rank(name) is not None)
        found = look(planting.folder, planting, fitting)
        if found != "absent":
            return found
        if not self._dry_run:
            plant(planting, self._farm.fetch(file).read_bytes())
        return "seeded"

    def _best(self, choice: Choice) -> IndexFile | None:
        """The best tag wins, then the highest build tag: as pip chooses among the wheels of one version."""
        page = self._page(choice.name)
        fitting = [
            ((-rank, file.wheel.build), file)
            for file in (page.files if page else ())
            if file.wheel and str(file.version) == choice.version and (rank := self._rank(file.filename)) is not None
        ]
        return max(fitting, key=lambda pair: pair[0])[1] if fitting else None

    def _page(self, name: str) -> Project | None:
        from packaging.utils import canonicalize_name  # noqa: PLC0415 - small

        key = canonicalize_name(name)
        if key not in self._pages:
            self._pages[key] = self._farm.project(key)
        return self._pages[key]

    def _rank(self, filename: str) -> int | None:
        wheel = parse_wheel_name(filename)
        return (
            min((self._ranks[str(tag)] for tag in wheel.tags if str(tag) in self._ranks), default=None)
            if wheel
            else None
        )


def _sha256(choice: Choice) -> Digest | None:
    if choice.hash is None or choice.hash[0] != "sha256":
        return None
    try:
        return parse_digest(choice.hash[1])
    except ValueError as error:
        raise UpstreamError(
            f"{redact(choice.url)}: the index tells a sha256 that is none: {choice.hash[1]!r}",
            solution="tell whoever runs the index",
        ) from error
