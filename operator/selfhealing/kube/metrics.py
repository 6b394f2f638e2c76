"""The operator's Prometheus metrics, in a registry of their own."""

from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from selfhealing import __version__

disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the time series of counters
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
    "Seconds that the app at the head of the work queue has been due.",
    registry=REGISTRY,
)
API_REQUESTS: Final = Counter(
    "selfhealing_api_requests",
    "Requests to the API server by verb, kind and HTTP status (none: no response).",
    ["verb", "kind", "code"],
    registry=REGISTRY,
)
MISSING_RIGHTS: Final = Counter(
    "selfhealing_missing_rights",
    "Requests that RBAC refused by verb and kind; those that a quota or a policy refused are not"
    " counted.",
    ["verb", "kind"],
    registry=REGISTRY,
)
APPS_BY_PHASE: Final = Gauge("selfhealing_apps", "Apps by phase.", ["phase"], registry=REGISTRY)
UNHEALTHY_APPS: Final = Gauge(
    "selfhealing_unhealthy_apps",
    "Apps in the phases Degraded, Invalid and Quarantined, of each namespace that has some.",
    ["app_namespace", "phase"],
    registry=REGISTRY,
)
CONTAINER_RESTARTS: Final = Counter(
    "selfhealing_container_restarts",
    "Container restarts that this operator process counted, by reason.",
    ["reason"],
    registry=REGISTRY,
)
EVENTS_DROPPED: Final = Counter(
    "selfhealing_events_dropped",
    "Kubernetes Events that were not written by cause: the queue was full, the API server refused"
    " them (a quota, a namespace that is deleted), or did not answer.",
    ["cause"],
    registry=REGISTRY,
)
EVENTS_FOLDED: Final = Counter(
    "selfhealing_events_folded",
    "Kubernetes Events that were not written one by one: a later Event of the reason counts them.",
    registry=REGISTRY,
)
WATCH_FAILURES: Final = Counter(
    "selfhealing_watch_failures",
    "Lists and watches that failed and were begun again, by kind (of the apps: refused ones).",
    ["kind"],
    registry=REGISTRY,
)
NAMESPACE_REFUSED: Final = Gauge(
    "selfhealing_namespace_refused",
    "1 for each served namespace that refuses the operator: its apps are left alone.",
    ["app_namespace"],
    registry=REGISTRY,
)
STALE_OBJECTS: Final = Counter(
    "selfhealing_stale_objects_pruned",
    "Cached objects that a periodic list showed to be deleted, without a watch event.",
    registry=REGISTRY,
)
CLOCK_OFFSET: Final = Gauge(
    "selfhealing_clock_offset_seconds",
    "Seconds that the wall clock of the operator's node is ahead of the API server's clock.",
    registry=REGISTRY,
)
BUILD_INFO: Final = Gauge(
    "selfhealing_build_info", "1, with the operator's version.", ["version"], registry=REGISTRY
)
BUILD_INFO.labels(__version__).set(1)
LEADER: Final = Gauge(
    "selfhealing_leader",
    "1 while this replica acts: as the leader, or without leader election; else 0.",
    registry=REGISTRY,
)
DIAGNOSES: Final = Counter(
    "selfhealing_diagnoses",
    "Diagnoses of apps, by type and cause.",
    ["type", "cause"],
    registry=REGISTRY,
)
ACTIONS: Final = Counter(
    "selfhealing_remediation_actions",
    "Remediation actions, by remediation and outcome: InProgress, Succeeded, Failed…",
    ["remediation", "outcome"],
    registry=REGISTRY,
)
BUDGET_LEFT: Final = Gauge(
    "selfhealing_remediation_budget_left",
    "Actions that may still be started, of each app with an action in its history.",
    ["app_namespace", "app"],
    registry=REGISTRY,
)
BREAKER_OPEN: Final = Gauge(
    "selfhealing_circuit_breaker_open",
    "1 while so many apps of several namespaces are unhealthy that no remediation starts, else 0.",
    registry=REGISTRY,
)
STORM_APPS: Final = Gauge(
    "selfhealing_circuit_breaker_unhealthy_apps",
    "Apps that fell ill together, of each namespace that keeps a breaker open: cluster, namespace.",
    ["breaker", "app_namespace"],
    registry=REGISTRY,
)
NAMESPACE_BREAKERS_OPEN: Final = Gauge(
    "selfhealing_circuit_breaker_open_namespaces",
    "Namespaces in which so many apps are unhealthy that no remediation starts in them.",
    registry=REGISTRY,
)
