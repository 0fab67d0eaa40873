"""A log -> what its lines may mean: candidates for the cause, landmarks of the front ends, its two ends. One pass, bounded memory."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from farm.work.diagnosis.reading import LONGEST, Window, decode, lines_around, plain, windows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from farm.work.diagnosis.rules import Rule, Rules

# Of one rule the first matches count, and the last, should all before turn out to be survived.
_FIRST, _LAST = 16, 10
_ENDS = 1 << 17
_ALL = 1 << 20
_AROUND = (12, 14)
_WRAP = 5
# A line that long is a command, or a whole log whose line ends were lost; what it says is in pieces of about this length.
_ONE_LINE, _PIECE = 1000, 300
_TELLING = re.compile(
    r"\b(?:error|ERROR|Error|fatal|FATAL|undefined|failed|FAILED)\b|[A-Za-z]+(?:Error|Exception)\b|not found|[Cc]annot "
)
_QUIET = re.compile(
    r"\bwarning\b|\bWARNING\b|^note:|0 errors|errors?='|error[_-]|\.error\b|[\w/]*error[\w/]*\.(?:c|py|h|rs|o)\b"
)
_PROBES = re.compile(
    r"_configtest|conftest\.|CMakeTmp|CMakeScratch|TryCompile|meson-private|testfile\.c|sanitycheck|/tmp[\w/]{0,30}/?tmp\w{6,}[\w/.-]*\.(?:c|cc|cpp|f)\b"
    r"|[\\/]Temp[\\/]tmp\w{6,}"
)
_COMPILED = re.compile(r":\d+:(?:\d+:)? |\bld: |cannot find -l|undefined reference|\(\d+\)\s?: ")
# The line after it is a line of the source, whatever it says.
_ECHO = re.compile(r'^File ".*", line \d+')
_RAISING = re.compile(r"^raise [A-Z_a-z]")
_RAISED = re.compile(r"^(?:\w+\.)*[A-Z]\w+(?::|$)|^(?:ERROR|error|fatal)\b")
_PROBE_BEFORE = re.compile(
    r"^(?:-- )?(?:[Cc]hecking (?:for|whether|if)|[Tt]esting (?:for|if|whether)|Looking for|Compiling a test|Trying to compile)"
)
_PROBE_AFTER = re.compile(r"^(?:failure\.|removing: _configtest|success!|\.\.\. no$|-- .*(?:not found|Failed)$)")
_LANDMARK = re.compile(
    r"^(?:(?P<collecting>(?:Collecting|Processing|Obtaining) (?P<collected>[\w.\-\[\]]+(?:[=<>!~ (]\S*)?))"
    r"|(?:Building wheels? for|Building editable for|Running setup\.py (?:install|bdist_wheel|develop) for|Preparing metadata"
    r"|Installing build dependencies"
    r"|Getting requirements to build wheel)\b(?P<rest>.*)"
    r"|Successfully (?:built|installed) (?P<built>.+)"
    r"|(?:× |error: |ERROR: )?Failed (?:to (?:download and )?build|building wheel for):? [`']?(?P<failed>[\w.\-]+(?:==[\w.+!-]+)?)"
    r"|✓ (?P<finished>\S+).* finished in)"
)
_DONE = re.compile(r"finished with status 'done'|\.\.\. ?done$")
LANDMARK_TRIGGERS = (
    b"Collecting ",
    b"Building wheel",
    b"Building editable",
    b"Successfully ",
    b"Running setup.py",
    b"\xe2\x9c\x93 ",
    b"Preparing metadata",
)

_CONTEXT = 3000
_REMEMBERED, _MARKS = 4000, 4000
# Numbers that count lines, columns, files and seconds: lines that differ in nothing else mean the same.
_COUNTED = re.compile(rb"^(?:#\d+ )?[\[#]?\d[\d:.,TZ/-]*\d[Z\]]*|(?<=[a-z_])\d+|(?<=:)\d+(?=[:)])")
_Late = tuple[Window, tuple[int, int], int]
Landmark = Literal["collecting", "start", "done", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A line that a rule knows. `number` is 1-based, `text` the line without prefixes, `raw` as it stands in the log."""

    rule: Rule
    number: int
    raw: str
    text: str
    subject: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    probe: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A front end's word on a package: `what` it began, finished or gave up."""

    number: int
    what: Landmark
    package: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A line as far as it can be understood by itself."""

    raw: str
    text: str
    mark: tuple[Landmark, str] | None
    meanings: tuple[tuple[Rule, str], ...] = ()
    telling: bool = False


@dataclass(slots=True, kw_only=True)
class Findings:
    """All that the ranking needs of a log."""

    candidates: list[Candidate] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    telling: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=8))
    head: bytes = b""
    tail: bytes = b""
    lines: int = 0


def scan(blocks: Iterable[bytes], rules: Rules) -> Findings:
    """Read a log once. Takes any bytes; memory stays bounded whatever its size."""
    scanner = _Scanner(rules)
    for window in windows(blocks):
        scanner.window(window)
    return scanner.finish()


class _Scanner:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._triggers = tuple(dict.fromkeys((*rules.triggers, *rules.first, *LANDMARK_TRIGGERS)))
        self._read = 0
        self._found = Findings()
        self._counts: dict[int, int] = {}
        self._late: dict[int, deque[_Late]] = {}
        self._known: dict[bytes, _Read] = {}

    def window(self, window: Window) -> None:
        found = self._found
        new = window.data[window.begin : window.end]
        if len(found.head) < _ENDS:
            found.head += new[: _ENDS - len(found.head)]
        found.tail = (found.tail + new)[-_ENDS:]
        number, counted = window.number, window.begin
        for start, end in self._hits(window):
            number += window.data.count(b"\n", counted, start)
            counted = start
            self._line(window, start, end, number)
        self._read += len(new)
        if self._read > _ALL:
            self._triggers = tuple(dict.fromkeys((*self._rules.triggers, *LANDMARK_TRIGGERS)))
        found.lines = window.number + new.count(b"\n") - 1

    def _hits(self, window: Window) -> Iterator[tuple[int, int]]:
        """Yield the start and end of each new line with a trigger in it, from the top."""
        data, starts = window.data, {}
        for trigger in self._triggers:
            position = data.find(trigger, window.begin, window.end)
            while position >= 0:
                end = data.find(b"\n", position)
                end = len(data) if end < 0 else end
                starts[data.rfind(b"\n", 0, position) + 1] = end
                position = data.find(trigger, end, window.end)
        for start in sorted(starts):
            if start >= window.begin:
                yield start, starts[start]

    def _line(self, window: Window, start: int, end: int, number: int) -> None:
        line = window.data[start:end]
        shape = _COUNTED.sub(b"0", line) if len(line) < LONGEST else line
        known = self._known.get(shape)
        if known and self._as_before(known, window, (start, end), number):
            return
        read = self._read_line(line)
        if len(self._known) < _REMEMBERED:
            self._known[shape] = read
        marks = self._found.marks
        if read.mark and (len(marks) < _MARKS or read.mark[0] != "collecting"):
            marks.append(Mark(number=number, what=read.mark[0], package=read.mark[1]))
        if read.meanings:
            self._add(window, (start, end), number, read)
        if read.telling:
            self._found.telling.append((number, read.raw.strip()))

    def _as_before(self, known: _Read, window: Window, place: tuple[int, int], number: int) -> bool:
        """Whether a line need not be read: one like it means nothing, or what it means was read often enough."""
        if known.mark:
            return False
        if known.meanings:
            first = known.meanings[0][0].order
            if self._counts[first] < _FIRST:
                return False
            self._keep(window, place, number, first)
        if known.telling:
            self._found.telling.append((number, decode(window.data[place[0] : place[1]]).strip()))
        return True

    def _read_line(self, line: bytes) -> _Read:
        raw = decode(line)
        text = plain(raw)
        meanings = tuple(self._meanings(text))
        if meanings and meanings[0][0].kind == "noise":
            return _Read(raw=raw, text=text, mark=landmark(text))
        telling = bool(_TELLING.search(text)) and not _QUIET.search(text)
        return _Read(raw=raw, text=text, mark=landmark(text), meanings=meanings, telling=telling)

    def _meanings(self, text: str) -> Iterator[tuple[Rule, str]]:
        """Yield the rules that know a line, in order, up to the first that holds whatever is around the line and on any platform."""
        for rule in self._rules.of(text):
            found = rule.match(text)
            if found:
                yield rule, found[0]
                if rule.holds_anywhere:
                    return

    def _add(self, window: Window, place: tuple[int, int], number: int, read: _Read) -> None:
        first = read.meanings[0][0].order
        count = self._counts[first] = self._counts.get(first, 0) + 1
        if count <= _FIRST:
            self._found.candidates.extend(_in_place(window, place, number, read))
        else:
            self._keep(window, place, number, first)

    def _keep(self, window: Window, place: tuple[int, int], number: int, first: int) -> None:
        """Most of these are forgotten again, so a line and what is around it is kept as it is until the end."""
        start = max(0, place[0] - _CONTEXT)
        near = Window(window.data[start : place[1] + _CONTEXT], 0, 0, 0)
        self._late.setdefault(first, deque(maxlen=_LAST)).append((near, (place[0] - start, place[1] - start), number))

    def finish(self) -> Findings:
        for late in self._late.values():
            for near, place, number in late:
                read = self._read_line(near.data[place[0] : place[1]])
                if read.meanings:
                    self._found.candidates.extend(_in_place(near, place, number, read))
        self._found.candidates.sort(key=lambda candidate: (candidate.number, candidate.rule.order))
        return self._found


def _in_place(window: Window, place: tuple[int, int], number: int, read: _Read) -> tuple[Candidate, ...]:
    before, after = lines_around(window, *place, _AROUND)
    blank = Candidate(
        rule=read.meanings[0][0], number=number, raw=read.raw, text=read.text, subject="", before=before, after=after
    )
    return tuple(candidates_of(blank, read.meanings))


def candidates_of(blank: Candidate, meanings: Iterable[tuple[Rule, str]]) -> Iterator[Candidate]:
    """Yield a candidate for each meaning that what is around the line allows; a platform's rule does not hide the next."""
    if _RAISING.match(blank.text) or (blank.before and _ECHO.search(blank.before[0]) and not _RAISED.search(blank.text)):
        return
    probe = _is_probe(blank)
    around = (blank.text, *blank.before, *blank.after)
    for rule, subject in meanings:
        if rule.near_pattern and not any(rule.near_pattern.search(line) for line in around):
            continue
        if rule.unless_pattern and rule.unless_pattern.search(blank.text):
            continue
        if rule.frame_pattern and not rule.frame_pattern.search(_innermost_frame(blank.before)):
            continue
        if rule.kind != "noise":
            yield replace(blank, rule=rule, subject=subject, probe=probe)
        if not rule.platforms:
            return


