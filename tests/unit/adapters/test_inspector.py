"""What the inspector says of wheels: sound ones, and ones whose claims do not hold."""

from __future__ import annotations

import os
import struct
import sys
import zipfile
from pathlib import Path

import msgspec
import pytest

from farm.adapters.inspector import WheelInspector
from tests.unit.adapters.wheels import make_wheel

NATIVE = "cp311-cp311-manylinux_2_17_x86_64"


def elf(machine: int = 62, bits: int = 2) -> bytes:
    """An ELF header and nothing more: enough to be known as a binary of a machine."""
    return struct.pack("<4sBBBB8xHHI", b"\x7fELF", bits, 1, 1, 0, 3, machine, 1) + bytes(40)


def inspect(wheel: Path):
    return WheelInspector({"PATH": os.environ["PATH"]}).inspect(wheel)


def test_a_sound_pure_wheel_has_no_faults(tmp_path):
    facts = inspect(make_wheel(tmp_path, "sound", {"sound/__init__.py": b"", "sound/data.txt": b""}))
    assert facts.faults == ()
    assert (facts.native, facts.platforms, facts.modules) == (False, (), ("sound",))
    assert b"Name: sound" in facts.metadata


def test_modules_are_what_can_be_imported(tmp_path):
    members = {
        "one.py": b"", "two/__init__.py": b"", "space/inner/deep.py": b"", "only_data/x.json": b"", "_private.py": b"",
        "fast.cpython-311-x86_64-linux-gnu.so": b"", "stable.abi3.so": b"", "plain.so": b"", "libfoo.so.1": b"", "no-name.py": b"",
        "many-1.0.data/purelib/late.py": b"", "many-1.0.data/scripts/tool.py": b"", "many.libs/libx.so": b"", "types.pyi": b"",
    }  # fmt: skip
    facts = inspect(make_wheel(tmp_path, "many", members))
    assert facts.modules == ("_private", "fast", "late", "one", "plain", "space", "stable", "two")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"replaced": {"x.py": b"other bytes"}}, "'x.py' does not have the hash"),
        ({"replaced": {"y.py": b""}}, "'y.py' is not in its RECORD"),
        (
            {"replaced": {"x-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: y\nVersion: 1.0\n"}},
            "METADATA is of y 1.0",
        ),
        (
            {"replaced": {"x-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: x\nVersion: 2.0\n"}},
            "METADATA is of x 2.0",
        ),
        (
            {"replaced": {"x-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nTag: cp39-none-any\n"}},
            "tags in its WHEEL file (cp39-none-any)",
        ),
        (
            {"replaced": {"x-1.0.dist-info/RECORD": b"x.py,md5=abc,3\ngone.py,,\n"}},
            "'gone.py' is in its RECORD and not in the wheel",
        ),
        ({"replaced": {"x-1.0.dist-info/RECORD": b""}}, "has no x-1.0.dist-info/RECORD"),
        ({"replaced": {"../evil.py": b""}}, "'../evil.py' leaves it"),
        ({"replaced": {"/evil.py": b""}}, "'/evil.py' leaves it"),
        ({"dist_info": "y-1.0.dist-info"}, "y-1.0.dist-info is not of x 1.0"),
        ({"replaced": {"z-1.0.dist-info/METADATA": b""}}, "one .dist-info folder, it has 2"),
        ({"members": {"x.py": b"", "lib.so": elf()}}, "lies about its tag"),
        (
            {"members": {"x.so": elf(183)}, "tag": NATIVE},
            "x.so is for aarch64, the file name says manylinux_2_17_x86_64",
        ),
        ({"members": {"x.so": elf(3, 1)}, "tag": NATIVE}, "x.so is for i686"),
    ],
)
def test_what_does_not_hold_is_told(tmp_path, change, fault):
    members = change.pop("members", {"x.py": b"x = 1"})
    facts = inspect(make_wheel(tmp_path, "x", members, **change))
    assert any(fault in found for found in facts.faults), facts.faults


def test_a_name_twice_is_told(tmp_path):
    wheel = make_wheel(tmp_path, "x", {"x.py": b""})
    with zipfile.ZipFile(wheel, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("x.py", b"second")
    assert any("twice" in fault for fault in inspect(wheel).faults)


def test_a_symbolic_link_is_told(tmp_path):
    wheel = make_wheel(tmp_path, "x", {"x.py": b""})
    info = zipfile.ZipInfo("link.py")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(info, b"/etc/passwd")
    assert any("symbolic link" in fault for fault in inspect(wheel).faults)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", b"no zip"])
def test_what_is_no_zip_is_a_fault_and_no_exception(tmp_path, content):
    wheel = tmp_path / "x-1.0-py3-none-any.whl"
    wheel.write_bytes(content)
    assert "cannot be read" in inspect(wheel).faults[0]


def test_a_name_that_is_no_wheels_is_a_fault(tmp_path):
    assert "no wheel's file name" in inspect(tmp_path / "x.whl").faults[0]


@pytest.fixture(scope="session")
def real_extension() -> bytes:
    """A real extension module of the running Python's own packages (msgspec ships one)."""
    found = next(Path(msgspec.__file__).parent.glob("_core*.so"), None)
    if found is None or not sys.platform.startswith("linux"):
        pytest.skip("no extension module of Linux at hand")
    return found.read_bytes()


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="binaries of x86_64 are read")
def test_the_policies_that_binaries_satisfy_are_found(tmp_path, real_extension):
    members = {"x/__init__.py": b"", "x/_core.cpython-311-x86_64-linux-gnu.so": real_extension}
    facts = inspect(make_wheel(tmp_path, "x", members, tag="cp311-cp311-manylinux_2_28_x86_64"))
    assert facts.faults == ()
    levels = [int(name.split("_")[2]) for name in facts.platforms if name.startswith("manylinux_2_")]
    assert levels == sorted(levels)
    assert 28 in levels
    unrepaired = inspect(make_wheel(tmp_path, "x", members, tag="cp311-cp311-linux_x86_64"))
    assert any("auditwheel has not repaired it" in fault for fault in unrepaired.faults)


def test_a_tag_below_what_the_binaries_need_is_told(tmp_path, real_extension):
    # The version's name in the string table is enough for the dynamic linker, and for auditwheel.
    needs_new = real_extension.replace(b"GLIBC_2.2.5", b"GLIBC_9.9.9")
    assert needs_new != real_extension
    members = {"x.cpython-311-x86_64-linux-gnu.so": needs_new}
    facts = inspect(make_wheel(tmp_path, "x", members, tag="cp311-cp311-manylinux_2_17_x86_64"))
    assert facts.faults == (
        "its tag says manylinux_2_17_x86_64; the lowest policy that its binaries keep to is linux_x86_64",
    )


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="binaries of x86_64 are read")
def test_an_extension_that_is_not_abi3_is_told(tmp_path, real_extension):
    members = {"x.abi3.so": real_extension}
    facts = inspect(make_wheel(tmp_path, "x", members, tag="cp39-abi3-manylinux_2_28_x86_64"))
    assert any("is not abi3 as of Python 3.9" in fault for fault in facts.faults), facts.faults
