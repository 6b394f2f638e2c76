"""The PodMonitor and the Grafana dashboard of the operator."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from selfhealing.cli.alerts import MONITORING_API_VERSION
from selfhealing.cli.installation import LABELS, Installation, Json
from selfhealing.controller.metrics_auth import METRICS_PATH

DASHBOARD_FILE: Final = "selfhealing-operator.json"

SCHEMA_VERSION: Final = 39
"""The schema of Grafana 10 and newer; Grafana migrates older dashboards when it loads them."""

COLUMNS: Final = 24
"""The width of Grafana's grid."""

_HEIGHT: Final = 7
_STAT_HEIGHT: Final = 4

Unit = Literal["short", "s", "ops", "reqps", "bytes", "cores"]


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel: queries with their legends, over time or (``stat``) as the last value."""

    title: str
    queries: Sequence[tuple[str, str]]
    unit: Unit = "short"
    is_stat: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels of the same width beside each other."""

    title: str
    panels: Sequence[Panel]


_OPERATOR: Final = 'namespace="$namespace"'
"""The label that Prometheus gives the metrics: where the operator runs."""

_BUDGET_LEFT: Final = f"selfhealing_remediation_budget_left{{{_OPERATOR}}}"


def _max(metric: str, by: str = "", more: str = "") -> str:
    return f"max{by and f' by ({by})'} ({metric}{{{_OPERATOR}{more}}})"


def _rate(metric: str, by: str = "") -> str:
    return f"sum{by and f' by ({by})'} (rate({metric}{{{_OPERATOR}}}[$__rate_interval]))"


def _quantile(quantile: float) -> str:
    buckets = _rate("selfhealing_reconcile_duration_seconds_bucket", "le")
    return f"histogram_quantile({quantile}, {buckets})"


ROWS: Final = (
    Row(
        "State",
        (
            Panel(
                "Leaders, replicas by version",
                (
                    (f"sum (selfhealing_leader{{{_OPERATOR}}})", "leaders"),
                    (f"sum by (version) (selfhealing_build_info{{{_OPERATOR}}})", "{{version}}"),
                ),
                is_stat=True,
            ),
            Panel(
                "Apps",
                ((f"max (sum by (pod) (selfhealing_apps{{{_OPERATOR}}}))", ""),),
                is_stat=True,
            ),
            Panel("Ready", ((_max("selfhealing_apps", more=',phase="Ready"'), ""),), is_stat=True),
            Panel(
                "Quarantined",
                ((_max("selfhealing_apps", more=',phase="Quarantined"'), ""),),
                is_stat=True,
            ),
            Panel(
                "Circuit breaker",
                (
                    (_max("selfhealing_circuit_breaker_open"), "cluster"),
                    (_max("selfhealing_circuit_breaker_open_namespaces"), "namespaces"),
                ),
                is_stat=True,
                description="1 while no app of the cluster is healed; and the namespaces in which"
                " none is.",
            ),
        ),
    ),
    Row(
        "Apps and healing",
        (
            Panel("Apps by phase", ((_max("selfhealing_apps", "phase"), "{{phase}}"),)),
            Panel(
                "Apps of a storm by namespace",
                (
                    (
                        _max("selfhealing_circuit_breaker_unhealthy_apps", "app_namespace"),
                        "{{app_namespace}}",
                    ),
                ),
                description="While the breaker of the cluster is open: the namespaces that keep it"
                " open, and how many of their apps fell ill together.",
            ),
            Panel(
                "Diagnoses",
                ((_rate("selfhealing_diagnoses_total", "type, cause"), "{{type}} {{cause}}"),),
                "ops",
            ),
            Panel(
                "Actions",
                (
                    (
                        _rate("selfhealing_remediation_actions_total", "remediation, outcome"),
                        "{{remediation}} {{outcome}}",
                    ),
                ),
                "ops",
            ),
        ),
    ),
    Row(
        "Containers and budgets",
        (
            Panel(
                "Container restarts",
                ((_rate("selfhealing_container_restarts_total", "reason"), "{{reason}}"),),
                "ops",
            ),
            Panel(
                "Actions left, of the apps with the fewest",
                (
                    (
                        f"bottomk(10, min by (app_namespace, app) ({_BUDGET_LEFT}))",
                        "{{app_namespace}}/{{app}}",
                    ),
                ),
            ),
        ),
    ),
    Row(
        "Reconciling",
        (
            Panel(
                "Reconciles",
                ((_rate("selfhealing_reconciles_total", "result"), "{{result}}"),),
                "ops",
            ),
            Panel(
                "Duration of a reconcile",
                ((_quantile(0.5), "median"), (_quantile(0.99), "99 %")),
                "s",
            ),
            Panel(
                "Work queue",
                (
                    (_max("selfhealing_workqueue_depth"), "apps that wait"),
                    (_max("selfhealing_workqueue_longest_wait_seconds"), "longest wait (s)"),
                ),
            ),
        ),
    ),
    Row(
        "API server",
        (
            Panel(
                "Requests",
                ((_rate("selfhealing_api_requests_total", "verb, code"), "{{verb}} {{code}}"),),
                "reqps",
            ),
            Panel(
                "Watches begun again",
                (
                    (_rate("selfhealing_watch_failures_total", "kind"), "{{kind}}"),
                    (_rate("selfhealing_stale_objects_pruned_total"), "objects pruned"),
                ),
                "ops",
            ),
            Panel(
                "Events",
                (
                    (_rate("selfhealing_events_folded_total"), "folded"),
                    (_rate("selfhealing_events_dropped_total"), "dropped"),
                ),
                "ops",
            ),
        ),
    ),
    Row(
        "Process",
        (
            Panel("CPU", ((_rate("process_cpu_seconds_total", "pod"), "{{pod}}"),), "cores"),
            Panel("Memory", ((_max("process_resident_memory_bytes", "pod"), "{{pod}}"),), "bytes"),
            Panel(
                "Clock ahead of the API server",
                ((_max("selfhealing_clock_offset_seconds", "pod"), "{{pod}}"),),
                "s",
            ),
        ),
    ),
)


