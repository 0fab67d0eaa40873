"""Two builds of one wheel, member by member: what differs, and by what it looks like, why."""

from __future__ import annotations

import re
import zipfile
from datetime import UTC
from typing import TYPE_CHECKING

from farm.adapters.wheel_copy import LONGEST, UNREADABLE
from farm.model.provenance import Difference, Reproduction

if TYPE_CHECKING:
    from datetime import datetime

    from farm.model.outcome import StagedWheel

_MOST = 50
_PATH = re.compile(rb"/(?:project|tmp|build|root|home)/[^\0\s\"']*")
_TIME = re.compile(rb"\b\d{1,2}:\d{2}:\d{2}\b|\b\d{4}-\d{2}-\d{2}\b|\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\s+\d{1,2}\b")


def compare(first: StagedWheel, second: StagedWheel, times: tuple[datetime, datetime]) -> Reproduction:
    """Return whether both have the same bytes, and if not, the members that differ. `times` are when either was made."""
    if first.sha256 == second.sha256:
        return Reproduction(first=first.sha256, second=second.sha256)
    try:
        with zipfile.ZipFile(first.path) as one, zipfile.ZipFile(second.path) as other:
            found = _differences(one, other, times)
    except UNREADABLE:
        found = [Difference(member=first.filename, reason="it cannot be read")]
    if first.filename != second.filename:
        found.insert(0, Difference(member=first.filename, reason=f"the second build called it {second.filename}"))
    if not found:
        found = [Difference(member=first.filename, reason="the same members, packed otherwise")]
    return Reproduction(first=first.sha256, second=second.sha256, differences=tuple(found[:_MOST]), count=len(found))


def _differences(one: zipfile.ZipFile, other: zipfile.ZipFile, times: tuple[datetime, datetime]) -> list[Difference]:
    ones, others = ({info.filename: info for info in archive.infolist()} for archive in (one, other))
    found = [Difference(member=name, reason="only in the first build") for name in ones if name not in others]
    found += [Difference(member=name, reason="only in the second build") for name in others if name not in ones]
    if list(ones) != list(others) and not found:
        found.append(Difference(member="(the archive)", reason="its members come in another order"))
    # RECORD differs wherever anything does.
    both = [name for name in ones if name in others]
    for name in sorted(both, key=lambda name: name.endswith(".dist-info/RECORD")):
        reason = _reason((one, ones[name]), (other, others[name]), times)
        if reason and not (found and name.endswith(".dist-info/RECORD")):
            found.append(Difference(member=name, reason=reason))
    return found


_Member = tuple[zipfile.ZipFile, zipfile.ZipInfo]


def _reason(one: _Member, other: _Member, times: tuple[datetime, datetime]) -> str:
    info, again = one[1], other[1]
    if (info.CRC, info.file_size) == (again.CRC, again.file_size):
        if info.date_time != again.date_time:
            return f"its time in the archive ({_date(info)} and {_date(again)})"
        return "its mode in the archive" if info.external_attr != again.external_attr else ""
    if max(info.file_size, again.file_size) > LONGEST:
        return "its content"
    return explain(one[0].read(info), other[0].read(again), times)


def _date(info: zipfile.ZipInfo) -> str:
    return "{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(*info.date_time)


def explain(one: bytes, other: bytes, times: tuple[datetime, datetime]) -> str:
    """Return what the difference of two contents looks like: a time, a path, an order, or just content."""
    stamps = [{f"{time.timestamp():.0f}"[:7].encode(), time.astimezone(UTC).strftime("%Y%m%d").encode()} for time in times]
    if any(stamp in one for stamp in stamps[0]) and any(stamp in other for stamp in stamps[1]):
        return "the time of the build is in it"
    if _differ(_PATH, one, other):
        return f"the path of the build is in it ({_only(_PATH, one, other)})"
    if _differ(_TIME, one, other):
        return f"a time is in it ({_only(_TIME, one, other)})"
    if sorted(one) == sorted(other):
        return "the same content in another order"
    where = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return f"its content, from byte {where} of {len(one)} and {len(other)}"


def _differ(pattern: re.Pattern[bytes], one: bytes, other: bytes) -> bool:
    return set(pattern.findall(one)) != set(pattern.findall(other))


def _only(pattern: re.Pattern[bytes], one: bytes, other: bytes) -> str:
    """Return the first thing that is in one of them alone."""
    found, again = set(pattern.findall(one)), set(pattern.findall(other))
    first: bytes = min(found - again or again - found)
    return first[:80].decode("utf-8", "replace")
