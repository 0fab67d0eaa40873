"""Which file a client would take from upstream's and the farm's pages, and why: the clients' own sort keys, spelled out.

pip 26.3 sorts every candidate by (hash allowed, not yanked, prefer-binary, version, tag, build tag) and takes the last of
equals; uv 0.13 takes the newest version that has a usable file, in it the best by (hash, wheel, tag, build tag), and the first
of equals. Both were read in their sources and are held to them by tests that run them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from packaging.specifiers import SpecifierSet

from farm.model.client import Client, client_ranks, needed_pip
from farm.model.demand import IndexOptions
from farm.model.releases import python_fits
from farm.survey.reason import why_no_wheel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from farm.model.package import Digest, IndexFile, NormalizedName, Project, Version
    from farm.model.target import Target

View = Literal["merged", "extra", "lock"]
Where = Literal["upstream", "farm", "lock"]
_Key = tuple[tuple[str, "int | Version | tuple[()] | tuple[int, str]"], ...]
_WORDS = {
    "hash": ("its hash is not among those allowed", "its hash is allowed"),
    "not yanked": ("yanked", "not yanked"),
    "prefer-binary": ("an sdist", "a wheel"),
    "wheel": ("an sdist", "a wheel"),
}
# pip's sdist ranks below every tag.
_NO_TAG = -(1 << 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: a project, for a target and a client. `hashes` None: any (no hash-checking)."""

    name: NormalizedName
    target: Target
    specifier: SpecifierSet = field(default_factory=SpecifierSet)
    client: Client = field(default_factory=Client)
    options: IndexOptions = field(default_factory=IndexOptions)
    hashes: frozenset[Digest] | None = None

    @property
    def prereleases(self) -> bool | None:
        """As pip's --pre, --all-releases and --only-final say; None when they say nothing."""
        for names, answer in ((self.options.all_releases, True), (self.options.only_final, False)):
            if self.name in names or ":all:" in names:
                return answer
        return True if self.options.pre else None

    @property
    def pinned(self) -> bool:
        """Whether one version is asked for, so that it may be a yanked one (PEP 592)."""
        return any(s.operator == "===" or (s.operator == "==" and not s.version.endswith(".*")) for s in self.specifier)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A file that the client could take. `key` is its sort key by name, the higher the better, the most telling first."""

    file: IndexFile
    where: Where
    key: _Key
    behind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Out:
    """A file that the client cannot take."""

    file: IndexFile
    where: Where
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the client does with one view. `runners` are the others that it could take, best first; `out` those it could not.

    `out` holds the files of the chosen version and of newer ones. `note` is what else decides. `source` is the lock (FILE,
    or FILE:LINE of the package) of the view "lock".
    """

    view: View
    chosen: Candidate | None
    runners: tuple[Candidate, ...] = ()
    out: tuple[Out, ...] = ()
    note: str = ""
    source: str = ""


Listing = list[tuple["Where", "IndexFile"]]


def why(question: Question, upstream: Project | None, farm: Project | None) -> tuple[Answer, ...]:
    """Return the answer for the farm's pages merged into upstream's (one index), and for the farm as an extra index."""
    theirs: Listing = [("upstream", file) for file in (upstream.files if upstream else ())]
    ours: Listing = [("farm", file) for file in (farm.files if farm else ())]
    names = {file.filename for _, file in theirs}
    merged = [*theirs, *((where, file) for where, file in ours if file.filename not in names)]
    found = answer("merged", question, merged), _extra(question, theirs, ours)
    if upstream is None and farm is None:
        return tuple(replace(one, note="no index has a project of this name") for one in found)
    return found


def _extra(question: Question, theirs: Listing, ours: Listing) -> Answer:
    if question.client.name == "pip":
        return answer("extra", question, [*theirs, *ours])
    # uv's first-index strategy: the first index that has the name, extra ones before the default, is the only one asked.
    note = "uv asks no further than the first index that has the name (first-index), which is the farm" if ours else ""
    found = answer("extra", question, ours or theirs)
    return Answer(view="extra", chosen=found.chosen, runners=found.runners, out=found.out, note=note)


