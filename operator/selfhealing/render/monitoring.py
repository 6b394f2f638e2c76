"""Renders how Prometheus finds the metrics: a PodMonitor, or annotations of the pods."""

from typing import Any

from selfhealing.api import names
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.render.meta import Owner, build_metadata, omit_none, selector


def build_pod_monitor(owner: Owner, spec: SelfHealingAppSpec) -> dict[str, Any] | None:
    """Return the monitoring.coreos.com/v1 PodMonitor of an app; None without one."""
    monitoring = spec.monitoring
    if monitoring is None or monitoring.mode != "PodMonitor":
        return None
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": build_metadata(owner, None, monitoring.labels),
        "spec": {
            "selector": {"matchLabels": selector(owner.name)},
            "podMetricsEndpoints": [
                {
                    "port": monitoring.port or names.PORT_NAME,
                    "path": monitoring.path,
                    **omit_none(
                        interval=monitoring.interval, scrapeTimeout=monitoring.scrape_timeout
                    ),
                }
            ],
        },
    }


def scrape_annotations(spec: SelfHealingAppSpec) -> dict[str, str]:
    """Return the annotations of the pods by which Prometheus finds them; empty without.

    They follow the spec alone, and not whether the cluster has PodMonitors: its definition, which
    comes or goes, would replace all pods.
    """
    monitoring = spec.monitoring
    if monitoring is None or monitoring.mode != "Annotations":
        return {}
    port = _find_port_number(spec, monitoring.port or names.PORT_NAME)
    return {
        names.ANNOTATION_SCRAPE: "true",
        names.ANNOTATION_SCRAPE_PATH: monitoring.path,
        **({} if port is None else {names.ANNOTATION_SCRAPE_PORT: str(port)}),
    }


def _find_port_number(spec: SelfHealingAppSpec, name: str) -> int | None:
    """Return the number of a port of the app or of a sidecar; None if no port has the name."""
    if name == names.PORT_NAME and spec.port is not None:
        return spec.port
    others = (
        (port.get("name"), port["containerPort"])
        for container in (*spec.sidecars, *spec.init_containers)
        for port in container.get("ports") or ()
    )
    named = (*((port.name, port.port) for port in spec.ports), *others)
    return next((number for each, number in named if each == name), None)
