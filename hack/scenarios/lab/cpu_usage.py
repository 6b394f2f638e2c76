"""What CPU the pods use, as the metrics server tells it."""

from collections.abc import Mapping

from hack.testkit.errors import ApiError
from hack.testkit.kube_client import Json, KubeClient
from selfhealing.api.quantity import parse_quantity

_METRICS = "/apis/metrics.k8s.io/v1beta1/namespaces/{ns}/pods"


def read_cpu(kube: KubeClient) -> Mapping[str, int] | None:
    """Millicores of each pod; None where there is no metrics server, or it is starting."""
    try:
        return parse_cpu(kube.get_path(_METRICS) or {})
    except ApiError:
        return None


def parse_cpu(metrics: Json) -> Mapping[str, int] | None:
    """Millicores of each pod in a list of PodMetrics; None when it is empty."""
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