def build_pod_monitor(installation: Installation) -> Json:
    """Return the PodMonitor by which the Prometheus operator finds the operator's pods."""
    return {
        "apiVersion": MONITORING_API_VERSION,
        "kind": "PodMonitor",
        "metadata": installation.metadata(),
        "spec": {
            "selector": {"matchLabels": dict(LABELS)},
            "podMetricsEndpoints": [{"port": "metrics", "path": METRICS_PATH}],
        },
    }


def build_dashboard() -> Json:
    """Return the dashboard as Grafana imports it."""
    return {
        "uid": "selfhealing-operator",
        "title": "Self-healing operator",
        "tags": ["selfhealing", "kubernetes"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_datasource_variable(), _namespace_variable()]},
        "panels": list(_build_panels()),
    }


def _datasource_variable() -> Json:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
    }


def _namespace_variable() -> Json:
    query = "label_values(selfhealing_leader, namespace)"
    return {
        "name": "namespace",
        "label": "Operator in",
        "type": "query",
        "datasource": _datasource(),
        "definition": query,
        "query": {"query": query, "refId": "namespaces"},
        "refresh": 2,
        "sort": 1,
    }


def _datasource() -> Json:
    return {"type": "prometheus", "uid": "${datasource}"}


def _build_panels() -> Iterator[Json]:
    number = 0
    top = 0
    for row in ROWS:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1},
        }
        top += 1
        height = _STAT_HEIGHT if row.panels[0].is_stat else _HEIGHT
        edges = [COLUMNS * index // len(row.panels) for index in range(len(row.panels) + 1)]
        for left, right, panel in zip(edges, edges[1:], row.panels, strict=False):
            number += 1
            position = {"x": left, "y": top, "w": right - left, "h": height}
            yield {"id": number, "gridPos": position, **_build_panel(panel)}
        top += height


def _build_panel(panel: Panel) -> Json:
    return {
        "type": "stat" if panel.is_stat else "timeseries",
        "title": panel.title,
        **({"description": panel.description} if panel.description else {}),
        "datasource": _datasource(),
        "fieldConfig": {
            "defaults": {"unit": "none" if panel.unit == "cores" else panel.unit, "min": 0},
            "overrides": [],
        },
        "options": {"reduceOptions": {"calcs": ["lastNotNull"]}} if panel.is_stat else {},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _datasource(),
                "expr": expression,
                "legendFormat": legend,
            }
            for index, (expression, legend) in enumerate(panel.queries)
        ],
    }
