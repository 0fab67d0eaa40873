"""Which representation a client gets: PEP 691's types and RFC 9110's q-values. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farm.model.page import HTML, JSON

if TYPE_CHECKING:
    from farm.model.page import Coding, Kind

_TEXT = "text/html"
# What may be asked for, and the type the answer then has: never "latest" itself (PEP 691).
_NAMES: dict[str, str] = {
    JSON: JSON,
    HTML: HTML,
    _TEXT: _TEXT,
    "application/vnd.pypi.simple.latest+json": JSON,
    "application/vnd.pypi.simple.latest+html": HTML,
}
_PREFERENCE = (JSON, HTML, _TEXT)


def choose_type(accept: str | None, wanted: str | None = None) -> str | None:
    """Return the Content-Type to answer with, or None when nothing offered is acceptable (406).

    `accept` is the Accept header, None meaning `*/*`; `wanted` is the `format` of the query and wins. Equal q-values:
    the type the client names most exactly, then JSON. Who takes anything gets HTML, as the oldest clients expect.
    """
    if wanted is not None:
        # A "+" that was not escaped arrives as a space.
        return _NAMES.get(wanted.strip().replace(" ", "+").lower())
    ranges = _weights("*/*" if accept is None or not accept.strip() else accept)
    best: tuple[float, int, int] | None = None
    chosen = None
    for place, offered in enumerate(_PREFERENCE):
        weight, exactness = _weight(offered, ranges)
        preference = len(_PREFERENCE) - place if exactness else place
        if weight > 0 and (best is None or (weight, exactness, preference) > best):
            best, chosen = (weight, exactness, preference), offered
    return chosen


def kind_of(content_type: str) -> Kind:
    """Return which stored representation a Content-Type is answered with."""
    return JSON if content_type == JSON else HTML


def choose_encoding(accept_encoding: str | None) -> Coding:
    """Return the content coding: gzip when the client takes it and does not like identity better."""
    weights = _weights(accept_encoding or "")
    zipped = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    return "gzip" if zipped > 0 and zipped >= weights.get("identity", 0.0) else "identity"


def matches(if_none_match: str | None, etag: str) -> bool:
    """Tell whether a client has the representation `etag` already (RFC 9110 13.1.2, weak comparison)."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag in tags


def _weight(offered: str, ranges: dict[str, float]) -> tuple[float, int]:
    """Return the q-value of the most exact range that covers a type, and how exact it is (2 type, 1 group, 0 anything)."""
    named = [ranges[name] for name, answer in _NAMES.items() if answer == offered and name in ranges]
    if named:
        return max(named), 2
    group = offered.partition("/")[0] + "/*"
    return (ranges[group], 1) if group in ranges else (ranges.get("*/*", 0.0), 0)


def _weights(header: str) -> dict[str, float]:
    weights = {}
    for part in header.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name:
            weights[name] = _quality(parameters)
    return weights


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                # Nonsense costs the client its preference, not its page.
                return 1.0
    return 1.0
