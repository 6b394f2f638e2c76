"""Renders the Service."""

from typing import Any

from selfhealing.api import names
from selfhealing.api.spec import SelfHealingAppSpec, ServiceSpec
from selfhealing.render.meta import Owner, build_metadata, omit_none, selector


def build_service(owner: Owner, spec: SelfHealingAppSpec) -> dict[str, Any] | None:
    """Return the core/v1 Service of an app; None without a port, or if it is disabled."""
    service = spec.service or ServiceSpec()
    if spec.port is None or not service.enabled:
        return None
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": build_metadata(owner, service.annotations),
        "spec": {
            "type": service.type,
            "selector": selector(owner.name),
            # Kubernetes' defaults. They decide who gets requests, so a change of them is drift.
            "internalTrafficPolicy": "Cluster",
            "publishNotReadyAddresses": False,
            "sessionAffinity": "None",
            "ports": [
                {
                    "name": names.PORT_NAME,
                    "port": service.port,
                    "protocol": "TCP",
                    "targetPort": names.PORT_NAME,
                    **omit_none(nodePort=service.node_port),
                }
            ],
        },
    }
