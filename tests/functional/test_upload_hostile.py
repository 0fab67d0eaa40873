"""Hostile wheels over real HTTP: each is refused with the reason, and leaves neither a page nor a file."""

from __future__ import annotations

import io
import stat
import struct
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.functional.upload_server import UploadFarm
from tests.unit.adapters.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAME = "demo-1.0-py3-none-any.whl"
INFO = "demo-1.0.dist-info"
CODE = {"demo/__init__.py": b"X = 1\n"}


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UploadFarm]:
    with UploadFarm(root=tmp_path_factory.mktemp("store")) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_is_left(farm: UploadFarm) -> Iterator[None]:
    yield
    assert farm.store.names() == ()
    assert farm.store.catalogue.dirty() == ()
    assert farm.waste() == []
    assert not any(path.is_file() for path in (farm.root / "blobs").rglob("*"))


@pytest.mark.parametrize(
    "filename",
    [
        "../demo-1.0-py3-none-any.whl",
        "..%2Fdemo-1.0-py3-none-any.whl",
        "/etc/demo-1.0-py3-none-any.whl",
        "C:\\demo-1.0-py3-none-any.whl",
        "demo-1.0-py3-none-any.whl\x01",
        "demo-1.0-py3-none\tany.whl",
        "demo\x7f-1.0-py3-none-any.whl",
        "demö-1.0-py3-none-any.whl",
        "demo-1.0-py3-none-any.whl/../x",
        "demo-..-py3-none-any.whl",
        "-1.0-py3-none-any.whl",
        "demo-1.0.whl",
        "demo-1.0-py3-none-any.exe",
        "demo-1.0-py3-none-any.whl.metadata",
        "demo-" + "1" * 300 + "-py3-none-any.whl",
        ".demo-1.0-py3-none-any.whl",
        "demo-1.0.tar.bz2",
        "demo-" + "1" * 4400 + ".tar.gz",
        "",
    ],
)
def test_no_name_leads_out_of_the_store(farm: UploadFarm, tmp_path: Path, filename: str) -> None:
    answer = farm.upload(filename, make_wheel(tmp_path, "demo", CODE).read_bytes())
    assert answer.status == 400, answer.text
    assert not any("\x01" <= c < " " for c in answer.text.strip())


def repack(path: Path, change: Callable[[zipfile.ZipFile], None]) -> bytes:
    """Add what a builder would never write to a wheel."""
    with zipfile.ZipFile(path, "a") as archive:
        change(archive)
    return path.read_bytes()


def twice(archive: zipfile.ZipFile) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("demo/__init__.py", b"X = 'evil'\n")


def link(archive: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("demo/passwd")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(info, "/etc/passwd")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda a: a.writestr("../evil.py", b""), "leaves it"),
        (lambda a: a.writestr("/etc/evil.py", b""), "leaves it"),
        (lambda a: a.writestr("demo/../../evil.py", b""), "leaves it"),
        (lambda a: a.writestr("demo//evil.py", b""), "leaves it"),
        (lambda a: a.writestr("./demo/evil.py", b""), "leaves it"),
        (lambda a: a.writestr("demo\\..\\evil.py", b""), "leaves it"),
        (lambda a: a.writestr("C:/evil.py", b""), "leaves it"),
        (lambda a: a.writestr("demo/ev\nil.py", b""), "control characters"),
        (lambda a: a.writestr("demo/extra.py", b""), "is not in its RECORD"),
        (lambda a: a.writestr("other-1.0.dist-info/METADATA", b"Name: other\n"), "one .dist-info"),
        (lambda a: a.writestr("demo/x.py", b"x" * 100, compress_type=zipfile.ZIP_LZMA), "packed in a way"),
        (lambda a: a.writestr("demo/x.py", b"x" * 100, compress_type=zipfile.ZIP_BZIP2), "packed in a way"),
        (twice, "in it twice"),
        (link, "symbolic link"),
    ],
)
def test_members_that_would_harm_an_installer(
    farm: UploadFarm, tmp_path: Path, change: Callable[[zipfile.ZipFile], None], says: str
) -> None:
    answer = farm.upload(NAME, repack(make_wheel(tmp_path, "demo", CODE), change))
    assert (answer.status, says in answer.text) == (400, True), answer.text


