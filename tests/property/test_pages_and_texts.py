"""Shortcuts give what the long way gives: versions found without parsing a whole page, METADATA read without an e-mail parser."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from farm.adapters.core_metadata import read_fields
from farm.adapters.index_page import split_page
from farm.adapters.lazy_page import LazyPage, group
from farm.adapters.version_files import fields_of

NAME = canonicalize_name("demo")

numbers = st.sampled_from(["0", "1", "2", "10", "01", "00", "2023", "07", "1.0", "1.0.0", "1.00", "10.1"])
texts = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "", "v", "1!", "0!", "V"]),
    st.lists(numbers, min_size=1, max_size=3).map(".".join),
    st.sampled_from(["", "rc1", "a0", ".post1", ".dev2", "_1", "c2"]),
    st.sampled_from(["", "", "+cpu", "+1"]),
)
names = texts.flatmap(
    lambda text: st.sampled_from(
        [f"demo-{text}.tar.gz", f"demo-{text}-py3-none-any.whl", f"demo-{text}-1-py3-none-any.whl", f"other-{text}-py3-none-any.whl"]
    )
)


@given(st.lists(names, max_size=12), texts)
def test_what_an_exact_specifier_admits_is_found_without_reading_every_version(filenames: list[str], text: str) -> None:
    try:
        wanted = Version(text)
    except InvalidVersion:
        return
    entries = [{"filename": filename, "url": filename} for filename in filenames]
    split = split_page(json.dumps({"meta": {"api-version": "1.0"}, "files": entries}).encode(), "application/json", "http://h/")
    whole, page = LazyPage(NAME, group(split, NAME), None), LazyPage(NAME, group(split, NAME), None)
    exactly = SpecifierSet(f"=={wanted}")
    admitted = {version for version in whole.by_version() if exactly.contains(version, prereleases=True)}
    assert admitted == {version for version in page.near(wanted) if exactly.contains(version, prereleases=True)}
    for version in admitted | {wanted}:
        assert [file.filename for file in page.of(version)] == [file.filename for file in whole.files if file.version == version]


lines = st.one_of(
    st.sampled_from([
        "Requires-Dist: a>=1", "requires-dist:b ; extra == 'x'", "Requires-Dist:  c  ", "Requires-Python: >=3.8", "Requires-Python:",
        "Provides-Extra: x", "PROVIDES-EXTRA: y", "Name: demo", "Summary: a: b", "  folded", "\tfolded", "no header at all", "Name : odd",
        "Description: x", "Requires-Dist: ä", "Requires-Dist: a\x0bb", "Requires-Dist: a\x1cb", "Requires-Dist: a\x85b",
        ": nothing", "From me", "Requires-Dist: d\r", "",
    ]),
    st.text("Requires-Dist:PythonE xa\t", max_size=24),
)  # fmt: skip


@given(st.lists(lines, max_size=8), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "\n\nRequires-Dist: in-the-description\n"]))
def test_fields_of_any_text_are_what_the_parser_of_mail_reads(headers: list[str], end: str, description: str) -> None:
    text = end.join(["Metadata-Version: 2.1", *headers]) + description
    assert fields_of(text) == read_fields(text)
