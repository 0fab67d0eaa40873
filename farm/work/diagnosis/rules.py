"""rules.toml -> Rules: checked with messages that name the row, patterns compiled when first needed."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from farm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from farm.model.outcome import Confidence

Kind = Literal["fatal", "probable", "verdict", "noise"]
PLATFORMS = ("debian", "rhel", "alpine", "linux", "macos", "windows", "unknown")
CAUSES = (
    "missing-c-compiler", "missing-cxx-compiler", "missing-fortran-compiler", "missing-python-headers", "missing-msvc",
    "missing-windows-sdk", "missing-xcode-clt", "missing-rust", "missing-cuda", "missing-build-tool",
    "missing-system-header", "missing-system-library", "missing-config-program", "incompatible-system-library",
    "missing-python-build-dep", "incompatible-build-dep", "python-api-removed", "python-stdlib-removed", "python2-only",
    "unsupported-python", "no-compatible-wheel",
    "rust-too-old", "compiler-too-new", "compiler-too-old", "build-tool-too-new", "toolchain-misconfigured",
    "out-of-memory", "disk-full", "network", "tls-certificate", "permission", "path-too-long", "locale-encoding",
    "broken-sdist", "invalid-metadata", "invalid-project-config", "version-from-vcs", "vcs-checkout", "unsupported-platform",
    "unsupported-architecture", "wheel-repair",
)  # fmt: skip
_KEYS = {
    "cause", "kind", "words", "patterns", "subject", "confidence", "platforms", "near", "unless", "frame", "pin",
}  # fmt: skip
_GRAM = 3
_NO_NAMES = frozenset({
    "a", "an", "and", "any", "are", "as", "be", "by", "for", "from", "if", "in", "is", "it", "of", "on", "or", "required", "some", "system",
    "that", "the", "this", "to", "with", "which", "your", "working", "local", "executable", "installation", "directory", "either",
    "development", "library", "libraries", "header", "headers", "file", "files",
})  # fmt: skip
_PHRASE = re.compile(r"%\{(\w+)\}")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One row of a rules file. `origin` is "FILE row N", `order` its place among all rows."""

    origin: str
    order: int
    cause: str
    kind: Kind
    words: tuple[str, ...]
    patterns: tuple[str, ...]
    subject: str = ""
    confidence: Confidence = "high"
    platforms: tuple[str, ...] = ()
    near: str = ""
    unless: str = ""
    frame: str = ""
    pin: str = ""

    @cached_property
    def compiled(self) -> tuple[re.Pattern[str], ...]:
        return tuple(re.compile(pattern) for pattern in self.patterns)

    @cached_property
    def near_pattern(self) -> re.Pattern[str] | None:
        return re.compile(self.near) if self.near else None

    @cached_property
    def unless_pattern(self) -> re.Pattern[str] | None:
        return re.compile(self.unless) if self.unless else None

    @cached_property
    def frame_pattern(self) -> re.Pattern[str] | None:
        return re.compile(self.frame) if self.frame else None

    @property
    def holds_anywhere(self) -> bool:
        """Whether neither the platform nor what is around a line has a say in whether the row counts."""
        return not (self.platforms or self.near or self.unless or self.frame)

    def match(self, line: str) -> tuple[str, int, int] | None:
        """Return the subject and where the match is; None when the row says nothing of this line, which has one of its words."""
        for pattern in self.compiled:
            found = pattern.search(line)
            if found:
                subject = next((text for text in found.groups() if text), "") or self.subject
                # A sentence that is built otherwise than expected: the next pattern may read it rightly.
                if subject in _NO_NAMES:
                    continue
                if found.groupdict().get("attribute"):
                    subject = f"{found['subject']}.{found['attribute']}"
                return subject.strip(), found.start(), found.end()
        return None


@dataclass(frozen=True, kw_only=True)
class Rules:
    """All rows in the order in which they are tried, and the literal text without which no line is looked at."""

    rows: tuple[Rule, ...]
    triggers: tuple[bytes, ...]
    first: tuple[bytes, ...] = ()

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rows)

    @cached_property
    def _words(self) -> dict[str, list[tuple[str, int]]]:
        """Each word under its first three letters: a line has few of these, and the rows have more than a thousand words."""
        table: dict[str, list[tuple[str, int]]] = {}
        for rule in self.rows:
            for word in rule.words:
                table.setdefault(word[:_GRAM] if len(word) >= _GRAM else "", []).append((word, rule.order))
        return table

    def of(self, line: str) -> list[Rule]:
        """Return the rows that have a word in a line, in their order."""
        table = self._words
        grams = {line[start : start + _GRAM] for start in range(len(line) - _GRAM + 1)} & table.keys()
        found = {order for gram in grams for word, order in table[gram] if word in line}
        found.update(order for word, order in table.get("", ()) if word in line)
        return [self.rows[order] for order in sorted(found)]


