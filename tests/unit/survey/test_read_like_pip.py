"""pip's own parser is the oracle: the same files must ask for the same things."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from pip._internal.exceptions import PipError
from pip._internal.index.collector import LinkCollector
from pip._internal.index.package_finder import PackageFinder
from pip._internal.models.search_scope import SearchScope
from pip._internal.models.selection_prefs import SelectionPreferences
from pip._internal.network.session import PipSession
from pip._internal.req.constructors import install_req_from_parsed_requirement
from pip._internal.req.req_file import parse_requirements

from farm.model.demand import Demand, DirectSource, Requirement
from farm.survey.read import RequirementsError, read_requirements

# An old pip warns of its own parts when it is imported.
pytestmark = pytest.mark.filterwarnings(
    "ignore:pkg_resources is deprecated:DeprecationWarning", "ignore:Creating a Legacy"
)

A = "a" * 64
B = "0123456789abcdef" * 4
Row = tuple[Any, ...]


def pip_finder() -> PackageFinder:
    scope = SearchScope(find_links=[], index_urls=["https://default.example/simple"], no_index=False)
    return PackageFinder.create(
        link_collector=LinkCollector(session=PipSession(), search_scope=scope),
        selection_prefs=SelectionPreferences(allow_yanked=True),
    )


def allows_prereleases(finder: PackageFinder) -> bool:
    control = getattr(finder, "release_control", None)
    # Before pip 26 there was one switch, since then there is one for each project.
    return ":all:" in control.all_releases if control else bool(getattr(finder, "allow_all_prereleases", False))


def by_pip(path: Path, finder: PackageFinder | None = None) -> list[Row]:
    rows = []
    for parsed in parse_requirements(str(path), session=finder and PipSession(), finder=finder):  # type: ignore[arg-type]
        asked = install_req_from_parsed_requirement(parsed, user_supplied=True)
        place = re.fullmatch(r"-[rc] (.*) \(line (\d+)\)", parsed.comes_from)
        assert place
        allowed = asked.hashes(trust_internet=False)._allowed
        rows.append(
            (
                Path(place[1]).resolve().name,
                int(place[2]),
                parsed.constraint,
                asked.editable,
                canonicalize_name(asked.req.name) if asked.req else None,
                # A wheel's own pin is in its URL; it is no specifier of the user's.
                str(SpecifierSet(str(asked.req.specifier))) if asked.req and not asked.link else "",
                frozenset(map(canonicalize_name, asked.extras)),
                str(asked.markers or ""),
                frozenset(f"{name}:{digest.lower()}" for name, digests in allowed.items() for digest in digests),
                asked.link.url.rpartition("/")[2] if asked.link else None,
            )
        )
    return sorted(rows, key=repr)


def by_farm(demand: Demand) -> list[Row]:
    rows = []
    for entry in (*demand.requirements, *demand.constraints, *demand.direct):
        named = isinstance(entry, Requirement)
        rows.append(
            (
                Path(entry.origin.file).name,
                entry.origin.line,
                entry in demand.constraints,
                entry.editable,
                entry.name,
                str(entry.specifier) if isinstance(entry, Requirement) else "",
                entry.extras,
                str(entry.marker or ""),
                frozenset(entry.hashes),
                _last_part(entry) if entry.url is not None or not named else None,
            )
        )
    return sorted(rows, key=repr)


def _last_part(entry: Requirement | DirectSource) -> str:
    assert entry.url is not None
    local = isinstance(entry, DirectSource) and ":" not in entry.url
    return Path(entry.url).resolve().name if local else entry.url.rpartition("/")[2]


def _absolute(link: str) -> str:
    return link if "://" in link else str(Path(link).resolve())


def farm(path: Path) -> Demand:
    return read_requirements(
        [str(path)], [], read_text=lambda name: Path(name).read_text(), env=os.environ, exists=os.path.exists
    )


CORPUS = {
    "plain": "numpy\nDjango\nzope.interface\nruamel_yaml\n",
    "specifiers": (
        "a==1.0\n"
        "b>=1,<2\n"
        "c ~= 1.4.2\n"
        "d!=1.5.*\n"
        "e (>=1.0)\n"
        "f===1.0-legacy\n"
        "h == 1.0 , != 1.1\n"
        "i==1!2.0+cpu.1\n"
        "j==V1.0RC1\n"
    ),
    "names with odd ends": "B.c-d\n1.0\n3to2==1\n",
    "extras": "requests[security,tests]>=2.8.1\ncelery [redis , Auth_X]\nempty[]==1\nname[a]\n",
    "markers": (
        "a ; python_version < '3.9'\n"
        "b==1;sys_platform=='win32' and (os_name == \"nt\" or extra == 'x')\n"
        "c;\n"
        "d ; 'linux' in sys_platform\n"
    ),
    "comments": "# whole\n  # indented\na # tail\n" + "c==1.0 #tail\n\n\t\nd\t# after a tab\n#-r nothing.txt\n",
    "continuations": "a==\\\n1.0\n\\\nb\\\n  >= 2 \\\n  , < 3\n\nc \\\n",
    "comment ends a continuation": "a \\\n# a comment \\\nb\nc \\\n  # one more\n  --pre\n",
    "comment within a continuation": "a==1.0 # first \\\nb\nc\n",
    "backslashes at both ends": "\\a\\\n==1\n",
    "hashes": (
        f"a==1 --hash=sha256:{A}\n"
        "b==1 \\\n"
        f"    --hash=sha256:{A} \\\n"
        f"    --hash sha256:{B.upper()}\n"
        f"c --hash=sha512:{A}{B} --hash='sha384:{A}{B[:32]}'\n"
    ),
    "marker and hashes": f"a==1 ; python_version >= '3.9' \\\n  --hash=sha256:{A}\n",
    "form feed and other line ends": "a\r\nb\x0cc\x0bd\u2028e\n",
    "variables": "${FARM_NAME}==${FARM_VERSION}\n"
    "b ; os_name == '${FARM_UNSET}'\nc ; os_name == '$FARM_NAME${farm_name}'\n",
    "direct references": (
        f"a @ https://example.org/a-1.0.tar.gz#sha256={A}\n"
        "b[x] @ git+https://example.org/b.git@v1#subdirectory=py ; os_name == 'nt'\n"
        "c@file:///srv/c.zip\n"
    ),
    "archive URLs": (
        f"https://example.org/a-1.0-py3-none-any.whl#sha256={A}\n"
        "http://example.org/b.tar.gz#egg=B_name\n"
        "https://example.org/c.zip ; os_name == 'nt'\n"
        "file:///srv/d-1.0.tar.gz\n"
    ),
    "repositories": (
        "git+https://example.org/r/a.git#egg=a&subdirectory=x\n"
        "hg+ssh://example.org/b\n"
        "-e git+ssh://git@example.org/r/c.git@main#egg=c\n"
        "-e svn+http://example.org/d#egg=d\n"
    ),
    "local": (
        "./proj\n./proj[One,two] ; python_version > '3'\nproj/../proj\n-e ./proj\n-e proj\n--editable=./proj[x]\n-e.\n"
    ),
    "local archives": "./w/a-1.0-py3-none-any.whl\nw/b-1.0.tar.gz\nc-2.0.zip\n",
    "words and options that pip passes over": "a --pre --index-url https://ignored.example\n"
    "-e ./proj ; os_name == 'nt'\n--pre left over\n",
    "shortened options": f"a==1 --has=sha256:{A}\n-r more.txt\n--requirem=more.txt\n--constr more.txt\n-rmore.txt\n",
    "nested": "-r more.txt\n-c sub/limits.txt\n--requirement sub/deep.txt\nlast\n",
    "two on a line": "-r more.txt -c sub/limits.txt\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project to install, files to include, and the variables of the corpus; the current directory."""
    for name in ("proj", "w", "sub"):
        (tmp_path / name).mkdir()
    for project in (tmp_path, tmp_path / "proj"):
        (project / "pyproject.toml").write_text("[project]\nname = 'proj'\nversion = '1'\n")
    for archive in ("w/a-1.0-py3-none-any.whl", "w/b-1.0.tar.gz", "c-2.0.zip"):
        (tmp_path / archive).write_bytes(b"")
    (tmp_path / "more.txt").write_text("more==1\n--extra-index-url https://more.example/simple\n")
    (tmp_path / "sub" / "limits.txt").write_text("\nlimit<2\n-r ../more.txt\n")
    (tmp_path / "sub" / "deep.txt").write_text("-r deeper.txt\ndeep\n")
    (tmp_path / "sub" / "deeper.txt").write_text("deeper  # the end\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FARM_NAME", "expanded")
    monkeypatch.setenv("FARM_VERSION", "1.2.3")
    monkeypatch.delenv("FARM_UNSET", raising=False)
    return tmp_path


