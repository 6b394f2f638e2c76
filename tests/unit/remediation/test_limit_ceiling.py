"""How far a memory limit may be raised, and why it is not."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from selfhealing.api.container_limits import LimitedResource, LimitKey
from selfhealing.api.quantity import parse_quantity
from selfhealing.api.spec import parse_spec
from selfhealing.cache.parse import pod_view
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.remediation.limit_ceiling import (
    RefusedLimit,
    clamp_limits,
    explain_obstacles,
    find_ceiling,
    find_limit_in_force,
    find_obstacle,
    select_limit,
)
from selfhealing.remediation.policy import Policy, build_policy
from tests.unit import builders
from tests.unit.remediation.factories import (
    APP_CPU,
    APP_MEMORY,
    PROXY_MEMORY,
    make_record,
    raised_to,
)

KILLED = builders.termination(137, "OOMKilled")
SPEC_LIMITS = {APP_MEMORY: "100Mi", PROXY_MEMORY: "64Mi", APP_CPU: "1"}


def policy_of(**spec: Any) -> Policy:  # noqa: ANN401 - JSON
    """The policy of a spec."""
    return build_policy(parse_spec({"image": builders.IMAGE, **spec}))


def memory_of(container: str) -> LimitKey:
    """The memory limit of a container."""
    return LimitKey(container, LimitedResource.MEMORY)


CPU_FIELDS = "spec.resources.limits.cpu or spec.healing.cpu.max"
THROTTLED = AppDiagnosis(
    DiagnosisType.CPU_THROTTLED, Cause.UNKNOWN, Confidence.LOW, (), "it is slow", container="app"
)


def oom(*killed: str, container: str = "") -> AppDiagnosis:
    """A diagnosis of a pod of which these containers were killed for memory."""
    states = [
        builders.crash_loop(3, KILLED, name=name) if name in killed else builders.running(name=name)
        for name in ("app", "proxy")
    ]
    pod = pod_view(builders.pod("web-abc-1", *states))
    return AppDiagnosis(
        DiagnosisType.OOM_KILLED,
        Cause.UNKNOWN,
        Confidence.LOW,
        (pod,),
        "it was killed",
        container=container,
    )


@pytest.mark.parametrize(
    ("spec", "container", "limit", "ceiling"),
    [
        ({}, "app", "100Mi", "200Mi"),
        ({}, "proxy", "64Mi", "128Mi"),
        ({}, "app", "1500", "3000"),
        ({}, "app", "", ""),
        ({}, "app", "-1Gi", ""),
        ({"healing": {"memory": {"max": "1Gi"}}}, "app", "100Mi", "1Gi"),
        ({"healing": {"memory": {"max": "1Gi"}}}, "proxy", "64Mi", "128Mi"),
        ({"healing": {"memory": {"enabled": False, "max": "1Gi"}}}, "app", "100Mi", ""),
        ({"verticalScaling": {"mode": "Recreate"}}, "app", "100Mi", ""),
        ({"verticalScaling": {"mode": "Recreate"}}, "proxy", "64Mi", "128Mi"),
        ({"verticalScaling": {"mode": "Off"}}, "app", "100Mi", "200Mi"),
        (
            {"verticalScaling": {"mode": "Initial", "controlledResources": ["cpu"]}},
            "app",
            "100Mi",
            "200Mi",
        ),
    ],
)
def test_the_ceiling(spec: dict[str, Any], container: str, limit: str, ceiling: str) -> None:
    """Twice the spec's limit, unless the spec says more."""
    assert ceiling == find_ceiling(policy_of(**spec), memory_of(container), limit)


@pytest.mark.parametrize(
    ("spec", "ceiling"),
    [
        ({}, "2000m"),
        ({"healing": {"cpu": {"max": 3}}}, "3"),
        ({"healing": {"cpu": {"enabled": False}}}, ""),
        ({"healing": {"memory": {"enabled": False}}}, "2000m"),
        ({"verticalScaling": {"mode": "Recreate"}}, ""),
        ({"verticalScaling": {"mode": "Recreate", "controlledResources": ["memory"]}}, "2000m"),
    ],
)
def test_the_ceiling_of_cpu(spec: dict[str, Any], ceiling: str) -> None:
    """Each resource has its own switch and maximum."""
    assert ceiling == find_ceiling(policy_of(**spec), APP_CPU, "1")


KEYS = st.builds(LimitKey, st.sampled_from(["app", "proxy", "x"]), st.sampled_from(LimitedResource))
QUANTITIES = st.integers(1, 2**40).map(str) | st.sampled_from(["-1", "0", "1e999", "x", "64Mi"])


@given(
    limits=st.dictionaries(KEYS, QUANTITIES),
    spec_limits=st.dictionaries(KEYS, st.integers(1, 2**40).map(str)),
)
def test_limits_stay_below_their_ceilings(
    limits: dict[LimitKey, str], spec_limits: dict[LimitKey, str]
) -> None:
    """Whatever was stored: nothing is invented, and a container without a ceiling gets nothing."""
    policy = policy_of()
    found = clamp_limits(policy, spec_limits, limits)

    assert found.keys() <= limits.keys() & spec_limits.keys()
    for key, limit in found.items():
        ceiling = parse_quantity(find_ceiling(policy, key, spec_limits[key]))
        assert ceiling is not None
        assert 0 < (parse_quantity(limit) or 0) <= ceiling


