"""Renders the VerticalPodAutoscaler."""

from typing import Any, Final

from selfhealing.api import names
from selfhealing.api.spec import ResourceBoundsSpec, SelfHealingAppSpec
from selfhealing.render.hpa import scaled_resources
from selfhealing.render.meta import Owner, build_metadata, omit_empty, omit_none

RESOURCES: Final = ("cpu", "memory")
"""The resources for which VPA makes recommendations."""


def build_vpa(owner: Owner, spec: SelfHealingAppSpec) -> dict[str, Any] | None:
    """Return the autoscaling.k8s.io/v1 VerticalPodAutoscaler of an app; None without one.

    It covers only the app's container: the needs of sidecars, also injected ones, are not those of
    the app.
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
    """Return the resources that VPA controls: those of the spec, else those not scaled on."""
    scaling = spec.vertical_scaling
    if scaling is None:
        return ()
    if scaling.controlled_resources:
        return tuple(scaling.controlled_resources)
    scaled = scaled_resources(spec.autoscaling) if scaling.mode != "Off" else set()
    return tuple(resource for resource in RESOURCES if resource not in scaled)


def _resource_quantities(bounds: ResourceBoundsSpec | None) -> dict[str, Any]:
    return omit_none(cpu=bounds.cpu, memory=bounds.memory) if bounds else {}
