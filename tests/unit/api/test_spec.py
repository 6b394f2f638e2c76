"""Parsing of a spec: fields that are not given, and error messages."""

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import ValidationError

from selfhealing.api.errors import FieldError, InvalidSpecError, SelfHealingError
from selfhealing.api.spec import MAX_ROLLOUT_SECONDS, SelfHealingAppSpec, parse_spec
from tests.unit.api.strategies import specs
from tests.unit.examples import scale_examples

SMALLEST = {
    "image": "scaling-demo:v1",
    "port": 5000,
    "probes": {
        "liveness": {"httpGet": {"path": "/health"}},
        "readiness": {"httpGet": {"path": "/ready"}},
    },
    "autoscaling": {"maxReplicas": 5, "targetCPUUtilizationPercentage": 50},
}


def error_message(spec: dict[str, Any]) -> str:
    with pytest.raises(InvalidSpecError) as caught:
        parse_spec(spec)
    return str(caught.value)


def test_the_smallest_useful_app_is_read() -> None:
    """Attributes are snake_case; values of Kubernetes' own types are unchanged."""
    spec = parse_spec(SMALLEST)

    assert spec.image == "scaling-demo:v1"
    assert spec.port == 5000
    assert spec.probes is not None
    assert spec.probes.liveness == {"httpGet": {"path": "/health"}}
    assert spec.probes.startup is None
    assert spec.autoscaling is not None
    assert spec.autoscaling.min_replicas == 1
    assert spec.autoscaling.max_replicas == 5
    assert spec.autoscaling.target_cpu_utilization_percentage == 50
    assert spec.autoscaling.target_memory_utilization_percentage is None


def test_only_the_image_must_be_given() -> None:
    """All other fields are None or empty; the defaults are a Deployment that is not paused."""
    spec = parse_spec({"image": "nginx"})

    given_fields = {name for name, value in spec if value not in (None, [], {})}
    assert given_fields == {
        "drift",
        "image",
        "paused",
        "replicas",
        "restart_policy",
        "restart_on_config_change",
    }
    assert spec.replicas == 1
    assert spec.restart_policy == "Always"
    assert spec.paused is False
    assert spec.drift == "Tolerate"
    assert spec.restart_on_config_change is True


def test_a_service_without_settings_has_the_usual_ones() -> None:
    """The defaults are ClusterIP, port 80, enabled."""
    service = parse_spec({"image": "nginx", "service": {}}).service

    assert service is not None
    assert (service.enabled, service.type, service.port) == (True, "ClusterIP", 80)
    assert (service.node_port, service.annotations) == (None, {})


def test_an_explicit_zero_is_kept() -> None:
    """A 0 differs from a missing field."""
    spec = parse_spec(
        {
            "image": "nginx",
            "replicas": 0,
            "terminationGracePeriodSeconds": 0,
            "probes": {"liveness": {"tcpSocket": {}, "initialDelaySeconds": 0}},
            "rollout": {"minReadySeconds": 0, "revisionHistoryLimit": 0},
        }
    )

    assert spec.replicas == 0
    assert spec.termination_grace_period_seconds == 0
    assert spec.probes is not None
    assert spec.probes.liveness == {"tcpSocket": {}, "initialDelaySeconds": 0}
    assert spec.rollout is not None
    assert (spec.rollout.min_ready_seconds, spec.rollout.revision_history_limit) == (0, 0)


@pytest.mark.parametrize("field", ["minReadySeconds", "progressDeadlineSeconds"])
def test_a_rollout_takes_a_day_at_most(field: str) -> None:
    """Kubernetes has no maximum, and an action of healing waits for its rollout."""
    longest = {"progressDeadlineSeconds": MAX_ROLLOUT_SECONDS}
    parse_spec({"image": "nginx", "rollout": longest})

    with pytest.raises(InvalidSpecError, match=field):
        parse_spec({"image": "nginx", "rollout": {**longest, field: MAX_ROLLOUT_SECONDS + 1}})


def test_null_means_not_given() -> None:
    """The API server drops nulls as well."""
    spec = parse_spec({"image": "nginx", "args": None, "service": {"type": None}, "probes": None})

    assert spec.args == []
    assert spec.service is not None
    assert spec.service.type == "ClusterIP"
    assert spec.probes is None