@pytest.mark.parametrize(
    ("replaced", "says"),
    [
        ({"demo/__init__.py": b"X = 'evil'\n"}, "does not have the hash"),
        ({f"{INFO}/RECORD": b"demo/__init__.py,,\n"}, "RECORD"),
        ({f"{INFO}/RECORD": b"\xff\xfe\n"}, "RECORD cannot be read"),
        ({f"{INFO}/RECORD": b"demo/__init__.py,md5=1B2M2Y8AsgTpgAmY7PhCfg,0\n"}, "does not have the hash"),
        ({f"{INFO}/METADATA": b"Metadata-Version: 2.1\nName: numpy\nVersion: 1.0\n"}, "METADATA is of numpy 1.0"),
        ({f"{INFO}/METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: 9.9\n"}, "METADATA is of demo 9.9"),
        ({f"{INFO}/METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: " + b"1" * 5000 + b"\n"}, "METADATA"),
        ({f"{INFO}/METADATA": b"\xff\xfe\x00"}, "METADATA"),
        ({f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nTag: cp311-cp311-win_amd64\n"}, "tags in its WHEEL"),
    ],
)
def test_contents_that_are_not_what_they_claim(
    farm: UploadFarm, tmp_path: Path, replaced: dict[str, bytes], says: str
) -> None:
    answer = farm.upload(NAME, make_wheel(tmp_path, "demo", CODE, replaced=replaced).read_bytes())
    assert (answer.status, says in answer.text) == (400, True), answer.text


def test_a_record_that_lists_what_is_not_there(farm: UploadFarm, tmp_path: Path) -> None:
    whole = make_wheel(tmp_path, "demo", {**CODE, "demo/gone.py": b"gone"})
    data = io.BytesIO()
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(data, "w") as new:
        for info in old.infolist():
            if info.filename != "demo/gone.py":
                new.writestr(info, old.read(info))
    answer = farm.upload(NAME, data.getvalue())
    assert (answer.status, "is in its RECORD and not in the wheel" in answer.text) == (400, True), answer.text


@pytest.mark.parametrize("part", ["METADATA", "WHEEL", "RECORD"])
def test_a_wheel_without_what_makes_it_one(farm: UploadFarm, tmp_path: Path, part: str) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(make_wheel(tmp_path, "demo", CODE)) as old, zipfile.ZipFile(data, "w") as new:
        for info in old.infolist():
            if not info.filename.endswith(part):
                new.writestr(info, old.read(info))
    answer = farm.upload(NAME, data.getvalue())
    assert (answer.status, f"has no {INFO}/{part}" in answer.text) == (400, True), answer.text


def test_the_wheel_of_another_project_under_this_name(farm: UploadFarm, tmp_path: Path) -> None:
    answer = farm.upload(NAME, make_wheel(tmp_path, "other", {"other.py": b""}).read_bytes())
    assert (answer.status, "other-1.0.dist-info is not of demo 1.0" in answer.text) == (400, True), answer.text


def test_a_zip_bomb_is_not_unpacked(farm: UploadFarm, tmp_path: Path) -> None:
    data = io.BytesIO()
    with (
        zipfile.ZipFile(make_wheel(tmp_path, "demo", CODE)) as old,
        zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for info in old.infolist():
            new.writestr(info, old.read(info))
        new.writestr("demo/zeros", b"\0" * (20 << 20))
    answer = farm.upload(NAME, data.getvalue())
    assert (answer.status, "times its size" in answer.text) == (400, True), answer.text


def test_a_wheel_that_says_it_unpacks_to_terabytes(farm: UploadFarm, tmp_path: Path) -> None:
    data = bytearray(make_wheel(tmp_path, "demo", CODE).read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFF0)
    answer = farm.upload(NAME, bytes(data))
    assert (answer.status, "unpacks to more than" in answer.text) == (400, True), answer.text


def test_a_size_that_is_a_lie(farm: UploadFarm, tmp_path: Path) -> None:
    data = bytearray(make_wheel(tmp_path, "demo", CODE).read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 3)
    assert farm.upload(NAME, bytes(data)).status == 400


def test_a_wheel_of_many_thousand_members(farm: UploadFarm, tmp_path: Path) -> None:
    def fill(archive: zipfile.ZipFile) -> None:
        for number in range(2500):
            archive.writestr(f"demo/f{number}", b"")

    answer = farm.upload(NAME, repack(make_wheel(tmp_path, "demo", CODE), fill))
    assert (answer.status, "more than 2000 files" in answer.text) == (400, True), answer.text


@pytest.mark.parametrize("data", [b"", b"PK", b"\x1f\x8b\x08", b"PK\x05\x06" + b"\0" * 18, b"\0" * 5000])
def test_what_is_no_zip(farm: UploadFarm, data: bytes) -> None:
    assert farm.upload(NAME, data).status == 400


def test_a_binary_under_a_tag_that_says_anywhere(farm: UploadFarm, tmp_path: Path) -> None:
    elf = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + b"\x03\x00\x3e\x00" + b"\0" * 60
    answer = farm.upload(NAME, make_wheel(tmp_path, "demo", {"demo/x.so": elf}).read_bytes())
    assert (answer.status, "lies about its tag" in answer.text) == (400, True), answer.text


@pytest.mark.parametrize("specifier", ["nonsense", ">=" + "1" * 5000])
def test_a_specifier_that_would_break_the_page(farm: UploadFarm, specifier: str) -> None:
    info = f"Metadata-Version: 2.2\nName: acme-core\nVersion: 1.0\nRequires-Python: {specifier}\n".encode()
    answer = farm.upload("acme_core-1.0.tar.gz", make_tar(lambda _: None, info))
    assert (answer.status, "Requires-Python" in answer.text) == (400, True), answer.text


def test_an_encrypted_member(farm: UploadFarm, tmp_path: Path) -> None:
    data = bytearray(make_wheel(tmp_path, "demo", CODE).read_bytes())
    for sign, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = data.index(sign)
        data[at + offset] |= 1
    assert farm.upload(NAME, bytes(data)).status == 400


def make_tar(
    change: Callable[[tarfile.TarFile], None], info: bytes = b"Metadata-Version: 2.2\nName: acme-core\nVersion: 1.0\n"
) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        member = tarfile.TarInfo("acme_core-1.0/PKG-INFO")
        member.size = len(info)
        archive.addfile(member, io.BytesIO(info))
        change(archive)
    return data.getvalue()


def tar_member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> Callable[[tarfile.TarFile], None]:
    def add(archive: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        archive.addfile(member)

    return add


@pytest.mark.parametrize(
    "change",
    [
        tar_member("../evil"),
        tar_member("/etc/evil"),
        tar_member("acme_core-1.0/x", tarfile.SYMTYPE, "../../etc/passwd"),
        tar_member("acme_core-1.0/x", tarfile.LNKTYPE, "/etc/passwd"),
        tar_member("acme_core-1.0/x", tarfile.CHRTYPE),
        tar_member("acme_core-1.0/x", tarfile.FIFOTYPE),
    ],
)
def test_an_sdist_that_would_harm_who_unpacks_it(farm: UploadFarm, change: Callable[[tarfile.TarFile], None]) -> None:
    answer = farm.upload("acme_core-1.0.tar.gz", make_tar(change))
    assert (answer.status, "expected an sdist" in answer.text) == (400, True), answer.text


@pytest.mark.parametrize(
    ("info", "says"),
    [
        (b"Metadata-Version: 2.2\nName: numpy\nVersion: 1.0\n", "metadata is of numpy 1.0"),
        (b"Metadata-Version: 2.2\nName: acme-core\nVersion: 2.0\n", "metadata is of acme-core 2.0"),
        (b"", "PKG-INFO"),
    ],
)
def test_an_sdist_of_something_else(farm: UploadFarm, info: bytes, says: str) -> None:
    answer = farm.upload("acme_core-1.0.tar.gz", make_tar(lambda _: None, info))
    assert (answer.status, says in answer.text) == (400, True), answer.text
