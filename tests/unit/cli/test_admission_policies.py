"""The ValidatingAdmissionPolicies of the installation; what they refuse is tested on a cluster."""

from typing import Any

import pytest

from selfhealing.cli.admission_policies import REQUESTED_KINDS, service_account_user
from selfhealing.cli.installation import NAME, NAMESPACE, Installation, build_manifests
from selfhealing.cli.pod_security_policies import BASELINE_EXPRESSIONS, RESTRICTED_EXPRESSIONS
from selfhealing.health.pod_security import ADVICE
from selfhealing.health.pod_security_checks import BASELINE_CHECKS, RESTRICTED_CHECKS, Control
from selfhealing.kube.resources import APPS, EVENT_SERIES, Resource, namespace_scoped_resources

Json = dict[str, Any]

POLICY = "ValidatingAdmissionPolicy"
WRITE_VERBS = {"create", "update", "patch", "delete"}
NOT_OFFERED = {
    Control.HOST_PROCESS,
    Control.PROC_MOUNT,
}
"""Controls of fields that the spec of a SelfHealingApp does not have."""


def build_policies(*namespaces: str) -> dict[str, tuple[Json, Json]]:
    """The specs of the policies and of their bindings, by the end of their names."""
    objects = build_manifests(Installation(namespaces=namespaces))
    policies = {each["metadata"]["name"]: each for each in objects if each["kind"] == POLICY}
    bindings = {
        each["metadata"]["name"]: each for each in objects if each["kind"] == f"{POLICY}Binding"
    }

    assert policies.keys() == bindings.keys()

    return {
        name.removeprefix(f"{NAME}-"): (policy["spec"], bindings[name]["spec"])
        for name, policy in policies.items()
    }


def written_targets(resource: Resource) -> set[tuple[str, str]]:
    """The resource and the subresources that the operator has the right to write."""
    targets = {(resource.group, resource.plural)} if resource.verbs & WRITE_VERBS else set()
    return targets | {
        (resource.group, f"{resource.plural}/{name}")
        for name, verbs in resource.subresources.items()
        if verbs & WRITE_VERBS
    }


def matched_targets(spec: Json) -> set[tuple[str, str]]:
    """The resources that a policy matches."""
    return {
        (group, resource)
        for rule in spec["matchConstraints"]["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def test_each_policy_refuses_or_warns() -> None:
    """What refuses fails closed, and what warns never refuses."""
    actions = {
        name: (spec["failurePolicy"], binding["validationActions"])
        for name, (spec, binding) in build_policies().items()
    }

    assert {
        "requesters": ("Fail", ["Deny"]),
        "writes": ("Fail", ["Deny"]),
        "events": ("Fail", ["Deny"]),
        "pod-security-baseline": ("Ignore", ["Warn"]),
        "pod-security-restricted": ("Ignore", ["Warn"]),
        "spec-warnings": ("Ignore", ["Warn"]),
    } == actions


def test_all_that_the_operator_may_write_is_matched() -> None:
    """But for the status of apps, which is its own, and the Lease, which RBAC limits by name."""
    policies = build_policies()
    writable = {
        target
        for resource in namespace_scoped_resources("all")
        for target in written_targets(resource)
    }
    matched = matched_targets(policies["writes"][0]) | matched_targets(policies["events"][0])

    assert writable - written_targets(APPS) == matched
    assert written_targets(EVENT_SERIES) == matched_targets(policies["events"][0])


def test_only_the_operator_s_own_writes_are_checked() -> None:
    """Those of all others pass at the first condition."""
    user = service_account_user(NAMESPACE, NAME)

    for name in ("writes", "events"):
        [condition] = build_policies()[name][0]["matchConditions"]

        assert f"== '{user}'" in condition["expression"]


@pytest.mark.parametrize("namespaces", [(), ("shop", "bank")])
def test_the_policies_on_apps_hold_in_the_served_namespaces(namespaces: tuple[str, ...]) -> None:
    """Another operator may serve the others. The operator's own writes are checked everywhere."""
    policies = build_policies(*namespaces)
    by_name = {
        "key": "kubernetes.io/metadata.name",
        "operator": "In",
        "values": ["shop", "bank"],
    }
    for name, (_, binding) in policies.items():
        selector = binding.get("matchResources", {}).get("namespaceSelector", {})
        is_limited = by_name in selector.get("matchExpressions", [])

        assert is_limited == (bool(namespaces) and name not in {"writes", "events"})


def test_who_asks_for_access_from_outside_may_create_it() -> None:
    """By the name of the field, and of the resource that RBAC knows."""
    expressions = {
        validation["expression"]: validation["messageExpression"]
        for validation in build_policies()["requesters"][0]["validations"]
        if "messageExpression" in validation
    }
    for field, resource in REQUESTED_KINDS.items():
        expression = next(each for each in expressions if f"has(object.spec.{field})" in each)

        assert f"group('{resource.group}').resource('{resource.plural}')" in expression
        assert f"the verb create on {resource.plural} there" in expressions[expression]


def test_annotations_ask_for_no_pod_monitor() -> None:
    """Everybody may annotate his own pods."""
    [expression] = [
        validation["expression"]
        for validation in build_policies()["requesters"][0]["validations"]
        if "podmonitors" in validation["expression"]
    ]

    assert " || (object.spec.monitoring.?mode.orValue('') == 'Annotations') || " in expression


def test_they_can_be_left_out() -> None:
    """Nothing else changes."""
    with_policies = build_manifests(Installation())
    without = build_manifests(Installation(has_admission_policies=False))

    assert without == [each for each in with_policies if POLICY not in each["kind"]]


def test_every_control_of_an_offered_field_is_evaluated() -> None:
    """With the words of the status."""
    policies = build_policies()
    messages = {
        validation["message"].removeprefix("the namespace would refuse the pods: ")
        for name in ("pod-security-baseline", "pod-security-restricted")
        for validation in policies[name][0]["validations"]
    }

    assert BASELINE_CHECKS.keys() - NOT_OFFERED == BASELINE_EXPRESSIONS.keys()
    assert RESTRICTED_CHECKS.keys() - NOT_OFFERED == RESTRICTED_EXPRESSIONS.keys()
    assert {ADVICE[control] for control in Control if control not in NOT_OFFERED} == messages
