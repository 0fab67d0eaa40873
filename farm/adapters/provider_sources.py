"""What a distribution itself installs to build a project for Python: Debian's Sources index, the Build-Depends of its packages. Pure.

Sources: Debian policy 7.1 (the syntax of relationships, architectures, build profiles), the Python policy (python3-NAME).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_RELATION = re.compile(r"^\s*(?P<name>[a-z0-9][a-z0-9+.-]*)(?P<rest>[^|]*)")
# Packaging's own tools, interpreters and what is Python's: the build environment of a wheel has them, or its own.
_NOT_SYSTEM = re.compile(r"^(?:debhelper|dh-|dpkg|python|pypy|cython|libpython|pybuild|quilt|lsb-|devscripts)|-(?:doc|dbg|data)$")
_TOOLS = frozenset({"swig", "swig4.0", "bison", "flex", "autoconf", "automake", "libtool", "nasm", "yasm", "gfortran", "protobuf-compiler",
                    "r-base-core", "r-base-dev", "default-jdk", "default-jdk-headless", "qt6-base-dev-tools", "gperf", "re2c", "ragel",
                    "gdal-bin", "proj-bin", "mpi-default-bin", "gettext", "xxd", "valac"})  # fmt: skip


def source_rows(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield (source, system packages it is built with, by spaces) of lines "SOURCE TAB BUILD-DEPENDS"."""
    for line in lines:
        source, _, depends = line.rstrip("\n").partition("\t")
        found = tuple(dict.fromkeys(_system_packages(depends)))
        if source and found:
            yield source, " ".join(found)


def _system_packages(depends: str) -> Iterator[str]:
    """The first alternative of each relation that holds on any architecture and outside tests and documentation."""
    for relation in depends.split(","):
        match = _RELATION.match(relation)
        if match is None or re.search(r"<!?(?:nocheck|nodoc)|\[\s*!?[\w-]+\s*\]", match["rest"]):
            continue
        name = match["name"]
        if (name.endswith("-dev") or name in _TOOLS) and not _NOT_SYSTEM.search(name):
            yield name


def binary_names(project: str) -> tuple[str, ...]:
    """Return what Debian may call its package of a project: python3-NAME, by the Python policy of its module's name."""
    name = project.lower().replace("_", "-").replace(".", "-")
    short = re.sub(r"^python-|^py-?(?=[a-z]{3})|-python$|-py$", "", name)
    return tuple(dict.fromkeys((f"python3-{name}", f"python3-{short}", f"python3-py{short}", f"python3-{name.replace('-', '')}")))


def source_names(project: str) -> tuple[str, ...]:
    """Return what Debian may call its source of a project, where no binary package has its name."""
    name = project.lower().replace("_", "-").replace(".", "-")
    short = re.sub(r"^python-|^py-?(?=[a-z]{3})|-python$|-py$", "", name)
    return tuple(dict.fromkeys((f"python-{name}", f"python-{short}", name)))
