"""Why there is no solution, in words for the user: our own sentence where the cause is plain, then uv's, cleaned."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from farm.adapters.metadata_answers import best_sdist, python_fits
from farm.adapters.process import redact
from farm.adapters.uv_compile import applies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from farm.adapters.metadata_answers import Answers
    from farm.model.demand import Demand, Requirement
    from farm.model.package import IndexFile, NormalizedName, Version
    from farm.model.target import Target

_LOOPBACK = re.compile(r"https?://127\.0\.0\.1:\d+/\S*")
_FRAME = re.compile(r"^[\s×╰─▶│├|]+")
_LABEL = re.compile(r"^(?:error|cause|hint|warning):\s*")
_NEAR = 4
_LONGEST = 24


def explain(stderr: str, demand: Demand, target: Target, answers: Answers) -> str:
    """Return several lines: the plain causes first (with FILE:LINE), then the resolver's reasoning."""
    plain = list(dict.fromkeys([*_plain(demand, target, answers), *_absent(stderr, demand, answers)]))
    own = _cleaned(stderr, demand)
    asked = [] if plain else _asking(" ".join(own), demand, target)
    return "\n".join([*plain, *_shortened(own), *asked])


def _asking(text: str, demand: Demand, target: Target) -> list[str]:
    """Return where the requirements stand that the resolver's reasoning names."""
    return [
        f"{requirement.origin}: {requirement.name}{requirement.specifier}"
        for requirement in (*demand.requirements, *demand.constraints)
        if applies(requirement, target) and re.search(rf"(?<![\w.-]){re.escape(requirement.name)}(?![\w-])", text)
    ]


def _shortened(lines: list[str]) -> list[str]:
    """Leave out the middle of a long reasoning: it goes through every version, and the end says what they have in common."""
    if len(lines) <= _LONGEST:
        return lines
    half = _LONGEST // 2
    return [*lines[:half], f"... ({len(lines) - 2 * half} lines left out) ...", *lines[-half:]]


def _plain(demand: Demand, target: Target, answers: Answers) -> Iterator[str]:
    for requirement in (*demand.requirements, *demand.constraints):
        if requirement.url is not None or not applies(requirement, target):
            continue
        if requirement.name in answers.absent:
            if requirement in demand.requirements:
                yield f"{requirement.origin}: {requirement.name}: no index has a project of this name"
            continue
        if requirement.name in answers.unusable:
            yield from _no_version(requirement, target, answers)


def _no_version(requirement: Requirement, target: Target, answers: Answers) -> Iterator[str]:
    """Say why no version that is there will do: none within the bounds, or none for this Python or platform."""
    versions = answers.versions(requirement.name) or {}
    name, bounds, origin = requirement.name, requirement.specifier, requirement.origin
    within = [version for version in versions if bounds.contains(version, prereleases=True)]
    if not within:
        near = _near(sorted(versions), requirement.pinned)
        have = f"available: {near}" if versions else "the index lists no file of it"
        yield f"{origin}: {name}{bounds}: no such version; {have}{_too_young(requirement.name, answers)}"
        return
    for_python = [
        v for v in within if any(python_fits(file.requires_python, target.full_version) for file in versions[v])
    ]
    if not for_python:
        wanted = sorted(
            {file.requires_python for version in within for file in versions[version] if file.requires_python}
        )
        yield f"{origin}: {name}{bounds} needs Python {' or '.join(wanted[-2:])}; {target.name} has {target.full_version}"
    elif not set(for_python) - set(answers.unusable[name]):
        yield f"{origin}: {name}{bounds} has no wheel for {target.name}{_why_no_sdist(for_python, versions)}"
    elif all(version.is_prerelease for version in for_python) and not requirement.specifier.prereleases:
        yield f"{origin}: {name}{bounds} has only pre-releases ({_near(sorted(for_python), None)}); add --pre to take one"


def _too_young(name: NormalizedName, answers: Answers) -> str:
    left_out = answers.files.young.get(name, {})
    if not left_out:
        return ""
    ageless = len(left_out) - sum(left_out.values())
    aged = f" ({ageless} of them for want of an upload time)" if ageless else ""
    return f"; the cool-down leaves out {len(left_out)} more{aged}: name a version with == to take it"


def _why_no_sdist(within: list[Version], versions: dict[Version, tuple[IndexFile, ...]]) -> str:
    has_sdist = any(best_sdist(versions[version]) is not None for version in within)
    return ", and --only-binary forbids to build one" if has_sdist else ", and no sdist to build one from"


def _near(versions: list[Version], wanted: Version | None) -> str:
    """Return the versions around the wanted one, and the newest: `available: 1.4, 1.5, ... 1.7`."""
    finals = [version for version in versions if not version.is_prerelease] or versions
    if len(finals) <= 2 * _NEAR:
        return ", ".join(map(str, finals))
    at = len(finals) if wanted is None else sum(version < wanted for version in finals)
    shown = finals[max(0, at - _NEAR) : at + _NEAR]
    before = "... " if shown[0] != finals[0] else ""
    after = "" if shown[-1] == finals[-1] else f", ... {finals[-1]}"
    return f"{before}{', '.join(map(str, shown))}{after}"


def _absent(stderr: str, demand: Demand, answers: Answers) -> Iterator[str]:
    """Name the unknown projects that only dependencies ask for."""
    asked: set[NormalizedName] = {requirement.name for requirement in demand.requirements}
    text = " ".join(stderr.split())
    for name in sorted(answers.absent - asked):
        if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text):
            by = sorted(set(re.findall(rf"(\S+) depends? on {re.escape(name)}(?![\w-])", text)))
            yield f"{name}{f' (a dependency of {by[0]})' if by else ''}: no index has a project of this name"


def _cleaned(stderr: str, demand: Demand) -> list[str]:
    """Return uv's own lines, unframed and joined, without its labels, our loopback address, and advice on uv's options."""
    kept: list[str] = []
    skipping = False
    for raw in stderr.splitlines():
        line = _FRAME.sub("", raw).strip()
        if line.startswith(("hint:", "warning:")):
            skipping = True
        elif line.startswith(("error:", "cause:")) or (raw and not raw[0].isspace()):
            skipping = False
        if not line or skipping:
            continue
        line = _LOOPBACK.sub("the index", _LABEL.sub("", line))
        kept.append(redact(line.replace("package registry", "index")))
    files = ", ".join(demand.files)
    title = f"no solution for {files}:" if files else "no solution:"
    return [title if line.startswith("No solution found when resolving") else line for line in kept]
