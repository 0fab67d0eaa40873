"""Which system package has a header, a pkg-config module, a CMake package, a library or a program; by Debian's own index.

The index files are made by `.ci/debian_packages.py`. Other distributions' names come from a table (platforms.toml), else from
their own conventions; a name made by convention is told as a guess.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_VERSIONED = re.compile(r"[-_.]?\d+(?:\.\d+)*$")


@dataclass(frozen=True, kw_only=True)
class PackageIndex:
    """Debian's packages by what is in them. `read` gives the compressed file of a kind; each is read at most once, when needed.

    `preferred` maps a package to the one that people install for it.
    """

    read: Callable[[str], bytes]
    preferred: Mapping[str, str] = field(default_factory=dict)
    _texts: dict[str, bytes] = field(default_factory=dict)

    def header(self, path: str) -> tuple[str, ...]:
        """Return the packages that have a header, the likeliest first; `path` as it is included ("libxml/xmlversion.h")."""
        path = path.replace("\\", "/").lstrip("./")
        return self._suffix("headers", path) or (
            self._suffix("headers", path.split("/", 1)[1]) if path.count("/") > 1 else ()
        )

    def module(self, name: str) -> tuple[str, ...]:
        """Return the packages that have a pkg-config module."""
        found = (
            self._exact("modules", name) or self._exact("modules", f"lib{name}") or self._exact("modules", name.lower())
        )
        return found or (self._exact("modules", name.removeprefix("lib")) if name.startswith("lib") else ())

    def library(self, name: str) -> tuple[str, ...]:
        """Return the packages that have libNAME.so or libNAME.a."""
        name = name.removeprefix("lib") if not self._exact("libraries", name) else name
        return self._exact("libraries", name) or self._exact("libraries", name.lower())

    def cmake(self, name: str) -> tuple[str, ...]:
        """Return the packages that have a configuration for find_package(NAME)."""
        return self._exact("cmake", name) or self._exact("cmake", name.lower())

    def program(self, name: str) -> tuple[str, ...]:
        """Return the packages that have a program."""
        name = name.rsplit("/", 1)[-1].removesuffix(".exe")
        return self._exact("programs", name)

    def anything(self, name: str) -> tuple[str, ...]:
        """Return the packages for a library that a message names in some way: module, library, CMake package, header, package."""
        short = _VERSIONED.sub("", name)
        for text in dict.fromkeys((name, name.lower(), name.removeprefix("lib"), short, short.lower())):
            if not text:
                continue
            found = (
                self.module(text)
                or self.library(text)
                or self.cmake(text)
                or self.header(f"{text}.h")
                or self._named(text)
            )
            if found:
                return found
        return ()

    def _named(self, name: str) -> tuple[str, ...]:
        """A package that is called so: lib*-dev or *-dev, as one of those that have a library or a module."""
        wanted = (f"lib{name}-dev", f"{name}-dev", name if name.endswith("-dev") else f"lib{name}1-dev")
        for kind in ("libraries", "modules"):
            text = self._text(kind)
            for package in wanted:
                if re.search(rb"[\t ]" + re.escape(package.lower().encode()) + rb"[ \n]", text):
                    return self._prefer((package.lower(),))
        return ()

    def _text(self, kind: str) -> bytes:
        if kind not in self._texts:
            self._texts[kind] = b"\n" + zlib.decompress(self.read(kind))
        return self._texts[kind]

    def _exact(self, kind: str, key: str) -> tuple[str, ...]:
        text = self._text(kind)
        start = text.find(b"\n" + key.encode() + b"\t")
        if start < 0:
            return ()
        line = text[start + 1 : text.index(b"\n", start + 1)]
        return self._prefer(tuple(line.split(b"\t")[1].decode().split(" ")))

    def _suffix(self, kind: str, key: str) -> tuple[str, ...]:
        """The key itself, else the shortest path that ends with it."""
        exact = self._exact(kind, key)
        if exact:
            return exact
        hits = sorted(self._ending(kind, key), key=lambda hit: (hit[0].count(b"/"), len(hit[0])))
        found = dict.fromkeys(package for _, packages in hits[:6] for package in packages.decode().split(" "))
        return self._prefer(tuple(found)[:3])

    def _ending(self, kind: str, key: str) -> Iterator[tuple[bytes, bytes]]:
        text, needle = self._text(kind), b"/" + key.encode() + b"\t"
        position = text.find(needle)
        while position >= 0:
            end = text.index(b"\n", position)
            path, packages = text[text.rfind(b"\n", 0, position) + 1 : end].split(b"\t")
            yield path, packages
            position = text.find(needle, end)

    def _prefer(self, packages: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.preferred.get(package, package) for package in packages))
