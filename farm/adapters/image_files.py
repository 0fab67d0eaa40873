"""The folder images/: where it is, what it offers, and everything that goes into one image, under one digest."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tomllib
from configparser import ConfigParser
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from farm.adapters.debian_root import Suite
from farm.errors import ImageError
from farm.model.image import Offer, official_libc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from farm.model.image import Family, ImageSpec, Libc

# Raising this makes every image new: do so when the way of building changes.
_SCHEMA = 1

# What uname calls an architecture: Debian's name for it, and the OCI platform.
_ARCHITECTURES = {
    "x86_64": ("amd64", "linux/amd64"),
    "aarch64": ("arm64", "linux/arm64"),
    "i686": ("i386", "linux/386"),
    "armv7l": ("armhf", "linux/arm/v7"),
    "ppc64le": ("ppc64el", "linux/ppc64le"),
    "s390x": ("s390x", "linux/s390x"),
    "riscv64": ("riscv64", "linux/riscv64"),
}
# The requirement files that each Dockerfile copies.
_REQUIREMENTS = {
    ("debian", "builder"): ("frontend.txt", "tools.txt"),
    ("debian", "runtime"): ("runtime.txt",),
    ("debian", "builder-t"): ("frontend.txt",),
    ("debian", "runtime-t"): ("runtime.txt",),
    ("manylinux", "builder"): ("official.txt",),
    ("manylinux", "runtime"): ("runtime.txt",),
    ("musllinux", "builder"): (),
    ("musllinux", "runtime"): ("runtime.txt",),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """What an image is made from: the files of its context by name (bytes), the build arguments, and what else decides.

    `arguments` lacks BASE, and CPYTHON, when that has to be made first.
    """

    files: Mapping[str, bytes]
    arguments: Mapping[str, str]
    decides: tuple[str, ...]

    @property
    def digest(self) -> str:
        """The sha256 over everything, as 64 hex digits."""
        inputs = {
            "schema": _SCHEMA,
            "files": {name: hashlib.sha256(data).hexdigest() for name, data in self.files.items()},
            "arguments": dict(self.arguments),
            "decides": self.decides,
        }
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


class ImageFiles:
    """Reads images/: `farm/_images` where farm is installed, the folder beside farm/ in a checkout."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or _folder()

    def suites(self) -> dict[str, Suite]:
        """Return the Debian suites by name (images/debian/suites.toml)."""
        table = tomllib.loads((self.folder / "debian" / "suites.toml").read_text(encoding="utf-8"))
        return {name: _suite(name, row) for name, row in table.items()}

    def suite(self, name: str) -> Suite:
        """Return one suite. ImageError when the table lacks it."""
        suites = self.suites()
        if name not in suites:
            raise ImageError(
                f"expected one of the Debian suites {', '.join(suites)}, found {name!r}",
                solution=f"add a table for it to {self.folder / 'debian' / 'suites.toml'}",
            )
        return suites[name]

    def offers(self) -> tuple[Offer, ...]:
        """Return every variant there is: the suites, and the official images that the installed cibuildwheel pins."""
        debian = (offer for suite in self.suites().values() for offer in _debian_offers(suite))
        return (*_official_offers(), *debian)

    def recipe(self, spec: ImageSpec, certificates: bytes, *, base: str | None, mirror: str) -> Recipe:
        """Return what `spec` is made from. `base` is the official image's reference; Debian makes its own, from `mirror`."""
        if spec.free_threaded:
            return self._free_threaded(spec, certificates, mirror)
        contents = {**self._contents(spec, spec.role), "certificates.crt": certificates}
        decides = (spec.name, mirror, self.probe())
        if spec.family == "debian":
            suite = self.suite(spec.suite)
            arguments = {"PYTHONS": " ".join(suite.pythons)}
            if spec.role == "builder":
                arguments["RUST"] = " ".join(suite.rust)
            return Recipe(files=contents, arguments=arguments, decides=(*decides, self.root(spec, mirror).digest))
        return Recipe(files=contents, arguments={"BASE": base or ""}, decides=decides)

    def _contents(self, spec: ImageSpec, kind: str) -> dict[str, bytes]:
        names = _REQUIREMENTS[spec.family, kind]
        return {
            "Dockerfile": (self.folder / spec.family / f"{kind}.Dockerfile").read_bytes(),
            **{name: (self.folder / "requirements" / name).read_bytes() for name in names},
        }

    def _free_threaded(self, spec: ImageSpec, certificates: bytes, mirror: str) -> Recipe:
        below = self.recipe(spec.plain, certificates, base=None, mirror=mirror)
        cpython = self.cpython(spec, mirror)
        return Recipe(
            files=self._contents(spec, f"{spec.role}-t"),
            arguments=cpython.arguments,
            decides=(spec.name, below.digest, cpython.digest, self.probe()),
        )

    def cpython(self, spec: ImageSpec, mirror: str) -> Recipe:
        """Return what a free-threaded interpreter is compiled from: the suite's source package, on its own root."""
        dockerfile = (self.folder / "debian" / "cpython.Dockerfile").read_bytes()
        versions = {_tag(version): version for version in self.suite(spec.suite).free_threaded}
        if spec.free_threaded not in versions:
            known = ", ".join(versions) or "it has none"
            raise ImageError(
                f"expected one of {spec.suite}'s free-threaded Pythons ({known}), found {spec.free_threaded}",
                solution=f"see `free-threaded` in {self.folder / 'debian' / 'suites.toml'}",
            )
        arguments = {"VERSION": versions[spec.free_threaded]}
        return Recipe(files={"Dockerfile": dockerfile}, arguments=arguments, decides=(self.root(spec, mirror).digest,))

    def root(self, spec: ImageSpec, mirror: str) -> Recipe:
        """Return what the root file system below a Debian image is made from; its archive is not among the files yet."""
        dockerfile = (self.folder / "debian" / "root.Dockerfile").read_bytes()
        suite = self.suite(spec.suite)
        decides = (suite.name, spec.arch, mirror, *suite.apt_options, *suite.bootstrap, *suite.pockets)
        return Recipe(files={"Dockerfile": dockerfile}, arguments={}, decides=decides)

    def overlay(self, spec: ImageSpec, base: str, packages: tuple[str, ...]) -> Recipe:
        """Return what an overlay is made from; `base` is the digest of the image below."""
        dockerfile = (self.folder / spec.family / "overlay.Dockerfile").read_bytes()
        return Recipe(
            files={"Dockerfile": dockerfile},
            arguments={"BASE": base, "PACKAGES": " ".join(packages)},
            decides=(spec.name,),
        )

    def probe(self) -> str:
        """Return the program that reads the interpreters and the libc off an image."""
        return (self.folder / "probe.py").read_text(encoding="utf-8")


