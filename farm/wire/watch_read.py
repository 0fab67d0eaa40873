"""What a watch set asks for: its sources opened and read, each by itself, with all that was read remembered by its digest."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from farm.adapters.answers import Watched as WatchedVariables
from farm.adapters.answers import text_digest
from farm.adapters.side_by_side import side_by_side
from farm.adapters.watch_sources import WatchSources
from farm.errors import FarmError, UsageError
from farm.model.lock import Choice
from farm.model.target import parse_target
from farm.survey.inputs import World, kind_of, read_inputs
from farm.wire.exact import exact_targets
from farm.wire.reading import read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from farm.adapters.watch_sources import Part
    from farm.model.demand import Demand
    from farm.model.target import Target
    from farm.model.watch import WatchSet
    from farm.wire.assembly import Farm

_SERVERS = 8
"""Sources that are asked for at the same time: most wait for a git server."""


@dataclass(slots=True, kw_only=True)
class Opened:
    """A set whose sources were opened, but not read. `texts` fills while they are: path or URL to the text's sha256."""

    watch: WatchSet
    targets: tuple[Target, ...]
    parts: tuple[Part, ...]
    constraints: tuple[str, ...]
    texts: dict[str, str] = field(default_factory=dict)
    variables: WatchedVariables = field(default_factory=lambda: WatchedVariables({}))

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(part.told(path) for part in self.parts for path in part.inputs)

    @property
    def inputs_digest(self) -> str:
        return hashlib.sha256(json.dumps(sorted(self.texts.items())).encode()).hexdigest()

    def told(self, text: str) -> str:
        """Return a text for people: no credentials, and no folders of the store."""
        for part in self.parts:
            text = part.told(text)
        return text


class Reader:
    """Opens and reads sets. What is behind a URL is fetched once in a look."""

    def __init__(self, farm: Farm, say: Callable[[str, str], None]) -> None:
        self._farm = farm
        self._sources = WatchSources(farm.cache, farm.env, say)
        self._parts: dict[str, tuple[Part, ...] | FarmError] = {}
        self._pages: dict[str, str | Exception] = {}

    def prepare(self, sets: Sequence[WatchSet]) -> None:
        """Ask servers for what the sets need of them, side by side; failures are kept for the sets that they concern."""
        sources = tuple(dict.fromkeys(source for each in sets for source in each.sources))
        self._parts |= dict(zip(sources, side_by_side(self._opened, sources, limit=_SERVERS), strict=True))
        found = [part for parts in self._parts.values() if isinstance(parts, tuple) for part in parts]
        urls = tuple(dict.fromkeys(path for part in found for path in part.inputs if "://" in path and path not in self._pages))
        self._pages |= dict(zip(urls, side_by_side(self._fetched, urls, limit=_SERVERS), strict=True))

    def open(self, watch: WatchSet) -> Opened:
        """Return a set with what its sources lead to now. UsageError, UpstreamError."""
        names = watch.targets or tuple(target.name for target in self._farm.settings.targets)
        targets = exact_targets((parse_target(name) for name in names), self._farm.cache)
        known = {target.name: target for target in self._farm.settings.targets}
        if not watch.targets:
            targets = exact_targets((known[name] for name in names), self._farm.cache)
        parts: list[Part] = []
        for source in watch.sources:
            if source not in self._parts:
                self.prepare((watch,))
            found = self._parts[source]
            if isinstance(found, FarmError):
                raise found
            parts += found
        constraints = tuple(map(self._sources.constraint, watch.constraints))
        return Opened(
            watch=watch, targets=targets, parts=tuple(parts), constraints=constraints, variables=WatchedVariables(self._farm.env)
        )

    def same(self, texts: Mapping[str, str], variables: Mapping[str, str | None]) -> bool:
        """Tell whether a set's files are what they were: by all that was read then."""
        if any(text_digest(self._farm.env.get(name)) != digest for name, digest in variables.items()):
            return False
        try:
            return all(text_digest(self._text(path)) == digest for path, digest in texts.items())
        except (OSError, UnicodeError, FarmError):
            return False  # the reading itself tells what is wrong

    def read(self, opened: Opened) -> tuple[Demand, ...]:
        """Return what each part of a set asks for. RequirementsError, UsageError, UpstreamError."""
        watch = opened.watch
        extras, groups = (frozenset(canonicalize_name(name) for name in names) for names in (watch.extras, watch.groups))
        choice = Choice(extras=extras, groups=groups, default_groups=watch.default_groups)
        return tuple(self._part(opened, part, choice) for part in opened.parts)

    def kinds(self, opened: Opened) -> tuple[str, ...]:
        """Return what the set's files are: "requirements", "uv", "pylock", "poetry", "pipfile", "pyproject"."""
        found = (kind_of(path, lambda path=path: self._text(path)) for part in opened.parts for path in part.inputs)  # type: ignore[misc]
        return tuple(dict.fromkeys(found))

    def _part(self, opened: Opened, part: Part, choice: Choice) -> Demand:
        def text(path: str) -> str:
            if path not in opened.constraints:
                _stays(path, part)
            found = self._text(path)
            opened.texts[path] = text_digest(found) or ""
            return found

        def exists(path: str) -> bool:
            return Path(part.base, path).exists()

        world = World(read_text=text, env=opened.variables, exists=exists)
        demand = read_inputs(part.inputs, opened.constraints, choice, world)
        # A night has no current folder that would mean anything: the file's own takes its place.
        direct = tuple(entry if entry.base else replace(entry, base=part.base) for entry in demand.direct)
        return replace(demand, direct=direct) if direct else demand

    def _text(self, path: str) -> str:
        if "://" not in path:
            return read_text(path, self._farm.pip)
        if path not in self._pages:
            self._pages[path] = self._fetched(path)
        found = self._pages[path]
        if isinstance(found, Exception):
            raise found
        return found

    def _fetched(self, url: str) -> str | Exception:
        try:
            return read_text(url, self._farm.pip)
        except (FarmError, OSError, UnicodeError) as error:
            return error

    def _opened(self, source: str) -> tuple[Part, ...] | FarmError:
        if source in self._parts:
            return self._parts[source]
        try:
            return self._sources.open(source)
        except FarmError as error:
            return error


def _stays(path: str, part: Part) -> None:
    """A repository must not have files of this machine read, which messages would show."""
    if part.root is not None and "://" not in path and not Path(os.path.realpath(path)).is_relative_to(part.root.resolve()):
        raise UsageError(
            f"{part.source}: expected files of the repository, found {os.path.relpath(path, part.root)}, which leads out of it",
            solution="commit the file that is meant",
        )
