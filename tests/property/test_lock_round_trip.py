"""`farm lock` over locks in any layout: what is put in comes out again to the byte, and nothing else is touched."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.locking import PIPFILE, SDIST, UPSTREAM, added, farm_wheel, shelf, stripped

if TYPE_CHECKING:
    from collections.abc import Callable

    from farm.model.shelf import Augmented, Shelf

WHEELS = (
    farm_wheel(),
    farm_wheel(version="1.0-1"),
    farm_wheel(tags="cp312-abi3-musllinux_1_2_x86_64"),
    farm_wheel(tags="py3-none-any"),
    farm_wheel("zope-x-y"),
    farm_wheel("zope-x-y", version="2.0"),
    farm_wheel(tags="cp313-cp313-manylinux_2_28_aarch64", sdist=None),
)
NAMES = ("demo", "zope-x-y")
COMMENTS = st.sampled_from(["", " # why", "  #[a, 'b", '\t# "x" = {', " #"])
ENDS = st.sampled_from(["\n", "\r\n"])


def entry(kind: str, name: str, number: int) -> str:
    hexes = f"{number}" * 64
    filename = f"{name.replace('-', '_')}-1.0-cp31{number}-cp31{number}-win_amd64.whl"
    if kind == "poetry.lock":
        return f'{{file = "{filename}", hash = "sha256:{hexes}"}}'
    url = f"https://files.example/a%20b/{filename}"
    if kind == "uv.lock":
        return f'{{ url = "{url}", hash = "sha256:{hexes}", upload-time = "2026-01-01T00:00:00Z" }}'
    return f"{{url = '{url}', upload-time = 2026-01-01 00:00:00Z, hashes = {{sha256 = \"{hexes}\"}}}}"


@st.composite
def arrays(draw: st.DrawFn, kind: str, name: str, end: str) -> str:
    """A TOML array of upstream's files, laid out in any way that TOML allows."""
    count = draw(st.integers(0, 3))
    gap = draw(st.sampled_from(["", " ", "\n    ", "\n", "\n\t", "\n\n  "]))
    text = "[" + draw(COMMENTS if "\n" in gap else st.just(""))
    for number in range(count):
        last = number == count - 1
        comma = "" if last and draw(st.booleans()) else ","
        comment = draw(COMMENTS) if "\n" in gap or (last and draw(st.booleans())) else ""
        text += gap + entry(kind, name, number)
        # A comment may stand on either side of the comma.
        text += comma + comment if comment == "" or draw(st.booleans()) or not comma else f"{comment}\n{comma}"
        text += "\n" if comment and "\n" not in gap else ""
    closing = draw(st.sampled_from(["\n", "\n  # end\n", "\n    "])) if "\n" in gap or "#" in text else draw(st.sampled_from(["", " "]))
    return (text + closing + "]").replace("\n", end)


@st.composite
def toml_locks(draw: st.DrawFn, kind: str) -> str:
    end = draw(ENDS)
    tables = "packages" if kind == "pylock.toml" else "package"
    head = {
        "uv.lock": "version = 1\nrevision = 2\nrequires-python = '>=3.9'\n",
        "poetry.lock": "# made by [[package]]\n",
        "pylock.toml": 'lock-version = "1.0"\ncreated-by = "a # [[packages]]"\n',
    }[kind]
    text = head.replace("\n", end)
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1)):
        text += f"{draw(st.sampled_from(['', end]))}[[{tables}]]{draw(COMMENTS)}{end}"
        lines = [f'name = "{name}"', 'version = "1.0"']
        if kind == "uv.lock":
            lines.append("source = { registry = 'https://index.example/simple' }")
            lines.append(f'sdist = {{ url = "https://files.example/{name}-1.0.tar.gz", hash = "sha256:{SDIST}" }}')
        elif kind == "pylock.toml":
            lines.append(f'sdist = {{url = "https://files.example/{name}-1.0.tar.gz", hashes = {{sha256 = "{SDIST}"}}}}')
        else:
            lines += ['groups = ["main"]', 'python-versions = "*"', 'description = """a\n"quoted" \\\n]text"""'.replace("\n", end)]
        array = draw(arrays(kind, name, end))
        if kind == "poetry.lock":
            sdist = f'{{file = "{name}-1.0.tar.gz", hash = "sha256:{SDIST}"}}'
            lines.append(f"files = [{sdist}, {array[1:].lstrip()}" if array[1:].lstrip()[:1] == "{" else f"files = [{sdist}]")
        elif draw(st.booleans()):
            lines.append(f"wheels = {array}")
        text += end.join(line + draw(COMMENTS) for line in lines) + draw(st.sampled_from([end, end * 2, f"{end}# after{end}"]))
    if kind == "poetry.lock":
        text += f'[metadata]{end}lock-version = "2.1"{end}python-versions = ">=3.9"{end}'
    return draw(st.sampled_from(["", "\ufeff"])) + (text if draw(st.booleans()) else text.rstrip())


