"""One line of a structured log: a JSON object (RFC 8259) in ASCII, so that no text, however hostile, ends or splits a line."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

Level = Literal["debug", "info", "warning", "error"]

_HALVES = re.compile("[\ud800-\udfff]")
_JOB = re.compile(r"(?P<package>[a-z0-9]+(?:-[a-z0-9]+)*)-(?P<version>[0-9][^-]*)-(?P<target>(?:cp|pp)[0-9]+t?-[a-z][a-z0-9_]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """`event` is a short word for machines, `logger` who speaks ("farm", "farm.serve", "uvicorn.access"); `fields` come after these.

    A field without a value is left out; one that has the name of a part of every line is too.
    """

    time: datetime
    level: Level
    logger: str
    event: str
    message: str
    fields: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the line without its end. `time` is RFC 3339 in UTC, with milliseconds.

        Half a surrogate pair, as Python has it for bytes that are no UTF-8, becomes U+FFFD: readers differ on it (RFC 8259 8.2), and some
        refuse the line.
        """
        moment = self.time.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
        said: dict[str, str | float | bool | None] = {
            "time": moment, "level": self.level, "logger": self.logger, "event": self.event, "message": self.message,
        }  # fmt: skip
        said |= {name: value for name, value in self.fields.items() if value is not None and value != "" and name not in said}
        return json.dumps({name: _HALVES.sub("\ufffd", value) if isinstance(value, str) else value for name, value in said.items()})


def job_fields(subject: str) -> dict[str, str]:
    """Return package, version and target of what progress tells of; only itself as `subject` where it is no job (an image)."""
    found = _JOB.fullmatch(subject)
    return found.groupdict() if found else {"subject": subject}
