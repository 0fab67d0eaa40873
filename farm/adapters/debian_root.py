"""A Debian suite's root file system, made by mmdebstrap from the mirror that this host's own apt uses.

No mirror is written down anywhere: it is read from the host's apt sources, or config.toml names it.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from farm.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

_ONE_LINE = re.compile(r"deb\s+(?:\[[^\]]*\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>(?:\s+[^\s#]+)*)")
_ROLLING = ("stable", "oldstable", "testing")
_SETTING = (
    "set `[images] debian-mirror` in config.toml to a Debian mirror's URI"
    " (a second URI after a space is the security archive's)"
)
# Kept out of every layer: nobody reads manuals in a build container.
_EXCLUDED = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")
_NO_EXPIRY = 'Acquire::Check-Valid-Until "false"'
_TAIL = 15
SNAPSHOT = "{snapshot}"
"""Stands in the URI of an archive of every day for the day: `http://snapshot.example/archive/debian/{snapshot}`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    """One row of suites.toml; `pockets` are the archives beside the suite itself (`updates`, `security`), `free_threaded`
    the Pythons that are also made without the GIL.
    """

    name: str
    pythons: tuple[str, ...]
    glibc: tuple[int, int]
    rust: tuple[str, ...]
    apt_options: tuple[str, ...] = ()
    bootstrap: tuple[str, ...] = ()
    pockets: tuple[str, ...] = ("updates", "security")
    free_threaded: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Mirror:
    """Where a suite comes from: the archive's URI, and the security archive's where there is one.

    `pins` maps a suite to the day that it is pinned to (`20261030T080801Z`). A URI with `{snapshot}` in it is an archive of
    every day, and gives that day's packages; of another archive it is only known since when it has what it has.
    """

    archive: str
    security: str | None = None
    components: tuple[str, ...] = ("main",)
    pins: Mapping[str, str] = field(default_factory=dict)

    @property
    def dated(self) -> bool:
        """Whether this is an archive of every day."""
        return SNAPSHOT in self.archive

    def sources(self, suite: Suite) -> tuple[str, ...]:
        """Return the suite's one-line sources (sources.list(5)). ImageError when the archive needs a day and none is pinned."""
        day = self.pins.get(suite.name)
        if self.dated and day is None:
            raise ImageError(
                f"expected the day of {suite.name}'s packages in the lock file of the images, found none",
                solution=f"`farm images update debian-{suite.name}-x86_64-builder` pins the newest one",
            )
        components = " ".join(self.components)
        return tuple(f"deb {uri} {name} {components}" for uri, name in self.archives(suite, day or ""))

    def archives(self, suite: Suite, day: str) -> tuple[tuple[str, str], ...]:
        """Return the URI and the name of the suite and of each of its pockets, as they are on a day."""
        found = [(self.archive, suite.name)]
        if "updates" in suite.pockets:
            found.append((self.archive, f"{suite.name}-updates"))
        if "security" in suite.pockets and self.security:
            found.append((self.security, f"{suite.name}-security"))
        return tuple((uri.replace(SNAPSHOT, day), name) for uri, name in found)

    def identity(self, suite: Suite) -> str:
        """Return what an image of the suite depends on: its sources, and the day where one is pinned."""
        day = self.pins.get(suite.name)
        return "\n".join((*self.sources(suite), *((f"# as of {day}",) if day else ())))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    file: Path
    uri: str
    suite: str
    components: tuple[str, ...]


def mirror(setting: str | None, apt: Path, suites: Collection[str]) -> Mirror:
    """Return the mirror that config.toml names, else the one of the apt configuration in the folder `apt`.

    `suites` are the names that tell Debian from other archives in the sources. ImageError, naming the setting,
    when there is none to be found.
    """
    if setting:
        archive, *security = setting.split()
        return Mirror(archive=archive.rstrip("/"), security=security[0].rstrip("/") if security else None)
    entries = [entry for entry in _entries(apt) if "main" in entry.components]
    archives = [entry for entry in entries if entry.suite in {*suites, *_ROLLING}]
    if not archives:
        raise ImageError(
            f"expected a Debian mirror in the apt sources below {apt}, found none: Debian images need one",
            solution=_SETTING,
        )
    best = max(archives, key=lambda entry: _likelihood(entry, entries))
    names = {*suites, *_ROLLING}
    security = [e.uri for e in entries if e.suite.endswith("-security") and e.suite.removesuffix("-security") in names]
    return Mirror(archive=best.uri, security=security[0] if security else None)