@st.composite
def aot_locks(draw: st.DrawFn) -> str:
    """A pylock.toml as pip writes it: each file a table of its own."""
    end = draw(ENDS)
    blocks = ['lock-version = "1.0"\ncreated-by = "pip"']
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1)):
        stem = name.replace("-", "_")
        blocks.append(f'[[packages]]\nname = "{name}"\nversion = "1.0"')
        wheels = [
            f'[[packages.wheels]]\nurl = "https://files.example/{stem}-1.0-cp31{number}-cp31{number}-win_amd64.whl"'
            + draw(st.sampled_from([f'\nhashes.sha256 = "{number * 64}"', f'\n[packages.wheels.hashes]\nsha256 = "{number * 64}"']))
            for number in draw(st.lists(st.sampled_from("123"), unique=True, max_size=3))
        ]
        sdist = f'[packages.sdist]\nurl = "https://files.example/{stem}-1.0.tar.gz"\n\n[packages.sdist.hashes]\nsha256 = "{SDIST}"'
        blocks += draw(st.sampled_from([[*wheels, sdist], [sdist, *wheels]]))
    text = draw(st.sampled_from(["\n", "\n\n", "\n\n# x\n"])).join(blocks) + draw(st.sampled_from(["", "\n", "\n\n"]))
    return text.replace("\n", end)


@st.composite
def pipfiles(draw: st.DrawFn) -> str:
    content = json.loads(PIPFILE)
    hashes = [f"sha256:{SDIST}", *(f"sha256:{n * 64}" for n in draw(st.lists(st.sampled_from("123"), unique=True)))]
    content["default"]["demo"]["hashes"] = draw(st.permutations(hashes))
    content["default"]["zope-x-y"] = {"hashes": hashes[:1], "version": "==2.0", "markers": "python_version >= '3.9'", "note": " # [ \"{"}
    content["default"]["none"] = {"hashes": [], "version": "==2.0"}
    content["develop"] = {"demo": {"version": "==1.0"}, "loc\u00e4l": {"path": "."}}
    indent = draw(st.sampled_from([None, 0, 1, 4, "\t"]))
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,", " : ")]))
    return json.dumps(content, indent=indent, separators=separators) + draw(st.sampled_from(["", "\n"]))


@st.composite
def requirement_files(draw: st.DrawFn) -> str:
    end = draw(ENDS)
    lines = ["# top --hash=sha256:00", "--require-hashes"]
    for pin in draw(st.lists(st.sampled_from(["demo==1.0", "zope_x.Y==1.0", "zope-x-y[a]==2.0 ; python_version>'3'"]), unique=True)):
        gap = draw(st.sampled_from([" ", "  ", " \\\n    ", " \\\n ", "\\\n  ", "\t\\\n\t "]))
        first = gap
        sign = draw(st.sampled_from(["=", " "]))
        hashes = draw(st.permutations([SDIST, UPSTREAM, "b" * 64][: draw(st.integers(1, 3))]))
        tokens = [f"{gap if i else first}--hash{sign}sha256:{value}" for i, value in enumerate(hashes)]
        lines.append(pin + "".join(tokens) + draw(st.sampled_from(["", " # c --hash=sha256:1", " \\\n    # via x", "\n    # via x"])))
    text = "\n".join(lines) + draw(st.sampled_from(["", "\n", "\n\n# end"]))
    return text.replace("\n", end)


def holds(file: str, text: str, first: Shelf, second: Shelf, read: Callable[[str], Any]) -> Augmented:
    """What is true of every lock, with a farm whose stock changes from `first` to `second`."""
    done = added(file, text, first)
    assert stripped(file, done.text, first).text == text
    again = added(file, done.text, first)
    assert (again.text, again.changes) == (done.text, ())
    assert (done.text == text) == (not done.changes)
    read(done.text)
    later = added(file, done.text, second)
    direct = added(file, text, second)
    assert sorted(later.text) == sorted(direct.text)
    assert stripped(file, later.text, second).text == text
    assert [change.kind for change in added(file, later.text, second).changes] == []
    return done


@st.composite
def stocks(draw: st.DrawFn) -> tuple[Shelf, Shelf]:
    """A farm's stock now and later; what was collected meanwhile is remembered."""
    now, later = (draw(st.lists(st.sampled_from(WHEELS), unique=True)) for _ in range(2))
    return shelf(*now), shelf(*later, gone=tuple(wheel.sha256 for wheel in now))


def toml(text: str) -> dict[str, Any]:
    return tomllib.loads(text.removeprefix("\ufeff"))


@settings(deadline=None)
@given(kind=st.sampled_from(["uv.lock", "poetry.lock", "pylock.toml"]), data=st.data(), stock=stocks())
def test_toml_locks_in_any_layout(kind: str, data: st.DataObject, stock: tuple[Shelf, Shelf]) -> None:
    text = data.draw(toml_locks(kind))
    done = holds(kind, text, *stock, read=toml)
    key = "files" if kind == "poetry.lock" else "wheels"
    tables = "packages" if kind == "pylock.toml" else "package"
    before, after = toml(text), toml(done.text)
    new = {change.sha256 for change in done.changes}
    for old, changed in zip(before[tables], after[tables], strict=True):
        count = len(old.get(key, []))
        assert changed.get(key, [])[:count] == old.get(key, [])
        assert all(any(digest in json.dumps(file, default=str) for digest in new) for file in changed.get(key, [])[count:])
        assert {k: v for k, v in changed.items() if k != key} == {k: v for k, v in old.items() if k != key}


@settings(deadline=None)
@given(text=aot_locks(), stock=stocks())
def test_pylocks_with_a_table_for_each_file(text: str, stock: tuple[Shelf, Shelf]) -> None:
    holds("pylock.toml", text, *stock, read=toml)


@settings(deadline=None)
@given(text=pipfiles(), stock=stocks())
def test_pipfile_locks(text: str, stock: tuple[Shelf, Shelf]) -> None:
    holds("Pipfile.lock", text, *stock, read=json.loads)


@settings(deadline=None)
@given(text=requirement_files(), stock=stocks())
def test_requirements_with_hashes(text: str, stock: tuple[Shelf, Shelf]) -> None:
    holds("requirements.txt", text, *stock, read=str)
