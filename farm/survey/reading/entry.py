"""One entry of a requirements file: a named requirement, or a path or URL. Reads the text only; opens nothing.

Follows `pip install -r` (pip 26.3): what is a URL or a path is decided before anything is read as a name, and the marker
is split off at the first ";" ("; " after a URL).
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Specifier
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name

from farm.model.demand import DirectSource, Origin, Requirement
from farm.model.package import parse_wheel_name
from farm.survey.reading.explain import explain_requirement
from farm.survey.reading.faults import Complaint, RefusedError
from farm.survey.reading.hashes import fragment_hashes
from farm.survey.reading.markers import read_marker

if TYPE_CHECKING:
    from collections.abc import Callable

    from packaging.markers import Marker

_TRANSPORTS = {
    "bzr": ("file", "ftp", "http", "https", "lp", "sftp", "ssh"),
    "git": ("file", "git", "http", "https", "ssh"),
    "hg": ("file", "http", "https", "ssh", "static-http"),
    "svn": ("file", "http", "https", "ssh", "svn"),
}
_VCS_SCHEMES = frozenset(f"{system}+{how}" for system, transports in _TRANSPORTS.items() for how in transports)
_SCHEMES = _VCS_SCHEMES | {"http", "https", "file", "ftp"}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_ARCHIVE = re.compile(r"\.(?:whl|zip|tar|tgz|tbz|txz|tlz|tar\.(?:gz|bz2|xz|lz|lzma))$", re.IGNORECASE)
_PLAIN_PATH = re.compile(r"""[^\s<>=!~;@"']*/[^\s<>=!~;@"']*""")
_SIMPLE_NAME = "[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_SIMPLE_VERSION = "(?:[<>=!~]=|[<>])[0-9][0-9A-Za-z.!+*]*"
_COMMON = re.compile(
    rf"({_SIMPLE_NAME})(?:\[({_SIMPLE_NAME}(?:,{_SIMPLE_NAME})*)\])?((?:{_SIMPLE_VERSION}(?:,{_SIMPLE_VERSION})*)?)"
)
_TRAILING_EXTRAS = re.compile(r"^(.+)(\[[^\]]+\])$")
_EGG = re.compile(r"[#&]egg=([^&]*)")
_EGG_NAME = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(\[[^\]]*\])?")
_SUBDIRECTORY = re.compile(r"[#&]subdirectory=([^&]*)")
_ESCAPE = re.compile(r"%([0-7][0-9A-Fa-f])")

