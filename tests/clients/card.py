"""The report card: each check stands for a row of a standard, and the card says what an index made of it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from pathlib import Path

Level = Literal["must", "should"]
Result = Literal["ok", "FAILS", "n/a"]
_ORDER = ("FAILS", "n/a", "ok")


def row(standard: str, says: str, level: Level = "must") -> pytest.MarkDecorator:
    """Mark a test as the proof of a row. `must`: a client fails or is misled without; `should`: it is slower, or at risk."""
    return pytest.mark.row(standard, says, level)


@dataclass(frozen=True, kw_only=True)
class Line:
    """What one check found. `detail` is why it fails, or why there was nothing to check."""

    index: str
    standard: str
    says: str
    level: Level
    result: Result
    detail: str = ""
    case: str = ""


@dataclass(kw_only=True)
class Card:
    """All lines of a run."""

    lines: list[Line] = field(default_factory=list)

    def note(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """Take down what became of a check; of other tests nothing."""
        mark = item.get_closest_marker("row")
        if mark is None or not (report.when == "call" or report.outcome != "passed"):
            return
        standard, says, level = mark.args
        results: dict[str, Result] = {"passed": "ok", "failed": "FAILS", "skipped": "n/a"}
        self.lines.append(
            Line(
                index=_params(item).get("index", ""),
                standard=standard,
                says=says,
                level=level,
                result=results[report.outcome],
                detail=_detail(report),
                case=_case(item),
            )
        )

    def sums(self) -> str:
        """Return one line of counts for each index."""
        found = []
        for index in dict.fromkeys(line.index for line in self.lines):
            counts = Counter((line.level, line.result) for line in self.lines if line.index == index)
            told = [f"{level}: {counts[level, 'ok']} ok, {counts[level, 'FAILS']} fail" for level in ("must", "should")]
            missing = counts["must", "n/a"] + counts["should", "n/a"]
            found.append(f"{index or 'index'}: {'; '.join(told)}; {missing} not applicable")
        return "\n".join(found)

    def write(self, path: Path) -> None:
        """Write the card, as JSON where the name ends so, else as Markdown."""
        whole = [asdict(line) for line in self.lines]
        text = json.dumps(whole, indent=1) if path.suffix == ".json" else self._markdown()
        path.write_text(text + "\n", encoding="utf-8")

    def _markdown(self) -> str:
        parts = ["# Conformance", "", *(f"- {line}" for line in self.sums().splitlines())]
        for index in dict.fromkeys(line.index for line in self.lines):
            own = [line for line in self.lines if line.index == index]
            parts += [
                "",
                f"## {index or 'index'}",
                "",
                "| result | level | standard | check | found |",
                "|---|---|---|---|---|",
            ]
            for line in sorted(own, key=lambda line: _ORDER.index(line.result)):
                says = f"{line.says} ({line.case})" if line.case else line.says
                cells = (line.result, line.level, line.standard, says, line.detail)
                parts.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
        return "\n".join(parts)


def _params(item: pytest.Item) -> dict[str, Any]:
    spec = getattr(item, "callspec", None)
    return dict(spec.params) if spec is not None else {}


def _case(item: pytest.Item) -> str:
    """Return the parameters of a check but the index."""
    index, case = str(_params(item).get("index", "")), item.name.partition("[")[2].removesuffix("]")
    return case.removeprefix(f"{index}-").removesuffix(f"-{index}") if case != index else ""


def _detail(report: pytest.TestReport) -> str:
    """Return why, in one line."""
    if report.outcome == "passed":
        return ""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(crash.message if crash is not None else report.longrepr)
    first = text.strip().splitlines()[0] if text.strip() else ""
    return first.removeprefix("AssertionError: ")[:300]
