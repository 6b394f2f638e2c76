"""The VerticalPodAutoscaler: how much CPU and memory a pod should ask for."""

from typing import Any, Final

from selfhealing.api import names
from selfhealing.api.spec import ResourceBoundsSpec, SelfHealingAppSpec
from selfhealing.render.hpa import scaled_resources
from selfhealing.render.meta import Owner, build_metadata, omit_empty, omit_none

RESOURCES: Final = ("cpu", "memory")
"""What VPA knows to recommend."""


def build_vpa(owner: Owner, spec: SelfHealingAppSpec) -> dict[str, Any] | None:
    """Return the autoscaling.k8s.io/v1 VerticalPodAutoscaler of ``owner``, or None without one.

    Only the app's own container is looked at: a sidecar, also one that others inject, has its own
    ideas of what it needs.
    """
    scaling = spec.vertical_scaling
    if scaling is None:
        return None
    policy = {
        "containerName": names.CONTAINER_NAME,
        "controlledResources": list(controlled_resources(spec)),
        **omit_empty(
            minAllowed=_resource_quantities(scaling.min_allowed),
            maxAllowed=_resource_quantities(scaling.max_allowed),
        ),
    }
    return {
        "apiVersion": "autoscaling.k8s.io/v1",
        "kind": "VerticalPodAutoscaler",
        "metadata": build_metadata(owner),
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": owner.name},
            "updatePolicy": {
                "updateMode": scaling.mode,
                **omit_none(minReplicas=scaling.min_replicas),
            },
            "resourcePolicy": {
                "containerPolicies": [policy, {"containerName": "*", "mode": "Off"}]
            },
        },
    }


def controlled_resources(spec: SelfHealingAppSpec) -> tuple[str, ...]:
    """What the vertical autoscaler is about: what is given, or what no other autoscaler moves."""
    scaling = spec.vertical_scaling
    if scaling is None:
        return ()
    if scaling.controlled_resources:
        return tuple(scaling.controlled_resources)
    scaled = scaled_resources(spec.autoscaling) if scaling.mode != "Off" else set()
    return tuple(resource for resource in RESOURCES if resource not in scaled)


def _resource_quantities(bounds: ResourceBoundsSpec | None) -> dict[str, Any]:
    return omit_none(cpu=bounds.cpu, memory=bounds.memory) if bounds else {}
