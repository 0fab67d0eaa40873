"""A log -> what broke, how sure that is, and what mends it. The one way in, for `farm explain` and for `farm build`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from farm.model.outcome import Confidence, Diagnosis, Remedy
from farm.work.diagnosis.facts import Facts, read_facts
from farm.work.diagnosis.rank import Choice, choose
from farm.work.diagnosis.remedies import Remedies, Trouble
from farm.work.diagnosis.scan import Candidate, Findings, look_closer, scan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from farm.work.diagnosis.rules import Rules

WHY_LEFT_OUT = ("missing-", "wheel-repair", "python-api-removed", "compiler-too-new", "incompatible-", "out-of-memory")
"""How causes begin for which a project leaves out an extension that is optional, and goes on."""

_SMALL = 1 << 18
_SHOWN = 500
# The quotes around the name of what is missing are the tool's, also where a pattern took one of a pair along.
_AROUND = " \t\"'`‘’“”"
_HEADER = re.compile(r"\.(?:h|hh|hpp|hxx|inc)$")
# gcc's and clang's "src/a.c:1:2: ", cl's "src\\a.c(1): ".
_SOURCE = re.compile(r"^(?:[A-Za-z]:)?(?:[^:(]*[/\\])?(?P<stem>[\w.+-]+)\.(?:c|cc|cpp|cxx|m|mm)(?::\d+:|\(\d+\))")
_LETTERS = re.compile(r"[^a-z]")
_RANK: dict[Confidence, int] = {"none": 0, "low": 1, "medium": 2, "high": 3}


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """What a log is read with."""

    rules: Rules
    remedies: Remedies


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """`cause` is a code or "unknown"; `root_line` the log's own line and `line` its 1-based number, 0 where there is none.

    `lines` are the most telling (number, text) when the cause is unknown. `rule` names the row that knew it.
    """

    cause: str
    subject: str
    summary: str
    root_line: str
    line: int
    confidence: Confidence
    remedies: tuple[Remedy, ...]
    facts: Facts
    farm: str = ""
    rule: str = ""
    lines: tuple[tuple[int, str], ...] = ()


def explain(blocks: Iterable[bytes], knowledge: Knowledge, platform: str = "") -> Explanation:
    """Return the earliest root cause of a failed build. Never fails on what a log contains; memory does not grow with it."""
    findings = scan(blocks, knowledge.rules)
    facts = read_facts(findings, platform)
    choice = choose(findings, facts.platform)
    if choice is None or choice.confidence == "low" or choice.candidate.rule.kind == "verdict":
        closer = _look_closer(findings, knowledge.rules, facts)
        if closer and (
            choice is None
            or _RANK[closer.confidence] > _RANK[choice.confidence]
            or closer.candidate.rule.kind != "verdict"
        ):
            choice = closer
    if choice is None:
        return _unknown(findings, facts)
    found = choice.candidate
    cause, confidence = _cause(found, facts), choice.confidence
    if cause == "missing-system-header":
        unheard, own = _unheard_of(_subject(found), knowledge), _own_header(found)
        cause = "broken-sdist" if unheard and (own or _quoted(found)) and not _bound(found, facts) else cause
        confidence = "medium" if confidence == "high" and (unheard or own) else confidence
    trouble = Trouble(cause=cause, subject=_subject(found)[:200], line=found.text, facts=facts, rule=found.rule)
    return Explanation(
        cause=trouble.cause,
        subject=trouble.subject,
        summary=knowledge.remedies.summary(trouble),
        root_line=found.raw.strip(),
        line=found.number,
        confidence=confidence,
        remedies=knowledge.remedies.of(trouble),
        facts=facts,
        farm=knowledge.remedies.farm(trouble),
        rule=found.rule.origin,
    )


def _cause(found: Candidate, facts: Facts) -> str:
    """Return the rule's cause; a module that is missing and is the package's own is a fault of its sources, which import themselves."""
    missing = found.rule.cause == "missing-python-build-dep" and found.rule.confidence != "high" and "No module named" in found.text
    if missing and facts.package and canonicalize_name(found.subject.split(".")[0]) == facts.package:
        return "broken-sdist"
    return found.rule.cause


def _unheard_of(header: str, knowledge: Knowledge) -> bool:
    """Whether it is a header that no package has: the package's own, or one of a vendor."""
    return bool(_HEADER.search(header)) and not knowledge.remedies.has_header(header)


def _own_header(found: Candidate) -> bool:
    """Whether a.c includes a.h, which is most often the source's own and was not packed; a library of that name may be meant as well."""
    source = _SOURCE.search(found.text)
    return source is not None and f"{source['stem']}." == found.subject[: found.subject.rfind(".") + 1]


def _quoted(found: Candidate) -> bool:
    """Whether the source includes it in quotes and without a directory, as it does its own headers."""
    return any(f'#include "{found.subject}"' in line for line in found.after[:3]) and not set("/\\") & set(found.subject)


def _bound(found: Candidate, facts: Facts) -> bool:
    """Whether a header bears the package's name: it is then of the library that the package is the binding of."""
    stem, package = (_LETTERS.sub("", name.lower()) for name in (found.subject.rsplit(".", 1)[0], facts.package))
    return bool(package) and (stem in package or package in stem)


def _subject(found: Candidate) -> str:
    return found.subject.strip(_AROUND) if found.rule.cause.startswith("missing-") else found.subject


def diagnose(lines: Iterable[str], knowledge: Knowledge) -> Diagnosis:
    """Return what `explain` finds, in the words of a build of the farm's own."""
    found = explain((f"{line}\n".encode() for line in lines), knowledge)
    if found.cause == "unknown" and not found.lines:
        return Diagnosis(cause="unknown", summary="the build failed without an error line; see its log")
    number, line = found.lines[-1] if found.cause == "unknown" else (found.line, found.root_line)
    return Diagnosis(
        cause=found.cause,
        summary=found.summary or line[:200],
        line=line[:_SHOWN],
        number=number,
        remedy=found.farm,
        subject=found.subject,
        confidence=found.confidence,
        remedies=found.remedies,
    )


def _look_closer(findings: Findings, rules: Rules, facts: Facts) -> Choice | None:
    """Look again at every line, and where a narrow terminal may have broken them: at a small log, or the end of a large one."""
    data = findings.head if len(findings.head) < _SMALL // 2 else findings.tail
    whole = data is findings.head
    first = 1 if whole else findings.lines - data.count(b"\n") + 1
    again = look_closer(data[-(1 << 17) :] if not whole else data[: 1 << 17], rules, first)
    found = choose(Findings(candidates=again, marks=findings.marks), facts.platform)
    return replace(found, confidence="medium") if found and found.confidence == "high" else found


def _unknown(findings: Findings, facts: Facts) -> Explanation:
    lines = tuple((number, text[:_SHOWN]) for number, text in findings.telling)
    return Explanation(
        cause="unknown",
        subject="",
        summary="",
        root_line="",
        line=0,
        confidence="none",
        remedies=(),
        facts=facts,
        lines=lines,
    )
