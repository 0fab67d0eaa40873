"""A wheel written anew with some members changed or added, everything else as it was: the same bytes in give the same bytes out."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import shutil
import zipfile
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from farm.adapters.wheel_record import Unpacking, check_paths, check_record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONGEST = 64 << 20
"""The largest member that is read whole."""
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError, NotImplementedError, ValueError)
"""What a wheel that is none may raise."""

_CHUNK = 1 << 20
# The oldest time that a zip file can tell, in seconds since 1970.
_OLDEST = 315_532_800


def sound_record(source: zipfile.ZipFile) -> tuple[str, bytes] | None:
    """Return the .dist-info folder's name and RECORD; None where the wheel has faults, which must not be mended on the way."""
    if check_paths(source, Unpacking()):
        return None
    folders = {info.filename.partition("/")[0] for info in source.infolist()}
    folders = {folder for folder in folders if folder.endswith(".dist-info")}
    if len(folders) != 1:
        return None
    (folder,) = folders
    record = f"{folder}/RECORD"
    if source.getinfo(record).file_size > LONGEST:
        return None
    rows = source.read(record)
    return None if check_record(source, record, rows) else (folder, rows)


def with_rows(
    record: bytes, changed: Mapping[str, bytes], *, added: Mapping[str, bytes] | None = None, gone: Sequence[str] = ()
) -> bytes:
    """Return RECORD with the rows of changed and added members set, and without those of members that go."""
    text = record.decode("utf-8")
    made = io.StringIO(newline="")
    writer = csv.writer(made, lineterminator="\r\n" if "\r\n" in text else "\n")
    for row in csv.reader(io.StringIO(text, newline="")):
        if row and row[0] not in gone:
            writer.writerow(_row(row[0], changed[row[0]]) if row[0] in changed else row)
    for member, content in (added or {}).items():
        writer.writerow(_row(member, content))
    return made.getvalue().encode()


def _row(member: str, content: bytes) -> list[str]:
    value = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return [member, f"sha256={value}", str(len(content))]


def add_member(made: zipfile.ZipFile, member: str, content: bytes, epoch: int) -> None:
    """Write a new member, dated `epoch` (seconds since 1970)."""
    entry = zipfile.ZipInfo(member, datetime.fromtimestamp(max(epoch, _OLDEST), UTC).timetuple()[:6])
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o100644 << 16
    made.writestr(entry, content)


def copy_wheel(source: zipfile.ZipFile, made: zipfile.ZipFile, changed: Mapping[str, bytes | None]) -> None:
    """Copy every member in its order, with its time, mode and packing; `changed` has new contents, None for what goes."""
    made.comment = source.comment
    for info in source.infolist():
        content = changed.get(info.filename)
        if info.filename in changed and content is None:
            continue
        entry = zipfile.ZipInfo(info.filename, info.date_time)
        entry.compress_type, entry.create_system = info.compress_type, info.create_system
        entry.internal_attr, entry.comment = info.internal_attr, info.comment
        entry.external_attr = info.external_attr
        # Told before it is written, so that zipfile knows whether it needs ZIP64.
        entry.file_size = info.file_size if content is None else len(content)
        with made.open(entry, "w") as target:
            if content is not None:
                target.write(content)
            else:
                with source.open(info) as member:
                    shutil.copyfileobj(member, target, _CHUNK)
        # zipfile makes up a mode for who has none.
        entry.external_attr = info.external_attr