def _likelihood(entry: _Entry, entries: list[_Entry]) -> int:
    """Vendors' archives borrow Debian's suite names; Debian's own has an -updates suite and usually its name in the path."""
    updates = any(other.uri == entry.uri and other.suite.endswith("-updates") for other in entries)
    named = entry.uri.endswith("/debian")
    return 4 * updates + 2 * named + (entry.file.stem in {"debian", "sources"})


def _entries(apt: Path) -> Iterator[_Entry]:
    parts = apt / "sources.list.d"
    lists = [apt / "sources.list", *sorted(parts.glob("*.list"))]
    for file in lists:
        for line in _text(file).splitlines():
            match = _ONE_LINE.match(line.strip())
            if match:
                yield _entry(file, match["uri"], match["suite"], match["components"].split())
    for file in sorted(parts.glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", _text(file)):
            yield from _stanza(file, _fields(stanza))


def _stanza(file: Path, fields: Mapping[str, list[str]]) -> Iterator[_Entry]:
    if "deb" not in fields.get("types", ()) or fields.get("enabled") in (["no"], ["false"]):
        return
    for uri in fields.get("uris", ()):
        for suite in fields.get("suites", ()):
            yield _entry(file, uri, suite, fields.get("components", []))


def _fields(stanza: str) -> dict[str, list[str]]:
    """Read a deb822 stanza; a line that starts with a blank goes on with the field above it."""
    fields: dict[str, list[str]] = {}
    name = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        value = line
        if not line[:1].isspace():
            name, _, value = line.partition(":")
            name = name.strip().lower()
        fields.setdefault(name, []).extend(value.split())
    return fields


def _entry(file: Path, uri: str, suite: str, components: list[str]) -> _Entry:
    # Debian's cloud images keep the URI in a file of its own: mirror+file:/etc/apt/mirrors/debian.list
    if uri.startswith("mirror+file:"):
        listed = file.__class__("/" + uri.removeprefix("mirror+file:").lstrip("/"))
        uri = next(iter(_text(listed).split()), uri)
    return _Entry(file=file, uri=uri.rstrip("/"), suite=suite, components=tuple(components))


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def command(suite: Suite, source: Mirror, architecture: str, archive: Path, certificates: Path) -> tuple[str, ...]:
    """Return the mmdebstrap call that makes the suite's root file system as a tar archive at `archive`.

    `certificates` is the host's bundle; the host's apt may look at another one.
    """
    options = [*suite.apt_options]
    # a day that has passed has a Release file whose Valid-Until has passed
    if source.dated and _NO_EXPIRY not in options:
        options.append(_NO_EXPIRY)
    hooks: tuple[str, ...] = ()
    if any(line.startswith("deb https:") for line in source.sources(suite)):
        options.append(f'Acquire::https::CAInfo "{certificates}"')
        # the host's path means nothing inside; the images' own setting is in another file
        hooks = ("""--customize-hook=sed -i /CAInfo/d "$1"/etc/apt/apt.conf.d/99mmdebstrap""",)
    return (
        "mmdebstrap",
        "--variant=minbase",
        "--format=tar",
        f"--architectures={architecture}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _EXCLUDED),
        *(f"--aptopt={option}" for option in options),
        *suite.bootstrap,
        *hooks,
        suite.name,
        str(archive),
        *source.sources(suite),
    )


def bootstrap(call: tuple[str, ...], log: Path, say: Callable[[str], None], env: Mapping[str, str] | None = None) -> None:
    """Run mmdebstrap; its lines go to the log, its milestones to `say`. ImageError when it is absent or fails.

    `env` is the host's PATH and its like, and the proxies; None for this process's own.
    """
    tail: list[str] = []
    try:
        with (
            log.open("a", encoding="utf-8") as kept,
            subprocess.Popen(
                call,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
                env=env,
                text=True,
                errors="replace",
            ) as process,
        ):
            assert process.stderr is not None
            try:
                for line in process.stderr:
                    kept.write(line)
                    tail = [*tail, line.rstrip()][-_TAIL:]
                    if line.startswith("I: "):
                        say(f"mmdebstrap: {line[3:].strip()}")
            except BaseException:
                process.terminate()
                raise
    except FileNotFoundError as error:
        raise ImageError(
            "expected mmdebstrap on PATH to make a Debian root file system, found none",
            solution="run images/setup-engine, or install the package mmdebstrap",
        ) from error
    if process.returncode:
        lines = "\n".join(tail)
        raise ImageError(
            f"`{shlex.join(call)}` ended with {process.returncode}; its last lines were:\n{lines}",
            solution=f"the whole log is {log}; if the mirror does not have this suite or architecture, {_SETTING}",
        )
