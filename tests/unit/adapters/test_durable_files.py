"""Files are whole or absent, and a disk that refuses is told of in words."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from farm.adapters.durable import TEMPORARY, make_dirs, replace_file, replace_files, store_error, sweep, writing
from farm.errors import StoreError

ROOT = Path(__file__).parents[3]


def test_replace_file_makes_folders_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "page"
    replace_file(path, b"old")
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["page"]


def test_a_file_that_cannot_be_replaced_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with pytest.raises(StoreError, match=r"/one: Is a directory"):
        replace_files(tmp_path, {"one": b"new"})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one"]


def test_a_failed_writer_removes_its_file(tmp_path: Path) -> None:
    def write_half() -> None:
        with writing(tmp_path) as (file, path):
            file.write(b"half")
            assert path.parent == tmp_path
            raise KeyError

    with pytest.raises(KeyError):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"")
    with pytest.raises(StoreError, match=r"store.*(Not a directory|File exists)"):
        make_dirs(tmp_path / "store" / "blobs")


def test_sweep_takes_old_unfinished_files_only(tmp_path: Path) -> None:
    for name, age in ((f".old{TEMPORARY}", 10), (f".new{TEMPORARY}", 1000), ("kept", 10)):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (age, age))
    sweep(tmp_path, before=500)
    sweep(tmp_path / "absent", before=500)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f".new{TEMPORARY}", "kept"]


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (28, "free some space"),
        (122, "quota"),
        (13, "right to write"),
        (30, "mount the file system"),
        (5, "file system"),
    ],
)
def test_each_refusal_of_the_disk_has_its_advice(tmp_path: Path, number: int, advice: str) -> None:
    error = store_error(tmp_path / "pages" / "x", OSError(number, os.strerror(number)))
    assert str(tmp_path / "pages" / "x") in error.reason
    assert os.strerror(number) in error.reason
    assert advice in error.solution


_FULL_DISK = """
    import sys
    from pathlib import Path
    from farm.adapters.blobs import Blobs
    from farm.adapters.durable import replace_file, replace_files
    from farm.errors import StoreError

    root = Path(sys.argv[1])
    replace_file(root / "page", b"old")
    (root / "filler").write_bytes(b"x" * 200_000)
    for write in (
        lambda: replace_file(root / "page", b"n" * 400_000),
        lambda: replace_files(root, {"page": b"new", "other": b"n" * 400_000}),
        lambda: Blobs(root / "blobs", root / "staging").keep_bytes(b"b" * 400_000),
    ):
        try:
            write()
        except StoreError as error:
            assert "No space left on device" in error.reason and "MB free" in error.reason, error.reason
            assert "free some space" in error.solution
        else:
            sys.exit("the disk was not full")
    assert (root / "page").read_bytes() == b"old"
    left = sorted(p.name for p in root.rglob("*") if p.is_file())
    assert left == ["filler", "page"], left
"""


def test_a_full_disk_keeps_the_old_file_and_no_half_of_the_new(tmp_path: Path) -> None:
    script = f'mount -t tmpfs -o size=400k none {tmp_path} && exec {sys.executable} -c "$0" {tmp_path}'
    private = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*private, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let users make namespaces, so no small disk can be mounted")
    ran = subprocess.run(
        [*private, "sh", "-c", script, textwrap.dedent(_FULL_DISK)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
