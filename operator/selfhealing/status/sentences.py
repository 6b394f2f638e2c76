"""Settings, figures and addresses in the words that people use."""

from collections.abc import Mapping
from typing import Any, Final

from selfhealing.api.quantity import quantity
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.api.status import (
    MAX_METRICS,
    AutoscalingStatus,
    DisruptionStatus,
    ProbesStatus,
)
from selfhealing.cache.snapshot import Facts
from selfhealing.cache.views import AutoscalerView, BudgetView, MetricView
from selfhealing.health.messages import about, shorten
from selfhealing.health.pod_problems import Ailment, is_live
from selfhealing.render.probes import build_probe

DEFAULT_PERIOD: Final = 10
DEFAULT_FAILURES: Final = 3
"""Kubernetes' defaults of a probe's periodSeconds and failureThreshold."""

HANDLER_LIMIT: Final = 100
"""Characters of a path or a command that are shown."""

STEADY: Final = 10
"""A metric that moved by less than a tenth of its target is shown as it was: each new figure of
an autoscaler would cost a write of the status, every 15 s for every app."""


def probes(spec: SelfHealingAppSpec) -> ProbesStatus | None:
    """Each probe that there is as a sentence: ``http GET :5000/health every 5s, 3 failures``."""
    if spec.probes is None:
        return None
    given = (spec.probes.liveness, spec.probes.readiness, spec.probes.startup)
    if not any(given):
        return None
    liveness, readiness, startup = (
        _probe(build_probe(probe, spec.port)) if probe else None for probe in given
    )
    return ProbesStatus(liveness=liveness, readiness=readiness, startup=startup)


def _probe(probe: Mapping[str, Any]) -> str:
    # An explicit 0 means the default to Kubernetes.
    period = probe.get("periodSeconds") or DEFAULT_PERIOD
    failures = probe.get("failureThreshold") or DEFAULT_FAILURES
    return (
        f"{shorten(_handler(probe), HANDLER_LIMIT)} every {period}s, {amount(failures, 'failure')}"
    )


def _handler(probe: Mapping[str, Any]) -> str:
    if http := probe.get("httpGet"):
        scheme = http.get("scheme", "HTTP").lower()
        path = http.get("path") or "/"
        return f"{scheme} GET {http.get('host', '')}:{http.get('port')}{path}"
    if tcp := probe.get("tcpSocket"):
        return f"tcp {tcp.get('host', '')}:{tcp.get('port')}"
    if grpc := probe.get("grpc"):
        service = grpc.get("service", "")
        return f"grpc :{grpc.get('port')}" + (f" {service}" if service else "")
    command = (probe.get("exec") or {}).get("command", ())
    return " ".join(("exec", *command))


def endpoint(facts: Facts, before: str | None) -> str | None:
    """Where to reach the app: from outside where the Service's type allows it, else by DNS.

    A node's port answers on every node; the node that was shown ``before`` is kept while it has a
    pod, so that the address does not change whenever a pod does.
    """
    service = facts.service
    if service is None or service.deleting:
        return None
    if service.ingress:
        return _url(service.ingress, service.port)
    if service.node_port:
        hosts = {pod.host_ip for pod in facts.pods if pod.host_ip and is_live(pod)}
        urls = sorted(_url(host, service.node_port) for host in hosts)
        if urls:
            return before if before in urls else urls[0]
    return _url(f"{service.name}.{facts.app.key.namespace}.svc", service.port)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def autoscaling(
    autoscaler: AutoscalerView | None, before: AutoscalingStatus | None
) -> AutoscalingStatus | None:
    """What the autoscaler sees and wants: ``cpu: 31%/50%``."""
    if autoscaler is None:
        return None
    metrics = {metric.name: metric for metric in autoscaler.metrics}
    others = [metric for name, metric in metrics.items() if name not in ("cpu", "memory")]
    told = (before.metrics if before else None) or {}
    return AutoscalingStatus(
        current=autoscaler.current,
        desired=autoscaler.desired,
        min=autoscaler.minimum,
        max=autoscaler.maximum,
        cpu=_metric(metrics.get("cpu"), before.cpu if before else None),
        memory=_metric(metrics.get("memory"), before.memory if before else None),
        metrics={
            metric.name: _figures(_in_units(metric), told.get(metric.name))
            for metric in others[:MAX_METRICS]
        }
        or None,
        last_scale_time=autoscaler.last_scale_time,
    )


def _metric(metric: MetricView | None, before: str | None) -> str | None:
    return None if metric is None else _figures(metric, before)


def _figures(metric: MetricView, before: str | None) -> str:
    shown, _, target = (before or "").partition("/")
    if before and target == metric.target and _is_steady(shown, metric):
        return before
    return f"{metric.current or 'unknown'}/{metric.target}"


def _in_units(metric: MetricView) -> MetricView:
    """The metric without thousandths: "7.5" for "7500m", which is how Kubernetes writes it."""
    return MetricView(metric.name, _unit(metric.current), _unit(metric.target))


def _unit(figure: str) -> str:
    number = quantity(figure) if figure.endswith("m") else None
    return figure if number is None else f"{number.normalize():f}"


def _is_steady(shown: str, metric: MetricView) -> bool:
    was, now, target = (
        quantity(figure.removesuffix("%")) for figure in (shown, metric.current, metric.target)
    )
    if was is None or now is None or target is None:
        return False
    return abs(was - now) * STEADY < target


def disruption(budget: BudgetView | None) -> DisruptionStatus | None:
    """What the budget lets happen now."""
    if budget is None:
        return None
    return DisruptionStatus(
        budget=budget.limit,
        allowed=budget.allowed,
        healthy=budget.healthy,
        required=budget.required,
    )


def naming(ailing: tuple[Ailment, ...]) -> str:
    """The gravest ailment in a clause: ``web-1 and 2 more: cannot pull image web:v9``."""
    return about([ailment.pod for ailment in ailing], ailing[0].message)


def amount(number: int, what: str) -> str:
    """A number of things: "1 pod", "2 pods"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def clauses(*parts: str) -> str:
    """The parts that say something, as one sentence."""
    return "; ".join(part for part in parts if part)


def join(words: list[str]) -> str:
    """Join words as a sentence does: "a, b and c"."""
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)
