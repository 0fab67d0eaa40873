"""How a farm wheel looks in a lock: set apart as its neighbours are, and comments stay where they were."""

from __future__ import annotations

import pytest

from farm.model.package import Digest
from farm.survey.augment.edits import apply, extend, shorten
from farm.survey.augment.scan import scan_toml, scan_value
from tests.fakes.locking import BASE, PYLOCK_OF_PIP, UV, added, farm_wheel, shelf, stripped

WHEEL = farm_wheel()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[]", "[x, y]"),
        ("[a]", "[a, x, y]"),
        ("[a,]", "[a, x, y,]"),
        ("[a,b]", "[a,b,x,y]"),
        ("[\n  a\n]", "[\n  a,\n  x,\n  y\n]"),
        ("[\n  a,\n]", "[\n  a,\n  x,\n  y,\n]"),
        ("[\n  a, # why\n  # end\n]", "[\n  a, # why\n  x,\n  y,\n  # end\n]"),
        ("[\r\n\ta,\r\n\tb,\r\n]", "[\r\n\ta,\r\n\tb,\r\n\tx,\r\n\ty,\r\n]"),
        ("[ # of\n]", "[x, y # of\n]"),
    ],
)
def test_entries_are_put_at_the_end_and_taken_out(before: str, after: str) -> None:
    assert apply(before, [extend(before, scan_value(before), ["x", "y"])]) == after
    array = scan_value(after)
    count = len(array.items or ())
    assert apply(after, shorten(after, array, [count - 2, count - 1])) == before


@pytest.mark.parametrize(
    ("text", "indices", "left"),
    [
        ("[x, a]", [0], "[a]"),
        ("[x, y, a]", [0, 1], "[a]"),
        ("[a, x, b]", [1], "[a, b]"),
        ("[\n  x,\n  a,\n]", [0], "[\n  a,\n]"),
        ("[x, a, y]", [0, 2], "[a]"),
        ("[\n  a, # of a\n  x, # of x\n]", [1], "[\n  a, # of a # of x\n]"),
    ],
)
def test_entries_that_another_tool_has_sorted_are_taken_out_too(text: str, indices: list[int], left: str) -> None:
    assert apply(text, shorten(text, scan_value(text), indices)) == left


def test_a_url_that_only_looks_like_the_farms_is_not() -> None:
    """The path has another digest than the entry: no farm writes that."""
    text = added("uv.lock", UV, shelf(WHEEL)).text.replace(f"sha256:{WHEEL.sha256}", f"sha256:{'e' * 64}")
    assert stripped("uv.lock", text, shelf()).text == text
    assert f"{BASE}files/" in text


def test_a_comment_that_somebody_wrote_above_a_farms_table_stays() -> None:
    text = added("pylock.toml", PYLOCK_OF_PIP, shelf(WHEEL)).text
    head = f'[[packages.wheels]]\nname = "{WHEEL.filename}"'
    noted = text.replace(head, f"# ours\n{head}")
    left = PYLOCK_OF_PIP.replace("\n[packages.sdist]", "\n# ours\n\n\n[packages.sdist]")
    assert stripped("pylock.toml", noted, shelf(WHEEL)).text == left


def test_two_farm_wheels_in_the_middle_are_both_taken_out() -> None:
    other = farm_wheel(tags="cp312-cp312-manylinux_2_36_x86_64", sdist=Digest("5" * 64))
    text = added("pylock.toml", PYLOCK_OF_PIP, shelf(WHEEL, other)).text
    assert stripped("pylock.toml", text, shelf(WHEEL, other)).text == PYLOCK_OF_PIP


@pytest.mark.parametrize(
    "value",
    ['"a\\"]"', "'a\\'", '"""a"b""\\""""', "'''a'b''''", "1979-05-27 07:32:00", "1979-05-27T07:32:00Z", "-1.5e3", "inf", "true",
     "[[1, 2], [], ['a', {b = 1, 'c d' = [2]}]]", '{ "a" : [1, {}], "b" : null }'],
)  # fmt: skip
def test_values_end_where_they_end(value: str) -> None:
    node = scan_value(f"  {value}  # after ]")
    assert (node.start, node.end) == (2, 2 + len(value))


def test_sections_and_pairs() -> None:
    text = 'a = 1\n[x."y.z"] # c\n"b c" = [\n 1, # ]\n]\nd.e = "#"   # end\n\n[[ x . w ]]\nf = 1'
    root, first, second = scan_toml(text)
    assert [(section.header, section.array) for section in (root, first, second)] == [("", False), ("x.y.z", False), ("x.w", True)]
    assert [pair.key for pair in first.pairs] == ["b c", "d.e"]
    assert text[first.pairs[1].start : first.pairs[1].end] == 'd.e = "#"   # end'
    assert text[second.start : second.end] == "[[ x . w ]]\nf = 1"
