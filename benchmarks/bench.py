"""What the benchmarks share: this checkout on the import path, rounds to figures, figures to a table and one line of JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROOT = Path(__file__).resolve().parent.parent
# farm and the tests' fakes come from the checkout that is measured, installed or not.
sys.path.insert(0, str(ROOT))


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Return median, least and most of some durations in seconds."""
    return {
        "median": round(statistics.median(seconds), 3),
        "least": round(min(seconds), 3),
        "most": round(max(seconds), 3),
        "rounds": len(seconds),
    }


def shown(figures: dict[str, float]) -> str:
    """Return a spread as a table cell."""
    return f"{figures['median']:.2f} ({figures['least']:.2f}–{figures['most']:.2f})"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    content = [list(heads), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in content) for column in range(len(heads))]
    lines = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in content]
    return "\n".join([lines[0], f"|{'|'.join('-' * (width + 2) for width in widths)}|", *lines[1:]])


def tell(name: str, printed: str, results: list[dict[str, Any]]) -> None:
    """Print the table, then everything as one line of JSON, with the machine that it was measured on."""
    machine = {
        "processors": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    print(printed)
    when = datetime.now(tz=UTC).isoformat(timespec="seconds")
    print(json.dumps({"benchmark": name, "when": when, "machine": machine, "results": results}))
