from __future__ import annotations

import pytest

from farm.errors import ImageError, UsageError
from farm.model.image import (
    Image,
    ImageSpec,
    Offer,
    candidates,
    of_variant,
    official_libc,
    parse_spec,
    system_packages,
    target_libc,
)
from farm.model.target import parse_target

BOOKWORM = Offer(
    family="debian", variant="bookworm", libc=("glibc", 2, 36), pythons=("cp311",), arches=("x86_64", "aarch64")
)
TRIXIE = Offer(family="debian", variant="trixie", libc=("glibc", 2, 41), pythons=("cp313",), arches=("x86_64",))
FORKY = Offer(family="debian", variant="forky", libc=("glibc", 2, 42), pythons=("cp313", "cp314"), arches=("x86_64",))
OLD = Offer(family="manylinux", variant="manylinux2014", libc=("glibc", 2, 17), pythons=(), arches=("x86_64",))
NEW = Offer(family="manylinux", variant="manylinux_2_28", libc=("glibc", 2, 28), pythons=(), arches=("x86_64",))
MUSL = Offer(family="musllinux", variant="musllinux_1_2", libc=("musl", 1, 2), pythons=(), arches=("x86_64",))
FORKY_T = Offer(
    family="debian", variant="forky-cp314t", libc=("glibc", 2, 42), pythons=("cp314t",), arches=("x86_64",)
)
OFFERS = (BOOKWORM, TRIXIE, FORKY, FORKY_T, OLD, NEW, MUSL)


def variants(python: str, libc: tuple[str, int, int], arch: str = "x86_64") -> list[str]:
    found = candidates(OFFERS, python=python, libc=libc, arch=arch, role="builder")  # type: ignore[arg-type]
    return [spec.variant for spec in found]


@pytest.mark.parametrize(
    ("python", "libc", "expected"),
    [
        ("cp311", ("glibc", 2, 36), ["manylinux_2_28", "manylinux2014", "bookworm"]),
        ("cp313", ("glibc", 2, 42), ["manylinux_2_28", "manylinux2014", "forky", "trixie"]),
        ("cp314t", ("glibc", 2, 43), ["manylinux_2_28", "manylinux2014", "forky-cp314t"]),
        ("cp311", ("glibc", 2, 35), ["manylinux_2_28", "manylinux2014"]),
        ("cp311", ("glibc", 2, 17), ["manylinux2014"]),
        ("cp311", ("musl", 1, 2), ["musllinux_1_2"]),
        ("cp311", ("musl", 1, 1), []),
        ("cp311", ("glibc", 2, 12), []),
    ],
)
def test_official_first_then_the_newest_libc_that_the_client_still_has(
    python: str, libc: tuple[str, int, int], expected: list[str]
) -> None:
    assert variants(python, libc) == expected


def test_an_image_of_another_architecture_never_serves() -> None:
    assert variants("cp311", ("glibc", 2, 41), "aarch64") == ["bookworm"]


@pytest.mark.parametrize(
    "name",
    [
        "debian-bookworm-x86_64-builder",
        "debian-trixie-aarch64-runtime",
        "debian-forky-cp314t-x86_64-builder",
        "manylinux2014-x86_64-builder",
        "manylinux_2_28-aarch64-runtime",
        "musllinux_1_2-x86_64-builder",
    ],
)
def test_a_name_is_read_as_it_is_written(name: str) -> None:
    assert parse_spec(name).name == name


@pytest.mark.parametrize(
    "name", ["", "debian-bookworm-x86_64", "debian--x86_64-builder", "alpine-x86_64-builder", "debian-a-b-c-cook"]
)
def test_a_name_that_is_none_says_what_a_name_looks_like(name: str) -> None:
    with pytest.raises(UsageError, match="debian-bookworm-x86_64-builder"):
        parse_spec(name)


@pytest.mark.parametrize(
    ("variant", "libc"),
    [("manylinux2014", ("glibc", 2, 17)), ("manylinux_2_28", ("glibc", 2, 28)), ("musllinux_1_2", ("musl", 1, 2))],
)
def test_a_policy_names_its_libc(variant: str, libc: tuple[str, int, int]) -> None:
    assert official_libc(variant) == libc


@pytest.mark.parametrize(
    ("target", "libc"),
    [
        ("cp312-manylinux_2_28_x86_64", ("glibc", 2, 28)),
        ("cp312-musllinux_1_2_aarch64", ("musl", 1, 2)),
        ("cp312-macosx_14_0_arm64", None),
        ("cp312-win_amd64", None),
    ],
)
def test_only_linux_targets_have_a_libc(target: str, libc: tuple[str, int, int] | None) -> None:
    assert target_libc(parse_target(target)) == libc


def test_packages_are_the_same_set_in_whatever_order_they_are_named() -> None:
    assert system_packages(["zlib1g-dev", "libxml2-dev", "zlib1g-dev"]) == ("libxml2-dev", "zlib1g-dev")
    assert system_packages(["libstdc++-12-dev", "python3.11-dev", "pkgconfig(libffi)", "libffi-dev:arm64"])


@pytest.mark.parametrize("name", ["-oAPT::Update::Pre-Invoke::=id", "a b", "a;id", "$(id)", "", "a\nb"])
def test_a_package_name_cannot_become_an_option_or_a_command(name: str) -> None:
    with pytest.raises(UsageError, match="not a system package's name"):
        system_packages(["libxml2-dev", name])


def test_the_interpreter_is_where_cibuildwheel_looks_for_it() -> None:
    spec = ImageSpec(family="debian", variant="forky", arch="x86_64", role="builder")
    image = Image(spec=spec, reference="r", digest="sha256:0", pythons=("cp314",), libc=("glibc", 2, 42))
    assert image.python("cp314") == "/opt/python/cp314-cp314/bin/python"


def test_a_free_threaded_python_lies_where_cibuildwheel_looks_for_it() -> None:
    image = Image(
        spec=parse_spec("debian-forky-cp314t-x86_64-builder"), reference="r", digest="d", pythons=("cp314", "cp314t"),
        libc=("glibc", 2, 43),
    )  # fmt: skip
    assert image.python("cp314t") == "/opt/python/cp314-cp314t/bin/python"
    assert image.python("cp314") == "/opt/python/cp314-cp314/bin/python"


def test_an_image_with_a_free_threaded_python_knows_what_it_is_made_on() -> None:
    spec = parse_spec("debian-forky-cp314t-x86_64-builder")
    assert (spec.suite, spec.free_threaded) == ("forky", "cp314t")
    assert spec.plain.name == "debian-forky-x86_64-builder"
    official = parse_spec("manylinux_2_28-x86_64-builder")
    assert (official.plain, official.free_threaded) == (official, "")


def test_a_recipe_that_names_a_suite_gets_its_free_threaded_image_too() -> None:
    target = parse_target("cp314t-manylinux_2_43_x86_64")
    spec = parse_spec("debian-forky-cp314t-x86_64-builder")
    assert of_variant([spec], "forky", target) == of_variant([spec], "forky-cp314t", target) == spec
    with pytest.raises(ImageError, match="forky-cp314t"):
        of_variant([spec], "trixie", target)
