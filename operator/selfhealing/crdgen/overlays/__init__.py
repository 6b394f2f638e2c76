"""The overlays of Kubernetes' published types, by name, and the variants of single uses.

Each module holds one area. A limit here repeats one of Kubernetes' own (the Go code that checks it
is named where it is not obvious), so that a wrong value is refused in the resource that the user
wrote. What is dropped is not offered as a typed field; each drop has its reason beside it.
"""

from collections.abc import Mapping
from typing import Final

from selfhealing.crdgen.overlays import (
    autoscaling,
    containers,
    disruption,
    meta,
    probes,
    rollout,
    scheduling,
    security,
    volumes,
)
from selfhealing.crdgen.schema.overlay import Overlay

OVERLAYS: Final[Mapping[str, Overlay]] = {
    **meta.OVERLAYS,
    **containers.OVERLAYS,
    **probes.OVERLAYS,
    **security.OVERLAYS,
    **volumes.OVERLAYS,
    **scheduling.OVERLAYS,
    **autoscaling.OVERLAYS,
    **rollout.OVERLAYS,
    **disruption.OVERLAYS,
}
"""By the published type's name."""

VARIANTS: Final[Mapping[str, Overlay]] = {**containers.VARIANTS, **probes.VARIANTS}
"""By the name that a field of a model gives in `KubernetesType`."""
