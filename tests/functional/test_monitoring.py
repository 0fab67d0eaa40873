"""Metrics, JSON logs, health, campaigns and backfill by the real command line, against a real index on loopback."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import urllib.error
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from packaging.utils import canonicalize_name
from prometheus_client.parser import text_string_to_metric_families as parsed

from tests.functional.conftest import TARGET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.index_server import IndexServer
    from tests.functional.conftest import Shell

OTHER = "cp313-manylinux_2_41_x86_64"


@pytest.fixture
def farm(stocked: IndexServer, shell: Shell) -> Shell:
    """A store with one watched set: `there` has a wheel, `gap` does not."""
    assert stocked.url
    shell.requirements("there==1.0", "gap==1.0")
    assert shell.run("watch", "add", "requirements.txt", "--name", "app").code == 0
    shell.run("watch", "check")
    return shell


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def values(text: str) -> dict[str, float]:
    return {sample.name + str(sorted(sample.labels.items())): sample.value for family in parsed(text) for sample in family.samples}


@contextmanager
def serving(shell: Shell, *before: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = shell.command(*before, "serve", "--port", "0")
    with subprocess.Popen(command, cwd=shell.folder, env=shell.env, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        told = json.loads(line)["message"] if line.startswith("{") else line
        assert told.startswith("serving "), line
        yield told.split()[1].removesuffix("/simple/"), process
        process.terminate()


def test_a_server_tells_what_it_answered_and_what_the_store_holds(farm: Shell) -> None:
    with serving(farm) as (url, _):
        request = urllib.request.Request(f"{url}/simple/there/", headers={"User-Agent": "pip/25.1"})
        for _ in range(3):
            urllib.request.urlopen(request).read()
        answer = urllib.request.urlopen(f"{url}/metrics")
        found = values(answer.read().decode())
    assert answer.headers["Cache-Control"] == "no-store"
    requests = [name for name in found if name.startswith("farm_index_requests_total") and "'pip'" in name]
    assert sum(found[name] for name in requests) == 3
    assert found["farm_upstream_requests_total[('result', 'ok')]"] >= 1
    assert found["farm_catalogue_up[]"] == 1
    assert found["farm_store_free_bytes[]"] > 0
    assert found["process_resident_memory_bytes[]"] > 0


def test_metrics_keep_to_the_access_that_is_configured(farm: Shell) -> None:
    config = farm.folder / "config.toml"
    plain = config.read_text()
    token = farm.run("token", "create", "prometheus", "--scope", "read").out.strip()
    for given, without, with_token in (("token", 401, 200), ("off", 404, 404), ("open", 200, 200)):
        config.write_text(f'{plain}[serve]\nread-access = "token"\nmetrics = "{given}"\n')
        with serving(farm) as (url, _):
            assert status(f"{url}/metrics") == without
            assert status(f"{url}/metrics", token) == with_token


def status(url: str, token: str = "") -> int:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_a_machine_without_a_server_writes_a_textfile(farm: Shell) -> None:
    wrong = farm.run("metrics", "--textfile", "farm.txt")
    assert (wrong.code, ".prom" in wrong.err) == (2, True)
    done = farm.run("metrics", "--textfile", "farm.prom")
    assert (done.code, done.out, done.err) == (0, "", "")
    path = farm.folder / "farm.prom"
    assert path.stat().st_mode & 0o777 == 0o644
    found = values(path.read_text())
    assert found["farm_watch_sets[]"] == 1
    assert found["farm_wanted_wheels[('state', 'build')]"] == 1
    assert not [entry for entry in farm.folder.iterdir() if entry.name.endswith(".tmp")]
    assert values(farm.run("metrics").out).keys() == found.keys()


def test_all_that_goes_to_stderr_is_json_where_that_is_wanted(farm: Shell) -> None:
    for arguments, env in (
        (("--log-format", "json", "build", "-r", "requirements.txt"), {}),
        (("check", "-r", "absent.txt"), {"FARM_LOG_FORMAT": "json"}),
        (("--log-format", "json", "check", "--no-such-option"), {}),
    ):
        done = farm.run(*arguments, **env)
        assert done.code != 0
        lines = objects(done.err)
        assert lines[-1]["level"] == "error"
        assert all({"time", "level", "logger", "event", "message"} <= line.keys() for line in lines)
    config = farm.folder / "config.toml"
    config.write_text(config.read_text() + '[log]\nformat = "json"\n')
    assert objects(farm.run("check", "-r", "absent.txt").err)[-1]["hint"]
    assert farm.run("--log-format", "text", "check", "-r", "absent.txt").err.startswith("error: ")
    assert farm.run("doctor", FARM_LOG_FORMAT="yaml").code == 2


def test_a_servers_log_is_json_too_with_each_request(farm: Shell) -> None:
    with serving(farm, "--verbose", "--log-format", "json") as (url, process):
        urllib.request.urlopen(f"{url}/simple/there/").read()
        assert process.stderr is not None
        while (line := json.loads(process.stderr.readline()))["event"] != "access":
            pass
    assert (line["method"], line["path"], line["status"], line["logger"]) == ("GET", "/simple/there/", 200, "uvicorn.access")


def night(shell: Shell, ended: datetime | None, state: str, report: dict[str, Any]) -> None:
    with sqlite3.connect(shell.folder / ".farm" / "catalogue.sqlite") as connection:
        began = (ended or datetime.now(UTC)) - timedelta(hours=1)
        row = (f"{began:%Y%m%d-%H%M%S}-abcdef", text(began), ended and text(ended), state, json.dumps(report))
        connection.execute("DELETE FROM nights")
        connection.execute("INSERT INTO nights VALUES (?, ?, ?, ?, ?)", row)


def text(when: datetime) -> str:
    return when.isoformat(timespec="microseconds")


def test_health_says_whether_nights_happen_and_end_well(farm: Shell) -> None:
    assert farm.run("health").code == 0
    assert farm.run("health", "--max-age", "26h").code == 1
    now = datetime.now(UTC)
    for age, state, code, healthy in ((1, "ended", 0, True), (1, "ended", 1, True), (1, "broken", 4, False), (30, "ended", 0, False)):
        night(farm, now - timedelta(hours=age), state, {"code": code, "built": [], "failing": []})
        done = farm.run("health", "--max-age", "26h", "--json")
        assert (done.code == 0) == healthy, (age, state, code)
        assert {row["subject"] for row in done.json["findings"]} == {"store", "night"}
    night(farm, None, "running", {})
    assert farm.run("health", "--max-age", "26h").code == 0
    assert farm.run("health", "--engine").code == 1


def test_health_says_that_there_is_no_store(shell: Shell) -> None:
    done = shell.run("health")
    assert done.code == 1
    assert "no catalogue" in done.out
    assert not (shell.folder / ".farm" / "catalogue.sqlite").exists()
    assert shell.run("metrics").code == 2


def test_a_campaign_from_its_opening_to_its_end(farm: Shell) -> None:
    assert farm.run("campaign", "new", "--target", OTHER, "--name", "next").code == 0
    assert farm.run("campaign", "new", "--target", OTHER, "--name", "next").code == 2
    assert farm.run("campaign", "new", "--target", "cp3x-nothing").code == 2
    shown = farm.run("campaign", "show", "next", "--json")
    goals = {(goal["name"], goal["version"]): goal["state"] for goal in shown.json["goals"]}
    assert goals == {("there", "2.0"): "upstream", ("there", "1.0"): "upstream", ("gap", "1.0"): "build"}
    assert (shown.code, shown.json["left"]) == (1, {"wheels": 1, "known": 0, "predicted_s": 0.0})
    assert "BUILD" in farm.run("campaign", "show", "next").out
    assert farm.run("campaign", "run", "next").code == 4
    (listed,) = farm.run("campaign", "list", "--json").json["campaigns"]
    assert (listed["target"], listed["closed"]) == (OTHER, None)
    assert farm.run("campaign", "close", "next").code == 0
    assert farm.run("campaign", "run", "next").code == 2
    assert farm.run("campaign", "show", "nxt").code == 2


def test_the_night_takes_open_campaigns_along(farm: Shell) -> None:
    farm.requirements("there==1.0")
    farm.run("watch", "check")
    assert farm.run("nightly", "--dry-run", "--json").json["built"] == []
    farm.requirements("there==1.0", "gap==1.0")
    farm.run("watch", "check")
    farm.run("campaign", "new", "--target", OTHER, "--name", "next")
    told = farm.run("nightly", "--dry-run", "--json").out
    assert OTHER in told
    farm.run("campaign", "close", "next")
    assert OTHER not in farm.run("nightly", "--dry-run", "--json").out


def test_backfill_lists_what_stays_a_gap(farm: Shell, stocked: IndexServer) -> None:
    (sdist,) = stocked.projects[canonicalize_name("gap")].values()
    assert farm.run("backfill", "--json", "--refresh").json["undated"] == 1
    for days, expected in ((3, []), (20, [("gap", "1.0", TARGET, True)])):
        sdist.page["upload-time"] = f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"
        found = farm.run("backfill", "--json", "--refresh")
        assert [(gap["name"], gap["version"], gap["target"], gap["buildable"]) for gap in found.json["gaps"]] == expected
        assert (found.code, found.json["young"]) == (1 if expected else 0, 0 if expected else 1)
    (gap,) = farm.run("backfill", "--json", "--target", OTHER).json["gaps"]
    assert (gap["target"], gap["sets"]) == (OTHER, 1)
    assert "gap 1.0" in farm.run("backfill").out
    assert farm.run("backfill", "--days", "30").code == 0
    assert farm.run("backfill", "--target", "nonsense").code == 2
    assert farm.run("backfill", "--build").code == 4
