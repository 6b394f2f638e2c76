"""Prometheus metrics of the operator, on a registry of their own."""

from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a time series more for each counter
REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

RECONCILES: Final = Counter(
    "selfhealing_reconciles",
    "Reconciles by result: unchanged, changed, failed.",
    ["result"],
    registry=REGISTRY,
)
RECONCILE_SECONDS: Final = Histogram(
    "selfhealing_reconcile_duration_seconds",
    "Seconds that one reconcile took.",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
    registry=REGISTRY,
)
WORKQUEUE_DEPTH: Final = Gauge(
    "selfhealing_workqueue_depth", "Apps that wait for a reconcile.", registry=REGISTRY
)
WORKQUEUE_LONGEST_WAIT: Final = Gauge(
    "selfhealing_workqueue_longest_wait_seconds",
    "Seconds that the oldest due app has waited.",
    registry=REGISTRY,
)
API_REQUESTS: Final = Counter(
    "selfhealing_api_requests",
    "Requests to the API server by verb, kind and HTTP status; patch, create, update and delete "
    "are writes.",
    ["verb", "kind", "code"],
    registry=REGISTRY,
)
APPS_BY_PHASE: Final = Gauge("selfhealing_apps", "Apps by phase.", ["phase"], registry=REGISTRY)
CONTAINER_RESTARTS: Final = Counter(
    "selfhealing_container_restarts",
    "Container restarts that this operator process counted, by reason.",
    ["reason"],
    registry=REGISTRY,
)
EVENTS_DROPPED: Final = Counter(
    "selfhealing_events_dropped",
    "Kubernetes Events that were not written: the queue was full or the API server refused.",
    registry=REGISTRY,
)
STALE_OBJECTS: Final = Counter(
    "selfhealing_stale_objects_pruned",
    "Stored objects that a periodic list showed to be gone without a watch event.",
    registry=REGISTRY,
)
LEADER: Final = Gauge(
    "selfhealing_leader", "1 while this replica may write, else 0.", registry=REGISTRY
)
DIAGNOSES: Final = Counter(
    "selfhealing_diagnoses",
    "Illnesses that were found, by type and cause.",
    ["type", "cause"],
    registry=REGISTRY,
)
ACTIONS: Final = Counter(
    "selfhealing_remediation_actions",
    "Decisions of healing, by remedy and what became of them: Started, Helped, NoHelp…",
    ["remediation", "outcome"],
    registry=REGISTRY,
)
BUDGET_LEFT: Final = Gauge(
    "selfhealing_remediation_budget_left",
    "Actions that may still be taken, of each app in whose history there is one.",
    ["namespace", "app"],
    registry=REGISTRY,
)
BREAKER_OPEN: Final = Gauge(
    "selfhealing_circuit_breaker_open",
    "1 while so many apps are ill at once that none is touched, else 0.",
    registry=REGISTRY,
)
