"""pyproject.toml: `project.dependencies`, extras and dependency groups (PEP 621, PEP 735) to requirements. These are resolved."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from packaging.dependency_groups import DependencyGroupResolver
from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Specified
from packaging.utils import canonicalize_name

from farm.model.demand import Demand, DirectSource, Remark, Requirement
from farm.model.lock import PythonLimit
from farm.survey.locks.document import Document, Found, Record, with_subdirectory
from farm.survey.reading.faults import Fault, RequirementsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.markers import Marker

    from farm.model.demand import Origin
    from farm.model.package import NormalizedName


def read_pyproject(document: Document) -> Found:
    """Return what a project asks for. Unasked, no extra and no group counts, as in `pip install .`.

    RequirementsError with every fault, also where the dependencies are dynamic: only the project's own code could tell them.
    """
    root = document.toml()
    if not {"project", "dependency-groups"} & root.data.keys():
        advice = "give its poetry.lock" if "poetry" in root.table("tool") else "give the file that lists the dependencies"
        document.refuse(1, expected="[project] or [dependency-groups]", found="neither", solution=advice)
    return _Reader(document, root).read()


@dataclass(slots=True)
class _Asked:
    requirements: list[Requirement] = field(default_factory=list)
    direct: list[DirectSource] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)


class _Reader:
    def __init__(self, document: Document, root: Record) -> None:
        self._document = document
        self._project = root.table("project")
        self._groups = root.table("dependency-groups")
        self._sources = root.table("tool").table("uv").table("sources")
        self._faults: list[Fault] = []
        self._asked = _Asked()
        self._optional = self._project.table("optional-dependencies")
        self._extras = {canonicalize_name(key): key for key in self._optional.data}
        self._name = canonicalize_name(self._project.text("name") or "")

    def read(self) -> Found:
        self._static()
        choice = self._document.choice
        for text in self._project.texts("dependencies"):
            self._take(text, None, frozenset())
        for extra in sorted(choice.extras & self._extras.keys()):
            self._take_extra(extra, None, frozenset())
        groups = {canonicalize_name(key): key for key in self._groups.data}
        for group in sorted(choice.groups & groups.keys()):
            for text in self._members(groups[group]):
                self._take(text, None, frozenset())
        if self._faults:
            raise RequirementsError(tuple(dict.fromkeys(self._faults)))
        if "project" not in self._groups.document.toml() and not choice.groups & groups.keys():
            names = ", ".join(sorted(groups)) or "none"
            self._remark(self._document.origin(), f"it has dependency groups only, and none was chosen with --group ({names})")
        demand = Demand(
            requirements=tuple(self._asked.requirements),
            direct=tuple(self._asked.direct),
            files=(self._document.file,),
            remarks=tuple(dict.fromkeys(self._asked.remarks)),
            pythons=self._pythons(),
        )
        return Found(demand=demand, extras=frozenset(self._extras), groups=frozenset(groups))

    def _pythons(self) -> tuple[PythonLimit, ...]:
        specifier = self._project.specifier("requires-python")
        line = self._document.find("requires-python")
        return (PythonLimit(origin=self._document.origin(line), specifier=specifier),) if specifier else ()

    def _static(self) -> None:
        dynamic = set(self._project.texts("dynamic"))
        wanted = {"dependencies"} | ({"optional-dependencies"} if self._document.choice.extras else set())
        for key in sorted(dynamic & wanted):
            self._document.refuse(
                self._document.find("dynamic"),
                expected=f"project.{key} as a list",
                found=f"{key} in project.dynamic, which only the project's own code could tell",
                solution="give the file that they come from (requirements.txt), or a lock",
            )

    def _take_extra(self, extra: NormalizedName, marker: Marker | None, within: frozenset[NormalizedName]) -> None:
        key = self._extras.get(extra)
        if key is None or extra in within:
            return
        for text in self._optional.texts(key):
            self._take(text, marker, within | {extra})

    def _take(self, text: str, marker: Marker | None, within: frozenset[NormalizedName]) -> None:
        line = self._line(text)
        try:
            parsed = Specified(text)
        except InvalidRequirement as error:
            told = f"{text!r} ({str(error).splitlines()[0]})"
            self._fault(line, "a dependency specifier, as name>=1.0; python_version >= '3.12'", told)
            return
        both = _both(marker, parsed.marker)
        name = canonicalize_name(parsed.name)
        if name == self._name and parsed.extras:
            # A project's extra that names others of its own is the way to join them.
            for extra in sorted(parsed.extras):
                self._take_extra(canonicalize_name(extra), both, within)
            return
        requirement = Requirement(
            name=name,
            extras=frozenset(parsed.extras),
            specifier=parsed.specifier,
            marker=both,
            url=parsed.url,
            origin=self._document.origin(line),
            text=text,
        )
        self._place(requirement)

    def _place(self, requirement: Requirement) -> None:
        """Take in a requirement; what `tool.uv.sources` has elsewhere than on an index never goes to a resolver."""
        for source in self._elsewhere(requirement.name):
            url = _url(source)
            if url is not None:
                condition = _both(requirement.marker, source.marker("marker"))
                self._asked.direct.append(_direct(requirement, url, condition, editable=source.flag("editable")))
                if "marker" not in source:
                    return
            elif "index" in source:
                text = f"tool.uv.sources has {requirement.name} from the index {source.text('index')!r}; the configured one is asked"
                self._remark(requirement.origin, text)
        self._asked.requirements.append(requirement)

    def _elsewhere(self, name: NormalizedName) -> Iterator[Record]:
        for key, value in self._sources.data.items():
            if canonicalize_name(key) == name:
                yield from (self._sources.within(key, v) for v in (value if isinstance(value, list) else [value]))

    def _members(self, group: str) -> Iterable[str]:
        try:
            return [str(member) for member in DependencyGroupResolver(self._groups.data).resolve(group)]
        except (ExceptionGroup, LookupError, TypeError, ValueError) as error:
            line = self._document.find("[dependency-groups]")
            for text in _leaves(error):
                self._fault(line, f"the dependency group {group} to hold (PEP 735)", text)
            return ()

    def _line(self, text: str) -> int:
        for quoted in (f'"{text}"', f"'{text}'", json.dumps(text)):
            line = self._document.find(quoted)
            if line > 1:
                return line
        return 1

    def _fault(self, line: int, expected: str, found: str) -> None:
        self._faults.append(
            self._document.fault((line, 1), expected=expected, found=found, solution="correct the line in pyproject.toml")
        )

    def _remark(self, origin: Origin, text: str) -> None:
        self._asked.remarks.append(Remark(origin=origin, text=text))


def _both(first: Marker | None, second: Marker | None) -> Marker | None:
    return first & second if first and second else first or second


def _url(source: Record) -> str | None:
    git = source.text("git")
    if git is not None:
        reference = source.text("rev") or source.text("tag") or source.text("branch")
        url = f"git+{git}@{reference}" if reference else f"git+{git}"
        return with_subdirectory(url, source.text("subdirectory"))
    return source.text("url") or source.text("path") or ("." if source.flag("workspace") else None)


def _direct(requirement: Requirement, url: str, marker: Marker | None, *, editable: bool) -> DirectSource:
    return DirectSource(
        url=url,
        base=requirement.origin.file.rpartition("/")[0],
        editable=editable,
        name=requirement.name,
        extras=requirement.extras,
        marker=marker,
        origin=requirement.origin,
        text=f"{requirement.name} @ {url}",
    )


def _leaves(error: BaseException) -> Iterator[str]:
    inner: Any = getattr(error, "exceptions", None)
    if inner is None:
        yield str(error)
        return
    for each in inner:
        yield from _leaves(each)
