"""Candidates -> the earliest root cause, with how sure that is."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from farm.model.outcome import Confidence
    from farm.work.diagnosis.scan import Candidate, Findings, Mark

# How many lines after a look-up that failed the build may still be failing for it.
_REACH = 60
# How far before its verdict a test that failed is looked for.
_BACK = 16
# What a look-up that failed explains of what failed after it; a fault in the source has nothing to do with it.
_LACKS = frozenset({
    "missing-system-header", "missing-system-library", "missing-config-program", "missing-build-tool", "incompatible-system-library",
    "network", "missing-c-compiler", "missing-cxx-compiler", "version-from-vcs",
})  # fmt: skip
_EXPLAINS = {
    "missing-config-program": _LACKS,
    "missing-build-tool": _LACKS,
    # A header that is missing after pkg-config knew nothing of it is the fault: its absence did not stop the build.
    "missing-system-library": _LACKS - {"missing-system-header", "missing-build-tool", "network"},
}
# A look-up that failed is the reason if the next thing said is that the same is lacking, or if it is said at once.
_SURVIVED = 6
# What two of a build's processes print at once comes in any order: how far after a line that names nothing the name may stand.
_TORN = 12
_STEM = re.compile(r"^lib|[^a-z]+")
_LINUX = ("debian", "rhel", "alpine", "linux")
_LESS: dict[Confidence, Confidence] = {"high": "medium", "medium": "low", "low": "low", "none": "none"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The candidate that is the root cause, and how sure that is."""

    candidate: Candidate
    confidence: Confidence


def choose(findings: Findings, platform: str) -> Choice | None:
    """Return the earliest line that broke the build; None when no line is known, or only such as were survived."""
    fitting = [c for c in findings.candidates if _fits(c, platform)]
    first_of_line = {c.number: c for c in reversed(fitting)}
    ordered = [first_of_line[number] for number in sorted(first_of_line)]
    alive = _not_survived(ordered, findings.marks)
    real = [c for c in alive if not c.probe]
    strong = [c for c in real if c.rule.kind != "verdict" and c.rule.confidence != "low"]
    root = _root(strong)
    if root is not None:
        root = _naming(root, strong)
        return Choice(candidate=root, confidence=_confidence(root, strong))
    weak = [c for c in real if c.rule.kind != "verdict"] or [c for c in real if c.rule.kind == "verdict"]
    verdict = weak[0] if weak else None
    tested = _tested(alive, verdict)
    if tested is not None:
        return Choice(candidate=tested, confidence=_LESS[tested.rule.confidence])
    return Choice(candidate=verdict, confidence=verdict.rule.confidence) if verdict else None


def _fits(candidate: Candidate, platform: str) -> bool:
    wanted = candidate.rule.platforms
    return not wanted or (platform or "unknown") in wanted or ("linux" in wanted and platform in _LINUX)


def _not_survived(candidates: Iterable[Candidate], marks: list[Mark]) -> list[Candidate]:
    """Leave out what belongs to a package whose build went on to succeed."""
    good: list[tuple[int, int]] = []
    started: dict[str, int] = {}
    for mark in marks:
        name = canonicalize_name(mark.package) if mark.package else ""
        if mark.what == "start":
            started.setdefault(name, mark.number)
        elif mark.what == "failed":
            started.pop(name, None)
        elif mark.what == "done" and name in started:
            good.append((started.pop(name), mark.number))
    good.sort()
    begins = [begin for begin, _ in good]
    ends = list(accumulate((end for _, end in good), max))
    return [c for c in candidates if not (place := bisect_right(begins, c.number)) or ends[place - 1] < c.number]


def _root(strong: list[Candidate]) -> Candidate | None:
    """The first fatal line, or a failed look-up shortly before it; the first failed look-up where nothing is fatal."""
    fatal = next((c for c in strong if c.rule.kind == "fatal"), None)
    looked = [c for c in strong if c.rule.kind == "probable"]
    if fatal is None:
        return looked[0] if looked else None
    near = [
        c
        for c in looked
        if 0 < fatal.number - c.number <= _REACH and fatal.rule.cause in _EXPLAINS.get(c.rule.cause, ())
    ]
    if near and all(_other(c, fatal) for c in near):
        return fatal
    return near[0] if near else fatal


def _naming(root: Candidate, strong: list[Candidate]) -> Candidate:
    """The line right after that says of what `root` only tells the kind: a traceback that came before the output which led to it."""
    if root.subject or root.rule.subject:
        return root
    same = (c for c in strong if c.rule.cause == root.rule.cause and 0 < c.number - root.number <= _TORN)
    return next((c for c in same if c.subject), root)


def _other(looked: Candidate, fatal: Candidate) -> bool:
    """Whether a look-up that failed was survived: the build went on, and then it was another library that was lacking."""
    if looked.rule.cause != fatal.rule.cause or fatal.number - looked.number < _SURVIVED:
        return False
    first, second = (_STEM.sub("", name.lower()) for name in (looked.subject, fatal.subject))
    return min(len(first), len(second)) > 1 and first not in second and second not in first


def _tested(alive: list[Candidate], verdict: Candidate | None) -> Candidate | None:
    """The test that failed right before a verdict; without a verdict the last test that failed."""
    probes = [c for c in alive if c.probe and c.rule.kind != "verdict"]
    if verdict is None:
        return probes[-1] if probes else None
    near = [c for c in probes if 0 <= verdict.number - c.number <= _BACK]
    return near[-1] if near else None


def _confidence(root: Candidate, strong: list[Candidate]) -> Confidence:
    confidence = root.rule.confidence
    if root.rule.kind == "probable":
        agree = all(c.rule.cause == root.rule.cause for c in strong)
        return confidence if agree else _LESS[confidence]
    return confidence
