"""A diff of edits, applied by git to what was there before, gives what was there after."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from farm.adapters import patches
from farm.model.edits import edits
from farm.model.job import Patch

NAMES = st.sampled_from(["setup.py", "src/a.c", "src/b.h", "README"])
LINES = st.lists(st.sampled_from(["", "one", "two", "\f", "umlaut ä", "tab\there", "three\r"]), max_size=6).map("\n".join)
TREES = st.dictionaries(NAMES, LINES.map(str.encode), min_size=1, max_size=4)


@settings(max_examples=25, deadline=None)
@given(before=TREES, after=TREES)
def test_what_git_applies_is_what_was_edited(before: dict[str, bytes], after: dict[str, bytes]) -> None:
    # An empty file that comes or goes has no lines to tell of.
    before, after = ({name: data or b"\n" for name, data in tree.items()} for tree in (before, after))
    found = edits(frozenset(before), before, after)
    assert found.left_out == ()
    if not found.patch:
        assert before == after
        return
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name, data in before.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes(data)
        patch = Patch(name="p", sha256="", text=found.patch, reason="r", upstream="pending")
        assert patches.fault(patch, tree, os.environ) == ""
        assert {path.relative_to(tree).as_posix(): path.read_bytes() for path in tree.rglob("*") if path.is_file()} == after


def test_what_a_build_leaves_is_no_edit() -> None:
    sources = frozenset({"setup.py", "src/a.c"})
    before = {"setup.py": b"1\n", "src/a.c": b"a\n", "build/lib/x.py": b"old\n", "demo.egg-info/PKG-INFO": b"1\n"}
    made = {"build/lib/x.py": b"new\n", "build/lib/y.py": b"", "src/a.o": b"\0"}
    after = before | made | {"src/a.c": b"b\n", "src/new.h": b"n\n", "img.png": b"\0"}
    found = edits(sources, before, after)
    assert found.files == ("src/a.c", "src/new.h")
    assert found.left_out == ("img.png",)
