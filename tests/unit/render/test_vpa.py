"""The VerticalPodAutoscaler, alone and beside a HorizontalPodAutoscaler."""

from typing import Any

import pytest

from selfhealing.api.spec import parse_spec
from selfhealing.render import Owner
from selfhealing.render.deployment import build_deployment
from selfhealing.render.hpa import scaled_resources
from selfhealing.render.pod import build_pod_template
from selfhealing.render.vpa import build_vpa, controlled_resources

OWNER = Owner(namespace="shop", name="web", uid="uid-of-web")
CPU = {"maxReplicas": 5, "targetCPUUtilizationPercentage": 50}
MEMORY = {"maxReplicas": 5, "targetMemoryUtilizationPercentage": 50}
DEFAULT = {"maxReplicas": 5}
SIDECAR = {
    "maxReplicas": 5,
    "metrics": [
        {
            "type": "ContainerResource",
            "containerResource": {
                "name": "memory",
                "container": "app",
                "target": {"type": "Utilization", "averageUtilization": 80},
            },
        }
    ],
}
REQUESTS = {
    "maxReplicas": 5,
    "metrics": [
        {
            "type": "Pods",
            "pods": {
                "metric": {"name": "requests"},
                "target": {"type": "AverageValue", "averageValue": "10"},
            },
        }
    ],
}


@pytest.mark.parametrize(
    ("autoscaling", "expected"),
    [
        (None, set()),
        (DEFAULT, {"cpu"}),
        (CPU, {"cpu"}),
        (MEMORY, {"memory"}),
        (CPU | MEMORY, {"cpu", "memory"}),
        (SIDECAR, {"memory"}),
        (REQUESTS, set()),
    ],
)
def test_scaled_resources(autoscaling: dict[str, Any] | None, expected: set[str]) -> None:
    """Without a metric Kubernetes scales on CPU."""
    spec = {"image": "web:v1", **({"autoscaling": autoscaling} if autoscaling else {})}

    assert expected == scaled_resources(parse_spec(spec).autoscaling)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, ()),
        ({"verticalScaling": {}}, ("cpu", "memory")),
        ({"verticalScaling": {"controlledResources": ["memory"]}}, ("memory",)),
        ({"verticalScaling": {"mode": "Off"}, "autoscaling": CPU}, ("cpu", "memory")),
        ({"verticalScaling": {"mode": "Recreate"}, "autoscaling": CPU}, ("memory",)),
        ({"verticalScaling": {"mode": "Recreate"}, "autoscaling": SIDECAR}, ("cpu",)),
        ({"verticalScaling": {"mode": "Initial"}, "autoscaling": REQUESTS}, ("cpu", "memory")),
    ],
)
def test_controlled_resources(spec: dict[str, Any], expected: tuple[str, ...]) -> None:
    """In mode Off all resources get a recommendation."""
    assert expected == controlled_resources(parse_spec({"image": "web:v1", **spec}))


def test_none() -> None:
    """An app without verticalScaling has none."""
    assert None is build_vpa(OWNER, parse_spec({"image": "web:v1"}))


def test_only_the_app_s_container_is_controlled() -> None:
    """The other containers have the mode Off."""
    built = build_vpa(OWNER, parse_spec({"image": "web:v1", "verticalScaling": {}}))

    assert built is not None
    assert {"updateMode": "Off"} == built["spec"]["updatePolicy"]
    assert [
        {"containerName": "app", "controlledResources": ["cpu", "memory"]},
        {"containerName": "*", "mode": "Off"},
    ] == built["spec"]["resourcePolicy"]["containerPolicies"]


@pytest.mark.parametrize(
    ("vertical", "controlled_by_it"), [({}, True), ({"verticalScaling": {}}, False)]
)
def test_the_deployment_has_no_controller_reference_with_vpa(
    vertical: dict[str, Any], controlled_by_it: object
) -> None:
    """VPA follows controller references, and would take the owner as the target."""
    spec = parse_spec({"image": "web:v1", **vertical})
    deployment = build_deployment(OWNER, spec, build_pod_template(OWNER.name, spec)) or {}
    (reference,) = deployment["metadata"]["ownerReferences"]

    assert controlled_by_it is reference["controller"]
    assert ("web", "uid-of-web") == (reference["name"], reference["uid"])
