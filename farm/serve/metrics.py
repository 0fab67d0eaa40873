"""A farm's figures as Prometheus reads them: its text format 0.0.4 and OpenMetrics 1.0, by the Accept header.

Names are as Prometheus wants them: base units, `_total` for what only grows. No label has a package's name: what labels can say is
bounded. docs/monitoring.md has the list, and a test holds the two together.
"""

from __future__ import annotations

import platform
from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from farm import __version__
from farm.serve.ask import refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client.core import Metric
    from starlette.requests import Request

    from farm.model.figures import BuildFigures, Figures, Holdings, Night, Recent
    from farm.serve.access import Access
    from farm.serve.tally import Totals

_CHALLENGE = 'Basic realm="farm", charset="UTF-8"'


class Served(NamedTuple):
    """What a server has counted since it started: answers by kind, and how many were given again without looking anything up.

    `upstream` tells how often a page was asked for upstream and came ("ok") or did not ("error"), and how often an old one was given.
    """

    totals: Mapping[Totals, int]
    short_cuts: int = 0
    upstream: Mapping[str, int] = MappingProxyType({})


class FarmCollector(Collector):
    """Makes the families anew for each look. `served` is None where no server runs (`farm metrics`)."""

    def __init__(self, figures: Callable[[], Figures], served: Callable[[], Served] | None = None) -> None:
        self._figures = figures
        self._served = served

    def describe(self) -> Iterable[Metric]:
        """Without it the registry would collect once only to learn the names."""
        return ()

    def collect(self) -> Iterator[Metric]:
        figures = self._figures()
        yield InfoMetricFamily("farm", "The farm's version.", {"version": __version__, "python": platform.python_version()})
        yield GaugeMetricFamily("farm_catalogue_up", "Whether the catalogue could be read for this answer.", figures.recent is not None)
        if figures.free is not None and figures.size is not None:
            yield GaugeMetricFamily("farm_store_free_bytes", "Free bytes of the file system that the store is on.", figures.free)
            yield GaugeMetricFamily("farm_store_size_bytes", "Size of the file system that the store is on.", figures.size)
        if figures.recent is not None:
            yield from _recent(figures.recent)
        if figures.holdings is not None:
            yield from _holdings(figures.holdings)
        if self._served is not None:
            yield from _served(self._served())


def _recent(recent: Recent) -> Iterator[Metric]:
    yield from _builds(recent.builds)
    queue = GaugeMetricFamily("farm_queue_jobs", "Jobs of the runs that are under way, by state.", labels=["state"])
    for state, count in recent.queue:
        queue.add_metric([state], count)
    yield queue
    yield GaugeMetricFamily("farm_campaigns_open", "Campaigns that are not closed.", recent.open_campaigns)
    yield from _night(recent.night, recent.last_night)


def _builds(builds: BuildFigures) -> Iterator[Metric]:
    about = "Builds that have ended since the store was made: published, reused (the same inputs had been built), remembered (they had"
    about += " failed), failed, timed_out, rejected by the proof, interrupted; with the cause of the diagnosis."
    ended = CounterMetricFamily("farm_builds", about, labels=["outcome", "cause"])
    for outcome, cause, count in builds.ended:
        ended.add_metric([outcome, cause], count)
    yield ended
    took = HistogramMetricFamily("farm_build_duration_seconds", "What builds took that ran, their proof included.", labels=["outcome"])
    for outcome, durations in builds.durations:
        took.add_metric([outcome], list(durations.cumulated()), durations.total)
    yield took
    yield GaugeMetricFamily("farm_builds_running", "Builds under way.", builds.running)


def _night(night: Night | None, last: Night | None) -> Iterator[Metric]:
    """An absent metric is how Prometheus has it that something never was."""
    if night is not None:
        about = "When the newest nightly run started."
        yield GaugeMetricFamily("farm_night_start_timestamp_seconds", about, night.started.timestamp())
        yield GaugeMetricFamily("farm_night_running", "Whether the newest nightly run has not ended.", night.ended is None)
    if last is None or last.ended is None:
        return
    yield GaugeMetricFamily("farm_night_end_timestamp_seconds", "When a nightly run last ended.", last.ended.timestamp())
    about = "What the last nightly run that ended took."
    yield GaugeMetricFamily("farm_night_duration_seconds", about, (last.ended - last.started).total_seconds())
    yield GaugeMetricFamily("farm_night_ok", "Whether that run came to its end by itself.", last.state == "ended")
    if last.exit_code is not None:
        yield GaugeMetricFamily("farm_night_exit_code", "The exit code of the last nightly run that ended.", last.exit_code)
    wheels = GaugeMetricFamily("farm_night_wheels", "Wheels of the last nightly run that ended, by result.", labels=["result"])
    for result, count in (("built", last.built), ("failed", last.failed)):
        if count is not None:
            wheels.add_metric([result], count)
    yield wheels


