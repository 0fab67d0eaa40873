"""A wheel once more under another build tag: the same files, another name (binary distribution format, "File name convention").

Written here, not by `wheel tags --build`: that also sorts the tags in the file name and gives RECORD the time of the day.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import shutil
import zipfile
import zlib
from typing import TYPE_CHECKING

from farm.adapters.durable import storing
from farm.adapters.wheel_record import Unpacking, check_paths, check_record
from farm.model.outcome import StagedWheel
from farm.model.package import Digest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LONGEST = 64 << 20
_CHUNK = 1 << 20
_SIGNATURES = (".jws", ".p7s")
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError, NotImplementedError, ValueError)


class WheelTagger:
    """Satisfies `ports.Tagger`. The same bytes in give the same bytes out (with the same zlib)."""

    def tagged(self, wheel: StagedWheel, number: int, folder: Path) -> StagedWheel | None:
        """Write the wheel with this build number into `folder`; None when it is no sound wheel, which its check then tells.

        Members keep order, time, mode and packing method. Differing: WHEEL's `Build`, its row in RECORD, and signatures of
        RECORD, which would no longer hold, are left out. StoreError when the file cannot be written.
        """
        parts = wheel.filename.removesuffix(".whl").split("-")
        path = folder / f"{'-'.join((*parts[:2], str(number), *parts[-3:]))}.whl"
        try:
            with zipfile.ZipFile(wheel.path) as source:
                changed = _changed(source, number)
                if changed is None:
                    return None
                with storing(path), zipfile.ZipFile(path, "w") as made:
                    _copy(source, made, changed)
        except _UNREADABLE:
            path.unlink(missing_ok=True)
            return None
        with storing(path), path.open("rb") as file:
            digest = Digest(hashlib.file_digest(file, "sha256").hexdigest())
        return StagedWheel(filename=path.name, path=path, sha256=digest, size=path.stat().st_size)


def _changed(source: zipfile.ZipFile, number: int) -> dict[str, bytes | None] | None:
    """Return the new bytes of members by path, None for those that go; None when the wheel has faults."""
    if check_paths(source, Unpacking()):
        return None
    folders = {info.filename.partition("/")[0] for info in source.infolist()}
    folders = {folder for folder in folders if folder.endswith(".dist-info")}
    if len(folders) != 1:
        return None
    (folder,) = folders
    wheel, record = f"{folder}/WHEEL", f"{folder}/RECORD"
    if max(source.getinfo(wheel).file_size, source.getinfo(record).file_size) > _LONGEST:
        return None
    rows = source.read(record)
    # A fault must not be mended on the way: the wheel is to be judged as it was built.
    if check_record(source, record, rows):
        return None
    content = _with_build(source.read(wheel), number)
    signed = {f"{record}{suffix}": None for suffix in _SIGNATURES}
    return {wheel: content, record: _with_row(rows, wheel, content, signed), **signed}


def _with_build(wheel: bytes, number: int) -> bytes:
    lines = [line for line in wheel.splitlines(keepends=True) if not line.lower().startswith(b"build:")]
    end = b"\r\n" if wheel.find(b"\r\n") >= 0 else b"\n"
    blank = next((at for at, line in enumerate(lines) if not line.strip()), len(lines))
    if blank and not lines[blank - 1].endswith((b"\n", b"\r")):
        lines[blank - 1] += end
    return b"".join((*lines[:blank], b"Build: %d" % number + end, *lines[blank:]))


def _with_row(record: bytes, member: str, content: bytes, gone: Mapping[str, None]) -> bytes:
    text = record.decode("utf-8")
    value = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    made = io.StringIO(newline="")
    writer = csv.writer(made, lineterminator="\r\n" if "\r\n" in text else "\n")
    for row in csv.reader(io.StringIO(text, newline="")):
        if row and row[0] not in gone:
            writer.writerow([member, f"sha256={value}", str(len(content))] if row[0] == member else row)
    return made.getvalue().encode()


def _copy(source: zipfile.ZipFile, made: zipfile.ZipFile, changed: Mapping[str, bytes | None]) -> None:
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