def load_rules(text: str, *, source: str = "rules.toml", before: str = "", before_source: str = "") -> Rules:
    """Return the rules of a file, after those of `before` (a user's own). UsageError names the row and what is wrong with it."""
    base = _parse(text, source)
    phrases = _phrases(base, source)
    own = _parse(before, before_source) if before else {}
    phrases |= _phrases(own, before_source) if own else {}
    rows: list[Rule] = []
    for content, name in ((own, before_source), (base, source)):
        for number, row in enumerate(content.get("rules", ()), start=1):
            rows.append(_rule(row, f"{name}, row {number}", len(rows), phrases))
    triggers = [*base.get("triggers", ()), *own.get("triggers", ())]
    # A user's row must be found also where none of the shipped triggers is in its words.
    triggers += [
        word
        for rule in rows[: len(own.get("rules", ()))]
        for word in rule.words
        if not any(t in word for t in triggers)
    ]
    return Rules(
        rows=tuple(rows), triggers=_encoded(triggers), first=_encoded([*base.get("first", ()), *own.get("first", ())])
    )


def _encoded(words: list[str]) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(word.encode() for word in words))


def check_rules(rules: Rules) -> None:
    """Compile every pattern. UsageError for the first that is no regular expression."""
    for rule in rules:
        for pattern in (*rule.patterns, rule.near, rule.unless, rule.frame):
            try:
                re.compile(pattern)
            except re.error as error:
                raise _wrong(rule.origin, f"a regular expression, found {pattern!r}: {error}") from error


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _wrong(source, f"TOML: {error}") from error
    unknown = set(content) - {"rules", "phrases", "triggers", "first"}
    if unknown:
        raise _wrong(source, f"rules, phrases, triggers and first, found {min(unknown)!r}")
    rows = content.get("rules", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _wrong(source, "[[rules]] tables")
    return content


def _phrases(content: Mapping[str, Any], source: str) -> dict[str, str]:
    phrases = content.get("phrases", {})
    if not isinstance(phrases, dict) or not all(isinstance(value, str) for value in phrases.values()):
        raise _wrong(source, "[phrases] with strings")
    return dict(phrases)


def _rule(row: Mapping[str, Any], origin: str, order: int, phrases: Mapping[str, str]) -> Rule:
    unknown = set(row) - _KEYS
    if unknown:
        raise _wrong(origin, f"the keys {', '.join(sorted(_KEYS))}, found {min(unknown)!r}")
    kind = row.get("kind", "fatal")
    if kind not in get_args(Kind):
        raise _wrong(origin, f"kind to be one of {', '.join(get_args(Kind))}, found {kind!r}")
    cause = row.get("cause", "")
    if kind != "noise" and cause not in CAUSES:
        raise _wrong(origin, f"cause to be a code of docs/explain.md, found {cause!r}")
    confidence = row.get("confidence", "high")
    if confidence not in ("high", "medium", "low"):
        raise _wrong(origin, f"confidence to be high, medium or low, found {confidence!r}")
    platforms = _strings(row, "platforms", origin, required=False)
    wrong = [name for name in platforms if name not in PLATFORMS]
    if wrong:
        raise _wrong(origin, f"platforms among {', '.join(PLATFORMS)}, found {wrong[0]!r}")
    for key in ("subject", "near", "unless", "frame", "pin"):
        if not isinstance(row.get(key, ""), str):
            raise _wrong(origin, f"{key} to be a string, found {row[key]!r}")
    return Rule(
        origin=origin,
        order=order,
        cause=cause,
        kind=kind,
        words=_strings(row, "words", origin),
        patterns=tuple(_filled(pattern, phrases, origin) for pattern in _strings(row, "patterns", origin)),
        subject=row.get("subject", ""),
        confidence=confidence,
        platforms=platforms,
        near=_filled(row.get("near", ""), phrases, origin),
        unless=_filled(row.get("unless", ""), phrases, origin),
        frame=_filled(row.get("frame", ""), phrases, origin),
        pin=row.get("pin", ""),
    )


def _strings(row: Mapping[str, Any], key: str, origin: str, *, required: bool = True) -> tuple[str, ...]:
    value = row.get(key, [])
    if (
        not isinstance(value, list)
        or not all(isinstance(item, str) and item for item in value)
        or (required and not value)
    ):
        raise _wrong(
            origin, f"{key} to be a list of strings{' that is not empty' if required else ''}, found {value!r}"
        )
    return tuple(value)


def _filled(pattern: str, phrases: Mapping[str, str], origin: str) -> str:
    def phrase(match: re.Match[str]) -> str:
        if match[1] not in phrases:
            raise _wrong(origin, f"a phrase of [phrases], found %{{{match[1]}}}")
        return phrases[match[1]]

    # A phrase may hold another one, and no more.
    return _PHRASE.sub(phrase, _PHRASE.sub(phrase, pattern))


def _wrong(origin: str, expected: str) -> UsageError:
    return UsageError(f"{origin}: expected {expected}", solution="see the head of `farm explain --rules list`")
