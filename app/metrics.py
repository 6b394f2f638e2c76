"""What Prometheus scrapes. Every label value comes from a fixed set, whatever clients send."""

from collections.abc import Callable
from time import perf_counter
from typing import Final

from flask import Flask, Response, g, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from app.state import State

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNKNOWN: Final = "(unknown)"
_BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """The counters of one application, in a registry of its own so that tests do not share them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._requests = Counter(
            "http_requests",
            "Requests answered, by route, method and status code.",
            ("path", "method", "status"),
            registry=self.registry,
        )
        self._duration = Histogram(
            "http_request_duration_seconds",
            "Time from a worker thread taking the request to its answer, by route.",
            ("path",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._in_flight = Gauge(
            "http_requests_in_flight",
            "Requests that worker threads are busy with, this scrape not counted.",
            registry=self.registry,
        )
        self._queue_length = Gauge(
            "http_requests_queued",
            "Requests received and waiting for a worker thread.",
            registry=self.registry,
        )

    def watch_queue(self, length: Callable[[], int]) -> None:
        """Ask the server for its queue's length at every scrape."""
        self._queue_length.set_function(length)

    def watch_state(self, state: State) -> None:
        """Show the state as gauges of 0 or 1."""
        watched: dict[str, tuple[str, Callable[[], bool]]] = {
            "healthy": ("1 while /health answers 200.", lambda: state.snapshot().healthy),
            "ready": ("1 while /ready answers 200.", lambda: state.snapshot().ready),
            "cpu_load": ("1 while the CPU load runs.", lambda: state.snapshot().cpu_load),
        }
        for name, (text, read) in watched.items():
            Gauge(f"demo_app_{name}", text, registry=self.registry).set_function(read)

    def install(self, app: Flask) -> None:
        """Serve ``/metrics`` and count every request of the application."""
        app.add_url_rule("/metrics", "metrics", self._scrape)
        app.before_request(self._begin)
        app.after_request(self._answered)
        app.teardown_request(self._end)

    def _scrape(self) -> Response:
        return Response(generate_latest(self.registry), content_type=CONTENT_TYPE_LATEST)

    def _begin(self) -> None:
        if request.endpoint != "metrics":
            g.in_flight = True
            self._in_flight.inc()

    def _answered(self, response: Response) -> Response:
        rule = request.url_rule
        path = rule.rule if rule is not None else _UNKNOWN
        method = request.method if request.method in _METHODS else _UNKNOWN
        self._requests.labels(path, method, str(response.status_code)).inc()
        self._duration.labels(path).observe(perf_counter() - g.started)
        return response

    def _end(self, _error: BaseException | None) -> None:
        if g.pop("in_flight", False):
            self._in_flight.dec()
