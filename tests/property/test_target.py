"""Targets of every kind: their tags agree with pip's order and with each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.markers import Marker
from packaging.tags import Tag, parse_tag

from farm.errors import UsageError
from farm.model.target import Target, parse_target

ARCHES = ("x86_64", "aarch64", "i686", "armv7l", "ppc64le", "s390x", "riscv64")
pythons = st.one_of(
    st.integers(9, 20).map(lambda minor: f"cp3{minor}"),
    st.integers(13, 20).map(lambda minor: f"cp3{minor}t"),
    st.integers(9, 11).map(lambda minor: f"pp3{minor}"),
)
glibc = st.tuples(st.integers(17, 45), st.sampled_from(ARCHES)).map(lambda p: f"manylinux_2_{p[0]}_{p[1]}")
musl = st.tuples(st.integers(1, 5), st.sampled_from(ARCHES)).map(lambda p: f"musllinux_1_{p[0]}_{p[1]}")
macos = st.tuples(st.integers(11, 16), st.sampled_from(("x86_64", "arm64"))).map(lambda p: f"macosx_{p[0]}_0_{p[1]}")
windows = st.sampled_from(("win_amd64", "win_arm64", "win32"))
names = st.tuples(pythons, st.one_of(glibc, musl, macos, windows)).map("-".join)
linux_names = st.tuples(pythons, st.one_of(glibc, musl)).map("-".join)


def older(target: Target) -> Target | None:
    assert target.libc is not None
    kind, major, minor = target.libc
    lowest = 18 if kind == "manylinux" else 1
    return parse_target(f"{target.python_tag}-{kind}_{major}_{minor - 1}_{target.arch}") if minor > lowest else None


@given(names)
def test_a_name_is_read_and_written_the_same(name: str) -> None:
    target = parse_target(name)
    assert (target.name, str(target), parse_target(str(target))) == (name, name, target)


@given(linux_names)
def test_a_machine_takes_all_that_one_with_an_older_libc_takes_in_the_same_order(name: str) -> None:
    target = parse_target(name)
    before = older(target)
    if before is None:
        return
    assert set(before.ranks) < set(target.ranks)
    common = sorted(before.ranks, key=before.ranks.__getitem__)
    assert common == sorted(common, key=target.ranks.__getitem__)


@given(names)
def test_ranks_are_0_to_n_and_the_own_abi_is_better_than_abi3_is_better_than_pure(name: str) -> None:
    target = parse_target(name)
    assert sorted(target.ranks.values()) == list(range(len(target.ranks)))
    own = target.rank(frozenset(tag for tag in target.ranks if tag.abi == target.python_tag))
    pure = target.rank(parse_tag("py3-none-any"))
    assert pure is not None
    if target.implementation == "cp":
        assert own == 0
        stable = target.rank(frozenset(tag for tag in target.ranks if tag.abi == "abi3"))
        assert (stable is None) == target.free_threaded
        if stable is not None:
            assert own < stable < pure


@given(names, names)
def test_a_wheel_for_another_interpreter_or_machine_is_never_taken(first: str, second: str) -> None:
    one, other = parse_target(first), parse_target(second)
    exact = Tag(other.python_tag, other.python_tag, other.platform)
    if one.python_tag != other.python_tag or one.arch != other.arch or (one.libc is None) != (other.libc is None):
        assert one.rank(frozenset({exact})) is None
    assert parse_target(second).rank(parse_tag("py2-none-any")) is None


@given(linux_names)
def test_glibc_and_musl_never_mix(name: str) -> None:
    target = parse_target(name)
    assert target.libc is not None
    strange = "musllinux" if target.libc[0] == "manylinux" else "manylinux"
    assert not any(tag.platform.startswith(strange) for tag in target.ranks)


@given(names)
def test_every_marker_variable_has_a_value(name: str) -> None:
    target = parse_target(name)
    assert len(target.markers) == 11
    python = f"{target.python[0]}.{target.python[1]}"
    assert Marker(f'python_version == "{python}" and python_full_version >= "{python}"').evaluate(dict(target.markers))


@given(st.text(max_size=40))
def test_any_other_text_is_a_usage_error_with_a_hint(text: str) -> None:
    try:
        target = parse_target(text)
    except UsageError as error:
        told = error.solution
    else:
        told = parse_target(target.name).name
    assert told


@pytest.mark.parametrize(
    "name", ["cp312-manylinux_2_28_sparc", "cp312t-win_amd64", "cp311-win_amd64@3.12.1", "pp311t-win32", "cp27-win32", "cp311-any", ""]
)  # fmt: skip
def test_what_no_machine_is_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        parse_target(name)


def test_the_older_names_of_manylinux_are_their_levels() -> None:
    assert parse_target("cp312-manylinux2014_x86_64") == parse_target("cp312-manylinux_2_17_x86_64")
    tag = Tag("cp312", "cp312", "manylinux2014_x86_64")
    assert tag in parse_target("cp312-manylinux_2_28_x86_64").ranks
