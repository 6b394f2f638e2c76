"""The alerts on the operator's metrics, as a PrometheusRule.

docs/alerts.md has a section for each. ``namespace`` is the label that Prometheus gives a pod's
metrics, here that of the operator; the namespace of apps is ``app_namespace``.
"""

from dataclasses import dataclass
from typing import Final, Literal

from selfhealing.cli.installation import Installation, Json

RUNBOOK: Final = "docs/alerts.md"
"""The page with the alerts, in the repository."""

MONITORING_API_VERSION: Final = "monitoring.coreos.com/v1"


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert.

    Attributes:
        name: its name, and the heading of its section.
        expression: PromQL; each series of the result is an alert.
        wait: for how long the expression must hold.
        severity: critical wakes somebody up, warning is for working hours, info is for dashboards.
        scope: whom it concerns: the operator is the platform team's, apps are a team's. The latter
            have a series for each namespace, so that one team cannot hide the alerts of others.
        summary: what is the case, with labels as {{ $labels.NAME }}.
    """

    name: str
    expression: str
    wait: str
    severity: Literal["critical", "warning", "info"]
    summary: str
    scope: Literal["operator", "apps"] = "operator"


_STORM_NAMESPACES: Final = (
    """{{ range query "max by (app_namespace)"""
    """ (selfhealing_circuit_breaker_unhealthy_apps{breaker='cluster'})" }}"""
    "{{ .Labels.app_namespace }} ({{ .Value }}) {{ end }}"
)
"""A template of Prometheus, which has queries: the alert itself is one for the whole cluster."""


def _count_apps(phase: str) -> str:
    """Return a query for the apps in a phase, by their namespace."""
    return f'max by (namespace, app_namespace) (selfhealing_unhealthy_apps{{phase="{phase}"}}) > 0'


ALERTS: Final = (
    Alert(
        "SelfHealingOperatorAbsent",
        "absent(selfhealing_leader)",
        "5m",
        "critical",
        "Prometheus finds no self-healing operator: either none runs, or it is not scraped.",
    ),
    Alert(
        "SelfHealingNoLeader",
        "sum by (namespace) (selfhealing_leader) < 1",
        # A takeover takes at most 17 s, a restart of all replicas some seconds more.
        "2m",
        "critical",
        "No replica of the operator in {{ $labels.namespace }} leads: nothing is reconciled.",
    ),
    Alert(
        "SelfHealingSeveralLeaders",
        "sum by (namespace) (selfhealing_leader) > 1",
        "2m",
        "critical",
        "{{ $value }} replicas of the operator in {{ $labels.namespace }} lead.",
    ),
    Alert(
        "SelfHealingReconcilesFailing",
        'sum by (namespace) (rate(selfhealing_reconciles_total{result="failed"}[10m])) > 0',
        "15m",
        "warning",
        "Reconciles of the operator in {{ $labels.namespace }} keep failing.",
    ),
    Alert(
        "SelfHealingQueueBehind",
        "max by (namespace) (selfhealing_workqueue_longest_wait_seconds) > 10",
        "5m",
        "warning",
        "An app waits for {{ $value }} s for the operator in {{ $labels.namespace }}.",
    ),
    Alert(
        "SelfHealingWatchesFailing",
        "sum by (namespace, kind) (increase(selfhealing_watch_failures_total[15m])) > 3",
        "15m",
        "warning",
        "The operator in {{ $labels.namespace }} cannot watch {{ $labels.kind }}.",
    ),
    Alert(
        "SelfHealingRequestsForbidden",
        "sum by (namespace, verb, kind) (increase(selfhealing_missing_rights_total[15m])) > 0",
        "15m",
        "warning",
        "The operator in {{ $labels.namespace }} may not {{ $labels.verb }} {{ $labels.kind }}.",
    ),
    Alert(
        "SelfHealingNamespaceRefused",
        "max by (namespace, app_namespace) (selfhealing_namespace_refused) > 0",
        "5m",
        "warning",
        "{{ $labels.app_namespace }} refuses the operator: its apps are left alone.",
    ),
    Alert(
        "SelfHealingCircuitBreakerOpen",
        "max by (namespace) (selfhealing_circuit_breaker_open) > 0",
        "0m",
        "critical",
        "So many apps fell ill at once that the operator in {{ $labels.namespace }} heals none."
        f" The namespaces that keep this up: {_STORM_NAMESPACES}.",
    ),
    Alert(
        "SelfHealingNamespaceBreakerOpen",
        "max by (namespace, app_namespace)"
        ' (selfhealing_circuit_breaker_unhealthy_apps{breaker="namespace"}) > 0',
        "1m",
        "warning",
        "So many apps of {{ $labels.app_namespace }} fell ill at once that none is healed.",
        "apps",
    ),
    Alert(
        "SelfHealingAppsQuarantined",
        _count_apps("Quarantined"),
        "1m",
        "warning",
        "{{ $value }} apps of {{ $labels.app_namespace }} are quarantined: they wait for a person.",
        "apps",
    ),
    Alert(
        "SelfHealingBudgetSpent",
        "min by (app_namespace, app) (selfhealing_remediation_budget_left) < 1",
        "1m",
        "warning",
        "No healing action is left for {{ $labels.app_namespace }}/{{ $labels.app }}.",
        "apps",
    ),
    Alert(
        "SelfHealingAppsDegraded",
        _count_apps("Degraded"),
        "30m",
        "info",
        "{{ $value }} apps of {{ $labels.app_namespace }} are degraded for half an hour.",
        "apps",
    ),
    Alert(
        "SelfHealingAppsInvalid",
        _count_apps("Invalid"),
        "30m",
        "info",
        "{{ $value }} apps of {{ $labels.app_namespace }} have a spec that is not valid.",
        "apps",
    ),
    Alert(
        "SelfHealingEventsDropped",
        "sum by (namespace)"
        ' (increase(selfhealing_events_dropped_total{cause!="Refused"}[15m])) > 0',
        "15m",
        "info",
        "Events of the operator in {{ $labels.namespace }} are lost.",
    ),
)


def build_rule_groups(runbook_url: str = RUNBOOK) -> list[Json]:
    """Return the groups of a Prometheus rule file.

    Args:
        runbook_url: the address of the page with the alerts.
    """
    rules = [
        {
            "alert": alert.name,
            "expr": alert.expression,
            "for": alert.wait,
            "labels": {"severity": alert.severity, "scope": alert.scope},
            "annotations": {
                "summary": alert.summary,
                "runbook_url": f"{runbook_url}#{alert.name.lower()}",
            },
        }
        for alert in ALERTS
    ]
    return [{"name": "selfhealing-operator", "rules": rules}]


def build_prometheus_rule(installation: Installation) -> Json:
    """Return the PrometheusRule with the alerts."""
    return {
        "apiVersion": MONITORING_API_VERSION,
        "kind": "PrometheusRule",
        "metadata": installation.metadata(),
        "spec": {"groups": build_rule_groups()},
    }
