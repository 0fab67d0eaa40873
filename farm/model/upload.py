"""A file that a client uploads: what it says of it, what was measured on the way in, and why it may be refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from farm.errors import FarmError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from farm.model.package import Digest, IndexFile
    from farm.model.token import Token


class Refused(FarmError):  # noqa: N818 - names what happened
    """An upload is not taken. `status` is the HTTP status that tells the client so."""

    def __init__(self, reason: str, *, status: int = 400, solution: str = "") -> None:
        super().__init__(reason, solution=solution)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A file on this disk that nobody has looked into yet, with the form it came in.

    `fields` are the form's other fields, each with its values in order (core metadata names in lower case with underscores,
    as the legacy upload API has them). `md5` and `blake2_256` are hex digests, like `sha256` computed from the bytes that came.
    """

    path: Path
    filename: str
    size: int
    sha256: Digest
    md5: str
    blake2_256: str
    fields: Mapping[str, tuple[str, ...]]
    token: Token

    def field(self, name: str) -> str:
        """Return a field's one value, "" without one. Refused when it came more than once."""
        values = self.fields.get(name, ())
        if len(values) > 1:
            raise Refused(f"the form has the field {name} {len(values)} times")
        return values[0].strip() if values else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamProject:
    """What the upstream index has of a project: its files, and its status (PEP 792)."""

    files: tuple[IndexFile, ...] = ()
    status: str = "active"
