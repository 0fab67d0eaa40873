"""What the user asked for: requirements as read, each with the file and line it came from. Nothing here is resolved."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from packaging.markers import Marker
    from packaging.utils import NormalizedName

    from farm.model.direct import Settled, Unsettled
    from farm.model.lock import Lock, LockedDependency, LockedPackage, PythonLimit

_T = TypeVar("_T")
_NamePair = tuple[frozenset[str], frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Origin:
    """A place in a requirements file; `line` and `column` count from 1, a joined line has the number of its first one."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A named requirement or constraint (dependency specifiers, PEP 508).

    `hashes` are "algorithm:hex" as pip checks them: the `--hash` options and the one in the URL's fragment. `url` is the
    direct reference of `name @ url`; it must not reach a resolver that runs package code. Once settled it is the path of a
    file in the farm's store (`farm.survey.direct`). `text` is the entry after `${VAR}` expansion, so it may hold
    credentials. `via` is the chain of `-r` and `-c` lines that led to the file, the outermost first.
    """

    name: NormalizedName
    extras: frozenset[str] = frozenset()
    specifier: SpecifierSet = field(default_factory=SpecifierSet)
    marker: Marker | None = None
    hashes: tuple[str, ...] = ()
    url: str | None = None
    editable: bool = False
    config_settings: tuple[tuple[str, str], ...] = ()
    origin: Origin
    text: str
    via: tuple[Origin, ...] = ()

    @property
    def pinned(self) -> Version | None:
        """The one version that can satisfy this: exactly one `==` without wildcard, or one `===` that is a PEP 440 version."""
        specifiers = tuple(self.specifier)
        if len(specifiers) != 1 or specifiers[0].operator not in {"==", "==="}:
            return None
        try:
            return Version(specifiers[0].version)
        except InvalidVersion:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectSource:
    """A line that is itself a path or a URL: a project directory, a wheel, an sdist, an archive, a repository.

    `url` is as written; a relative path counts from the folder `base`: the current directory, as in pip, but a lock's own.
    `name` is known only when the line tells it (a wheel's file name, `#egg=`). No code of it may run but in a container.
    """

    url: str
    base: str = ""
    editable: bool = False
    subdirectory: str | None = None
    name: NormalizedName | None = None
    extras: frozenset[str] = frozenset()
    marker: Marker | None = None
    hashes: tuple[str, ...] = ()
    config_settings: tuple[tuple[str, str], ...] = ()
    origin: Origin
    text: str
    via: tuple[Origin, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOptions:
    """Where files come from and which may be chosen; the meaning of each is pip's option of that name.

    `index_url` None: what pip on this machine is configured to use. A given `index_url` replaces the configured extra
    indexes too. The name sets hold normalised names or ":all:"; a name in one of a pair overrides ":all:" in the other.
    """

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    no_index: bool = False
    find_links: tuple[str, ...] = ()
    no_binary: frozenset[str] = frozenset()
    only_binary: frozenset[str] = frozenset()
    all_releases: frozenset[str] = frozenset()
    only_final: frozenset[str] = frozenset()
    pre: bool = False
    prefer_binary: bool = False
    require_hashes: bool = False
    no_require_hashes: bool = False
    trusted_hosts: tuple[str, ...] = ()
    use_features: tuple[str, ...] = ()

    def allowed_formats(self, name: NormalizedName) -> frozenset[str]:
        """Return which of "binary" and "source" may be used for a project (pip's `--no-binary` and `--only-binary`)."""
        for key in (name, ":all:"):
            if key in self.only_binary:
                return frozenset({"binary"})
            if key in self.no_binary:
                return frozenset({"source"})
        return frozenset({"binary", "source"})

    def then(self, later: IndexOptions) -> IndexOptions:
        """Return these options followed by `later` ones, as if the later files had been read after these."""
        no_index = self.no_index or later.no_index
        extra = later.extra_index_urls if later.index_url else _joined(self.extra_index_urls, later.extra_index_urls)
        no_binary, only_binary = _settle((self.no_binary, self.only_binary), (later.no_binary, later.only_binary))
        all_releases, only_final = _settle((self.all_releases, self.only_final), (later.all_releases, later.only_final))
        return IndexOptions(
            index_url=None if no_index else later.index_url or self.index_url,
            extra_index_urls=() if no_index else extra,
            no_index=no_index,
            find_links=_joined(self.find_links, later.find_links),
            no_binary=no_binary,
            only_binary=only_binary,
            all_releases=all_releases,
            only_final=only_final,
            pre=self.pre or later.pre,
            prefer_binary=self.prefer_binary or later.prefer_binary,
            require_hashes=self.require_hashes or later.require_hashes,
            no_require_hashes=self.no_require_hashes or later.no_require_hashes,
            trusted_hosts=_joined(self.trusted_hosts, later.trusted_hosts),
            use_features=_joined(self.use_features, later.use_features),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something that pip accepts in silence or with a warning, and that the user should know of."""

    origin: Origin
    text: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Everything asked for. `files` names every file read, once each, in order; `direct` never goes to a resolver.

    `locks` are resolved already. `pythons` are limits that every target must keep. Of a demand whose direct references
    were looked at (`farm.survey.direct`), `direct` is empty: what became of each is in `settled` or `unsettled`.
    """

    requirements: tuple[Requirement, ...] = ()
    constraints: tuple[Requirement, ...] = ()
    direct: tuple[DirectSource, ...] = ()
    options: IndexOptions = field(default_factory=IndexOptions)
    files: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()
    locks: tuple[Lock, ...] = ()
    pythons: tuple[PythonLimit, ...] = ()
    settled: tuple[Settled, ...] = ()
    unsettled: tuple[Unsettled, ...] = ()

    @staticmethod
    def empty() -> Demand:
        """Return the demand for nothing: the neutral element of `+`."""
        return Demand()

    def __add__(self, other: Demand) -> Demand:
        return Demand(
            requirements=self.requirements + other.requirements,
            constraints=self.constraints + other.constraints,
            direct=self.direct + other.direct,
            options=self.options.then(other.options),
            files=_joined(self.files, other.files),
            remarks=_joined(self.remarks, other.remarks),
            locks=self.locks + other.locks,
            pythons=_joined(self.pythons, other.pythons),
            settled=self.settled + other.settled,
            unsettled=self.unsettled + other.unsettled,
        )

    @property
    def checks_hashes(self) -> bool:
        """True in pip's hash-checking mode: asked for, or implied by any requirement that has a hash."""
        if self.options.require_hashes or self.options.no_require_hashes:
            return self.options.require_hashes
        return any(entry.hashes for entry in self.requirements) or any(entry.hashes for entry in self.direct)

    def fingerprint(self) -> str:
        """Return a sha256 (64 hex digits) of all that can change a resolution.

        Not of origins, comments, spelling of names, order of extras or hashes, or an exact repetition. The order of the
        requirements counts: resolvers prefer what comes first. What a path or URL holds is not looked at.
        """
        options = self.options
        content: dict[str, object] = {
            "requirements": _distinct(self.requirements),
            "constraints": _distinct(self.constraints),
            "direct": _distinct(self.direct),
            "indexes": [options.index_url, options.extra_index_urls, options.no_index, options.find_links],
            "formats": [sorted(options.no_binary), sorted(options.only_binary), options.prefer_binary],
            "releases": [sorted(options.all_releases), sorted(options.only_final), options.pre],
            "checks_hashes": self.checks_hashes,
        }
        if self.locks:
            content["locks"] = [_described_lock(lock) for lock in self.locks]
        if self.pythons:
            content["pythons"] = sorted(str(limit.specifier) for limit in self.pythons)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _joined(first: tuple[_T, ...], second: tuple[_T, ...]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(first + second))


def _settle(earlier: _NamePair, later: _NamePair) -> _NamePair:
    """Return a pair of opposed name sets after a later pair: a name stays only where it was put last."""
    if ":all:" in later[0] | later[1]:
        return later
    return (earlier[0] - later[1]) | later[0], (earlier[1] - later[0]) | later[1]


def _distinct(entries: tuple[Requirement, ...] | tuple[DirectSource, ...]) -> list[list[object]]:
    seen = {json.dumps(described): described for described in map(_described, entries)}
    return list(seen.values())


def _described(entry: Requirement | DirectSource) -> list[object]:
    kind = str(entry.specifier) if isinstance(entry, Requirement) else None
    return [
        entry.name,
        sorted(entry.extras),
        kind,
        str(entry.marker or ""),
        sorted(entry.hashes),
        entry.url,
        entry.editable,
        entry.config_settings,
    ]


def _described_lock(lock: Lock) -> list[object]:
    roots = None if lock.roots is None else [_described_edge(edge) for edge in lock.roots]
    own = [lock.kind, roots, str(lock.requires_python), [str(marker) for marker in lock.environments]]
    return [*own, sorted(lock.extras), sorted(lock.groups), [_described_package(package) for package in lock.packages]]


def _described_package(package: LockedPackage) -> list[object]:
    return [
        package.name,
        str(package.version),
        str(package.marker or ""),
        str(package.requires_python),
        sorted(package.extras),
        [[file.filename, file.url, file.sha256] for file in package.files],
        sorted(package.hashes),
        [_described_edge(edge) for edge in package.dependencies],
        [package.direct, package.editable, package.member, package.source],
    ]


def _described_edge(edge: LockedDependency) -> list[object]:
    return [edge.name, str(edge.marker or ""), sorted(edge.extras), edge.under, str(edge.version), edge.source]
