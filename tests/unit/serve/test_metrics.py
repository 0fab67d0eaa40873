"""`/metrics`: both formats, names and labels by Prometheus' rules, who may read, and that dashboard, alerts and page name what exists."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as strict
from prometheus_client.parser import text_string_to_metric_families as plain
from starlette.applications import Starlette
from starlette.routing import Route

from farm.model.figures import BuildFigures, Durations, Figures, Holdings, Night, Recent
from farm.model.token import Token
from farm.serve.metrics import MetricsPage, Served, registry, render_text
from farm.serve.tally import Totals
from tests.fakes.store import EPOCH

if TYPE_CHECKING:
    from collections.abc import Hashable

    from farm.model.token import Scope

DOCS = Path(__file__).resolve().parents[3] / "docs"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
TOOK = Durations()
TOOK.add(12.5)
NIGHT = Night(started=EPOCH, ended=EPOCH + timedelta(hours=2), state="ended", exit_code=1, built=3, failed=2)
EVERYTHING = Figures(
    recent=Recent(
        builds=BuildFigures(ended=(("failed", 'odd "cause"\n', 1), ("published", "", 4)), durations=(("published", TOOK),), running=2),
        queue=(("waiting", 3),), night=NIGHT, last_night=NIGHT, open_campaigns=1,
    ),
    holdings=Holdings(wheels=5, wheel_bytes=600, watches=2, broken_watches=1, wanted=(("build", 7),), parts=(("blobs", 4096),)),
    free=1000, size=2000,
)  # fmt: skip
SERVED = Served(
    totals={
        Totals("merged", "page", "pip", 200, taken=True): 9, Totals("merged", "sdist", "uv", 302, taken=True): 2,
        Totals("merged", "sdist", "uv", 302): 5, Totals("merged", "sdist", "curl", 302): 3,
        Totals("merged", "wheel", "pip", 200, taken=True): 1, Totals("merged", "wheel", "pip", 200): 6,
    },
    short_cuts=4,
    upstream={"ok": 7, "error": 1, "stale": 2},
)


class Readers:
    """`Access` by one token."""

    open_reading = False

    def identify(self, authorization: str | None) -> Token | None:
        known = Token(name="prometheus", hash="", scope="read", projects=(), created=EPOCH, expires=None)
        return known if authorization == "Bearer right" else None

    def allows(self, scope: Scope, authorization: str | None) -> bool:
        found = self.identify(authorization)
        return found is not None and found.grants(scope)

    def stamp(self) -> Hashable:
        return None


def get(access: Readers | None = None, **headers: str) -> httpx.Response:
    page = MetricsPage(registry(lambda: EVERYTHING, lambda: SERVED), access)
    app = Starlette(routes=[Route("/metrics", page.answer)])

    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://farm.example") as client:
            return await client.get("/metrics", headers=headers)

    return asyncio.run(asked())


def values(text: str) -> dict[str, float]:
    return {f"{s.name}{json.dumps(s.labels, sort_keys=True)}": s.value for family in plain(text) for s in family.samples}


def test_prometheus_reads_both_formats_and_finds_the_same() -> None:
    old = get()
    new = get(Accept=f"{OPENMETRICS},text/plain;q=0.5")
    assert old.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert new.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert new.text.endswith("# EOF\n")
    names = {family.name for family in strict(new.text)}
    assert {"farm_builds", "farm_build_duration_seconds", "farm_night_wheels", "farm_index_requests"} <= names
    mine = {key for key in values(old.text) if key.startswith("farm_")}
    samples = [sample for family in strict(new.text) for sample in family.samples if sample.name.startswith("farm_")]
    assert mine == {f"{sample.name}{json.dumps(sample.labels, sort_keys=True)}" for sample in samples}


def test_the_figures_are_what_was_counted() -> None:
    found = values(get().text)
    assert found['farm_builds_total{"cause": "", "outcome": "published"}'] == 4
    assert found['farm_build_duration_seconds_bucket{"le": "10.0", "outcome": "published"}'] == 0
    assert found['farm_build_duration_seconds_bucket{"le": "30.0", "outcome": "published"}'] == 1
    # HEAD, the rest of a range and curl are requests, and neither misses nor downloads.
    assert {name: found[name] for name in found if "misses" in name} == {'farm_index_misses_total{"client": "uv"}': 2}
    assert found['farm_index_wheels_served_total{"client": "pip"}'] == 1
    wheels = 'farm_index_requests_total{"client": "pip", "kind": "wheel", "status": "200", "view": "merged"}'
    assert found[wheels] == 7
    assert found["farm_index_short_cuts_total{}"] == 4
    assert found["farm_night_exit_code{}"] == 1
    assert found['farm_upstream_requests_total{"result": "error"}'] == 1
    assert found["farm_upstream_stale_pages_total{}"] == 2
    assert found["farm_store_free_bytes{}"] == 1000


@pytest.mark.parametrize("accept", ["application/openmetrics-text; version=x", "*/*", ";;,=", "text/plain; version=..", "\x7f"])
def test_an_odd_accept_header_gets_an_answer(accept: str) -> None:
    answer = get(Accept=accept)
    assert answer.status_code == 200
    assert "farm_info" in answer.text


def test_a_token_is_asked_for_where_that_is_configured() -> None:
    assert get(Readers()).status_code == 401
    assert get(Readers(), Authorization="Bearer wrong").status_code == 401
    assert get(Readers(), Authorization="Bearer right").status_code == 200


def test_what_could_not_be_read_is_absent_and_said() -> None:
    found = values(render_text(registry(Figures)).decode())
    assert found["farm_catalogue_up{}"] == 0
    assert not any(name.startswith(("farm_builds", "farm_wheels")) for name in found)


def test_names_keep_to_prometheus_rules() -> None:
    for family in strict(get(Accept=OPENMETRICS).text):
        if not family.name.startswith("farm_"):
            continue
        assert family.documentation
        assert re.fullmatch(r"[a-z][a-z_]*[a-z]", family.name)
        assert not {label for sample in family.samples for label in sample.labels} & {"name", "package", "version", "path"} or (
            family.name == "farm"
        )


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_wrong() -> None:
    text = get().text
    metrics = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (metrics.returncode, metrics.stderr) == (0, "")
    rules = subprocess.run(["promtool", "check", "rules", str(DOCS / "alerts.yml")], capture_output=True, text=True, check=False)
    assert rules.returncode == 0, rules.stdout + rules.stderr


def series(name: str, values: str) -> str:
    return f"      - {{series: '{name}{{job=\"farm\",instance=\"a\"}}', values: '{values}'}}\n"


# Five minutes each. `_` is no sample: what the metric was before it was there.
ALERTS = {
    "a fresh farm, on which images are made at first": (series("farm_store_free_bytes", "500e9-2.5e9x120"), ()),
    "a disk that fills from day to day": (series("farm_store_free_bytes", "500e9-0.66e9x576"), ("FarmDiskFullSoon",)),
    "a night that somebody stopped": (series("farm_night_ok", "0x576") + series("farm_night_exit_code", "130x576"), ()),
    "a night that broke off": (series("farm_night_ok", "0x576") + series("farm_night_exit_code", "6x576"), ("FarmNightBroken",)),
    "a night that was killed": (series("farm_night_ok", "0x576"), ("FarmNightBroken",)),
    "a night that some packages failed in": (series("farm_night_ok", "1x576") + series("farm_night_exit_code", "1x576"), ()),
    "sets that no night was ever installed for": (series("farm_watch_sets", "3x576"), ("FarmNightNever",)),
    "sets that were added today": (series("farm_watch_sets", "_x432 3x144"), ()),
    "a farm without sets": (series("farm_watch_sets", "0x576"), ()),
    "nights that happen": (series("farm_watch_sets", "3x576") + series("farm_night_start_timestamp_seconds", "7200x576"), ()),
    "a last night of long ago": (series("farm_night_end_timestamp_seconds", "7200x576"), ("FarmNightMissing",)),
}  # fmt: skip


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize("case", ALERTS)
def test_alerts_fire_where_something_is_wrong_and_nowhere_else(case: str, tmp_path: Path) -> None:
    told, fires = ALERTS[case]
    hours = 10 if "fresh" in case else 48
    names = re.findall(r"- alert: (\w+)", (DOCS / "alerts.yml").read_text(encoding="utf-8"))
    assert set(fires) <= set(names)
    # promtool compares labels and annotations, too: what fires is asked of the series that Prometheus makes of alerts.
    expected = "".join(
        f"      - {{expr: 'count(ALERTS{{alertname=\"{name}\",alertstate=\"firing\"}})', eval_time: {hours}h"
        + (", exp_samples: [{value: 1}]}\n" if name in fires else "}\n")
        for name in names
    )
    text = f"rule_files: ['{DOCS / 'alerts.yml'}']\nevaluation_interval: 5m\ntests:\n  - interval: 5m\n"
    path = tmp_path / "alerts.test.yml"
    path.write_text(f"{text}    input_series:\n{told}    promql_expr_test:\n{expected}", encoding="utf-8")
    done = subprocess.run(["promtool", "test", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def known() -> set[str]:
    text = get().text
    return {sample.name for family in plain(text) for sample in family.samples}


def named(text: str) -> set[str]:
    """The metrics that queries name."""
    return set(re.findall(r"\b(?:farm|process)_[a-z_]+[a-z]\b", text))


def expressions() -> list[str]:
    board = json.loads((DOCS / "grafana-dashboard.json").read_text(encoding="utf-8"))
    return [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]


def test_the_dashboard_and_the_alerts_name_metrics_that_exist() -> None:
    alerts = re.findall(r"expr: (.*?)\n\s+(?:for|labels):", (DOCS / "alerts.yml").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(alerts) >= 10
    assert len(expressions()) >= 18
    for text in (*alerts, *expressions()):
        assert named(text) <= known() or named(text) == set(), text
    assert named("\n".join(alerts)) and named("\n".join(expressions()))  # noqa: PT018 - both, so that the loop above looked at something


def test_the_labels_that_queries_name_exist() -> None:
    labels: dict[str, set[str]] = {}
    for family in plain(get().text):
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    everywhere = {"job", "instance"}
    for text in (*expressions(), (DOCS / "alerts.yml").read_text(encoding="utf-8")):
        for name, selector in re.findall(r"\b(farm_[a-z_]+)\{([^}]*)\}", text):
            assert set(re.findall(r"([a-z_]+)=", selector)) - everywhere <= labels[name], text


def test_the_dashboard_can_be_imported() -> None:
    board = json.loads((DOCS / "grafana-dashboard.json").read_text(encoding="utf-8"))
    assert board["id"] is None
    assert board["schemaVersion"] >= 36
    variables = {each["name"]: each["type"] for each in board["templating"]["list"]}
    assert variables["datasource"] == "datasource"
    shown = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in shown:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24


def test_the_page_lists_every_metric() -> None:
    text = (DOCS / "monitoring.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`(farm_[a-z_]+)`", text))
    real = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in known() if name.startswith("farm_")}
    assert told == real
