"""What watch sets came to before, and whether it still holds: their files, variables and pages are what they were."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from farm import __version__
from farm.adapters.answers import file_digest, text_digest
from farm.adapters.exact_metadata import ExactMetadata
from farm.adapters.resolutions import files_digest, page_digest
from farm.adapters.watch_answers import SetAnswers, encoded, make_answer
from farm.errors import UpstreamError
from farm.model.package import Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from farm.adapters.watch_answers import SetAnswer
    from farm.model.demand import Demand
    from farm.model.gap import Cell
    from farm.model.package import IndexFile, Project
    from farm.model.watch import SetSeen
    from farm.wire.assembly import Farm
    from farm.wire.watch_group import Groups
    from farm.wire.watch_read import Opened, Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Uses:
    """The projects that a set's answer depends on. Of those in `versions`, and not `loose`, on no other version than these."""

    names: set[str] = field(default_factory=set)
    versions: dict[str, set[Version]] = field(default_factory=dict)
    loose: set[str] = field(default_factory=set)

    def add(self, demand: Demand, resolved: Iterable[str], detected: Iterable[str], cells: Iterable[Cell]) -> None:
        """Take in a demand, the projects that its resolution and its files were asked of, and what it came to."""
        resolving = set(resolved)
        # With a marker, a target may have the project by way of another one's requirement.
        plain = [entry for entry in demand.requirements if entry.pinned is not None and entry.marker is None and entry.url is None]
        pinned = [(str(entry.name), entry.pinned) for entry in plain if entry.pinned is not None]
        for cell in cells:
            if cell.locked:
                pinned.append((cell.pin.name, cell.pin.version))
            else:
                resolving.add(cell.pin.name)
        self.names.update(resolving, detected)
        self.loose.update(resolving - {entry.name for entry in plain})
        for name, version in pinned:
            self.versions.setdefault(name, set()).add(version)


class Known:
    """Answers from before, of sets that read from the usual indexes."""

    def __init__(self, farm: Farm, groups: Groups, reader: Reader) -> None:
        self._farm = farm
        self._groups = groups
        self._reader = reader
        self._answers = SetAnswers(farm.cache / "watches" / "sets", now=lambda: farm.clock.now().timestamp())
        self._marks: dict[str, str] = {}
        self._version_marks: dict[tuple[str, str], str] = {}
        self._used: set[str] = set()

    def of(self, opened: Opened) -> SetAnswer | None:
        """Return the last answer where the set's files are as they were then."""
        key = self._key(opened)
        self._used.add(key)
        if self._farm.refresh:
            return None
        answer = self._answers.load(key)
        return answer if answer is not None and self._reader.same(answer.texts, answer.variables) else None

    def prefetch(self, answers: Iterable[SetAnswer]) -> int:
        """Read, or ask again for, every page that answers depend on; of none more than its mark is kept. Return how many."""
        names = dict.fromkeys(name for answer in answers for name in answer.pages)
        if names:
            upstream = self._groups.usual.reading.upstream
            upstream.expect(dict.fromkeys(names, ()))  # type: ignore[arg-type]
            upstream.prefetch(names)  # type: ignore[arg-type]
        return len(names)

    def holds(self, opened: Opened, answer: SetAnswer) -> bool:
        """Tell whether every page is what it was, as far as that matters; an index that does not answer tells nothing."""
        try:
            if any(self._groups.own.stamp(name) != mark for name, mark in answer.own.items()):
                return False
            changed = [name for name, mark in answer.pages.items() if self._mark(name) != mark]
            # A release of a project of which another version is pinned changes its page, and nothing else.
            same = all(name in answer.versions and self._same(name, answer.versions[name]) for name in changed)
        except UpstreamError:
            return False
        if changed and same:
            answer.pages.update({name: self._mark(name) for name in changed})
            self._answers.save(self._key(opened), answer)
        return same

    def keep(self, opened: Opened, uses: Uses, seen: SetSeen) -> None:
        """Remember an answer for as long as files and pages stay what they are."""
        pages = {name: self._mark(name) for name in sorted(uses.names)}
        if "?" in pages.values():
            return
        pinned = {name: sorted(map(str, uses.versions[name])) for name in pages if name in uses.versions and name not in uses.loose}
        versions = {name: {text: self._version_mark(name, text) for text in texts} for name, texts in pinned.items()}
        targets = tuple(dict.fromkeys(cell.target for cell in seen.wants))
        own = sorted({*pages, *(cell.name for cell in seen.wants)})
        variables = {name: text_digest(dict.get(opened.variables, name)) for name in opened.variables.asked}
        answer = make_answer(
            texts=opened.texts, variables=variables, pages=pages, own={name: self._groups.own.stamp(name) for name in own},
            targets=targets, versions=versions, wants=encoded(seen.wants, targets), problems=[],
            remarks=seen.remarks, files=seen.files, inputs=opened.inputs_digest,
            digest=seen.look.digest,
        )  # fmt: skip
        self._answers.save(self._key(opened), answer)

    def tidy(self) -> None:
        """Remove answers that no set has had for a week."""
        self._answers.tidy(self._used)

    def _key(self, opened: Opened) -> str:
        farm, watch = self._farm, opened.watch
        content = [
            __version__, [part.inputs for part in opened.parts], opened.constraints, watch.extras, watch.groups, watch.default_groups,
            [(target.name, target.full_version, target.implementation_version) for target in opened.targets], *self._world,
            farm.reads_only, farm.rebuild,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @cached_property
    def _world(self) -> list[object]:
        """What an answer depends on, whichever set it is of."""
        farm, settings = self._farm, self._farm.settings
        recipes = [(path.name, file_digest(str(path))) for path in sorted(Path(settings.recipe_folder).glob("*.toml"))]
        newest = self._groups.usual.newest
        return [
            settings.source, file_digest(settings.source), recipes if settings.recipe_folder else [], str(settings.client_pip),
            farm.pip.urls, ExactMetadata(farm.root / "metadata").state(), newest.isoformat() if newest else "",
        ]  # fmt: skip

    def _mark(self, name: str) -> str:
        """Return what tells the states of an upstream page apart. UpstreamError."""
        found = self._marks.get(name)
        if found is None:
            page = self._groups.usual.reading.upstream.project(name)  # type: ignore[arg-type]
            found = self._marks[name] = "" if page is None else page_digest(page)
        return found

    def _same(self, name: str, versions: dict[str, str]) -> bool:
        return all(self._version_mark(name, text) == mark for text, mark in versions.items())

    def _version_mark(self, name: str, text: str) -> str:
        """Return what tells the states of one version's files apart. UpstreamError."""
        found = self._version_marks.get((name, text))
        if found is None:
            page = self._groups.usual.reading.upstream.project(name)  # type: ignore[arg-type]
            found = self._version_marks[name, text] = "" if page is None else files_digest(_meant(page, Version(text)))
        return found


def _meant(page: Project, version: Version) -> Iterator[IndexFile]:
    """Yield the files of all versions that `==` could mean: local ones of it too (PEP 440, "Version matching")."""
    for near in sorted(page.near(version)):
        if near.public == version.public:
            yield from page.of(near)
