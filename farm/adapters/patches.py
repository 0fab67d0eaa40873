"""A recipe's patches, applied by `git apply` to an unpacked sdist on the host: nothing of the package is run.

git follows no link and no `..`, writes nothing when one hunk does not fit, and never guesses (it knows offsets, but no fuzz). The
sdist may hold a `.git` with filters and monitors of its own: git is told that there is no repository, so that none of it is read.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from farm.adapters.git import environment
from farm.adapters.process import Command, run
from farm.errors import FarmError
from farm.model.build import BuildFailed
from farm.model.outcome import Diagnosis

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from farm.adapters.process import Completed
    from farm.model.job import Patch

PATCH_FAILED = "patch-failed"
_SECONDS = 60.0
_MOST_STRIP = 4
# Below a file nothing can be, whatever the sdist holds.
_NOWHERE = f"{os.devnull}/none"
_LINK = ("new file mode 120000", "old mode 120000", "new mode 120000", "deleted file mode 120000")


def apply(patches: Sequence[Patch], tree: Path, env: Mapping[str, str]) -> None:
    """Apply patches in their order to the files below `tree`. BuildFailed with cause "patch-failed" for the first that does not fit.

    What they touch gets the time of the newest file there, so that the same sources come out each time and make's idea of what is
    out of date stays sound.
    """
    for patch in patches:
        wrong = fault(patch, tree, env)
        if wrong:
            remedy = "make the patch anew for this version, or bound the recipe's `versions`; `farm recipe lint` checks it"
            raise BuildFailed(Diagnosis(cause=PATCH_FAILED, summary=f"the recipe's {patch.name} cannot be applied: {wrong}", remedy=remedy))


def fault(patch: Patch, tree: Path, env: Mapping[str, str]) -> str:
    """Apply one patch; return what is wrong with it, and then nothing was changed. Empty when it was applied."""
    try:
        wrong = form_fault(patch, tree, env)
        return wrong or _applied(patch, tree, env)
    except FarmError as error:
        return f"{error.reason}; {error.solution}"


def form_fault(patch: Patch, folder: Path, env: Mapping[str, str]) -> str:
    """Return what is wrong with a patch whatever it is applied to: it is none, leaves the folder, makes links. FarmError without git."""
    listed = _git(("--numstat", "-z"), patch, folder, env)
    if not listed.ok:
        return f"expected a unified diff, found none that git can read: {_told(listed)}"
    for name in _names(listed.stdout):
        parts = name.split("/")
        if name.startswith("/") or ".." in parts or ".git" in (part.lower() for part in parts):
            return f"{name} leaves the sdist's folder"
    if any(line.startswith(_LINK) for line in patch.text.splitlines()):
        return "it makes or changes a symbolic link, which no patch may"
    return ""


def _applied(patch: Patch, tree: Path, env: Mapping[str, str]) -> str:
    newest = max((path.lstat().st_mtime for path in tree.rglob("*") if path.is_file()), default=0.0)
    done = _git((), patch, tree, env)
    if not done.ok:
        return f"{_told(done)}{_other_strip(patch, tree, env)}"
    for name in _names(_git(("--numstat", "-z"), patch, tree, env).stdout):
        path = tree / name
        if path.is_file() and not path.is_symlink():
            os.utime(path, (newest, newest))
    return ""


def _other_strip(patch: Patch, tree: Path, env: Mapping[str, str]) -> str:
    for strip in range(_MOST_STRIP + 1):
        if strip != patch.strip and _git(("--check",), patch, tree, env, strip=strip).ok:
            return f"; it applies with strip = {strip}"
    return "; it was applied before" if _git(("--check", "--reverse"), patch, tree, env).ok else ""


def _git(options: tuple[str, ...], patch: Patch, tree: Path, env: Mapping[str, str], *, strip: int | None = None) -> Completed:
    given = {"PATH": env.get("PATH", os.defpath), "HOME": _NOWHERE, "GIT_DIR": _NOWHERE}
    given |= environment(()) | {"GIT_CONFIG_GLOBAL": os.devnull}
    level = patch.strip if strip is None else strip
    argv = ("git", "apply", "--whitespace=nowarn", f"-p{level}", *options, "-")
    return run(Command(argv=argv, cwd=tree, env=given, timeout=_SECONDS, input=patch.text.encode("utf-8", "surrogateescape")))


def _names(listed: str) -> Iterator[str]:
    """Yield the paths of `git apply --numstat -z`: counts and a path, or counts and then the two paths of a renamed file."""
    for entry in listed.split("\0"):
        name = entry.split("\t", 2)[-1]
        if name:
            yield name


def _told(done: Completed) -> str:
    lines = [line.removeprefix("error: ").strip() for line in done.stderr.splitlines() if line.strip()]
    return "; ".join(lines[:3]) or f"git apply ended with exit code {done.returncode}"