@pytest.mark.parametrize(
    ("diagnosis", "container"),
    [
        (oom("app"), "app"),
        (oom("proxy"), "proxy"),
        (oom("app", "proxy"), "app"),
        (oom(container="proxy"), "proxy"),
        (oom(), "app"),
    ],
    ids=["app", "sidecar", "both", "named", "unknown"],
)
def test_the_container_that_was_killed(diagnosis: AppDiagnosis, container: str) -> None:
    """It gets more memory, main or sidecar."""
    assert memory_of(container) == select_limit(diagnosis)


def test_the_container_that_is_slowed_down() -> None:
    """It gets more CPU."""
    assert APP_CPU == select_limit(THROTTLED)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [("", "200Mi"), ("Infeasible", "100Mi")],
    ids=["set", "not carried out"],
)
def test_the_limit_in_force(condition: str, expected: str) -> None:
    """A resize that the node has not carried out is not in force."""
    conditions = [{"type": "PodResizePending", "status": "True", "reason": condition}]
    pod = pod_view(
        builders.pod(
            "web-abc-1",
            builders.running(),
            memory_limit="200Mi",
            applied_memory_limit="100Mi",
            conditions=conditions,
        )
    )

    assert [expected, "", "1"] == [
        find_limit_in_force(pod, key) for key in (APP_MEMORY, PROXY_MEMORY, APP_CPU)
    ]


@pytest.mark.parametrize(
    ("spec", "limits", "container", "obstacle"),
    [
        ({}, SPEC_LIMITS, "app", ""),
        (
            {"healing": {"memory": {"enabled": False}}},
            SPEC_LIMITS,
            "app",
            "spec.healing.memory.enabled is false",
        ),
        (
            {},
            SPEC_LIMITS,
            "injected",
            "container injected has none in the spec, so the node's memory was exhausted",
        ),
        (
            {"verticalScaling": {"mode": "Recreate"}},
            SPEC_LIMITS,
            "app",
            "verticalScaling controls the memory",
        ),
        ({}, SPEC_LIMITS, "proxy", "128Mi is refused: exceeded quota"),
    ],
)
def test_what_keeps_a_limit_from_being_raised(
    spec: dict[str, Any], limits: dict[LimitKey, str], container: str, obstacle: str
) -> None:
    """It is told instead."""
    diagnosis, policy = oom(container=container), policy_of(**spec)
    refused = {PROXY_MEMORY: RefusedLimit("128Mi", "exceeded quota")}
    (told,) = explain_obstacles((diagnosis,), make_record(), limits, policy, refused)

    assert obstacle == find_obstacle(diagnosis, limits, policy, refused)
    more = f"; the memory limit is not raised: {obstacle}" if obstacle else ""
    assert f"it was killed{more}" == told.message


@pytest.mark.parametrize(
    ("container", "limit", "field"),
    [
        ("app", "200Mi", "spec.resources.limits.memory or spec.healing.memory.max"),
        ("proxy", "128Mi", "the memory limit of the container proxy in the spec"),
    ],
)
def test_at_the_ceiling(container: str, limit: str, field: str) -> None:
    """The field that a person can change is named."""
    diagnosis = oom(container=container)
    record = make_record(memory_limits=raised_to(limit, container=container))
    in_template = record.model_copy(update={"memory_in_template": True})
    untold, told = (
        explain_obstacles((diagnosis,), each, SPEC_LIMITS, policy_of(), {})[0]
        for each in (record, in_template)
    )

    assert diagnosis == untold  # new pods may still get it
    assert told.message.endswith(f"it has reached its ceiling of {limit}: raise {field}")


@pytest.mark.parametrize(
    ("spec", "limits", "raised", "why"),
    [
        ({}, SPEC_LIMITS, "", ""),
        (
            {"healing": {"cpu": {"enabled": False}}},
            SPEC_LIMITS,
            "",
            "spec.healing.cpu.enabled is false",
        ),
        ({}, {}, "", "container app has none in the spec"),
        (
            {},
            SPEC_LIMITS,
            "2000m",
            f"it has reached its ceiling of 2000m: raise {CPU_FIELDS}",
        ),
    ],
    ids=["may be raised", "switched off", "no limit", "at the ceiling"],
)
def test_why_no_cpu_limit_is_raised(
    spec: dict[str, Any], limits: dict[LimitKey, str], raised: str, why: str
) -> None:
    """It is told as for memory; new pods would change nothing."""
    record = make_record(cpu_limits=raised_to(raised) if raised else [])
    (told,) = explain_obstacles((THROTTLED,), record, limits, policy_of(**spec), {})

    assert f"it is slow{f'; the CPU limit is not raised: {why}' if why else ''}" == told.message


def test_other_diagnoses_are_told_as_they_are() -> None:
    """Only a kill for memory calls for a higher limit."""
    other = replace(oom(), type=DiagnosisType.CRASH_LOOPING)

    assert (other,) == explain_obstacles((other,), make_record(), {}, policy_of(), {})
