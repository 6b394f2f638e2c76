"""The overlays of Kubernetes' published types, by name, and the variants for single fields.

Each module has one area. A limit repeats a check of Kubernetes' Go code (named where it is not
obvious), so that an invalid value is refused in the resource that the user wrote. A dropped field
is not offered; the reason is beside it.
"""

from collections.abc import Mapping
from typing import Final

from selfhealing.crdgen.overlays import (
    autoscaling,
    containers,
    disruption,
    meta,
    networking,
    pod,
    probes,
    rollout,
    scheduling,
    security,
    service,
    volumes,
)
from selfhealing.crdgen.schema.overlay import Overlay

OVERLAYS: Final[Mapping[str, Overlay]] = {
    **meta.OVERLAYS,
    **containers.OVERLAYS,
    **pod.OVERLAYS,
    **probes.OVERLAYS,
    **security.OVERLAYS,
    **service.OVERLAYS,
    **volumes.OVERLAYS,
    **scheduling.OVERLAYS,
    **autoscaling.OVERLAYS,
    **rollout.OVERLAYS,
    **disruption.OVERLAYS,
    **networking.OVERLAYS,
}
"""By the name of the published type."""

VARIANTS: Final[Mapping[str, Overlay]] = {**containers.VARIANTS, **probes.VARIANTS}
"""By the name in ``KubernetesType.variant`` of a model's field."""
