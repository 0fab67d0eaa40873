"""What a person has to do about a failure that nothing healed, where its diagnosis does not say so itself. Pure.

The causes here are those that the farm finds out without a log, and the unknown; the rules of farm/work/diagnosis know the rest.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from farm.model.outcome import Failed

_LIBRARY = re.compile(r"(?P<name>lib[\w.+-]+?\.so[.\d]*)[:'\" ].{0,12}cannot open shared object")
_LOADED = re.compile(
    r"find[_ ]library|[Ll]ibrary .{0,60}(?:not (?:be )?(?:found|loaded)|missing)|(?:not|n't) (?:find|load).{0,40}(?:library|lib\w+)"
)
_SYMBOL = re.compile(r"undefined symbol: (?P<name>\w+)")
_MODULE = re.compile(r"No module named '(?P<name>[\w.]+)'")
_ADVICE = {
    "unknown": "read the log; what helps goes into [recipes.{name}] of config.toml (system-packages, environment, build-constraints)",
    "build-failed": "read the log; what helps goes into [recipes.{name}] of config.toml (system-packages, environment, build-constraints)",
    "repair-failed": "nothing in the wheel is compiled: look in the log for an extension that was left out. A package that needs none "
    'gets kind = "pure" in [recipes.{name}]; a library that it loads has to be on the machines that use it',
    "no-wheel": "the build backend has to leave one wheel: try another release, or tell the package's author",
    "crates": "use a release whose Cargo.lock fits its Cargo.toml; private registries of crates are not supported",
    "killed": "give the build more memory in [recipes.{name}] memory, or look at the engine's own log",
    "integrity": "the file is not what the index says: ask again with --refresh, then tell who runs the index",
    "too-much-output": "look at the end of the log for what it prints for ever; try another release",
    "name-taken": "try another release: bytes under a name never change",
    "configuration": "this is a fault of farm's, or of its cibuildwheel: tell its maintainers, with the log",
    "system-packages": "correct system-packages in [recipes.{name}]",
}


def advice(failure: Failed, name: str) -> str:
    """Return one line on what to do, never empty: the diagnosis's own where it has one that fits."""
    found = failure.diagnosis
    if "does not look like a platform wheel" in found.line:
        return _ADVICE["repair-failed"].format(name=name)
    if found.remedy:
        return found.remedy
    if found.cause == "rejected":
        return _rejected(f"{found.summary}\n{found.line}", name)
    return _ADVICE.get(found.cause, _ADVICE["unknown"]).format(name=name)


def _rejected(text: str, name: str) -> str:
    """The wheel was built, and does not work in a clean room."""
    library = _LIBRARY.search(text)
    if library:
        return (
            f"it loads {library['name']}, which is neither in the wheel nor in the clean room: name it in [recipes.{name}] graft where "
            "the wheel is linked with it, else it belongs on the machines that use it (skip-imports leaves the module out of the proof)"
        )
    if _LOADED.search(text):
        return (
            "it looks for a system library when it is imported, which no wheel of it brings: that belongs on the machines that use it; "
            f"skip-imports in [recipes.{name}] leaves the module out of the proof"
        )
    symbol = _SYMBOL.search(text)
    if symbol:
        return (
            f"the library that has {symbol['name']} was not linked, or is older than the source expects: name its -dev package in "
            f"[recipes.{name}] system-packages, or build for a newer distribution or an older release"
        )
    module = _MODULE.search(text)
    if module:
        return (
            f"it imports {module['name']}, which its metadata does not require: tell its author, require it yourself, or leave the "
            f"module out of the proof with skip-imports in [recipes.{name}]"
        )
    return f"see the log for the whole proof; skip-imports in [recipes.{name}] leaves out a module that runs only on some machines"
