"""The NetworkPolicy of the operator's pods."""

from typing import Any, Final

from selfhealing.api import names

METRICS_NAMESPACE_LABEL: Final = f"{names.GROUP}/metrics"
"""The label of a namespace whose pods may read the metrics, with the value "true"."""

MONITORING_NAMESPACE: Final = "monitoring"
"""The namespace whose pods may read them without a label: where Prometheus usually runs."""

API_SERVER_PORTS: Final = (443, 6443)
"""The port of the Service ``kubernetes``, and the usual port of an API server behind it."""

DNS_PORT: Final = 53

Json = dict[str, Any]


def build_network_policy(metadata: Json, pod_labels: dict[str, str]) -> Json:
    """Return the networking.k8s.io/v1 NetworkPolicy of the pods with ``pod_labels``.

    The health port is open to any address, because the kubelet's probes come from the node. The
    address of the API server is not known here, so its ports are open to any address, too.
    """
    readers = [
        {"namespaceSelector": {"matchLabels": labels}}
        for labels in (
            {METRICS_NAMESPACE_LABEL: "true"},
            {"kubernetes.io/metadata.name": MONITORING_NAMESPACE},
        )
    ]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata,
        "spec": {
            "podSelector": {"matchLabels": dict(pod_labels)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {"from": readers, "ports": [_tcp("metrics")]},
                {"ports": [_tcp("health")]},
            ],
            "egress": [
                {"ports": [{"protocol": "UDP", "port": DNS_PORT}, _tcp(DNS_PORT)]},
                {"ports": [_tcp(port) for port in API_SERVER_PORTS]},
            ],
        },
    }


def _tcp(port: int | str) -> Json:
    return {"protocol": "TCP", "port": port}
