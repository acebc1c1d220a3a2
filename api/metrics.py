"""/metrics in Prometheus' text format: counters of this process, and gauges asked from the ledger at each scrape.

No label holds the name of a data set, a shard or a key: the page is open to whoever reaches the port.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from core.errors import DensifyError
from core.logs import get_logger
from ledger import Ledger
from workers.hints import KINDS
from workers.service import Service

router = APIRouter(tags=["service"])

#: Methods that are counted by name: what a client invents must not become a label.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
log = get_logger(__name__)


class Metrics:
    """The metrics of one application, in a registry of its own: two applications in a process do not mix."""

    def __init__(self, service: Service) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "densify_http_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self._uploads = Counter(
            "densify_uploads",
            "Uploads by outcome: created, existing, or an error's code.",
            ["outcome"],
            registry=self.registry,
        )
        self._bytes = Counter("densify_upload_bytes", "Bytes of upload bodies received.", registry=self.registry)
        self.registry.register(_LedgerCollector(service))

    def request(self, method: str, route: str, status: int) -> None:
        """Counts one answered request; `route` is the path with its parameters' names."""
        self._requests.labels(method if method in METHODS else "other", route, str(status)).inc()

    def upload(self, outcome: str, size_bytes: int) -> None:
        """Counts one upload that ended, well or not."""
        self._uploads.labels(outcome).inc()
        self._bytes.inc(size_bytes)


class _LedgerCollector(Collector):
    """Sums the ledger's counts over all data sets, when asked."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("densify_ledger_up", "1 when the ledger answered this scrape.")
        try:
            found = list(_gauges(self._service.ledger))
        except DensifyError as error:
            log.warning("scrape_without_ledger", code=error.code, error=error.sentence)
            found = []
        up.add_metric([], 1.0 if found else 0.0)
        yield up
        yield from found
        waiting = self._service.hints.queued()
        if waiting is not None:
            yield GaugeMetricFamily("densify_hints_waiting", "Hints that wait to be received.", value=waiting)

    def describe(self) -> Iterator[Metric]:
        # Without this the registry would ask the ledger once at start, to learn the names.
        return iter(())


def _gauges(ledger: Ledger) -> Iterator[Metric]:
    shards: Tally[str] = Tally()
    chunks: Tally[str] = Tally()
    samples: Tally[str] = Tally()
    rate = 0.0
    for progress in every_progress(ledger):
        shards.update(progress["shards"])
        chunks.update(progress["chunks"])
        samples.update({name: progress[name] for name in ("captioned", "rejected", "pending", "flagged")})
        rate += progress["images_per_s"]
    yield _family("densify_shards", "Shards by state.", "state", shards)
    yield _family("densify_chunks", "Chunks by state.", "state", chunks)
    yield _family("densify_samples", "Samples by outcome; flagged ones are among the captioned.", "outcome", samples)
    claimable: dict[str, int] = {kind: ledger.count_claimable(kind) for kind in KINDS}
    yield _family("densify_claimable", "Pieces of work that nobody holds.", "kind", claimable)
    yield GaugeMetricFamily("densify_images_per_second", "Samples finished a second, over the last minute.", value=rate)


def every_progress(ledger: Ledger) -> Iterator[dict[str, Any]]:
    """`Ledger.progress` of every data set."""
    cursor: str | None = None
    while True:
        datasets, cursor = ledger.list_datasets(cursor, 1000)
        for dataset in datasets:
            yield ledger.progress(dataset.name)
        if cursor is None:
            return


def _family(name: str, help_text: str, label: str, values: Mapping[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help_text, labels=[label])
    for key in sorted(values):
        family.add_metric([key], values[key])
    return family


async def get_metrics(request: Request) -> Metrics:
    """The application's metrics."""
    metrics: Metrics = request.app.state.metrics
    return metrics


@router.get("/metrics", response_class=PlainTextResponse, summary="Metrics")
async def read_metrics(request: Request) -> Response:
    """Counters and gauges for Prometheus. Wants no key."""
    registry = (await get_metrics(request)).registry
    return Response(await run_in_threadpool(generate_latest, registry), media_type=CONTENT_TYPE_LATEST)