_Extras = frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The text of an entry with what its line says besides; `offset` is where the text begins in the line."""

    text: str
    offset: int
    editable: bool = False
    constraint: bool = False
    hashes: tuple[str, ...] = ()
    config_settings: tuple[tuple[str, str], ...] = ()
    origin: Origin
    via: tuple[Origin, ...] = ()


def read_entry(
    entry: Entry, exists: Callable[[str], bool] | None, complaints: list[Complaint]
) -> Requirement | DirectSource | None:
    """Return what the entry asks for, or None with the reason added to `complaints`.

    `exists` tells whether a local path is there; without it every path is believed.
    """
    try:
        source = _read_editable(entry) if entry.editable else _read_plain(entry)
        if isinstance(source, DirectSource) and exists and not _scheme(source.url) and not exists(source.url):
            raise _refusal(0, f"no such file or directory: {source.url}", *_LOCAL)
        return _checked_constraint(source) if entry.constraint else source
    except RefusedError as refused:
        given = refused.complaint
        complaints.append(
            Complaint(
                offset=entry.offset + given.offset, found=given.found, expected=given.expected, solution=given.solution
            )
        )
        return None


def _read_plain(entry: Entry) -> Requirement | DirectSource:
    text = entry.text
    is_url = _scheme(text) is not None
    cut = text.find("; " if is_url else ";")
    body, marker = (text, None) if cut < 0 else (text[:cut].rstrip(), read_marker(text, cut + 1))
    if is_url:
        return _direct(entry, body.rstrip(), frozenset(), marker)
    path, extras = _without_extras(body)
    if _is_local(body, path):
        return _direct(entry, path, extras, marker)
    return _named(entry, body, marker)


def _read_editable(entry: Entry) -> Requirement | DirectSource:
    text = entry.text
    if "@" in text and not _scheme(text):
        try:
            parsed = Specifier(text)
        except InvalidRequirement:
            pass
        else:
            return _requirement(entry, parsed, parsed.marker)
    path, extras = _without_extras(text, editable=True)
    for system in _TRANSPORTS:
        if text.lower().startswith(f"{system}:"):
            text = path = f"{system}+{text}"
    scheme = _scheme(text)
    if scheme in _VCS_SCHEMES:
        source = _direct(entry, text, frozenset(), None)
        if source.name is None:
            raise _refusal(
                0, "a repository without a name", "an editable that says its name", f"write -e 'NAME @ {text}'"
            )
        return source
    if (scheme and scheme != "file") or ";" in text or "@" in text.partition("/")[0]:
        raise _refusal(
            0,
            repr(text),
            *("a directory, or a repository such as git+https://HOST/REPOSITORY#egg=NAME", _EDITABLE_ADVICE),
        )
    return _direct(entry, path, extras, None)


_LOCAL = ("a project directory or an archive", "correct the path: a relative one counts from the current directory")
_EDITABLE_ADVICE = "give -e one path or repository; quote 'NAME @ URL ; MARKER'; an scp-like address is written git+ssh://git@HOST/PATH"


# Python reads no number of more than 4,300 digits, and no index has such a name.
_LONGEST = 4000


class _Common(NamedTuple):
    """The parts of the form nearly every line has; reads like `packaging`'s Requirement."""

    name: str
    extras: frozenset[str]
    specifier: SpecifierSet
    url: None = None


def _named(entry: Entry, body: str, marker: Marker | None) -> Requirement:
    if len(body) > _LONGEST and "@" not in body:
        expected = f"a name and versions in at most {_LONGEST} characters"
        raise _refusal(0, f"{len(body)} characters", expected, "split the line; is a line end missing?")
    common = _COMMON.fullmatch(body)
    if common:
        # packaging's parser costs four times as much for each of a lock's thousands of lines.
        name, extras, specifiers = common.groups(default="")
        with suppress(InvalidSpecifier):
            parts = _Common(name, frozenset(extras.split(",") if extras else ()), SpecifierSet(specifiers))
            return _requirement(entry, parts, marker)
    try:
        parsed = Specifier(body)
    except InvalidRequirement:
        raise RefusedError(explain_requirement(body)) from None
    return _requirement(entry, parsed, marker)


def _requirement(entry: Entry, parsed: Specifier | _Common, marker: Marker | None) -> Requirement:
    hashes = entry.hashes
    if parsed.url is not None:
        offset = entry.text.find(parsed.url)
        if _scheme(parsed.url) is None:
            raise _refusal(
                offset,
                repr(parsed.url),
                "a URL with a scheme that pip knows",
                "write https://HOST/FILE, file:///PATH or git+https://HOST/REPOSITORY; git+ssh://git@HOST/PATH for ssh",
            )
        hashes += fragment_hashes(parsed.url, offset)
    return Requirement(
        name=canonicalize_name(parsed.name),
        extras=frozenset(map(canonicalize_name, parsed.extras)) if parsed.extras else frozenset(),
        specifier=parsed.specifier,
        marker=marker,
        hashes=hashes,
        url=parsed.url,
        editable=entry.editable,
        config_settings=entry.config_settings,
        origin=entry.origin,
        text=entry.text,
        via=entry.via,
    )


