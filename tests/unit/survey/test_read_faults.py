"""What a person is told about a malformed requirements file: where, what was found, what was expected, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from farm.errors import UsageError
from farm.survey.read import RequirementsError, read_requirements

if TYPE_CHECKING:
    from collections.abc import Mapping

A = "a" * 64


def refused(
    files: Mapping[str, str], *, constraints: tuple[str, ...] = (), env: Mapping[str, str] | None = None
) -> RequirementsError:
    def read_text(path: str) -> str:
        if path not in files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return files[path]

    with pytest.raises(RequirementsError) as caught:
        read_requirements(
            [next(iter(files))], constraints, read_text=read_text, env=env or {}, exists=files.__contains__
        )
    return caught.value


# line: (column, found, expected, what to do); the last three need only be part of what is said
LINES = {
    "numpy>==1.2": (6, "'>=='", "one of ==", "perhaps you meant >=1.2"),
    "numpy=1.2": (6, "'='", "one of ==", "perhaps you meant ==1.2"),
    "numpy=>1.2": (6, "'=>'", "one of ==", "perhaps you meant >=1.2"),
    "numpy ^1.2": (7, "'^'", "one of ==", "perhaps you meant >=1.2,<2"),
    "foo bar": (5, "'bar'", "the end of the requirement", "one requirement on each line"),
    "foo, bar": (4, "','", "the end of the requirement", "one requirement on each line"),
    "foo 1.0": (5, "'1.0'", "the end of the requirement", "perhaps you meant foo==1.0"),
    "foo>=1.0.*": (6, "'1.0.*'", 'without ".*"', "perhaps you meant >=1.0"),
    "foo==1.*.2": (6, "'1.*.2'", "PEP 440", "===1.*.2"),
    "foo==2004d": (6, "'2004d'", "PEP 440", "===2004d"),
    "foo==*": (6, "'*'", "a version", "remove ==*"),
    "foo===1.0, <2": (10, "','", "a space", "one === alone"),
    "what/ever thing": (5, "'/'", "the end of the requirement", "begin a path with ./"),
    "foo==": (6, "the end of the line", "a version after ==", "remove =="),
    "foo~=1": (6, "'1'", "two numbers", "perhaps you meant ~=1.0"),
    "foo>1.0+cpu": (5, "'1.0+cpu'", "local label", "perhaps you meant >1.0"),
    "foo=='1.0'": (6, "\"'1.0'\"", "without quotes", "perhaps you meant ==1.0"),
    "foo==1.0#why": (6, "'1.0#why'", "a version", 'a space before "#"'),
    "foo>=1 <2": (8, "'<'", '","', "a comma"),
    "foo>=1.0[extra]": (9, "'['", "the end of the requirement", "foo[extra]>=1.0"),
    "foo (>=1": (9, "the end of the line", '")"', 'remove the "("'),
    "foo[a": (6, "the end of the line", '"]"', "close the extras"),
    "foo[a,]": (7, "']'", "names of extras", "[first,second]"),
    "foo[a b]": (7, "'b'", "names of extras", "[first,second]"),
    "'foo'": (1, '"\'"', "name of a project", "remove the quotes"),
    "foo @": (6, "the end of the line", "a URL after @", "foo @ https://"),
    "foo @ ./here": (7, "'./here'", "a scheme that pip knows", "file:///"),
    "git@example.org:a/b.git": (5, "'example.org:a/b.git'", "a scheme", "git+ssh://git@"),
    "foo\xa0bar": (4, "U+00A0 (NO-BREAK SPACE)", "the end of the requirement", ""),
    "foo ; pyhton_version > '3'": (7, "'pyhton_version'", "a marker variable", "perhaps you meant python_version"),
    "foo ; python_version > 3.9": (24, "'3.9'", "quoted string", "values in quotes"),
    "foo ; os_name == 'nt' && extra == 'a'": (23, "'&'", "end of marker", '"and" or "or"'),
    "--indx-url https://x.example": (1, "unknown option --indx-url", "an option", "perhaps you meant --index-url"),
    "--no-deps": (1, "only on its command line", "an option", "remove --no-deps"),
    "foo --global-option=x": (5, "no longer takes", "an option", "--config-settings"),
    "foo --install-option x": (5, "no longer takes", "an option", "--config-settings"),
    "--req x": (1, "--require-hashes, --requirement", "unambiguous", "in full"),
    "--pre=yes": (7, "a value for --pre", "--pre alone", "without a value"),
    "-r": (3, "the end of the line", "a value for --requirement", "VALUE"),
    "-i 'x": (4, '"\'" without an end', "a shell", "close the quote"),
    "foo -C novalue": (8, "'novalue'", "KEY=VALUE", "--config-settings=novalue=VALUE"),
    "foo --hash=md5:00": (12, "'md5'", "sha256:", "DIGEST"),
    f"foo --hash=sha256:{A[:-1]}": (82, "63 digits", "64 hex digits", "copy the digest"),
    f"foo --hash=sha256:{A[:-1]}g": (82, "'g'", "64 hex digits", "copy the digest"),
    "foo @ https://x.example/f.zip#sha256=12": (40, "2 digits", "64 hex digits", "copy the digest"),
    f"foo==1\t--hash=sha256:{A}": (8, "'--hash'", "the end of the requirement", "a space before the option"),
    "https://x.example/f.whl": (19, "'f.whl'", "NAME-VERSION", "file name"),
    "https://x.example/f.zip#egg=f==1": (29, "'f==1'", "#egg=", "NAME @ URL"),
    "./nowhere": (1, "no such file or directory: ./nowhere", "project directory", "current directory"),
    "-e git+https://x.example/r": (4, "without a name", "says its name", "NAME @ git+https"),
    "-e https://x.example/r.zip": (4, "'https", "a directory, or a repository", "-e"),
    "-e 'foo ; os_name'": (4, "'foo ; os_name'", "a directory", "quote"),
    "foo -e x": (5, "-e after a requirement", "one requirement", "line of its own"),
}


@pytest.mark.parametrize(("text", "told"), LINES.items())
def test_fault_is_told_in_full(text: str, told: tuple[int, str, str, str]) -> None:
    column, found, expected, solution = told
    error = refused({"r.txt": f"good\n  {text}\n"})
    (fault,) = error.faults
    assert (fault.file, fault.line, fault.column) == ("r.txt", 2, column + 2)
    assert found in fault.found
    assert expected in fault.expected
    assert solution in error.solution
    assert fault.expected in error.reason


def test_caret_stands_under_the_column() -> None:
    error = refused({"r.txt": "\tfoo  bar # why\n"})
    assert isinstance(error, UsageError)
    assert error.exit_code == 2
    assert error.reason.splitlines() == [
        "r.txt:1:7: expected the end of the requirement, or \";\" and a marker, found 'bar'",
        "    \tfoo  bar # why",
        "    \t     ^",
    ]


def test_long_line_is_cut_around_the_caret() -> None:
    error = refused({"r.txt": f"foo==1 --hash=sha256:{A} --hash=sha256:{A} --nonsense\n"})
    _, line, caret = error.reason.splitlines()
    assert len(line) < 120
    assert line[caret.index("^") :].startswith("--nonsense")


def test_all_faults_of_all_files_at_once_in_order() -> None:
    bad = "0" * 63
    error = refused(
        {
            "r.txt": "foo bar\n-r sub/more.txt\n"
            f"ok==1 \\\n  --hash=sha256:{bad} \\\n  --hash=sha256:{A} \\\n  --hash=md5:{bad}\n",
            "sub/more.txt": "-c limits.txt\n-r gone.txt\n=x\n",
            "sub/limits.txt": "foo[a]<2\n-e .\n./dir\n",
        }
    )
    assert [(fault.file, fault.line) for fault in error.faults] == [
        ("r.txt", 1),
        ("sub/limits.txt", 1),
        ("sub/limits.txt", 2),
        ("sub/limits.txt", 3),
        ("sub/gone.txt", 0),
        ("sub/more.txt", 3),
        ("r.txt", 4),
        ("r.txt", 6),
    ]
    assert error.reason.startswith("8 faults in the requirements files\n")
    assert error.reason.count("to do: ") == 8
    assert "    included from sub/more.txt:1\n    included from r.txt:2\n" in error.reason


def test_missing_file_names_who_asked_for_it() -> None:
    top = refused({"r.txt": "a\n"}, constraints=("limits.txt",))
    assert top.reason == "limits.txt: expected a constraints file, found nothing readable: No such file or directory"
    nested = refused({"a/r.txt": "\n-r more.txt\n"})
    assert nested.reason.splitlines()[0].startswith("a/more.txt: expected a requirements file, found nothing readable")
    assert nested.reason.splitlines()[1] == "    included from a/r.txt:2"
    assert "correct the path in a/r.txt" in nested.solution


def test_bytes_that_are_no_text_are_a_fault_of_the_file() -> None:
    def read_text(path: str) -> str:
        return b"\xff".decode()

    with pytest.raises(RequirementsError, match=r"r\.txt: .*found byte 0xff in line 1, which is not UTF-8"):
        read_requirements(["r.txt"], [], read_text=read_text, env={})


def test_circle_shows_the_chain() -> None:
    error = refused({"a.txt": "-r sub/b.txt\n", "sub/b.txt": "ok\n-c ../a.txt\n"})
    (fault,) = error.faults
    assert (fault.file, fault.line, fault.column) == ("sub/b.txt", 2, 4)
    assert fault.found == "a circle: a.txt -> sub/b.txt -> a.txt"


def test_folder_linked_into_itself_ends() -> None:
    with pytest.raises(RequirementsError, match="more than 100 files deep"):
        read_requirements(["d/r.txt"], [], read_text=lambda path: "-r d/r.txt\n", env={})


def test_values_of_variables_are_not_shown_but_their_part_is_told() -> None:
    error = refused({"r.txt": "${PROJECT}>==${VERSION} ${LATER}\n"}, env={"PROJECT": "demo", "VERSION": "s3cret"})
    (fault,) = error.faults
    assert fault.column == 11
    assert fault.excerpt == "${PROJECT}>==${VERSION} ${LATER}"
    assert "not set in the environment: LATER" in error.solution
    assert "with the value of PROJECT, VERSION" in error.solution


def test_secret_in_the_malformed_part_is_named_not_shown() -> None:
    error = refused({"r.txt": "-e https://user:${TOKEN}@x.example/r.zip\nfoo==${TOKEN}\n"}, env={"TOKEN": "s3cr=t"})
    assert len(error.faults) == 2
    assert "s3cr" not in error.reason + error.solution
    assert "https://user:${TOKEN}@x.example" in error.reason


def test_fault_on_a_continued_line_has_its_own_line_number() -> None:
    error = refused({"r.txt": "foo \\\n  >= 1 \\\n  bar\n"})
    assert [(fault.line, fault.column) for fault in error.faults] == [(3, 3)]


def test_file_included_twice_is_told_once() -> None:
    error = refused({"r.txt": "-r b.txt\n-r b.txt\n", "b.txt": "foo bar\n"})
    assert {fault.line for fault in error.faults} == {1}


def test_of_a_text_that_is_no_requirements_file_only_the_first_faults_are_told() -> None:
    error = refused({"r.txt": "".join(f"some prose {number}\n" for number in range(50))})
    assert len(error.faults) == 50
    assert error.reason.count("to do:") == 20
    assert error.reason.endswith("\nand 30 more: is it a requirements file at all?")