def context(
    contents: Mapping[str, bytes], extra: Iterable[Path] = ()
) -> Iterator[tuple[tarfile.TarInfo, Path | bytes]]:
    """Yield the members of a build context; equal inputs give equal bytes, which the engine's cache needs."""
    for name, data in sorted(contents.items()):
        member = tarfile.TarInfo(name)
        member.size = len(data)
        yield member, data
    for path in extra:
        member = tarfile.TarInfo(path.name)
        member.size = path.stat().st_size
        yield member, path


def write_context(target: Path, contents: Mapping[str, bytes], extra: Iterable[Path] = ()) -> None:
    """Write a build context as a tar archive."""
    with tarfile.open(target, "w") as archive:
        for member, source in context(contents, extra):
            if isinstance(source, bytes):
                archive.addfile(member, io.BytesIO(source))
            else:
                with source.open("rb") as data:
                    archive.addfile(member, data)


def debian_architecture(arch: str) -> str:
    """Return `amd64` for `x86_64`, and so on. ImageError for one that Debian lacks."""
    return _architecture(arch)[0]


def oci_platform(arch: str) -> str:
    """Return `linux/amd64` for `x86_64`, and so on; cibuildwheel compares it with the image's own."""
    return _architecture(arch)[1]


def official_reference(spec: ImageSpec) -> str | None:
    """Return the official builder image by digest, as the installed cibuildwheel pins it; None where it has none."""
    pins = _official_pins()
    return pins.get(spec.arch, {}).get(spec.variant) if spec.role == "builder" else None


def _architecture(arch: str) -> tuple[str, str]:
    if arch not in _ARCHITECTURES:
        raise ImageError(
            f"expected one of the architectures {', '.join(_ARCHITECTURES)}, found {arch!r}",
            solution="name a target of one of these",
        )
    return _ARCHITECTURES[arch]


def _official_pins() -> dict[str, dict[str, str]]:
    parser = ConfigParser(inline_comment_prefixes=("#",))
    parser.read_string(files("cibuildwheel.resources").joinpath("pinned_docker_images.cfg").read_text(encoding="utf-8"))
    return {arch: dict(parser[arch]) for arch in parser.sections()}


def _official_offers() -> Iterator[Offer]:
    arches: dict[str, list[str]] = {}
    for arch, variants in _official_pins().items():
        for variant in variants:
            arches.setdefault(variant, []).append(arch)
    for variant, found in arches.items():
        libc = official_libc(variant)
        family: Family = "musllinux" if libc[0] == "musl" else "manylinux"
        yield Offer(family=family, variant=variant, libc=libc, pythons=(), arches=tuple(found))


def _debian_offers(suite: Suite) -> Iterator[Offer]:
    libc: Libc = ("glibc", *suite.glibc)
    arches = tuple(_ARCHITECTURES)
    plain = tuple(f"cp{version.replace('.', '')}" for version in suite.pythons)
    yield Offer(family="debian", variant=suite.name, libc=libc, pythons=plain, arches=arches)
    for tag in map(_tag, suite.free_threaded):
        yield Offer(family="debian", variant=f"{suite.name}-{tag}", libc=libc, pythons=(tag,), arches=arches)


def _tag(version: str) -> str:
    """Return the tag of a free-threaded Python: `cp314t` for 3.14."""
    return f"cp{version.replace('.', '')}t"


def _suite(name: str, row: Mapping[str, list[str]]) -> Suite:
    major, minor = (int(number) for number in row["glibc"])
    return Suite(
        name=name,
        pythons=tuple(row["pythons"]),
        glibc=(major, minor),
        rust=tuple(row["rust"]),
        apt_options=tuple(row.get("apt-options", ())),
        bootstrap=tuple(row.get("bootstrap", ())),
        pockets=tuple(row.get("pockets", ("updates", "security"))),
        free_threaded=tuple(row.get("free-threaded", ())),
    )


def _folder() -> Path:
    package = Path(str(files("farm")))
    for folder in (package / "_images", package.parent / "images"):
        if (folder / "debian" / "suites.toml").is_file():
            return folder
    raise ImageError(
        f"expected the images' files in {package / '_images'}, found none: this installation of farm is incomplete",
        solution="install farm again, or name a folder of your own with `[images] folder` in config.toml",
    )
