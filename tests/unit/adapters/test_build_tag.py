"""A wheel under another build tag: what changes is its name and what says so; the inspector finds nothing wrong with it."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
import zipfile
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

import pytest

from farm.adapters.build_tag import WheelTagger
from farm.adapters.inspector import WheelInspector
from farm.model.outcome import StagedWheel
from farm.model.package import Digest
from tests.unit.adapters.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

INFO = "demo-1.0.dist-info"
MODULE = b"X = 1\n" * 1000


def staged(path: Path, filename: str = "") -> StagedWheel:
    data = path.read_bytes()
    digest = Digest(hashlib.sha256(data).hexdigest())
    return StagedWheel(filename=filename or path.name, path=path, sha256=digest, size=len(data))


def tag(wheel: StagedWheel, number: int, folder: Path) -> StagedWheel:
    folder.mkdir(parents=True, exist_ok=True)
    made = WheelTagger().tagged(wheel, number, folder)
    assert made is not None
    return made


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def recorded(members: dict[str, bytes], end: str = "\n") -> dict[str, bytes]:
    """Return the members with a RECORD that holds."""
    made = io.StringIO(newline="")
    rows = csv.writer(made, lineterminator=end)
    for name, data in members.items():
        digest = urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.writerow([name, "", ""] if name.endswith("RECORD") else [name, f"sha256={digest}", len(data)])
    return members | {f"{INFO}/RECORD": made.getvalue().encode()}


def faults(path: Path) -> tuple[str, ...]:
    return WheelInspector({"PATH": os.environ["PATH"]}).inspect(path).faults


@pytest.fixture
def plain(tmp_path: Path) -> StagedWheel:
    """A wheel as a careful backend packs one: fixed times, modes, some members packed, a folder, a comment."""
    made = make_wheel(tmp_path, "demo", {"demo/__init__.py": MODULE, "demo/data.txt": b"data"})
    members = recorded({"demo/data, with comma.txt": b"", "bin/tool": b"#!x\n"} | contents(made))
    with zipfile.ZipFile(made, "w") as archive:
        archive.comment = b"packed with care"
        archive.writestr(zipfile.ZipInfo("demo/", (2020, 2, 2, 2, 2, 2)), b"")
        for number, (name, data) in enumerate(members.items()):
            info = zipfile.ZipInfo(name, (2020, 2, 2, 2, number, 2))
            info.compress_type = zipfile.ZIP_DEFLATED if number % 2 == 0 else zipfile.ZIP_STORED
            info.external_attr = (0o100755 if name.startswith("bin/") else 0o100644) << 16
            archive.writestr(info, data)
    assert faults(made) == (), "the wheel to begin with is sound"
    return staged(made)


def test_nothing_changes_but_the_name_the_build_line_and_its_row_in_record(plain: StagedWheel, tmp_path: Path) -> None:
    made = tag(plain, 1, tmp_path / "out")
    assert made.filename == made.path.name == "demo-1.0-1-py3-none-any.whl"
    assert (made.sha256, made.size) == (staged(made.path).sha256, made.path.stat().st_size)
    before, after = contents(plain.path), contents(made.path)
    assert list(after) == list(before)
    assert {name for name in before if before[name] != after[name]} == {f"{INFO}/WHEEL", f"{INFO}/RECORD"}
    assert after[f"{INFO}/WHEEL"] == before[f"{INFO}/WHEEL"] + b"Build: 1\n"
    old, new = (set(each[f"{INFO}/RECORD"].decode().splitlines()) for each in (before, after))
    assert [row.split(",")[0] for row in new - old] == [f"{INFO}/WHEEL"]
    assert faults(made.path) == ()
    with zipfile.ZipFile(plain.path) as one, zipfile.ZipFile(made.path) as other:
        told = [
            [(i.filename, i.date_time, i.compress_type, i.external_attr, i.create_system) for i in archive.infolist()]
            for archive in (one, other)
        ]
        assert told[0] == told[1]
        assert one.comment == other.comment


def test_the_same_wheel_gives_the_same_bytes_wherever_it_lies(plain: StagedWheel, tmp_path: Path) -> None:
    blob = tmp_path / "blob"
    shutil.copyfile(plain.path, blob)
    os.utime(blob, (0, 0))
    one, other = tag(plain, 3, tmp_path / "a"), tag(staged(blob, plain.filename), 3, tmp_path / "b")
    assert one.path.read_bytes() == other.path.read_bytes()
    assert one.filename == other.filename


def test_a_wheel_with_a_build_tag_gets_the_other_in_its_place(plain: StagedWheel, tmp_path: Path) -> None:
    first = tag(plain, 1, tmp_path / "a")
    second = tag(first, 2, tmp_path / "b")
    assert second.filename == "demo-1.0-2-py3-none-any.whl"
    lines = contents(second.path)[f"{INFO}/WHEEL"].splitlines()
    assert [line for line in lines if line.startswith(b"Build")] == [b"Build: 2"]
    assert second.path.read_bytes() == tag(plain, 2, tmp_path / "c").path.read_bytes()


def test_headers_that_end_with_a_blank_line_or_none_or_as_on_windows_stay_headers(tmp_path: Path) -> None:
    for number, (before, after) in enumerate(
        (
            (b"Wheel-Version: 1.0\nTag: py3-none-any\n\n", b"Wheel-Version: 1.0\nTag: py3-none-any\nBuild: 7\n\n"),
            (b"Wheel-Version: 1.0\nTag: py3-none-any", b"Wheel-Version: 1.0\nTag: py3-none-any\nBuild: 7\n"),
            (
                b"Wheel-Version: 1.0\r\nTag: py3-none-any\r\n",
                b"Wheel-Version: 1.0\r\nTag: py3-none-any\r\nBuild: 7\r\n",
            ),
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        made = _rewritten(make_wheel(folder, "demo", {"demo.py": b""}), before)
        assert contents(tag(staged(made), 7, folder / "out").path)[f"{INFO}/WHEEL"] == after


def _rewritten(path: Path, wheel: bytes) -> Path:
    members = recorded(contents(path) | {f"{INFO}/WHEEL": wheel}, "\r\n")
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    assert faults(path) == ()
    return path


def test_a_signature_of_record_goes_as_it_would_no_longer_hold(tmp_path: Path) -> None:
    made = make_wheel(tmp_path, "demo", {"demo.py": b""})
    with zipfile.ZipFile(made, "a") as archive:
        archive.writestr(f"{INFO}/RECORD.jws", "{}")
    assert f"{INFO}/RECORD.jws" not in contents(tag(staged(made), 1, tmp_path / "out").path)


def _no_zip(path: Path) -> None:
    path.write_bytes(b"wheel")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def _spoilt(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"X = 1", b"X = 2"))


def _without_wheel(path: Path) -> None:
    members = contents(path)
    del members[f"{INFO}/WHEEL"]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def _two_folders(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other-1.0.dist-info/METADATA", "")


@pytest.mark.parametrize("harm", [_no_zip, _cut, _spoilt, _without_wheel, _two_folders])
def test_a_wheel_with_faults_gets_no_tag_and_leaves_no_file(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    made = make_wheel(tmp_path, "demo", {"demo.py": b"X = 1\n"})
    harm(made)
    out = tmp_path / "out"
    out.mkdir()
    assert WheelTagger().tagged(staged(made), 1, out) is None
    assert list(out.iterdir()) == []
    assert faults(made) != ()
