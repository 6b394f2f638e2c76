"""The spec that replaces a live one if an apply is refused."""

from typing import Any

import pytest
from hypothesis import given

from selfhealing.apply.drift import matches
from selfhealing.apply.reset import reset_to_desired
from tests.unit.apply.test_drift import OBJECTS


@pytest.mark.parametrize(
    ("live", "desired", "expected"),
    [
        (
            {"livenessProbe": {"exec": {"command": ["x"]}, "periodSeconds": 5}},
            {"livenessProbe": {"tcpSocket": {"port": 1}}},
            {"livenessProbe": {"tcpSocket": {"port": 1}}},
        ),
        (
            {"strategy": {"type": "RollingUpdate", "rollingUpdate": {}}, "paused": True},
            {"strategy": {"type": "Recreate"}},
            {"strategy": {"type": "Recreate"}, "paused": True},
        ),
        (
            {"containers": [{"name": "sidecar"}, {"name": "app", "image": "old", "tty": True}]},
            {"containers": [{"name": "app", "image": "new"}]},
            {"containers": [{"name": "app", "image": "new", "tty": True}, {"name": "sidecar"}]},
        ),
        (
            {"ports": [{"port": 8080, "protocol": "TCP", "name": "http"}]},
            {"ports": [{"port": 80, "protocol": "TCP", "name": "http"}]},
            {"ports": [{"port": 80, "protocol": "TCP", "name": "http"}]},
        ),
        (
            {"ports": [{"port": 9000, "protocol": "TCP", "name": "admin"}]},
            {"ports": [{"port": 80, "protocol": "TCP", "name": "http"}]},
            {
                "ports": [
                    {"port": 80, "protocol": "TCP", "name": "http"},
                    {"port": 9000, "protocol": "TCP", "name": "admin"},
                ]
            },
        ),
        (
            {"minAvailable": 1, "selector": {}, "unhealthyPodEvictionPolicy": "AlwaysAllow"},
            {"maxUnavailable": "50%", "selector": {}},
            {
                "maxUnavailable": "50%",
                "selector": {},
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
            },
        ),
        (
            {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {}, "clusterIP": "192.0.2.1"},
            {"sessionAffinity": "None"},
            {"sessionAffinity": "None", "clusterIP": "192.0.2.1"},
        ),
        ({"args": ["a", "b"]}, {"args": ["c"]}, {"args": ["c"]}),
        ({}, {"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "A", "value": "1"}]}),
        ("text", {"a": 1}, {"a": 1}),
    ],
)
def test_reset(live: Any, desired: Any, expected: Any) -> None:  # noqa: ANN401 - any JSON value
    """Conflicting fields are removed; other added fields stay."""
    assert expected == reset_to_desired(live, desired)


@given(OBJECTS, OBJECTS)
def test_a_reset_spec_matches_the_desired_one(live: Any, desired: Any) -> None:  # noqa: ANN401
    """The result has no drift, whatever was live."""
    assert matches(reset_to_desired(live, desired), desired)
