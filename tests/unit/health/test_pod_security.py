"""The Pod Security Standards, control by control."""

import pytest
from hypothesis import given, strategies as st

from selfhealing.health.pod_security import (
    ADVICE,
    ENFORCE_LABEL,
    PodSecurityLevel,
    Violation,
    describe_violations,
    find_violations,
    parse_enforced_level,
)
from selfhealing.health.pod_security_checks import (
    BASELINE_CHECKS,
    OVERRIDDEN,
    RESTRICTED_CHECKS,
    Control,
)
from tests.pod_security_cases import CASES, PodSecurityCase, make_pod_spec

ONLY_WINDOWS = {Control.HOST_PROCESS}
"""The API server refuses these fields for another reason than the standards."""


@pytest.mark.parametrize("level", PodSecurityLevel)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_violations_of_a_pod(case: PodSecurityCase, level: PodSecurityLevel) -> None:
    """The same pods are created on a real API server in the integration tests."""
    violations = find_violations({"spec": case.spec}, level)

    assert case.controls(level) == {violation.control for violation in violations}


def test_every_control_has_a_case_and_advice() -> None:
    """A control without a case would be untested."""
    baseline = {control for case in CASES for control in case.baseline}
    restricted = {control for case in CASES for control in case.restricted}
    all_restricted = (BASELINE_CHECKS.keys() - OVERRIDDEN) | RESTRICTED_CHECKS.keys()

    assert baseline | ONLY_WINDOWS == BASELINE_CHECKS.keys() - {Control.PROC_MOUNT}
    assert restricted | ONLY_WINDOWS == all_restricted
    assert set(Control) == set(ADVICE)


def test_the_proc_mount_of_a_pod_without_a_user_namespace() -> None:
    """Kubernetes refuses it before it asks for the level, so there is no case."""
    template = {"spec": make_pod_spec({"procMount": "Unmasked"})}

    for level in PodSecurityLevel:
        assert (Violation(Control.PROC_MOUNT, ("app",)),) == find_violations(template, level)


def test_a_process_of_a_windows_host() -> None:
    """It is refused for the pod and for a container."""
    options = {"windowsOptions": {"hostProcess": True}}

    for level in PodSecurityLevel:
        assert (Violation(Control.HOST_PROCESS),) == find_violations(
            {"spec": make_pod_spec(pod=options)}, level
        )
        assert (Violation(Control.HOST_PROCESS, ("app",)),) == find_violations(
            {"spec": make_pod_spec(options)}, level
        )


@pytest.mark.parametrize(
    ("value", "level"),
    [
        (None, None),
        ("privileged", None),
        ("baseline", PodSecurityLevel.BASELINE),
        ("restricted", PodSecurityLevel.RESTRICTED),
        ("Restricted", PodSecurityLevel.RESTRICTED),
        ("", PodSecurityLevel.RESTRICTED),
    ],
)
def test_the_level_of_a_namespace(value: str | None, level: PodSecurityLevel | None) -> None:
    """A value that Kubernetes does not know is the strictest level."""
    labels = {"team": "blue"} | ({} if value is None else {ENFORCE_LABEL: value})

    assert level == parse_enforced_level(labels)


def test_the_message_says_what_to_write() -> None:
    """It names the containers where not all of the pod is meant."""
    violations = find_violations(
        {"spec": make_pod_spec({"runAsUser": 0}, other={"allowPrivilegeEscalation": None})},
        PodSecurityLevel.RESTRICTED,
    )

    assert (
        "the namespace enforces the Pod Security Standard restricted and refuses the pods: "
        "write securityContext.allowPrivilegeEscalation: false (containers: proxy); "
        "write no runAsUser: 0 (containers: app)"
    ) == describe_violations(PodSecurityLevel.RESTRICTED, violations)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
FIELDS = (
    "containers",
    "initContainers",
    "securityContext",
    "volumes",
    "hostUsers",
)


@given(spec=st.dictionaries(st.sampled_from(FIELDS), JSON) | JSON)
def test_a_spec_of_any_shape_is_evaluated(spec: object) -> None:
    """What the API server has not checked is no reason to fail."""
    for level in PodSecurityLevel:
        find_violations({"spec": spec}, level)


CONTEXT_FIELDS = (
    "privileged",
    "capabilities",
    "appArmorProfile",
    "seLinuxOptions",
    "procMount",
    "seccompProfile",
    "sysctls",
    "runAsUser",
    "runAsNonRoot",
    "allowPrivilegeEscalation",
)


@given(context=st.dictionaries(st.sampled_from(CONTEXT_FIELDS), JSON))
def test_a_context_of_any_shape_is_evaluated(context: dict[str, object]) -> None:
    """As a container's and as the pod's."""
    spec = make_pod_spec(pod=context) | {"initContainers": [{"securityContext": context}]}
    for level in PodSecurityLevel:
        find_violations({"spec": spec}, level)
