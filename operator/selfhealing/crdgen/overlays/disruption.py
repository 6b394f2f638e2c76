"""Overlays of the PodDisruptionBudget."""

from typing import Final

from selfhealing.crdgen.schema.overlay import Overlay

_POD_COUNT_OR_PERCENT: Final = {
    "pattern": "^(0|[1-9][0-9]?|100)%$",
    "maxLength": 4,
    "minimum": 0,
    "maximum": 2**31 - 1,
}
"""A number of pods, or at most 100 %, as in pkg/apis/policy/validation."""

OVERLAYS: Final = {
    "io.k8s.api.policy.v1.PodDisruptionBudgetSpec": Overlay(
        fields={"minAvailable": _POD_COUNT_OR_PERCENT, "maxUnavailable": _POD_COUNT_OR_PERCENT},
    ),
}
