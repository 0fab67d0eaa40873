"""The scores on the labelled real logs, where they are at hand: a floor under every change of the rules.

They lie beside the checkout, or where FARM_FAILURES says; they are nobody's to copy into the project.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from farm.work.diagnosis.explain import explain
from farm.work.diagnosis.knowledge import knowledge

ROOT = Path(__file__).resolve().parents[3]
FAILURES = Path(os.environ.get("FARM_FAILURES", ROOT.parent / "shared/failures"))
FLOOR = {"cause": 0.95, "root line": 0.94, "debian package": 0.92, "confidently wrong": 0.02}

pytestmark = [pytest.mark.corpus, pytest.mark.skipif(not FAILURES.exists(), reason=f"no labelled logs at {FAILURES}")]


def _even(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\x1b\[[0-9;]*m", "", text)).strip()


def test_the_scores_on_real_logs_do_not_fall() -> None:
    known = knowledge()
    cases = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((FAILURES / "cases").glob("*.json"))]
    assert len(cases) > 100
    cause = root = wrong = named = package = 0
    for case in cases:
        found = explain([case["log"].encode()], known)
        right = found.cause == case["cause"]
        cause += right
        wrong += not right and found.confidence == "high"
        line, wanted = _even(found.root_line), _even(case["root_line"])
        root += bool(line) and (line in wanted or wanted in line) and len(line) >= min(12, len(wanted))
        if case["platform"] == "linux" and case["remedy"].get("apt"):
            named += 1
            offered = {name for remedy in found.remedies if remedy.platform == "debian" for name in remedy.packages}
            package += bool(offered & set(case["remedy"]["apt"]))
    scores = {"cause": cause / len(cases), "root line": root / len(cases), "debian package": package / named}
    assert {name: score for name, score in scores.items() if score < FLOOR[name]} == {}
    assert wrong / len(cases) <= FLOOR["confidently wrong"]
