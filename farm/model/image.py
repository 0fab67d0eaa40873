"""Image: what builds a wheel or proves it, named by what is in it; and which images can serve a target.

Pure: what exists (`Offer`) is handed in, nothing here asks an engine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from farm.errors import ImageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from farm.model.target import Target

Family = Literal["debian", "manylinux", "musllinux"]
Role = Literal["builder", "runtime"]
Libc = tuple[Literal["glibc", "musl"], int, int]

_NAME = re.compile(
    r"(?:(?P<debian>debian)-(?P<suite>[a-z]+(?:-cp3\d+t)?)|(?P<official>manylinux|musllinux)(?P<level>2014|_\d+_\d+))"
    r"-(?P<arch>[a-z0-9_]+)-(?P<role>builder|runtime)"
)
# Debian policy 5.6.1, plus the capitals, underscores and virtual names of RPM and the `so:` of apk.
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.:_()/-]*")


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class ImageSpec:
    """Which image is meant: `variant` is a Debian suite (`bookworm`; `forky-cp314t` with a free-threaded Python added) or a
    policy (`manylinux_2_28`, `musllinux_1_2`).
    """

    family: Family
    variant: str
    arch: str
    role: Role

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """`debian-bookworm-x86_64-builder`, `manylinux_2_28-x86_64-runtime`: also the name of its repository, below farm/."""
        family = "debian-" if self.family == "debian" else ""
        return f"{family}{self.variant}-{self.arch}-{self.role}"

    @property
    def suite(self) -> str:
        """The Debian suite without the free-threaded Python."""
        return self.variant.partition("-")[0]

    @property
    def plain(self) -> ImageSpec:
        """The suite's image without the free-threaded Python, FROM which this one is made; itself when it has none."""
        return replace(self, variant=self.suite)

    @property
    def free_threaded(self) -> str:
        """The free-threaded Python that is added to a suite's image, `cp314t`; empty when there is none."""
        return self.variant.partition("-")[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """An image in the engine. `pythons` and `libc` were read off its interpreters, not off a table.

    `reference` is what `docker run` takes, `digest` the engine's ID of the image (`sha256:` and 64 hex digits).
    """

    spec: ImageSpec
    reference: str
    digest: str
    pythons: tuple[str, ...]
    libc: Libc

    def python(self, tag: str) -> str:
        """Return the path of the interpreter of `cp311` or `cp314t` inside the image; each role has it at the same place."""
        return f"/opt/python/{tag.removesuffix('t')}-{tag}/bin/python"


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredImage:
    """An image as the engine lists it. `size` counts bytes, shared layers included; `packages` is an overlay's.

    `state` is "current" with today's inputs, "superseded" with older ones (or with those of another configuration or
    checkout), "overlay" for one of a current builder.
    """

    image: Image
    size: int
    created: datetime
    packages: tuple[str, ...] = ()
    state: Literal["current", "superseded", "overlay"] = "current"


@dataclass(frozen=True, kw_only=True, slots=True)
class Availability:
    """Whether an official image can be had: `local` if it is in the engine, `reason` says why not (empty if it can)."""

    reference: str
    local: bool
    reason: str = ""

    @property
    def available(self) -> bool:
        return not self.reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """What one variant of a family has. No `pythons` means all of them, as in the official images."""

    family: Family
    variant: str
    libc: Libc
    pythons: tuple[str, ...]
    arches: tuple[str, ...]

    def serves(self, *, python: str, libc: Libc, arch: str) -> bool:
        """Whether what is built here (or proved here) holds for a client with this libc or a newer one."""
        kind, major, minor = libc
        return (
            self.libc[0] == kind
            and self.libc[1:] <= (major, minor)
            and arch in self.arches
            and (not self.pythons or python in self.pythons)
        )


def candidates(offers: Iterable[Offer], *, python: str, libc: Libc, arch: str, role: Role) -> tuple[ImageSpec, ...]:
    """Return the images that can serve, best first.

    `python` is a tag (`cp311`), `libc` the client's own level, the highest allowed. Official images come before
    Debian's: their wheels run on older systems. Then the newest libc first: it has the newest compiler, and a wheel's
    tag follows the symbols that it uses, not the image it was built in. Empty when none serves.
    """
    found = [offer for offer in offers if offer.serves(python=python, libc=libc, arch=arch)]
    found.sort(key=lambda offer: (offer.family == "debian", -offer.libc[1], -offer.libc[2], offer.variant))
    return tuple(ImageSpec(family=offer.family, variant=offer.variant, arch=arch, role=role) for offer in found)


def of_variant(found: Sequence[ImageSpec], variant: str, target: Target) -> ImageSpec:
    """Return the image of a variant among those that serve a target. ImageError, naming them, when it is none of them.

    A Debian suite stands for its images with a free-threaded Python too.
    """
    for spec in found:
        if variant in {spec.variant, spec.suite, spec.name}:
            return spec
    names = ", ".join(spec.variant for spec in found) or "none"
    raise ImageError(
        f"no builder image of the variant {variant!r} serves {target.name}; there are: {names}",
        solution="correct `variant` in the recipe, or bound its `targets`; `farm images list` shows what is there",
    )


def parse_spec(name: str) -> ImageSpec:
    """Return the spec of a name as `ImageSpec.name` gives it. UsageError otherwise."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise UsageError(
            f"unknown image {name!r}: expected FAMILY-ARCH-ROLE such as debian-bookworm-x86_64-builder"
            " or manylinux_2_28-x86_64-runtime",
            solution=f"the roles are {' and '.join(get_args(Role))}; `farm images list` shows what is there",
        )
    role: Role = "builder" if match["role"] == "builder" else "runtime"
    if match["debian"]:
        return ImageSpec(family="debian", variant=match["suite"], arch=match["arch"], role=role)
    family: Family = "manylinux" if match["official"] == "manylinux" else "musllinux"
    return ImageSpec(family=family, variant=match["official"] + match["level"], arch=match["arch"], role=role)


def official_libc(variant: str) -> Libc:
    """Return the libc of a policy name: `manylinux_2_28` is glibc 2.28, `manylinux2014` glibc 2.17 (PEP 599, 600, 656)."""
    policy = "manylinux_2_17" if variant == "manylinux2014" else variant
    kind, major, minor = policy.split("_")
    return ("glibc" if kind == "manylinux" else "musl", int(major), int(minor))


def target_libc(target: Target) -> Libc | None:
    """Return the libc of a Linux target's machines; None for macOS and Windows, which no image here serves."""
    if target.libc is None:
        return None
    kind, major, minor = target.libc
    return ("glibc" if kind == "manylinux" else "musl", major, minor)


def system_packages(names: Iterable[str]) -> tuple[str, ...]:
    """Return package names sorted and once each. UsageError for one that apt, dnf or apk could take for an option."""
    packages = tuple(sorted(set(names)))
    wrong = [name for name in packages if not _PACKAGE.fullmatch(name)]
    if wrong:
        raise UsageError(
            f"not a system package's name: {', '.join(map(repr, wrong))}",
            solution="give plain package names of the image's distribution, such as libxml2-dev",
        )
    return packages