def answer(view: View, question: Question, listing: Listing) -> Answer:
    """Return what the client takes of the files that a view lists, in their order."""
    usable: Listing = []
    out: list[Out] = []
    for where, file in listing:
        reason = _unusable(file, question)
        if reason:
            out.append(Out(file=file, where=where, reason=reason))
        else:
            usable.append((where, file))
    usable = list(_refused(usable, question, out))
    order = _order(usable, question)
    chosen = order[0] if order else None
    runners = tuple(
        Candidate(file=c.file, where=c.where, key=c.key, behind=_behind(order[0], c, question)) for c in order[1:]
    )
    return Answer(view=view, chosen=chosen, runners=runners, out=_telling(out, chosen, question), note=_note(chosen, question))


def _unusable(file: IndexFile, question: Question) -> str:
    """Why a file is out whatever else there is; empty when it is not. In the order in which pip looks."""
    found = _wrong_format(file, question) or _no_tag(file, question)
    if not found and not python_fits(file, question.target):
        return f"Requires-Python {file.requires_python}, the target has {question.target.full_version}"
    return found


def _wrong_format(file: IndexFile, question: Question) -> str:
    formats = question.options.allowed_formats(question.name)
    archive = file.filename.endswith((".tar.gz", ".zip", ".tar.bz2"))
    faults = (
        (not file.is_wheel and not archive, "neither a wheel nor an sdist"),
        (file.is_wheel and "binary" not in formats, "--no-binary forbids wheels"),
        (not file.is_wheel and "source" not in formats, "--only-binary forbids sdists"),
        (file.version is None or (file.is_wheel and file.wheel is None), "malformed name"),
        (file.filename.endswith(".tar.bz2") and question.client.name == "uv", "uv takes no .tar.bz2"),
    )
    return next((reason for wrong, reason in faults if wrong), "")


def _no_tag(file: IndexFile, question: Question) -> str:
    wheel = file.wheel
    if wheel is None or any(tag in client_ranks(question.target, question.client) for tag in wheel.tags):
        return ""
    needs = needed_pip(wheel.tags, question.target)
    if needs is not None:
        return f"hidden: {question.client} does not know its tags, needs >= {needs}"
    return f"no tag fits: {why_no_wheel([file], question.target)}"


def _refused(usable: Listing, question: Question, out: list[Out]) -> Iterator[tuple[Where, IndexFile]]:
    """Yield what the version, the hashes and yanking leave; these depend on what else there is."""
    allowed = _versions({file.version for _, file in usable if file.version is not None}, question)
    fitting = [(where, file) for where, file in usable if file.version in allowed]
    out.extend(
        Out(file=file, where=where, reason=_version_reason(file, question)) for where, file in usable if file.version not in allowed
    )
    matching = any(_hash_ok(file, question) for _, file in fitting)
    # pip takes a yanked file only where a pin can be had in no other way; uv takes it for any pin.
    spared = question.pinned and (question.client.name == "uv" or all(file.yanked is not False for _, file in fitting))
    for where, file in fitting:
        if question.hashes is not None and matching and not _hash_ok(file, question) and file.sha256 is not None:
            out.append(Out(file=file, where=where, reason="its hash is not among those of the requirement"))
        elif file.yanked is not False and question.client.knows_yanked and not spared:
            why_yanked = f": {file.yanked}" if isinstance(file.yanked, str) and file.yanked else ""
            out.append(Out(file=file, where=where, reason=f"yanked{why_yanked}"))
        else:
            yield where, file


def _versions(versions: set[Version], question: Question) -> set[Version]:
    """uv takes a pre-release only where the range holds no final release, also when a bound names one; pip then takes it."""
    allowed = set(question.specifier.filter(versions, prereleases=question.prereleases))
    if question.client.name == "pip" or question.prereleases is not None:
        return allowed
    return {version for version in allowed if not version.is_prerelease} or allowed


