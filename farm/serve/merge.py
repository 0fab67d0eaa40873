"""The views' pages: upstream's page with the farm's wheels added, the farm's alone, and the page without what compiles. Pure.

A page is a document as PEP 691 shapes it. What upstream says is kept, unknown keys included (`farm.serve.repair` has the
exceptions); what the farm adds takes its yank, Requires-Python, time and status from its sdist (`farm.serve.inherit`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from farm.model.package import parse_sdist_version
from farm.serve.inherit import Sources, inherit, read_version, version_of, wheel_version
from farm.serve.repair import repair_file, repair_status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from farm.model.mirrored import UpstreamPage
    from farm.model.package import NormalizedName, Version
    from farm.model.target import Target
    from farm.serve.inherit import OwnFile, Reason, UploadTime
    from farm.serve.repair import Entry

API = (1, 4)
"""The newest version of the repository API whose keys are understood here (PEP 792)."""

SameTags = Literal["hide", "list"]
Gaps = Literal["hide", "list"]
Document = dict[str, Any]

_MERGED_ONE_BY_ONE = frozenset({"files", "versions", "project-status", "meta", "name"})
_SDIST_SUFFIXES = (
    ".tar.gz",
    ".zip",
    ".tar.bz2",
    ".tgz",
    ".tar.xz",
    ".tar.z",
    ".tar.lz",
    ".tlz",
    ".txz",
    ".tbz",
    ".tar",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MergePolicy:
    """What the operator decides.

    `upload_time`: a farm wheel's is its sdist's, or when it was built. `same_tags`: whether a farm wheel is listed beside
    an upstream wheel that has its tags; one of a project in `always` is, where ":all:" stands for every project. One that was there before
    upstream's always is, ahead of upstream's files: locks may name it by its hash alone, and pip takes upstream's where both would do.
    """

    upload_time: UploadTime = "source"
    same_tags: SameTags = "hide"
    always: frozenset[NormalizedName] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A farm file that keeps its URL but is not listed, and why."""

    filename: str
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedPage:
    """A page, ready to be placed and rendered. URLs are absolute (upstream's) or count from the index's root (the farm's)."""

    document: Document
    left_out: tuple[LeftOut, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Theirs:
    """Upstream's pages as one: the page's keys, its files by name in their order, the lowest API version."""

    keys: Document = field(default_factory=dict)
    meta: Document = field(default_factory=dict)
    files: dict[str, Entry] = field(default_factory=dict)
    versions: dict[str, None] = field(default_factory=dict)
    status: Document | None = None
    api: tuple[int, int] = API
    known: bool = False

    @property
    def quarantined(self) -> bool:
        return self.status is not None and self.status["status"] == "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    """How the farm's files are listed: with the tags of an upstream wheel too, without any of upstream's."""

    upload_time: UploadTime
    beside_same: bool
    alone: bool


def merge(
    name: NormalizedName, upstream: Sequence[UpstreamPage], own: Sequence[OwnFile], policy: MergePolicy
) -> MergedPage:
    """Return upstream's page plus the farm's files; of upstream's pages, the first wins where two have a file of one name.

    Without pages (upstream says 404, or is not asked) there are the farm's files alone.
    """
    theirs = _combine(upstream)
    beside_same = policy.same_tags == "list" or name in policy.always or ":all:" in policy.always
    return _with_own(name, theirs, own, _Terms(upload_time=policy.upload_time, beside_same=beside_same, alone=False))


def wheels_only(
    name: NormalizedName, upstream: Sequence[UpstreamPage], own: Sequence[OwnFile], policy: MergePolicy
) -> MergedPage:
    """Return the farm's files with what they inherit; those with the tags of an upstream wheel too, as no other is on the page."""
    terms = _Terms(upload_time=policy.upload_time, beside_same=True, alone=True)
    return _with_own(name, _combine(upstream), own, terms)


def strict(page: MergedPage, target: Target, gaps: Gaps = "hide") -> MergedPage:
    """Return the page without sdists, so that a client of this target never compiles: a version without a wheel is an error to it.

    With `gaps` "list", the sdists of the versions that have no wheel for the target stay. `_farm` names these versions.
    """
    accepts = _acceptance(target)
    document = page.document
    versions: dict[Version, str] = {}
    served: set[Version] = set()
    sdists: dict[int, Version | None] = {}
    for place, entry in enumerate(document["files"]):
        filename = entry["filename"]
        if filename.lower().endswith(_SDIST_SUFFIXES):
            sdists[place] = parse_sdist_version(filename, document["name"])
        elif filename.endswith(".whl") and accepts(entry):
            version = wheel_version(filename)
            if version is not None:
                served.add(version)
    for version in sdists.values():
        if version is not None and version not in served:
            versions[version] = str(version)
    dropped = {place for place, version in sdists.items() if gaps == "hide" or version in served}
    files = [entry for place, entry in enumerate(document["files"]) if place not in dropped]
    said = {"target": target.name, "without-wheel": list(versions.values())}
    return replace(page, document=document | {"files": files, "_farm": document.get("_farm", {}) | said})


def place(page: MergedPage, up: str, address: Callable[[Entry], str] | None = None) -> Document:
    """Return the document with the URLs that clients get.

    `up` leads from the page to the index's root; `address` gives the URL of an upstream file, absolute or below the root.
    """

    def placed(entry: Entry) -> Entry:
        url = entry["url"]
        if "://" in url:
            if address is None:
                return entry
            url = address(entry)
        return entry | {"url": url if "://" in url else up + url}

    return page.document | {"files": [placed(entry) for entry in page.document["files"]]}


def _with_own(name: NormalizedName, theirs: _Theirs, own: Sequence[OwnFile], terms: _Terms) -> MergedPage:
    left_out: dict[str, Reason] = {}
    files: list[Entry] = [] if terms.alone else list(theirs.files.values())
    retired: list[Entry] = []
    if theirs.quarantined:
        return _page(name, theirs, [], dict.fromkeys((mine.file.filename for mine in own), "quarantined"))
    sources = Sources(name, theirs.files, own)
    here = {mine.file.filename for mine in own}
    for mine in own:
        reason = sources.obstacle(mine)
        covered = reason is None and not terms.beside_same and not sources.listed(mine) and sources.covered(mine)
        older = covered and sources.older(mine)
        if covered and not older:
            reason = "same-tags"
        if reason is not None:
            left_out[mine.file.filename] = reason
        elif terms.alone or not sources.listed(mine):
            withdrawn = theirs.known and mine.sdist != "" and mine.sdist not in here
            entry = inherit(mine, sources.source(mine), withdrawn=withdrawn, upload_time=terms.upload_time)
            if older:
                entry["_farm"] |= {"retired": True}
            (retired if older else files).append(entry)
    # Of files that are as good as each other pip takes the last one of a page.
    return _page(name, _Theirs(status=theirs.status) if terms.alone else theirs, [*retired, *files], left_out)


def _combine(pages: Sequence[UpstreamPage]) -> _Theirs:
    theirs = _Theirs(known=bool(pages))
    for page in pages:
        document = page.document
        theirs.keys = {key: value for key, value in document.items() if key not in _MERGED_ONE_BY_ONE} | theirs.keys
        found = document.get("meta")
        meta: Document = found if isinstance(found, dict) else {}
        theirs.meta = meta | theirs.meta
        theirs.api = min(theirs.api, _api(meta))
        status = repair_status(document)
        if theirs.status is None or (status is not None and status["status"] == "quarantined"):
            theirs.status = status
        told = document.get("versions")
        if isinstance(told, list):
            theirs.versions |= {text: None for text in told if isinstance(text, str)}
        for raw in document["files"]:
            entry = repair_file(raw, page.base)
            if entry is not None:
                theirs.files.setdefault(entry["filename"], entry)
    return theirs


def _api(meta: Document) -> tuple[int, int]:
    text = meta.get("api-version")
    match = re.fullmatch(r"1\.([0-9]{1,4})", text) if isinstance(text, str) else None
    return (1, int(match[1])) if match else (1, 0)


def _page(name: NormalizedName, theirs: _Theirs, files: list[Entry], left_out: dict[str, Reason]) -> MergedPage:
    # From 1.1 on every file tells its size and the page its versions (PEP 700); who cannot say so says 1.0.
    api = theirs.api if all("size" in entry for entry in files) else (1, 0)
    document: Document = {"meta": theirs.meta | {"api-version": f"{api[0]}.{api[1]}"}, "name": name} | theirs.keys
    if theirs.status is not None:
        document["project-status"] = theirs.status
    versions = _versions(name, theirs.versions, files)
    if versions or api >= (1, 1):
        document["versions"] = versions
    document["files"] = files
    if left_out:
        said = [{"filename": filename, "reason": reason} for filename, reason in left_out.items()]
        document["_farm"] = {"left-out": said}
    return MergedPage(
        document=document,
        left_out=tuple(LeftOut(filename=filename, reason=reason) for filename, reason in left_out.items()),
    )


def _versions(name: NormalizedName, told: Mapping[str, None], files: list[Entry]) -> list[str]:
    """Return the versions that upstream tells, and those of files that it does not tell, which are the farm's mostly."""
    spelled = {version for text in told if (version := read_version(text)) is not None}
    found: dict[Version, None] = {}
    for entry in files:
        version = version_of(entry["filename"], name)
        if version is not None and version not in spelled:
            found[version] = None
    return [*told, *map(str, sorted(found))]


def _acceptance(target: Target) -> Callable[[Entry], bool]:
    """Return what tells whether the target's client takes a wheel: its tags and Requires-Python; each spelling is read once."""
    tags = {(tag.interpreter, tag.abi, tag.platform) for tag in target.ranks}
    known: dict[str, bool] = {}
    admits: dict[str, bool] = {}

    def accepts(entry: Entry) -> bool:
        parts = entry["filename"].removesuffix(".whl").lower().rsplit("-", 3)
        text = "-".join(parts[1:])
        if text not in known:
            every = product(*(part.split(".") for part in parts[1:]))
            known[text] = len(parts) == 4 and any(tag in tags for tag in every)
        if not known[text]:
            return False
        python = entry.get("requires-python") or ""
        if python not in admits:
            admits[python] = _admits(python, target.full_version)
        return admits[python]

    return accepts


def _admits(specifier: str, python: str) -> bool:
    try:
        return SpecifierSet(specifier).contains(python, prereleases=True)
    except InvalidSpecifier:
        # As pip reads it: a rule that no one can read excludes no one.
        return True
