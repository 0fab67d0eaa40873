"""Two states of a source tree -> a unified diff that `git apply` takes. Pure."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MADE = (".o", ".so", ".a", ".pyc", ".d", ".lo", ".la", ".whl", ".swp", "~")
_NO_NEWLINE = "\\ No newline at end of file\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """`patch` is the diff, empty for no change; `files` what it changes; `left_out` what changed and no diff can tell: binaries."""

    patch: str
    files: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visited:
    """How a visit to a failed build went: the exit codes of the build (None: not asked for) and of what was run there, and the edits."""

    built: int | None
    code: int
    edits: Edits


def edits(sources: frozenset[str], before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Edits:
    """Return what a person changed: files of the sdist (`sources`), and new ones that are none of a build's own.

    `before` and `after` are the tree's files by path, at the beginning and at the end of the edits; a build had run before.
    """
    parts: list[str] = []
    files: list[str] = []
    left_out: list[str] = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new or not _persons(name, sources, before):
            continue
        if b"\0" in (old or b"") or b"\0" in (new or b""):
            left_out.append(name)
            continue
        files.append(name)
        parts.extend(_diff(name, old, new))
    return Edits(patch="".join(parts), files=tuple(files), left_out=tuple(left_out))


def _persons(name: str, sources: frozenset[str], before: Mapping[str, bytes]) -> bool:
    """Tell whether a file that changed is a person's: a source, or new in a folder that the sdist has."""
    if name in sources:
        return True
    if name in before or name.endswith(_MADE):
        return False
    folder = name.rpartition("/")[0]
    known = {source.rpartition("/")[0] for source in sources}
    made = {other.rpartition("/")[0] for other in before} - known
    return folder not in made


def _diff(name: str, old: bytes | None, new: bytes | None) -> Iterator[str]:
    yield f"diff --git a/{name} b/{name}\n"
    if old is None:
        yield "new file mode 100644\n"
    if new is None:
        yield "deleted file mode 100644\n"
    ours = "/dev/null" if old is None else f"a/{name}"
    theirs = "/dev/null" if new is None else f"b/{name}"
    for line in difflib.unified_diff(_lines(old), _lines(new), ours, theirs):
        yield line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}"


def _lines(data: bytes | None) -> list[str]:
    # Not splitlines(): a form feed or a lone \r ends no line of a diff.
    text = (data or b"").decode("utf-8", "surrogateescape")
    lines = text.split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