@pytest.mark.parametrize("text", CORPUS.values(), ids=CORPUS.keys())
def test_same_entries_as_pip(folder: Path, text: str) -> None:
    path = folder / "requirements.txt"
    path.write_text(text, newline="")
    expected = by_pip(path)
    assert by_farm(farm(path)) == expected
    assert expected


OPTIONS = {
    "nothing": "a\n",
    "an index": "--index-url https://one.example/simple\n",
    "the last index wins and drops the extra ones": (
        "--extra-index-url https://x.example\n"
        "-i https://one.example\n"
        "-i=https://odd.example\n"
        "--extra-index-url https://y.example\n"
    ),
    "index and extra on one line": "--extra-index-url https://x.example --index-url https://one.example\n",
    "no index, for good": (
        "-i https://one.example\n--no-index\n--extra-index-url https://x.example\n-i https://two.example\n"
    ),
    "nested": "-i https://one.example\n-r more.txt\n",
    "nested index wins": "--extra-index-url https://x.example\n-r sub/index.txt\n",
    "find-links": (
        "-f w\n--find-links https://links.example/a -f https://ignored.example\n-f nowhere\n-r sub/links.txt\n"
    ),
    "formats": "--no-binary a,B_c\n--only-binary=d\n--only-binary a\n",
    "formats :all: then a name": "--no-binary :all:\n--only-binary a\n",
    "formats :all: removes": "--only-binary a,b\n--no-binary c,:all:,d\n",
    "formats :none: empties": "--no-binary a,b\n--no-binary :none:,c\n--only-binary :all:,x,:none:,y\n",
    "formats on other lines": "a --no-binary a\n-r more.txt --only-binary b\n",
    "flags": "--pre\n--prefer-binary --require-hashes\n--trusted-host h.example:81\n",
    "trailing comment and quotes": "--index-url 'https://one.example/a b' # why\n",
}


