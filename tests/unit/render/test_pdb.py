"""The PodDisruptionBudget: which apps have one, and its limit."""

from typing import Any

import pytest

from selfhealing.api.spec import parse_spec
from selfhealing.render import Owner
from selfhealing.render.pdb import build_pdb

OWNER = Owner(namespace="shop", name="web", uid="uid-of-web")


def built_pdb(**spec: Any) -> dict[str, Any] | None:  # noqa: ANN401 - fields of the spec
    """Return the limit of the app's PodDisruptionBudget; None without one."""
    built = build_pdb(OWNER, parse_spec({"image": "web:v1", **spec}))
    if built is None:
        return None
    shared = {
        "selector": {"matchLabels": {"selfhealing.dev/app": "web"}},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    assert shared.items() <= built["spec"].items()
    return {field: value for field, value in built["spec"].items() if field not in shared}


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"replicas": 0},
        {"replicas": 1},
        {"replicas": 1, "disruption": {"maxUnavailable": 1}},
        {"replicas": 1, "disruption": {"minAvailable": 1}},
        {"autoscaling": {"maxReplicas": 9}},
        {"replicas": 2, "disruption": {"enabled": False}},
        {"replicas": 2, "disruption": {"enabled": False, "maxUnavailable": 1}},
    ],
)
def test_none(spec: dict[str, Any]) -> None:
    """There is none with a minimum of fewer than 2 pods, or if it is disabled."""
    assert None is built_pdb(**spec)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"replicas": 2}, {"maxUnavailable": 1}),
        ({"replicas": 2, "disruption": {}}, {"maxUnavailable": 1}),
        ({"replicas": 2, "disruption": {"enabled": True}}, {"maxUnavailable": 1}),
        ({"autoscaling": {"minReplicas": 2, "maxReplicas": 2}}, {"maxUnavailable": 1}),
        ({"replicas": 9, "disruption": {"maxUnavailable": "30%"}}, {"maxUnavailable": "30%"}),
        ({"replicas": 9, "disruption": {"minAvailable": 8}}, {"minAvailable": 8}),
        ({"replicas": 9, "disruption": {"minAvailable": 0}}, {"minAvailable": 0}),
    ],
)
def test_what_it_allows(spec: dict[str, Any], expected: dict[str, Any]) -> None:
    """The default is maxUnavailable 1; an explicit 0 is kept."""
    assert expected == built_pdb(**spec)
