"""An upload's form (RFC 7578 multipart/form-data) as it comes in: the file goes to the disk, the rest is small or refused."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from farm.model.package import Digest
from farm.model.upload import Offer, Refused

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from farm.model.token import Token


@dataclass(frozen=True, slots=True, kw_only=True)
class FormLimits:
    """Bounds of one form: the file's size, all other fields together, their number, a part's headers; in bytes.

    A form of twine's for a package with a long README and hundreds of requirements is some 200 kB in 1,000 fields.
    """

    file: int = 1 << 30
    fields: int = 4 << 20
    count: int = 2000
    header: int = 4096

    @property
    def body(self) -> int:
        """The largest request body: the file, the fields, and what multipart puts around each."""
        return self.file + self.fields + self.count * 1024


class UploadForm:
    """Takes the body of an upload piece by piece. Blocks on the disk: not for an event loop.

    The file of the part `content` goes to `file` as it comes; nothing else but the fields is in memory.
    """

    def __init__(self, content_type: str, file: BinaryIO, limits: FormLimits) -> None:
        """Refused when the request's Content-Type is no form's."""
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind.lower() != b"multipart/form-data" or not 0 < len(boundary) <= 70:
            raise Refused("expected multipart/form-data with a boundary, as twine and `curl -F` send it", status=415)
        self._file = file
        self._limits = limits
        self._hashes = hashlib.sha256(), hashlib.md5(usedforsecurity=False), hashlib.blake2b(digest_size=32)
        self._size = 0
        self._filename: str | None = None
        self._fields: dict[str, list[str]] = {}
        self._fields_size = 0
        self._count = 0
        self._ended = False
        self._new_part()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._new_part,
                "on_header_field": self._on_header_name,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers,
                "on_part_data": self._on_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
            max_header_size=limits.header,
        )

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body. Refused when they are malformed, or too many."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise Refused(f"the form is malformed: {error}") from error

    def offer(self, path: Path, token: Token) -> Offer:
        """Return what came, after the last byte; `path` is where the file went. Refused when something lacks."""
        if not self._ended:
            raise Refused("the form ends in the middle: its last boundary did not come")
        fields = {name: tuple(values) for name, values in self._fields.items()}
        if fields.get(":action", ("file_upload",)) != ("file_upload",):
            raise Refused(f"expected :action file_upload, found {', '.join(fields[':action'])[:100]}")
        if fields.get("protocol_version", ("1",)) != ("1",):
            raise Refused("expected protocol_version 1 of the legacy upload API")
        if self._filename is None:
            raise Refused("the form has no file: expected a part named content, with a file name")
        self._file.flush()
        sha256, md5, blake2 = (hasher.hexdigest() for hasher in self._hashes)
        return Offer(
            path=path, filename=self._filename, size=self._size, sha256=Digest(sha256), md5=md5, blake2_256=blake2,
            fields=fields, token=token,
        )  # fmt: skip

    def _new_part(self) -> None:
        self._header_name = b""
        self._header_value = b""
        self._name = ""
        self._is_file = False
        self._data = bytearray()

    def _on_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._on_disposition(self._header_value)
        self._header_name = self._header_value = b""

    def _on_disposition(self, value: bytes) -> None:
        _, options = parse_options_header(value)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if self._name != "content":
            return
        if self._filename is not None:
            raise Refused("the form has more than one file")
        if b"filename" not in options:
            raise Refused("the part named content has no file name")
        # The parser takes a Windows path for old browsers' way to send a name, and cuts it.
        if b"\\" in value:
            raise Refused(f"expected a file name without a path, found {value.decode('ascii', 'replace')[:200]!r}")
        self._is_file = True
        self._filename = options[b"filename"].decode("utf-8", "replace")

    def _on_headers(self) -> None:
        self._count += 1
        if self._count > self._limits.count:
            raise Refused(f"the form has more than {self._limits.count} fields", status=413)
        if not self._name:
            raise Refused("a part of the form has no name")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if not self._is_file:
            self._fields_size += end - start
            if self._fields_size > self._limits.fields:
                raise Refused(f"the form's fields are larger than {self._limits.fields} bytes", status=413)
            self._data += data[start:end]
            return
        self._size += end - start
        if self._size > self._limits.file:
            raise Refused(
                f"the file is larger than {self._limits.file} bytes (config.toml: serve.upload-limit)", status=413
            )
        piece = memoryview(data)[start:end]
        for hasher in self._hashes:
            hasher.update(piece)
        self._file.write(piece)

    def _on_part_end(self) -> None:
        if not self._is_file:
            self._fields.setdefault(self._name, []).append(self._data.decode("utf-8", "replace"))

    def _on_end(self) -> None:
        self._ended = True
