"""A wheel once more under another build tag: the same files, another name (binary distribution format, "File name convention").

Written here, not by `wheel tags --build`: that also sorts the tags in the file name and gives RECORD the time of the day.
"""

from __future__ import annotations

import hashlib
import zipfile
from typing import TYPE_CHECKING

from farm.adapters.durable import storing
from farm.adapters.wheel_copy import LONGEST, UNREADABLE, copy_wheel, sound_record, with_rows
from farm.model.outcome import StagedWheel
from farm.model.package import Digest

if TYPE_CHECKING:
    from pathlib import Path

_SIGNATURES = (".jws", ".p7s")


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
                    copy_wheel(source, made, changed)
        except UNREADABLE:
            path.unlink(missing_ok=True)
            return None
        with storing(path), path.open("rb") as file:
            digest = Digest(hashlib.file_digest(file, "sha256").hexdigest())
        return StagedWheel(filename=path.name, path=path, sha256=digest, size=path.stat().st_size)


def _changed(source: zipfile.ZipFile, number: int) -> dict[str, bytes | None] | None:
    """Return the new bytes of members by path, None for those that go; None when the wheel has faults."""
    found = sound_record(source)
    if found is None:
        return None
    folder, rows = found
    wheel, record = f"{folder}/WHEEL", f"{folder}/RECORD"
    if source.getinfo(wheel).file_size > LONGEST:
        return None
    content = _with_build(source.read(wheel), number)
    signed = {f"{record}{suffix}": None for suffix in _SIGNATURES}
    return {wheel: content, record: with_rows(rows, {wheel: content}, gone=tuple(signed)), **signed}


def _with_build(wheel: bytes, number: int) -> bytes:
    lines = [line for line in wheel.splitlines(keepends=True) if not line.lower().startswith(b"build:")]
    end = b"\r\n" if wheel.find(b"\r\n") >= 0 else b"\n"
    blank = next((at for at, line in enumerate(lines) if not line.strip()), len(lines))
    if blank and not lines[blank - 1].endswith((b"\n", b"\r")):
        lines[blank - 1] += end
    return b"".join((*lines[:blank], b"Build: %d" % number + end, *lines[blank:]))
