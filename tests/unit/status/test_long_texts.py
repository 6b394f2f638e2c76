"""Whatever the length of a text from outside, the API server accepts the status that quotes it."""

from functools import cache
from typing import Any

import jsonschema
import pytest

from selfhealing.cache.parse import app_view
from tests.unit import builders
from tests.unit.api.test_status_migration import crd_schema
from tests.unit.snapshots import evaluate_app, status_json

Json = dict[str, Any]

LONG = "x" * 5000
PODS = [f"web-abc-{number}" for number in range(3)]


@cache
def status_validator() -> jsonschema.Draft202012Validator:
    """What the API server checks of a status."""
    return jsonschema.Draft202012Validator(crd_schema("status"))


def hpa() -> Json:
    """An autoscaler that somebody has edited."""
    metrics = [
        {
            "type": "External",
            "external": {
                "metric": {"name": f"m{number}{LONG}"},
                "target": {"averageValue": "1" * 300},
            },
        }
        for number in range(30)
    ]
    condition = {"type": "ScalingActive", "status": "False", "reason": LONG, "message": LONG}
    return builders.child(
        "HorizontalPodAutoscaler",
        {"minReplicas": 1, "maxReplicas": 3, "metrics": metrics},
        {"conditions": [condition]},
    )


def vpa() -> Json:
    """A recommendation that somebody has written."""
    policy = {"containerName": "app", "controlledResources": [f"cpu{LONG}"] * 30}
    amounts = {"cpu": "1" * 400, "memory": "9e99"}
    return builders.child(
        "VerticalPodAutoscaler",
        {
            "updatePolicy": {"updateMode": LONG},
            "resourcePolicy": {"containerPolicies": [policy]},
        },
        {
            "recommendation": {
                "containerRecommendations": [{"containerName": "app", "target": amounts}]
            }
        },
    )


def pods(*containers: Json, **more: Any) -> list[Json]:  # noqa: ANN401 - as builders.pod
    """Three pods."""
    return [builders.pod(name, *containers, **more) for name in PODS]


SITUATIONS: dict[str, list[Json]] = {
    "a reason of a container": pods(builders.waiting(LONG, LONG)),
    "an image": pods(builders.waiting("ImagePullBackOff", LONG), image="i/" * 512),
    "a reason of a termination": pods(builders.crash_loop(9, builders.termination(reason=LONG))),
    "a message of a start": pods(
        builders.crash_loop(9, builders.termination(128, "StartError", message=LONG))
    ),
    "a failed pod": pods(phase="Failed", status={"reason": LONG, "message": LONG}),
    "a pod without a node": pods(
        phase="Pending", node="", conditions=[builders.unschedulable_condition(LONG)]
    ),
    "a readiness": pods(builders.running(ready=False), ready_reason=LONG),
    "an autoscaler": [*pods(builders.running()), hpa()],
    "a recommendation": [*pods(builders.running()), vpa()],
    "a budget": [
        *pods(builders.running()),
        builders.child("PodDisruptionBudget", {"maxUnavailable": "9" * 500 + "%"}),
    ],
    "a load balancer": [
        *pods(builders.running()),
        builders.child(
            "Service",
            {"ports": [{"port": 80}]},
            {"loadBalancer": {"ingress": [{"hostname": LONG}]}},
        ),
    ],
}


@pytest.mark.parametrize("objects", SITUATIONS.values(), ids=SITUATIONS)
def test_the_status_is_accepted(objects: list[Json]) -> None:
    """Else it would never be written again, and no action be started, without a word."""
    spec = {"image": builders.IMAGE, "replicas": 3, "autoscaling": None, "port": 5000}
    spec = {name: value for name, value in spec.items() if value is not None}

    for now in (100, 4000):
        found = evaluate_app(builders.deployment(3, available=0), *objects, spec=spec, now=now)
        status_validator().validate(status_json(found))


def test_a_long_resume_is_followed_once() -> None:
    """The annotation is of anybody who may annotate the app."""
    app = builders.app(annotations={"selfhealing.dev/resume": LONG}, resourceVersion="99")
    found = evaluate_app(builders.deployment(3), app, *pods(builders.running()))

    status_validator().validate(status_json(found))
    assert found.status.healing is not None
    assert found.status.healing.observed_resume == app_view(app).resume