def _holdings(held: Holdings) -> Iterator[Metric]:
    yield GaugeMetricFamily("farm_wheels", "Files that the farm's index has of its own.", held.wheels)
    yield GaugeMetricFamily("farm_wheels_size_bytes", "Their bytes.", held.wheel_bytes)
    yield GaugeMetricFamily("farm_wheels_retired", "Those that upstream has a wheel for by now.", held.retired)
    yield GaugeMetricFamily("farm_watch_sets", "Requirement sets that were looked at.", held.watches)
    yield GaugeMetricFamily("farm_watch_sets_broken", "Those that could not be read when last looked at.", held.broken_watches)
    wanted = GaugeMetricFamily("farm_wanted_wheels", "What the sets want, by state as in a report.", labels=["state"])
    for state, count in held.wanted:
        wanted.add_metric([state], count)
    yield wanted
    parts = GaugeMetricFamily("farm_store_bytes", "Bytes on the disk of each part of the store.", labels=["part"])
    for part, size in held.parts:
        parts.add_metric([part], size)
    yield parts


def _served(served: Served) -> Iterator[Metric]:
    about = "Requests to the index since the server started, by view, kind, status and family of client."
    requests = CounterMetricFamily("farm_index_requests", about, labels=["view", "kind", "status", "client"])
    every: Counter[tuple[str, str, str, str]] = Counter()
    misses: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for key, count in sorted(served.totals.items()):
        every[key.view, key.kind, str(key.status), key.family] += count
        if key.taken and key.kind == "sdist":
            misses[key.family] += count
        if key.taken and key.kind == "wheel":
            hits[key.family] += count
    for labels, count in every.items():
        requests.add_metric(labels, count)
    yield requests
    missed = CounterMetricFamily("farm_index_misses", "Sdists that clients fetched through the index, to compile them.", labels=["client"])
    hit = CounterMetricFamily("farm_index_wheels_served", "Downloads of the farm's own wheels.", labels=["client"])
    for family, counts in ((missed, misses), (hit, hits)):
        for client, count in counts.items():
            family.add_metric([client], count)
        yield family
    about = "Pages that were asked for upstream, by result: ok (also unchanged or absent), error."
    asked = CounterMetricFamily("farm_upstream_requests", about, labels=["result"])
    for result in ("ok", "error"):
        asked.add_metric([result], served.upstream.get(result, 0))
    yield asked
    about = "Answers from an old page, as upstream's newer one was not there in time."
    yield CounterMetricFamily("farm_upstream_stale_pages", about, served.upstream.get("stale", 0))
    yield CounterMetricFamily("farm_index_short_cuts", "Answers given again without looking anything up.", served.short_cuts)


def registry(figures: Callable[[], Figures], served: Callable[[], Served] | None = None) -> CollectorRegistry:
    """Return the farm's metrics; with `served` also those of this process: processor, memory, open files."""
    made = CollectorRegistry(auto_describe=False)
    made.register(FarmCollector(figures, served))
    if served is not None:
        ProcessCollector(registry=made)
    return made


def render_text(metrics: CollectorRegistry) -> bytes:
    """Return Prometheus' text format, version 0.0.4."""
    return generate_latest(metrics)


class MetricsPage:
    """`/metrics`. With `access`, for those who have a token that may read."""

    def __init__(self, metrics: CollectorRegistry, access: Access | None) -> None:
        self._metrics = metrics
        self._access = access

    async def answer(self, request: Request) -> Response:
        return await run_in_threadpool(self._answer, request)

    def _answer(self, request: Request) -> Response:
        if self._access is not None:
            token = self._access.identify(request.headers.get("authorization"))
            if token is None or not token.grants("read"):
                return refuse(request, 401, "metrics are read with a token", {"WWW-Authenticate": _CHALLENGE})
        try:
            encode, kind = choose_encoder(request.headers.get("accept", ""))
        except (ValueError, TypeError):
            encode, kind = generate_latest, CONTENT_TYPE_PLAIN_0_0_4
        return Response(encode(self._metrics), headers={"Content-Type": kind, "Cache-Control": "no-store", "Vary": "Accept"})