def test_fields_of_a_newer_version_are_ignored() -> None:
    """A newer CRD has fields that the operator does not know."""
    spec = parse_spec({"image": "nginx", "teleport": True, "service": {"colour": "red"}})

    assert spec.service is not None
    assert not hasattr(spec, "teleport")


def test_python_names_are_not_field_names() -> None:
    """Only the names of the CRD are read."""
    assert parse_spec({"image": "nginx", "working_dir": "/x"}).working_dir is None


def test_a_spec_cannot_be_changed() -> None:
    """The models are immutable."""
    spec = parse_spec({"image": "nginx"})

    with pytest.raises(ValidationError):
        spec.image = "other"  # type: ignore[misc]


def test_a_spec_can_be_built_with_python_names() -> None:
    """Tests and tools use the attribute names."""
    assert SelfHealingAppSpec(image="nginx", working_dir="/x").working_dir == "/x"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "spec.image: is missing: write it"),
        ({"image": ""}, "spec.image: is empty: write it"),
        ({"image": 3}, "spec.image: is 3: write a string, in quotes where YAML would read"),
        ({"image": "i" * 513}, "write at most 512 characters"),
        ({"image": "i" * 513}, "spec.image: is '" + "i" * 58 + "…"),
        ({"image": "i", "port": "80"}, "spec.port: is '80': write a whole number, without quotes"),
        ({"image": "i", "port": 0}, "spec.port: is 0: write at least 1"),
        ({"image": "i", "port": 65536}, "spec.port: is 65536: write at most 65535"),
        ({"image": "i", "replicas": True}, "spec.replicas: is True: write a whole number"),
        ({"image": "i", "replicas": 2.5}, "spec.replicas: is 2.5: write a whole number"),
        ({"image": "i", "paused": "yes"}, "spec.paused: is 'yes': write true or false"),
        ({"image": "i", "env": {}}, "spec.env: is an object: write a list"),
        ({"image": "i", "env": ["A=1"]}, "spec.env[0]: is 'A=1': write an object, with fields"),
        ({"image": "i", "affinity": []}, "spec.affinity: is a list: write an object, with fields"),
        ({"image": "i", "probes": []}, "spec.probes: is a list: write an object, with fields"),
        ({"image": "i", "args": ["a", 1]}, "spec.args[1]: is 1: write a string"),
        (
            {"image": "i", "args": ["a"] * 257},
            "spec.args: is a list: List should have at most 256 items",
        ),
        (
            {"image": "i", "service": {"type": "ExternalName"}},
            "spec.service.type: is 'ExternalName': write 'ClusterIP', 'NodePort' or 'LoadBalancer'",
        ),
        ({"image": "i", "autoscaling": {}}, "spec.autoscaling.maxReplicas: is missing: write it"),
        (
            {
                "image": "i",
                "autoscaling": {"maxReplicas": 1, "targetCPUUtilizationPercentage": "50%"},
            },
            "spec.autoscaling.targetCPUUtilizationPercentage: is '50%': write a whole number",
        ),
    ],
)
def test_an_error_names_the_field_and_what_to_write(spec: dict[str, Any], message: str) -> None:
    """The status shows the message unchanged."""
    assert message in error_message(spec)


def test_all_problems_are_named_at_once() -> None:
    """One message lists all invalid fields."""
    with pytest.raises(InvalidSpecError) as caught:
        parse_spec({"port": "80", "replicas": -1})

    assert caught.value.field_errors == (
        FieldError("spec.image", "is missing: write it"),
        FieldError("spec.port", "is '80': write a whole number, without quotes"),
        FieldError("spec.replicas", "is -1: write at least 0"),
    )
    assert str(caught.value).count("; ") == 2
    assert isinstance(caught.value, SelfHealingError)
    assert isinstance(caught.value.__cause__, ValidationError)


@settings(deadline=None, max_examples=scale_examples(60))
@given(spec=st.deferred(specs))
def test_every_spec_that_the_schema_allows_can_be_read(spec: dict[str, Any]) -> None:
    """The parser accepts what the CRD accepts, and keeps all values; ``recycle`` is an old name."""
    read = parse_spec(spec).model_dump(by_alias=True, exclude_unset=True)

    healing = spec.get("healing") or {}
    if healing.get("recycle") is not None:
        spec = {**spec, "healing": {"replacePod": healing["recycle"], **healing}}
    assert read == spec