def _innermost_frame(before: tuple[str, ...]) -> str:
    """Return the line of the traceback's last frame, which is the nearest before the exception's own line; "" where there is none."""
    for line in before:
        if _ECHO.search(line):
            return line
        if line.startswith("Traceback ") or _RAISED.search(line):
            return ""
    return ""


def _is_probe(candidate: Candidate) -> bool:
    if _PROBES.search(candidate.text) or any(_PROBE_AFTER.search(line) for line in candidate.after[:5]):
        return True
    # The command whose output this is stands on a line before it.
    if not _COMPILED.search(candidate.text):
        return False
    for line in candidate.before[:5]:
        if _PROBE_BEFORE.search(line) or ("-c " in line and _PROBES.search(line)):
            return True
        if line.startswith(("building ", "error:", "ERROR")):
            return False
    return False


def landmark(text: str) -> tuple[Landmark, str] | None:
    """Return what a front end says of a package on a line, if it does."""
    match = _LANDMARK.match(text)
    if match is None:
        return None
    if match["rest"] is None:
        named: tuple[tuple[Landmark, str], ...] = (("collecting", "collected"), ("done", "built"), ("failed", "failed"))
        return next(((what, match[group]) for what, group in named if match[group]), ("done", ""))
    rest = match["rest"].strip()
    name = rest.split(" ")[0].rstrip(":") if rest[:1].isalnum() else ""
    if _DONE.search(rest):
        return "done", name
    return ("failed", name) if "error" in rest else ("start", name)


