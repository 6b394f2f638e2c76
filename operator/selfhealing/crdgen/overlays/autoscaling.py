"""Overlays of the HorizontalPodAutoscaler: metrics and behaviour."""

from typing import Final

from selfhealing.api import limits
from selfhealing.api.base import Rule
from selfhealing.api.limits import max_items, one_of
from selfhealing.crdgen.schema.overlay import Overlay

AUTOSCALING_V2: Final = "io.k8s.api.autoscaling.v2"

PATH_SEGMENT: Final = {"pattern": r"^([^/%.]|\.[^/%.]|\.\.[^/%])[^/%]*$", "maxLength": 253}
"""A segment of a URL's path: neither "." nor "..", without "/" and "%"."""

METRIC_SOURCES: Final = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}


def _target_types(*types: str) -> Overlay:
    """Return the overlay that limits the target of a metric source to these types."""
    return Overlay(fields={"target": Overlay(fields={"type": one_of(*types)})})


SCALING_RULES: Final = Overlay(
    fields={
        "stabilizationWindowSeconds": {"minimum": 0, "maximum": 3600},
        "selectPolicy": one_of("Disabled", "Max", "Min"),
        "policies": max_items(16, minItems=1),
    }
)

OVERLAYS: Final = {
    f"{AUTOSCALING_V2}.HPAScalingRules": SCALING_RULES,
    f"{AUTOSCALING_V2}.HPAScalingPolicy": Overlay(
        fields={
            "type": one_of("Percent", "Pods"),
            "value": {"minimum": 1},
            "periodSeconds": {"minimum": 1, "maximum": 1800},
        }
    ),
    f"{AUTOSCALING_V2}.HorizontalPodAutoscalerSpec": Overlay(fields={"metrics": max_items(16)}),
    f"{AUTOSCALING_V2}.MetricSpec": Overlay(
        fields={"type": one_of(*METRIC_SOURCES)},
        rules=(
            Rule(
                cel=" && ".join(
                    f"(self.type == '{kind}') == has(self.{field})"
                    for kind, field in METRIC_SOURCES.items()
                ),
                message="write the one source that type names: type: Resource needs resource",
            ),
        ),
    ),
    f"{AUTOSCALING_V2}.MetricTarget": Overlay(
        fields={"averageUtilization": {"minimum": 1}},
        rules=(
            Rule(
                cel="(self.type == 'Utilization') == has(self.averageUtilization)"
                " && (self.type == 'Value') == has(self.value)"
                " && (self.type == 'AverageValue') == has(self.averageValue)",
                message="write the one number that type names: Utilization averageUtilization,"
                " Value value, AverageValue averageValue",
            ),
            *(
                Rule(
                    cel=f"!has(self.{number}) || (type(self.{number}) == int ? self.{number} > 0"
                    f" : isQuantity(self.{number})"
                    f" && quantity(self.{number}).isGreaterThan(quantity('0')))",
                    message="write more than 0",
                    field_path=f".{number}",
                )
                for number in ("value", "averageValue")
            ),
        ),
    ),
    f"{AUTOSCALING_V2}.MetricIdentifier": Overlay(fields={"name": PATH_SEGMENT}),
    f"{AUTOSCALING_V2}.CrossVersionObjectReference": Overlay(
        fields={
            "apiVersion": {"pattern": "^([a-z0-9.-]+/)?[a-z0-9]+$", "maxLength": 317},
            "kind": PATH_SEGMENT,
            "name": PATH_SEGMENT,
        }
    ),
    f"{AUTOSCALING_V2}.ObjectMetricSource": _target_types("AverageValue", "Value"),
    f"{AUTOSCALING_V2}.ExternalMetricSource": _target_types("AverageValue", "Value"),
    f"{AUTOSCALING_V2}.PodsMetricSource": _target_types("AverageValue"),
    f"{AUTOSCALING_V2}.ResourceMetricSource": Overlay(
        fields={
            "name": limits.label_key,
            "target": Overlay(fields={"type": one_of("AverageValue", "Utilization")}),
        }
    ),
    f"{AUTOSCALING_V2}.ContainerResourceMetricSource": Overlay(
        fields={
            "name": one_of("cpu", "ephemeral-storage", "memory"),
            "container": limits.dns_label,
            "target": Overlay(fields={"type": one_of("AverageValue", "Utilization")}),
        }
    ),
}
