"""Generated requirements files, read by pip's parser and by ours."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from pip._internal.req.constructors import install_req_from_parsed_requirement
from pip._internal.req.req_file import parse_requirements, preprocess

from farm.survey.read import read_requirements
from farm.survey.reading.lines import locate, logical_lines

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings(
    "ignore:pkg_resources is deprecated:DeprecationWarning", "ignore:Creating a Legacy"
)

SPACE = st.sampled_from(["", " ", "  ", "\t"])
BREAK = st.sampled_from([" ", "  ", " \\\n", " \\\n    ", "\\\n "])
NAME = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,8}[A-Za-z0-9])?", fullmatch=True).filter(
    # A name that ends like an archive is a file's name to pip.
    lambda name: not name.lower().endswith((".zip", ".tar", ".whl", ".tgz", ".tbz", ".txz", ".tlz"))
)
VERSION = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){1,3}((a|b|rc)[0-9])?(\.post[0-9])?(\.dev[0-9])?", fullmatch=True)
SPECIFIER = st.builds("{}{}{}".format, st.sampled_from(["==", "!=", "<=", ">=", "<", ">", "~="]), SPACE, VERSION)
COMPARISON = st.sampled_from(
    [
        "python_version >= '3.9'",
        'sys_platform=="linux"',
        "'x' in platform_machine",
        "os_name not in 'nt posix'",
        "extra == 'y'",
    ]
)
MARKER = st.lists(COMPARISON, min_size=1, max_size=3).map(" and ".join) | st.builds(
    "({} or {})".format, COMPARISON, COMPARISON
)
HASH = st.sampled_from([("sha256", 64), ("sha384", 96), ("sha512", 128)]).flatmap(
    lambda kind: st.text("0123456789abcdef", min_size=kind[1], max_size=kind[1]).map(
        lambda digest: f"{kind[0]}:{digest}"
    )
)
COMMENT = st.sampled_from(["", " # why", "\t# -r not.txt", "  #  a==1 \\ b"])


@st.composite
def entries(draw: st.DrawFn) -> str:
    parts = [draw(NAME)]
    if extras := draw(st.lists(NAME, max_size=3)):
        parts.append(draw(SPACE) + "[" + f"{draw(SPACE)},{draw(SPACE)}".join(extras) + "]")
    if specifiers := draw(st.lists(SPECIFIER, max_size=3)):
        parts.append(draw(BREAK | SPACE) + f"{draw(SPACE)},{draw(BREAK | SPACE)}".join(specifiers))
    if draw(st.booleans()):
        parts.append(draw(BREAK) + ";" + draw(BREAK | SPACE) + draw(MARKER))
    for digest in draw(st.lists(HASH, max_size=3)):
        parts.append(" " + draw(BREAK) + "--hash" + draw(st.sampled_from(["=", " ", " \\\n  "])) + digest)
    return draw(SPACE) + "".join(parts) + draw(COMMENT)


LINE = entries() | st.sampled_from(
    ["", "  ", "# only a comment", "\t# another \\", "--pre", "--no-index # x", "-i https://x.example"]
)


@settings(max_examples=150, deadline=None)
@given(lines=st.lists(LINE, max_size=8), ending=st.sampled_from(["\n", "\r\n"]))
def test_same_requirements_as_pip(tmp_path_factory: pytest.TempPathFactory, lines: list[str], ending: str) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "generated.txt"
    text = "\n".join(lines).replace("\n", ending)
    path.write_text(text, newline="")
    expected = []
    for parsed in parse_requirements(str(path), session=None):  # type: ignore[arg-type]
        asked = install_req_from_parsed_requirement(parsed, user_supplied=True)
        assert asked.req is not None
        expected.append(
            (
                canonicalize_name(asked.req.name),
                SpecifierSet(str(asked.req.specifier)),
                set(map(canonicalize_name, asked.extras)),
                str(asked.markers or ""),
                {f"{name}:{digest}" for name, digests in asked.hash_options.items() for digest in digests},
                parsed.comes_from,
            )
        )
    demand = read_requirements([str(path)], [], read_text=lambda _: text, env={})
    assert [
        (
            entry.name,
            entry.specifier,
            set(entry.extras),
            str(entry.marker or ""),
            set(entry.hashes),
            f"-r {entry.origin.file} (line {entry.origin.line})",
        )
        for entry in demand.requirements
    ] == expected


TEXT = st.lists(
    st.sampled_from(
        [
            "\n",
            "\r\n",
            "\x0c",
            "\\",
            "\\\n",
            "#",
            " #",
            " ",
            "\t",
            "a",
            "-r b",
            "${FARM_V}",
            "${FARM_W}",
            "${",
            "}",
            "$",
            "\xa0",
            "\u2028",
        ]
    ),
    max_size=25,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(text=TEXT)
def test_same_logical_lines_as_pip(text: str) -> None:
    env = {"FARM_V": "${FARM_W}!", "FARM_W": "w w"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        expected = list(preprocess(text))
        assert [(line.number, line.text) for line in logical_lines(text, os.environ)] == expected


@settings(max_examples=400, deadline=None)
@given(text=TEXT)
def test_every_character_is_found_again_in_the_file(text: str) -> None:
    physical = text.splitlines()
    for line in logical_lines(text, {}):
        for offset, char in enumerate(line.text):
            place = locate(line, offset, {})
            assert physical[place.line - 1] == place.raw
            assert place.raw[place.column - 1] == char
        end = locate(line, len(line.text), {})
        assert 1 < end.column <= len(end.raw) + 1