def look_closer(data: bytes, rules: Rules, first: int) -> list[Candidate]:
    """Try every line, also those without a trigger, and each joined with those after it: a narrow terminal breaks lines.

    `first` is the number of the first line of `data`. The match must begin in the first of the joined lines, which is returned.
    """
    raws = [decode(raw) for raw in data.split(b"\n")]
    texts = [plain(raw) for raw in raws]
    found: list[Candidate] = []
    for index, text in enumerate(texts):
        if len(text) < 6:
            continue
        if len(text) > _ONE_LINE:
            found.extend(_in_pieces(data.split(b"\n")[index], rules, first + index))
            continue
        hit = _first_meaning(text, texts[index + 1 : index + _WRAP], rules)
        if hit:
            blank = Candidate(
                rule=hit[0][0],
                number=first + index,
                raw=raws[index],
                text=text,
                subject="",
                before=tuple(reversed(texts[max(0, index - _AROUND[0]) : index])),
                after=tuple(texts[index + 1 : index + _AROUND[1]]),
            )
            found.extend(candidates_of(blank, hit))
    return found


def _in_pieces(line: bytes, rules: Rules, number: int) -> list[Candidate]:
    """A log that something has put into one line: each piece of it that says of itself that it matters, in order."""
    text = line.decode("utf-8", "replace")
    for start in range(0, len(text), _PIECE // 2):
        piece = text[start : start + _PIECE].strip()
        if not _TELLING.search(piece):
            continue
        for rule in rules.of(piece):
            match = rule.match(piece)
            if match and rule.kind in ("fatal", "probable") and not rule.near:
                blank = Candidate(rule=rule, number=number, raw=piece, text=piece, subject="")
                return list(candidates_of(blank, [(rule, match[0])]))
    return []


def _first_meaning(text: str, following: list[str], rules: Rules) -> list[tuple[Rule, str]]:
    alone = [(rule, match[0]) for rule in rules.of(text) if (match := rule.match(text))]
    if alone or len(text) > 160:
        return alone
    rest = [line for line in following if line]
    for glue in (" ", ""):
        whole = glue.join((text, *rest))
        for rule in rules.of(whole):
            match = rule.match(whole)
            if match and match[1] < len(text) < match[2]:
                return [(rule, match[0])]
    return []
