"""adapters.contents: bills of materials, ties to an ABI, and how two builds differ."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.adapters.contents import WheelContents
from farm.adapters.inspector import WheelInspector
from farm.adapters.side_wheels import explain
from farm.model.outcome import StagedWheel
from farm.model.package import Digest
from farm.model.provenance import Crate

if TYPE_CHECKING:
    from pathlib import Path

INFO = "demo-1.0.dist-info"
LIBYAML = "demo.libs/libyaml-0-50c6b3a5.so.2.0.9"
TIMES = (datetime(2026, 11, 1, 12, tzinfo=UTC), datetime(2026, 11, 2, 13, tzinfo=UTC))
CONTENTS = WheelContents()


def wheel(folder: Path, files: dict[str, bytes], *, year: int = 2020) -> StagedWheel:
    filename, tag = "demo-1.0-cp311-cp311-linux_x86_64.whl", "cp311-cp311-linux_x86_64"
    members = {
        **files,
        f"{INFO}/METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
        f"{INFO}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(),
    }
    rows = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}"
        for name, data in members.items()
    ]
    members[f"{INFO}/RECORD"] = "\n".join([*rows, f"{INFO}/RECORD,,", ""]).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), data)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / filename
    path.write_bytes(buffer.getvalue())
    return StagedWheel(
        filename=filename, path=path, sha256=Digest(hashlib.sha256(buffer.getvalue()).hexdigest()), size=path.stat().st_size
    )


def grafted() -> dict[str, bytes]:
    """The members of a wheel that auditwheel has repaired: a library, and its own bill of materials."""
    where = hashlib.sha256(b"/usr/lib/x86_64-linux-gnu/libyaml-0.so.2.0.9").hexdigest()
    purl = "pkg:deb/debian/libyaml-0-2@0.2.5-1?distro=bookworm"
    bill = {"components": [{"name": "demo"}, {"name": "libyaml-0-2", "version": "0.2.5-1", "purl": purl, "bom-ref": f"{purl}#{where}"}]}
    return {LIBYAML: b"yaml", "demo.libs/libown-00000000.so": b"own", f"{INFO}/sboms/auditwheel.cdx.json": json.dumps(bill).encode()}


def bill_of(made: StagedWheel) -> dict[str, dict[str, object]]:
    with zipfile.ZipFile(made.path) as archive:
        document = json.loads(archive.read(f"{INFO}/sboms/farm.cdx.json"))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    refs = [one["bom-ref"] for one in document["components"]]
    assert document["dependencies"] == [{"ref": "pkg:pypi/demo@1.0", "dependsOn": refs}]
    return {one["bom-ref"]: one for one in document["components"]}


def test_grafted_libraries_are_named_with_the_package_they_came_from(tmp_path: Path) -> None:
    made = CONTENTS.with_bill(wheel(tmp_path, grafted()), (), tmp_path / "out", 1_600_000_000)
    components = bill_of(made)
    assert components[f"file:{LIBYAML}"]["name"] == "libyaml-0-2"
    assert components[f"file:{LIBYAML}"]["version"] == "0.2.5-1"
    assert components[f"file:{LIBYAML}"]["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(b"yaml").hexdigest()}]
    own = components["file:demo.libs/libown-00000000.so"]
    assert (own["name"], "purl" in own) == ("libown.so", False)


def test_crates_are_listed_where_there_is_a_binary_to_have_them(tmp_path: Path) -> None:
    crates = (Crate(name="pyo3", version="0.25.0", sha256="a" * 64), Crate(name="demo-core", version="1.0.0"))
    made = CONTENTS.with_bill(wheel(tmp_path, {"demo.so": b"code"}), crates, tmp_path / "out", 0)
    assert list(bill_of(made)) == ["pkg:cargo/demo-core@1.0.0", "pkg:cargo/pyo3@0.25.0"]
    pure = wheel(tmp_path / "pure", {"demo.py": b""})
    assert CONTENTS.with_bill(pure, crates, tmp_path / "out", 0) is pure


def test_the_wheel_stays_sound_and_the_same_wheel_gets_the_same_bytes(tmp_path: Path) -> None:
    source = wheel(tmp_path, grafted() | {"demo/__init__.py": b""})
    made, again = (CONTENTS.with_bill(source, (), tmp_path / name, 1_600_000_000) for name in "ab")
    assert made.sha256 == again.sha256 != source.sha256
    assert made.path.read_bytes() == again.path.read_bytes()
    facts = WheelInspector({"PATH": os.environ["PATH"]}).inspect(made.path)
    assert [fault for fault in facts.faults if "RECORD" in fault] == []
    with zipfile.ZipFile(made.path) as archive:
        assert archive.getinfo(f"{INFO}/sboms/farm.cdx.json").date_time == (2020, 9, 13, 12, 26, 40)
    assert CONTENTS.with_bill(made, (), tmp_path / "c", 0) is made, "a bill is written once"


def test_a_wheel_without_anything_from_elsewhere_or_with_faults_stays_as_it_is(tmp_path: Path) -> None:
    plain = wheel(tmp_path, {"demo.so": b"code"})
    assert CONTENTS.with_bill(plain, (), tmp_path / "out", 0) is plain
    (tmp_path / "broken").mkdir()
    path = tmp_path / "broken" / "demo-1.0-py3-none-any.whl"
    path.write_bytes(b"PK but no zip")
    broken = StagedWheel(filename=path.name, path=path, sha256=Digest("0" * 64), size=13)
    assert CONTENTS.with_bill(broken, (), tmp_path / "out", 0) is broken


def test_vendored_crates_are_read_off_their_folders(tmp_path: Path) -> None:
    for name, package in (("pyo3-0.25.0", '"' + "a" * 64 + '"'), ("sha-1-0.10.1+meta", "null")):
        folder = tmp_path / "vendor" / name
        folder.mkdir(parents=True)
        (folder / ".cargo-checksum.json").write_text(f'{{"files": {{}}, "package": {package}}}')
    assert CONTENTS.crates(tmp_path) == (
        Crate(name="pyo3", version="0.25.0", sha256="a" * 64),
        Crate(name="sha-1", version="0.10.1+meta"),
    )


def dependency(folder: Path, name: str, files: dict[str, bytes], tag: str = "cp311-cp311-linux_x86_64") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-2.1.3-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in files.items():
            archive.writestr(member, data)
    return path


def test_a_binary_that_names_a_dependency_with_headers_is_tied_to_it(tmp_path: Path) -> None:
    numpy = dependency(tmp_path, "numpy", {"numpy/_core/include/numpy/ndarrayobject.h": b"", "numpy/_core/_umath.so": b""})
    pybind = dependency(tmp_path, "pybind11", {"pybind11/include/pybind11.h": b""}, "py3-none-any")
    other = dependency(tmp_path, "msgpack", {"msgpack/_c.so": b""})
    tied = wheel(tmp_path / "w", {"demo/_core.so": b"\x7fELF\0numpy._core._multiarray_umath\0pybind11\0msgpack\0"})
    (found,) = CONTENTS.coupling(tied.path, (numpy, other, pybind))
    assert str(found) == "numpy 2.1.3"
    assert found.sha256 == hashlib.sha256(numpy.read_bytes()).hexdigest()
    free = wheel(tmp_path / "v", {"demo/_core.so": b"\x7fELF\0notnumpy._core\0", "demo/__init__.py": b"\0numpy\0"})
    assert CONTENTS.coupling(free.path, (numpy, other, pybind)) == ()


@settings(max_examples=20, deadline=None)
@given(st.integers(min_value=(4 << 20) - 30, max_value=(4 << 20) + 5))
def test_a_name_is_found_wherever_it_stands(tmp_path_factory: pytest.TempPathFactory, place: int) -> None:
    folder = tmp_path_factory.mktemp("far")
    numpy = dependency(folder, "numpy", {"numpy/x.h": b"", "numpy/_core.so": b""})
    far = wheel(folder / "w", {"demo.so": b"x" * place + b"\0numpy._core\0" + b"x" * 99})
    assert CONTENTS.coupling(far.path, (numpy,))


def test_equal_builds_are_reproducible(tmp_path: Path) -> None:
    first, second = (wheel(tmp_path / name, {"demo.so": b"code"}) for name in "ab")
    assert CONTENTS.compare(first, second, TIMES).same


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        (b"at 12:00:01 sharp", b"at 13:07:09 sharp", "a time is in it (12:00:01)"),
        (b"\0/project/package/x.c\0", b"\0/project/package-again/x.c\0", "the path of the build is in it (/project/package/x.c)"),
        (b"stamp 1793534400.1", b"stamp 1793624400.9", "the time of the build is in it"),
        (b"ab,cd", b"cd,ab", "the same content in another order"),
        (b"same then x", b"same then y", "its content, from byte 10 of 11 and 11"),
    ],
)
def test_a_difference_is_told_with_what_it_looks_like(tmp_path: Path, one: bytes, other: bytes, reason: str) -> None:
    first, second = wheel(tmp_path / "a", {"demo/x": one}), wheel(tmp_path / "b", {"demo/x": other})
    found = CONTENTS.compare(first, second, TIMES)
    assert [(each.member, each.reason) for each in found.differences] == [("demo/x", reason)]
    assert found.count == 1
    assert str(found) == f"not reproducible (demo/x: {reason})"


def test_members_times_and_order_of_the_archive_count_too(tmp_path: Path) -> None:
    first = wheel(tmp_path / "a", {"demo/x": b"1", "demo/y": b"2"})
    dated = CONTENTS.compare(first, wheel(tmp_path / "b", {"demo/x": b"1", "demo/y": b"2"}, year=2021), TIMES)
    assert "its time in the archive (2020-01-01 00:00:00 and 2021-01-01 00:00:00)" in str(dated)
    fewer = CONTENTS.compare(first, wheel(tmp_path / "c", {"demo/x": b"1"}), TIMES)
    assert ("demo/y", "only in the first build") in {(each.member, each.reason) for each in fewer.differences}
    turned = CONTENTS.compare(first, wheel(tmp_path / "d", {"demo/y": b"2", "demo/x": b"1"}), TIMES)
    assert "another order" in str(turned)
    assert turned.count == 1


@settings(max_examples=200)
@given(st.binary(max_size=80), st.binary(max_size=80))
def test_every_difference_has_a_reason(one: bytes, other: bytes) -> None:
    assert explain(one, other, TIMES)
