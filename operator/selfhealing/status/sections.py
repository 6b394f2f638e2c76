"""Builds the sections of the status: probes, endpoint, autoscaling, disruption; and joins texts."""

from collections.abc import Mapping
from typing import Any, Final

from selfhealing.api.probe_defaults import DEFAULT_FAILURES, DEFAULT_PERIOD
from selfhealing.api.quantity import parse_quantity
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.api.status import (
    MAX_METRICS,
    AutoscalingStatus,
    DisruptionStatus,
    ProbesStatus,
)
from selfhealing.cache.probes import HANDLER_LIMIT, describe_handler
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import HpaView, MetricView, PdbView
from selfhealing.health.messages import shorten, summarize_pods
from selfhealing.health.pod_problems import PodProblem, is_active
from selfhealing.render.probes import build_probe

METRIC_CHANGE_DIVISOR: Final = 10
"""A metric in the status is not updated if it changed by less than a tenth of its target. Otherwise
each measurement of an autoscaler, every 15 s, would cost a write of the status."""


def build_probes_status(spec: SelfHealingAppSpec) -> ProbesStatus | None:
    """Describe each probe in a line: ``http GET :5000/health every 5s, 3 failures``."""
    if spec.probes is None:
        return None
    given = (spec.probes.liveness, spec.probes.readiness, spec.probes.startup)
    if not any(given):
        return None
    liveness, readiness, startup = (
        _describe_probe(build_probe(probe, spec.port)) if probe else None for probe in given
    )
    return ProbesStatus(liveness=liveness, readiness=readiness, startup=startup)


def _describe_probe(probe: Mapping[str, Any]) -> str:
    # An explicit 0 means the default to Kubernetes.
    period = probe.get("periodSeconds") or DEFAULT_PERIOD
    failures = probe.get("failureThreshold") or DEFAULT_FAILURES
    handler = shorten(describe_handler(probe), HANDLER_LIMIT)
    return f"{handler} every {period}s, {pluralize(failures, 'failure')}"


def find_endpoint(snapshot: AppSnapshot, before: str | None) -> str | None:
    """The URL of the app: an external one if the Service's type has one, else its DNS name.

    None without a Service or with one that has no port of TCP.

    A NodePort is open on every node. The node in the URL ``before`` stays while it has a pod, so
    that the URL does not change with each pod.
    """
    service = snapshot.service
    if service is None or service.deleting or not service.port:
        return None
    if service.ingress:
        return _url(service.ingress, service.port)
    if service.node_port:
        hosts = {pod.host_ip for pod in snapshot.pods if pod.host_ip and is_active(pod)}
        urls = sorted(_url(host, service.node_port) for host in hosts)
        if urls:
            return before if before in urls else urls[0]
    return _url(f"{service.name}.{snapshot.app.key.namespace}.svc", service.port)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def build_autoscaling_status(
    autoscaler: HpaView | None, before: AutoscalingStatus | None
) -> AutoscalingStatus | None:
    """Build status.autoscaling: replicas and metrics such as ``cpu: 31%/50%``."""
    if autoscaler is None:
        return None
    metrics = {metric.name: metric for metric in autoscaler.metrics}
    others = [metric for name, metric in metrics.items() if name not in ("cpu", "memory")]
    previous_metrics = (before.metrics if before else None) or {}
    return AutoscalingStatus(
        current=autoscaler.current_replicas,
        desired=autoscaler.desired_replicas,
        min=autoscaler.min_replicas,
        max=autoscaler.max_replicas,
        cpu=_format_optional_metric(metrics.get("cpu"), before.cpu if before else None),
        memory=_format_optional_metric(metrics.get("memory"), before.memory if before else None),
        metrics={
            metric.name: _format_metric(
                _convert_milli_units(metric), previous_metrics.get(metric.name)
            )
            for metric in others[:MAX_METRICS]
        }
        or None,
        last_scale_time=autoscaler.last_scale_time,
    )


def _format_optional_metric(metric: MetricView | None, before: str | None) -> str | None:
    return None if metric is None else _format_metric(metric, before)


def _format_metric(metric: MetricView, before: str | None) -> str:
    previous_value, _, target = (before or "").partition("/")
    if before and target == metric.target and _is_steady(previous_value, metric):
        return before
    return f"{metric.current or 'unknown'}/{metric.target}"


def _convert_milli_units(metric: MetricView) -> MetricView:
    """Convert the values of a metric from milli-units: "7500m" becomes "7.5"."""
    return MetricView(
        metric.name, _convert_milli_quantity(metric.current), _convert_milli_quantity(metric.target)
    )


def _convert_milli_quantity(figure: str) -> str:
    number = parse_quantity(figure) if figure.endswith("m") else None
    return figure if number is None else f"{number.normalize():f}"


def _is_steady(previous_value: str, metric: MetricView) -> bool:
    previous, current, target = (
        parse_quantity(figure.removesuffix("%"))
        for figure in (previous_value, metric.current, metric.target)
    )
    if previous is None or current is None or target is None:
        return False
    return abs(previous - current) * METRIC_CHANGE_DIVISOR < target


def build_disruption_status(budget: PdbView | None) -> DisruptionStatus | None:
    """Build status.disruption from the PodDisruptionBudget."""
    if budget is None:
        return None
    return DisruptionStatus(
        budget=budget.limit,
        allowed=budget.disruptions_allowed,
        healthy=budget.current_healthy,
        required=budget.desired_healthy,
    )


def summarize_problems(pod_problems: tuple[PodProblem, ...]) -> str:
    """Describe the most severe problem: ``web-1 and 2 more: cannot pull image web:v9``."""
    return summarize_pods(
        [pod_problem.pod_name for pod_problem in pod_problems], pod_problems[0].message
    )


def pluralize(count: int, noun: str) -> str:
    """Format a number and its noun: "1 pod", "2 pods"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def join_clauses(*parts: str) -> str:
    """Join the parts that are not empty with semicolons."""
    return "; ".join(part for part in parts if part)


def join_words(words: list[str]) -> str:
    """Join words: "a, b and c"."""
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)
