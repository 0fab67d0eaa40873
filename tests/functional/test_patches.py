"""Patches on an unpacked sdist: what fits is applied whole, what does not leaves everything as it was, nothing of the sdist runs."""

from __future__ import annotations

import hashlib
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from farm.adapters.patches import apply, fault
from farm.model.build import BuildFailed
from farm.model.job import Patch

if TYPE_CHECKING:
    from pathlib import Path

ENV = {"PATH": os.environ["PATH"]}
HUNK = "@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n"


def patch(text: str, *, strip: int = 1) -> Patch:
    return Patch(
        name="fix.patch", sha256=hashlib.sha256(text.encode()).hexdigest(), text=text, reason="r", upstream="pending", strip=strip
    )


def edit(name: str, hunk: str = HUNK) -> str:
    return f"--- a/{name}\n+++ b/{name}\n{hunk}"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "demo-1.0"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "a.txt").write_text("one\ntwo\nthree\n")
    (folder / "configure").write_text("")
    os.utime(folder / "configure", (2e9, 2e9))
    return folder


def contents(tree: Path) -> dict[str, bytes]:
    return {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def test_patches_are_applied_in_their_order_and_files_come_go_and_move(tree: Path) -> None:
    again = edit("src/a.txt", "@@ -1,3 +1,3 @@\n one\n-TWO\n+2\n three\n")
    new = "--- /dev/null\n+++ b/new/b.py\n@@ -0,0 +1 @@\n+x = 1\n"
    gone = "--- a/src/a.txt\n+++ /dev/null\n@@ -1,3 +0,0 @@\n-one\n-2\n-three\n"
    move = "diff --git a/new/b.py b/c.py\nsimilarity index 100%\nrename from new/b.py\nrename to c.py\n"
    apply((patch(edit("src/a.txt")), patch(again), patch(new)), tree, ENV)
    assert contents(tree) == {"configure": b"", "src/a.txt": b"one\n2\nthree\n", "new/b.py": b"x = 1\n"}
    assert {path.stat().st_mtime for path in tree.rglob("*") if path.is_file()} == {2e9}
    apply((patch(gone + move),), tree, ENV)
    assert contents(tree) == {"configure": b"", "c.py": b"x = 1\n"}


def test_a_text_of_no_known_encoding_is_patched_as_bytes(tree: Path) -> None:
    (tree / "latin.txt").write_bytes(b"caf\xe9\n")
    text = b"--- a/latin.txt\n+++ b/latin.txt\n@@ -1 +1 @@\n-caf\xe9\n+th\xe9\n".decode("utf-8", "surrogateescape")
    assert fault(Patch(name="x", sha256="", text=text, reason="r", upstream="pending"), tree, ENV) == ""
    assert (tree / "latin.txt").read_bytes() == b"th\xe9\n"


@pytest.mark.parametrize(
    ("text", "strip", "told"),
    [
        (edit("src/a.txt", HUNK.replace("two", "zwei")), 1, "patch failed: src/a.txt:1"),
        (edit("src/none.txt"), 1, "src/none.txt: No such file"),
        (edit("src/a.txt"), 0, "it applies with strip = 1"),
        (edit("src/a.txt").replace("a/src", "src").replace("b/src", "src"), 1, "it applies with strip = 0"),
        (edit("src/a.txt", HUNK.replace("-two\n+TWO", "-TWO\n+two")), 1, "it was applied before"),
        ("just words\n", 1, "expected a unified diff"),
        ("", 1, "expected a unified diff"),
        (edit("src/a.txt", "@@ -1,9 +1,9 @@\n one\n"), 1, "expected a unified diff"),
        (edit("../../outside", "@@ -0,0 +1 @@\n+x\n").replace("--- a/../../outside", "--- /dev/null"), 1, "leaves the sdist's folder"),
        (edit(".git/config", "@@ -0,0 +1 @@\n+x\n").replace("--- a/.git/config", "--- /dev/null"), 1, "leaves the sdist's folder"),
        (edit("link/x", "@@ -0,0 +1 @@\n+x\n").replace("--- a/link/x", "--- /dev/null"), 1, "beyond a symbolic link"),
        ("diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc\n", 1, "symbolic link"),
    ],
)  # fmt: skip
def test_what_does_not_fit_says_why_and_changes_nothing(tree: Path, text: str, strip: int, told: str) -> None:
    (tree / "link").symlink_to(tree.parent)
    before = contents(tree)
    assert told in fault(patch(text, strip=strip), tree, ENV)
    assert contents(tree) == before
    assert sorted(path.name for path in tree.parent.iterdir()) == ["demo-1.0"]
    with pytest.raises(BuildFailed) as failed:
        apply((patch(text, strip=strip),), tree, ENV)
    assert (failed.value.diagnosis.cause, "fix.patch" in failed.value.diagnosis.summary) == ("patch-failed", True)


def test_a_repository_inside_the_sdist_has_no_say(tree: Path) -> None:
    """Its filters and monitors are programs of a stranger: git would run them if it took the sdist for a repository."""
    for folder in (tree / ".git", tree):
        for name in ("objects", "refs"):
            (folder / name).mkdir(parents=True)
        (folder / "HEAD").write_text("ref: refs/heads/main\n")
        (folder / "config").write_text(
            f'[core]\n\tfsmonitor = touch {tree}/ran\n[filter "x"]\n\tclean = touch {tree}/ran; cat\n\tsmudge = touch {tree}/ran; cat\n'
        )
    (tree / ".gitattributes").write_text("* filter=x\n")
    apply((patch(edit("src/a.txt")),), tree, ENV)
    assert (tree / "src" / "a.txt").read_text() == "one\nTWO\nthree\n"
    assert not (tree / "ran").exists()


def test_without_git_the_package_fails_and_says_so(tree: Path, tmp_path: Path) -> None:
    assert shutil.which("git", path=str(tmp_path)) is None
    assert "install git" in fault(patch(edit("src/a.txt")), tree, {"PATH": str(tmp_path)})