@pytest.mark.parametrize("text", OPTIONS.values(), ids=OPTIONS.keys())
def test_same_options_as_pip(folder: Path, text: str) -> None:
    (folder / "sub" / "links").mkdir()
    (folder / "sub" / "links.txt").write_text("-f links\n")
    (folder / "sub" / "index.txt").write_text(
        "--index-url https://nested.example\n--extra-index-url https://z.example\n"
    )
    path = folder / "requirements.txt"
    path.write_text(text)
    finder = pip_finder()
    by_pip(path, finder)
    options = farm(path).options
    first = [] if options.no_index else [options.index_url or "https://default.example/simple"]
    assert [*first, *options.extra_index_urls] == finder.index_urls
    assert [_absolute(link) for link in options.find_links] == [_absolute(link) for link in finder.find_links]
    assert options.no_index == finder.search_scope.no_index
    assert options.no_binary == finder.format_control.no_binary
    assert options.only_binary == finder.format_control.only_binary
    assert options.pre == allows_prereleases(finder)
    assert options.prefer_binary == finder.prefer_binary
    for name in ("a", "b-c", "d", "y"):
        ours = options.allowed_formats(canonicalize_name(name))
        assert ours == finder.format_control.get_allowed_formats(name)


REFUSED = {
    "operator": "numpy=1.0",
    "two names": "foo bar",
    "version": "foo>>1.2",
    "unbalanced extras": "foo[a",
    "marker": "foo ; bad == 'x'",
    "marker without value": "foo ; python_version >",
    "option": "--indx-url https://x.example",
    "ambiguous option": "--require x",
    "flag with value": "--pre=1",
    "option without value": "-r",
    "hash algorithm": "foo --hash=md5:0123",
    "hash without algorithm": "foo --hash=0123",
    "tab before option": f"foo==1\t--hash=sha256:{A}",
    "quote": "--index-url 'https://x.example",
    "circle": "-r requirements.txt",
    "missing include": "-r nowhere.txt",
    "missing project": "./nowhere",
    "editable name": "-e nowhere",
    "editable URL": "-e https://example.org/a.zip",
    "wheel name": "https://example.org/a.whl",
    "two specifiers without comma": "foo>=1 <2",
    "quotes around": '"foo"',
    "a path that is no project": "what/ever",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_refused_by_both(folder: Path, text: str) -> None:
    path = folder / "requirements.txt"
    path.write_text(f"good\n{text}\n")
    # An old pip follows a circle until Python stops it, and lets packaging's own errors through.
    with pytest.raises((PipError, RecursionError, ValueError)):
        by_pip(path)
    with pytest.raises(RequirementsError) as caught:
        farm(path)
    assert all(fault.line in {0, 2} for fault in caught.value.faults)


def test_constraints_come_first_and_share_the_options(folder: Path) -> None:
    limits, asked = folder / "limits.txt", folder / "asked.txt"
    limits.write_text("--index-url https://limits.example\na<2\nfile:///srv/b-1-py3-none-any.whl\n")
    asked.write_text("a\n--extra-index-url https://asked.example\n")
    demand = read_requirements([str(asked)], [str(limits)], read_text=lambda name: Path(name).read_text(), env={})
    assert demand.files == (str(limits), str(asked))
    assert [entry.name for entry in demand.constraints] == ["a", "b"]
    assert [str(entry.origin) for entry in demand.requirements] == [f"{asked}:1"]
    assert demand.options.index_url == "https://limits.example"
    assert demand.options.extra_index_urls == ("https://asked.example",)