def _version_reason(file: IndexFile, question: Question) -> str:
    assert file.version is not None
    if question.specifier.contains(file.version, prereleases=True):
        return "a pre-release, which was not asked for"
    return f"version {file.version} is not {question.specifier}"


def _hash_ok(file: IndexFile, question: Question) -> bool:
    return question.hashes is not None and file.sha256 in question.hashes


def _order(usable: Listing, question: Question) -> list[Candidate]:
    """Return what can be taken, best first; of equals pip takes the one listed last, uv the first."""
    candidates = [Candidate(file=file, where=where, key=_key(file, question)) for where, file in usable]
    if question.client.name == "pip":
        candidates.reverse()
    return sorted(candidates, key=lambda candidate: tuple(value for _, value in candidate.key), reverse=True)


def _key(file: IndexFile, question: Question) -> _Key:
    assert file.version is not None
    wheel = file.wheel
    ranks = client_ranks(question.target, question.client)
    tag = -min(ranks[tag] for tag in wheel.tags if tag in ranks) if wheel else _NO_TAG
    build = wheel.build if wheel else ()
    hashed = int(_hash_ok(file, question))
    if question.client.name == "uv":
        return (("version", file.version), ("hash", hashed), ("wheel", int(wheel is not None)), ("tag", tag), ("build", build))
    binary = int(wheel is not None and question.options.prefer_binary)
    return (
        ("hash", hashed), ("not yanked", int(file.yanked is False)), ("prefer-binary", binary), ("version", file.version),
        ("tag", tag), ("build", build),
    )  # fmt: skip


def _behind(best: Candidate, other: Candidate, question: Question) -> str:
    """In words: the first part of the key in which a runner-up is behind the chosen file."""
    for (name, mine), (_, theirs) in zip(best.key, other.key, strict=True):
        if mine != theirs:
            if name in _WORDS:
                return _WORDS[name][0]
            return f"{name} {_shown(name, theirs)} against {_shown(name, mine)}"
    return "equal, and listed " + ("earlier" if question.client.name == "pip" else "later")


def _shown(name: str, value: object) -> str:
    if name == "tag":
        return "none (an sdist)" if value == _NO_TAG else f"rank {-value}"  # type: ignore[operator]
    if name == "build":
        return "".join(map(str, value)) or "none"  # type: ignore[call-overload]
    return str(value)


def key_words(key: _Key, question: Question) -> tuple[tuple[str, str], ...]:
    """Return a sort key as (name, value) in words; the first in which two files differ decides between them."""
    idle = {"hash": question.hashes is None, "prefer-binary": not question.options.prefer_binary}
    return tuple(
        (name, "not asked for" if idle.get(name) else _WORDS[name][int(value == 1)] if name in _WORDS else _shown(name, value))
        for name, value in key
    )


def _telling(out: Iterable[Out], chosen: Candidate | None, question: Question) -> tuple[Out, ...]:
    """Keep the files of the chosen version and of newer ones that were asked for; without a choice, of the newest asked for."""
    found = list(out)
    wanted = [o.file.version for o in found if o.file.version and question.specifier.contains(o.file.version, prereleases=True)]
    floor = chosen.file.version if chosen else max(wanted, default=None)
    if floor is None:
        return tuple(found)
    shown = {str(floor), *(str(version) for version in wanted if version >= floor)}
    return tuple(
        o for o in found if (str(o.file.version) in shown if o.file.version else any(f"-{v}" in o.file.filename for v in shown))
    )


def _note(chosen: Candidate | None, question: Question) -> str:
    if chosen is None:
        return ""
    if question.hashes is not None and not _hash_ok(chosen.file, question):
        return f"{question.client} then stops: the file's hash is not among those of the requirement"
    return "" if chosen.file.is_wheel else f"{question.client} then compiles it"
