"""Alerts and dashboard in a real Prometheus, which scrapes a real operator and an ill one."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from hack.testkit.namespace import FAKE_NODES, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.prometheus_process import PrometheusProcess, find_prometheus, run_prometheus
from hack.testkit.wait import eventually
from selfhealing.cli.alerts import ALERTS, build_rule_groups
from selfhealing.cli.monitoring import build_dashboard

Json = dict[str, Any]

REAL, ILL = "real", "ill"
"""The namespaces in which the operators seem to run."""

COUNTERS = (
    'selfhealing_reconciles_total{result="failed"}',
    'selfhealing_reconcile_duration_seconds_bucket{le="0.5"}',
    'selfhealing_reconcile_duration_seconds_bucket{le="+Inf"}',
    'selfhealing_watch_failures_total{kind="Pod"}',
    'selfhealing_api_requests_total{verb="list",kind="Pod",code="403"}',
    'selfhealing_missing_rights_total{verb="list",kind="Pod"}',
    'selfhealing_container_restarts_total{reason="Error"}',
    'selfhealing_diagnoses_total{type="CrashLooping",cause="NewVersion"}',
    'selfhealing_remediation_actions_total{remediation="Rollback",outcome="Failed"}',
    'selfhealing_events_dropped_total{cause="QueueFull"}',
    "selfhealing_events_folded_total",
    "selfhealing_stale_objects_pruned_total",
    "process_cpu_seconds_total",
)
"""They grow with each scrape."""

GAUGES = {
    "selfhealing_leader": 1,
    'selfhealing_build_info{version="0.1.0"}': 1,
    "selfhealing_workqueue_depth": 50,
    "selfhealing_workqueue_longest_wait_seconds": 60,
    "selfhealing_clock_offset_seconds": 3,
    'selfhealing_apps{phase="Ready"}': 3,
    'selfhealing_apps{phase="Quarantined"}': 1,
    'selfhealing_unhealthy_apps{app_namespace="shop",phase="Degraded"}': 2,
    'selfhealing_unhealthy_apps{app_namespace="shop",phase="Invalid"}': 1,
    'selfhealing_unhealthy_apps{app_namespace="shop",phase="Quarantined"}': 1,
    'selfhealing_remediation_budget_left{app_namespace="shop",app="web"}': 0,
    'selfhealing_namespace_refused{app_namespace="shop"}': 1,
    "selfhealing_circuit_breaker_open": 1,
    "selfhealing_circuit_breaker_open_namespaces": 2,
    'selfhealing_circuit_breaker_unhealthy_apps{breaker="cluster",app_namespace="shop"}': 5,
    'selfhealing_circuit_breaker_unhealthy_apps{breaker="namespace",app_namespace="shop"}': 5,
    "process_resident_memory_bytes": 1e8,
}
"""Two replicas show them, so two lead."""

NOT_ILL = {"SelfHealingOperatorAbsent", "SelfHealingNoLeader"}
"""What an operator that is scraped and leads twice cannot have."""


class IllOperator(BaseHTTPRequestHandler):
    """Answers with metrics of which every alert but NOT_ILL speaks."""

    scrapes = 0

    def do_GET(self) -> None:
        """Answer a scrape."""
        type(self).scrapes += 1
        lines = [f"{series} {10 * self.scrapes}" for series in COUNTERS]
        lines += [f"{series} {value}" for series, value in GAUGES.items()]
        body = "".join(f"{line}\n" for line in lines).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def ill_port() -> Iterator[int]:
    """The port of the ill operator."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), IllOperator)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def prometheus(
    operator: OperatorProcess, ill_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrometheusProcess]:
    """A Prometheus that scrapes the operator, and two replicas of an ill one."""
    folder = tmp_path_factory.mktemp("prometheus")
    command = find_prometheus(folder)
    if command is None:
        pytest.skip("Prometheus is not built here: run `make cluster ADDONS=metrics-stack`")

    def job(name: str, namespace: str, path: str, address: str) -> Json:
        labels = {"namespace": namespace, "pod": name}
        targets = [{"targets": [address], "labels": labels}]
        return {"job_name": name, "metrics_path": path, "static_configs": targets}

    address = operator.metrics_url.removeprefix("http://").removesuffix("/metrics")
    jobs = [
        job("real-1", REAL, "/metrics", address),
        job("ill-1", ILL, "/1", f"127.0.0.1:{ill_port}"),
        job("ill-2", ILL, "/2", f"127.0.0.1:{ill_port}"),
    ]
    with run_prometheus(command, folder, jobs, build_rule_groups()) as running:
        eventually(
            lambda: len(running.query("selfhealing_leader")) == len(jobs),
            description="everything is scraped",
        )
        yield running


def list_active(prometheus: PrometheusProcess, namespace: str) -> set[str]:
    """Return the alerts that are pending or firing for the operator in a namespace."""
    return {
        alert["labels"]["alertname"]
        for alert in prometheus.list_alerts()
        if alert["labels"].get("namespace", ILL) == namespace
        and alert["labels"]["alertname"] != "SelfHealingOperatorAbsent"  # before the first scrape
    }


def test_prometheus_evaluates_every_rule(prometheus: PrometheusProcess) -> None:
    eventually(
        lambda: {rule["health"] for rule in prometheus.list_rules()} == {"ok"},
        description="every rule was evaluated",
    )

    assert [alert.name for alert in ALERTS] == [rule["name"] for rule in prometheus.list_rules()]


def test_an_ill_operator_has_every_alert(prometheus: PrometheusProcess) -> None:
    expected = {alert.name for alert in ALERTS} - NOT_ILL

    eventually(
        lambda: list_active(prometheus, ILL) == expected,
        description="every alert is pending or firing",
    )
    assert [] == prometheus.query("absent(selfhealing_leader)")


def test_a_healthy_operator_has_none(
    prometheus: PrometheusProcess, space: AppNamespace, name: str
) -> None:
    """An operator that takes part in no election, as those of the tests, has no alert for that."""
    space.create_app(name, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")
    eventually(
        lambda: prometheus.query(f'rate(selfhealing_reconciles_total{{namespace="{REAL}"}}[1m])'),
        description="Prometheus has seen a reconcile",
    )

    assert set() == list_active(prometheus, REAL)


def list_queries() -> list[str]:
    """Return the queries of the dashboard."""
    panels = build_dashboard()["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


@pytest.mark.parametrize("query", list_queries())
def test_every_panel_has_data(prometheus: PrometheusProcess, query: str) -> None:
    expression = query.replace("$namespace", ILL).replace("$__rate_interval", "1m")

    assert eventually(lambda: prometheus.query(expression), description=query)
