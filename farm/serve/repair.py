"""Upstream's page entries: as they came, but for what strict clients refuse a whole page for. Pure.

index-servers.md 3.8 and X3: uv refuses a page for one null in `size`, `upload-time` or `yanked`, for one missing `hashes` or
a `project-status` that is no object; old pips crash on `dist-info-metadata`. Each costs its key here, or at most its file.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Callable

Entry = dict[str, Any]

STATUSES = frozenset({"active", "archived", "deprecated", "quarantined"})
"""PEP 792's project statuses."""

_DROP = object()
_PLAIN_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d{1,4})?")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z")
_LARGEST = 2**63
_LONGEST_NAME = 255


def repair_file(raw: object, base: str) -> Entry | None:
    """Return a file's entry with its URL absolute (`base` is what relative ones count from); None where it names no file.

    Keys that no standard here knows are kept as they came.
    """
    if not isinstance(raw, dict) or not _is_filename(raw.get("filename")):
        return None
    url = absolute(raw.get("url"), base)
    if url is None:
        return None
    entry = raw | {"url": url}
    for key in raw:
        check = _CHECKS.get(key)
        if check is not None:
            value = check(raw[key])
            if value is _DROP:
                del entry[key]
            else:
                entry[key] = value
    if "dist-info-metadata" in entry:
        # PEP 714's new name says the same, and pip 22.3 to 23.1.2 do not stumble over it.
        value = entry.pop("dist-info-metadata")
        entry.setdefault("core-metadata", value)
    if "provenance" in entry and entry["provenance"] is not None:
        entry["provenance"] = absolute(entry["provenance"], base)
    entry.setdefault("hashes", {})
    return entry


def repair_status(document: dict[str, Any]) -> dict[str, Any] | None:
    """Return a page's project status (PEP 792) as the object on the page's top level that clients read, or None.

    Some indexes write a bare text, or put it into `meta` as the specification's example does.
    """
    meta = document.get("meta")
    for found in (document.get("project-status"), meta.get("project-status") if isinstance(meta, dict) else None):
        status = {"status": found} if isinstance(found, str) else found
        if isinstance(status, dict) and status.get("status") in STATUSES:
            if isinstance(status.get("reason", ""), str):
                return status
            return {key: value for key, value in status.items() if key != "reason"}
    return None


def absolute(url: object, base: str) -> str | None:
    """Return the URL made absolute, without credentials; None when it is no http(s) URL."""
    if not isinstance(url, str):
        return None
    # Nearly every URL of a page of 15,000 begins as its neighbours do, and needs no parsing.
    if _is_plain_origin(url[: url.find("/", 8)]) and url.isascii() and url.isprintable() and " " not in url:
        return url
    try:
        parts = urlsplit(urljoin(base, url.strip()))
        if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isprintable():
            return None
        # Reading it finds out a port that is none.
        _ = parts.port
    except ValueError:
        return None
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).replace(" ", "%20")


def utc_text(time: datetime) -> str:
    """Return a time as PEP 700 wants it: UTC with a Z, microseconds where there are any."""
    utc = time.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="microseconds" if utc.microsecond else "seconds") + "Z"


@lru_cache(maxsize=256)
def _is_plain_origin(text: str) -> bool:
    return _PLAIN_ORIGIN.fullmatch(text) is not None


def _is_filename(value: object) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= _LONGEST_NAME
        and value.isprintable()
        and value[0] not in ". "
        and "/" not in value
        and "\\" not in value
    )


def _hashes(value: object) -> object:
    return _checked(value) if isinstance(value, dict) else {}


def _checked(hashes: dict[str, Any]) -> dict[str, Any]:
    """Return the hashes that are text; sha256 in full length."""
    sha256 = hashes.get("sha256")
    if len(hashes) == 1 and isinstance(sha256, str) and len(sha256) == 64 and sha256.isalnum() and sha256.isascii():
        return hashes
    return dict(filter(_is_hash, hashes.items()))


def _is_hash(item: tuple[str, object]) -> bool:
    name, value = item
    if not isinstance(value, str) or not value.isalnum() or not value.isascii():
        return False
    return name != "sha256" or len(value) == 64


def _size(value: object) -> object:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < _LARGEST else _DROP


def _time(value: object) -> object:
    if not isinstance(value, str):
        return _DROP
    try:
        time = datetime.fromisoformat(value)
        if _TIME.fullmatch(value):
            return value
        return utc_text(time.replace(tzinfo=UTC) if time.tzinfo is None else time)
    except (ValueError, OverflowError):
        return _DROP


def _yanked(value: object) -> object:
    if isinstance(value, str):
        # pip reads an empty reason as "not yanked", uv as "yanked"; in HTML, where such pages come from, it is yanked (PEP 592).
        return value or True
    if isinstance(value, bool):
        return value
    # Nobody means "as good as any" by an odd value that is not false.
    return True if value else _DROP


def _requires_python(value: object) -> object:
    return value if value is None or (isinstance(value, str) and value.strip()) else _DROP


def _metadata(value: object) -> object:
    if isinstance(value, str):
        algorithm, found, digest = value.partition("=")
        value = {algorithm: digest} if found else {"true": True, "false": False}.get(value.lower())
    if isinstance(value, dict):
        return _checked(value) or True
    return value if isinstance(value, bool) else _DROP


def _optional_text(value: object) -> object:
    return value if value is None or isinstance(value, str) else _DROP


def _flag(value: object) -> object:
    return value if value is None or isinstance(value, bool) else _DROP


_CHECKS: dict[str, Callable[[object], object]] = {
    "hashes": _hashes,
    "size": _size,
    "upload-time": _time,
    "yanked": _yanked,
    "requires-python": _requires_python,
    "core-metadata": _metadata,
    "dist-info-metadata": _metadata,
    "data-dist-info-metadata": _metadata,
    "provenance": _optional_text,
    "gpg-sig": _flag,
}
