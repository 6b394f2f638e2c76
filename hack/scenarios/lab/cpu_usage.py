"""What CPU the pods use, as the metrics server tells it."""

from collections.abc import Mapping

from hack.scenarios.common.errors import ShowError
from hack.scenarios.common.kube_client import Json, Kube
from selfhealing.api.quantity import quantity

_METRICS = "/apis/metrics.k8s.io/v1beta1/namespaces/{ns}/pods"


def cpu(kube: Kube) -> Mapping[str, int] | None:
    """Millicores of each pod; None where there is no metrics server, or it is starting."""
    try:
        return cpu_of(kube.read(_METRICS) or {})
    except ShowError:
        return None


def cpu_of(metrics: Json) -> Mapping[str, int] | None:
    """Millicores of each pod in a list of PodMetrics; None when it is empty."""
    found = {
        item["metadata"]["name"]: round(
            1000 * sum(quantity(container["usage"]["cpu"]) or 0 for container in item["containers"])
        )
        for item in metrics.get("items", ())
    }
    return found or None
