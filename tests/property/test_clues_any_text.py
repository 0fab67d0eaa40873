"""Whatever an sdist's files hold, reading clues off them ends, and names nothing that could not be a name."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from farm.adapters.sdist_archive import Sdist
from farm.adapters.sdist_clues import read_clues

FILES = ("setup.py", "a.c", "CMakeLists.txt", "meson.build", "configure.ac", "README.md", ".github/workflows/x.yml", "a.pyx")
PIECES = (
    "#include <", "foo/bar.h>", "libraries=[", "'ssl'", "pkg-config ", "find_package(", "pkg_check_modules(X ", "dependency('", "')", "\n",
    "apt-get install -y ", "libfoo-dev", " && ", "\\\n", "PKG_CHECK_MODULES([X], [", "])", "../../etc", "$(rm)", "\x00", "é", "`x`", ", ",
)  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


@given(st.dictionaries(st.sampled_from(FILES), texts, max_size=4))
def test_names_are_names(files: dict[str, str]) -> None:
    found = read_clues(Sdist(names=tuple(files), texts=files))
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9+._-]+", name) for name in found.packages)
    assert all(re.fullmatch(r"[\w.+/-]+", need.name) for need in found.needs)
    assert len(set(found.needs)) == len(found.needs) <= 120
