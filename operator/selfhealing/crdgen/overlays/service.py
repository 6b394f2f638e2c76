"""Overlays of the Service."""

from typing import Final

from selfhealing.crdgen.overlays.meta import CORE
from selfhealing.crdgen.schema.overlay import Overlay

OVERLAYS: Final = {
    f"{CORE}.ServiceSpec": Overlay(
        drop={
            "clusterIP": "the cluster chooses it; for none there is `service.headless`",
            "clusterIPs": "the cluster chooses it; for none there is `service.headless`",
            "externalIPs": "whoever may set them can take over the traffic of others",
            "externalName": "it leads to another host, not to the pods",
            "healthCheckNodePort": "the cluster chooses it",
            "loadBalancerIP": "deprecated: an annotation of the load balancer",
        },
    ),
    f"{CORE}.ClientIPConfig": Overlay(
        # MaxClientIPServiceAffinitySeconds in pkg/apis/core/types.go
        fields={"timeoutSeconds": {"minimum": 1, "maximum": 86400}}
    ),
}
