"""Which part of a file a client asks for: RFC 9110 14, for one range of bytes. Pure."""

from __future__ import annotations

import re

_RANGE = re.compile(r"bytes=[ \t]*(\d{0,19})-(\d{0,19})[ \t]*", re.IGNORECASE)


class Unsatisfiable(Exception):  # noqa: N818 - RFC 9110's word
    """The range begins behind the file's end: 416."""


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the first byte and the one after the last, or None when the whole file is the answer. Unsatisfiable.

    Ignored, as 14.2 allows, is what is malformed, has another unit or names several parts: no wheel client asks for
    those, and their answers cost a server much more than the request costs the client.
    """
    match = _RANGE.fullmatch(header) if header is not None else None
    if match is None or match[0].strip().endswith("=-"):
        return None
    first, last = match[1], match[2]
    if not first:
        length = min(int(last), size)
        if not length:
            raise Unsatisfiable
        return size - length, size
    start, end = int(first), int(last or size) + (1 if last else 0)
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return start, min(end, size)


def holds(if_range: str | None, etag: str) -> bool:
    """Tell whether a range may be answered: there is no If-Range, or it names just this representation (13.1.5).

    A date is no reason to trust: our files say none.
    """
    return if_range is None or if_range.strip() == etag
