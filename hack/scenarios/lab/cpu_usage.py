"""The CPU usage of pods, from the metrics server."""

from collections.abc import Mapping

from hack.testkit.errors import ApiError
from hack.testkit.kube_client import Json, KubeClient
from selfhealing.api.quantity import parse_quantity

_METRICS = "/apis/metrics.k8s.io/v1beta1/namespaces/{ns}/pods"


def read_cpu(kube: KubeClient) -> Mapping[str, int] | None:
    """Return millicores by pod; None if the metrics server is missing or not ready."""
    try:
        return parse_cpu(kube.get_path(_METRICS) or {})
    except ApiError:
        return None


def parse_cpu(metrics: Json) -> Mapping[str, int] | None:
    """Return millicores by pod from a list of PodMetrics; None if it is empty."""
    found = {
        item["metadata"]["name"]: round(
            1000
            * sum(
                parse_quantity(container["usage"]["cpu"]) or 0 for container in item["containers"]
            )
        )
        for item in metrics.get("items", ())
    }
    return found or None