def _direct(entry: Entry, url: str, extras: _Extras, marker: Marker | None) -> DirectSource:
    name, egg_extras = _name_in(url)
    subdirectory = _SUBDIRECTORY.search(url)
    return DirectSource(
        url=url,
        editable=entry.editable,
        subdirectory=subdirectory[1] if subdirectory else None,
        name=name,
        extras=extras | egg_extras,
        marker=marker,
        hashes=entry.hashes + fragment_hashes(url, 0),
        config_settings=entry.config_settings,
        origin=entry.origin,
        text=entry.text,
        via=entry.via,
    )


def _name_in(url: str) -> tuple[NormalizedName | None, _Extras]:
    """Return the name and extras that a path or URL tells: a wheel's file name first, then `#egg=`."""
    filename = url.partition("#")[0].partition("?")[0].rstrip("/").rpartition("/")[2]
    if filename.lower().endswith(".whl"):
        wheel = parse_wheel_name(_ESCAPE.sub(lambda match: chr(int(match[1], 16)), filename))
        if wheel is None:
            advice = "NAME-VERSION-PYTHON-ABI-PLATFORM.whl", "correct the file name, or build the wheel again"
            raise _refusal(max(url.find(filename), 0), repr(filename), *advice)
        return wheel.name, frozenset()
    egg = _EGG.search(url)
    if egg is None:
        return None, frozenset()
    match = _EGG_NAME.fullmatch(egg[1])
    if match is None:
        advice = "#egg= and a project's name", "write NAME @ URL, with extras and versions outside the URL"
        raise _refusal(egg.start(1), repr(egg[1]), *advice)
    return canonicalize_name(match[1]), _extras(match[2] or "", egg.start(1) + len(match[1]))


def _without_extras(text: str, *, editable: bool = False) -> tuple[str, _Extras]:
    match = _TRAILING_EXTRAS.match(text) if text.endswith("]") else None
    path = match[1].rstrip() if match else text
    if match is None or not (_is_local(path, path) or editable):
        return text, frozenset()
    return path, _extras(match[2], match.start(2))


def _extras(bracketed: str, offset: int) -> _Extras:
    try:
        return frozenset(map(canonicalize_name, Specifier(f"x{bracketed}").extras))
    except InvalidRequirement:
        complaint = explain_requirement(f"x{bracketed}")
        raise _refusal(offset + complaint.offset - 1, complaint.found, complaint.expected, complaint.solution) from None


def _is_local(body: str, path: str) -> bool:
    if path.startswith((".", "/")):
        return True
    if _ARCHIVE.search(path):
        # In `name @ https://HOST/FILE.zip` the end looks like a file, but it is a URL's.
        head, at, _ = body.partition("@")
        return not at or "/" in head
    return _PLAIN_PATH.fullmatch(path) is not None


def _scheme(text: str) -> str | None:
    """Return the URL scheme in lower case when it is one that pip fetches from."""
    match = _SCHEME.match(text)
    scheme = match[1].lower() if match else None
    return scheme if scheme in _SCHEMES else None


def _checked_constraint(source: Requirement | DirectSource) -> Requirement:
    """Return a constraint, which may only limit a named project (pip's resolver refuses the rest)."""
    advice = "NAME and versions in a constraints file"
    if source.editable:
        raise _refusal(0, "an editable", advice, "move the line to a requirements file")
    if source.extras:
        raise _refusal(
            0,
            f"extras on {source.name or source.text}",
            advice,
            "remove the [extras]; ask for them in a requirements file",
        )
    if isinstance(source, Requirement):
        return source
    if source.name is None:
        raise _refusal(0, "a path or URL without a name", advice, "write NAME @ URL")
    return Requirement(
        name=source.name,
        marker=source.marker,
        hashes=source.hashes,
        url=source.url,
        config_settings=source.config_settings,
        origin=source.origin,
        text=source.text,
        via=source.via,
    )


def _refusal(offset: int, found: str, expected: str, solution: str) -> RefusedError:
    return RefusedError(Complaint(offset=offset, found=found, expected=expected, solution=solution))
