"""The ValidatingAdmissionPolicies that decide who may ask for what.

- ``requesters``: who writes the spec of a SelfHealingApp may create its pods himself.
- ``writes`` and ``events``: what the operator writes belongs to an app.

The API server evaluates them, so they hold even if the operator is compromised. They are
admissionregistration.k8s.io/v1 (Kubernetes 1.30).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from selfhealing.api import names
from selfhealing.kube.resources import (
    APPS,
    CHILDREN,
    CONFIG_MAPS,
    CONTROLLER_REVISIONS,
    EVENT_SERIES,
    PODS,
    Resource,
)

API_VERSION: Final = "admissionregistration.k8s.io/v1"

SYSTEM_NAMESPACES: Final = ("kube-system", "kube-public", "kube-node-lease")
"""The namespaces that Kubernetes itself uses (Kubernetes documentation, Initial namespaces)."""

DEFAULT_SERVICE_ACCOUNT: Final = "default"
"""The ServiceAccount of pods that name none."""

WRITTEN_RESOURCES: Final = (*CHILDREN.values(), PODS, CONTROLLER_REVISIONS, CONFIG_MAPS)
"""What the operator writes besides Events, the status of apps and its own Lease."""

REQUESTED_KINDS: Final[Mapping[str, Resource]] = {
    "ingress": CHILDREN["Ingress"],
    "route": CHILDREN["HTTPRoute"],
    "networkPolicy": CHILDREN["NetworkPolicy"],
    "monitoring": CHILDREN["PodMonitor"],
    "service": CHILDREN["Service"],
    "disruption": CHILDREN["PodDisruptionBudget"],
}
"""By field of the spec, the kind of child that its author must be allowed to create himself. Such a
child reaches beyond the app: it takes requests for a host name or a port of the nodes, orders a
load balancer, admits what the other policies of the namespace do not, has the Prometheus of others
ask the pods, or holds up the drain of a node. An autoscaler changes only the app's own pods."""

NOT_REQUESTED: Final[Mapping[str, str]] = {
    "monitoring": "object.spec.monitoring.?mode.orValue('') == 'Annotations'",
    "disruption": "!object.spec.disruption.?enabled.orValue(true)",
    "service": "object.spec.service.?type.orValue('ClusterIP') == 'ClusterIP'"
    " && object.spec.service.?annotations.orValue({}).size() == 0",
}
"""By field of the spec, the CEL for: this value of it asks for no such child."""

SPEC_CHANGES: Final = {
    "name": "spec-changes",
    "expression": "request.operation == 'CREATE' || object.spec != oldObject.spec",
}
"""A match condition: writes of labels, annotations and finalizers alone are not checked."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyScope:
    """For which operator the policies are.

    Attributes:
        prefix: what the names of the policies begin with, as they are cluster-scoped.
        labels: the labels of the policies and their bindings.
        user: the name of the operator's ServiceAccount as the API server knows it.
        namespaces: the namespaces that the operator serves; empty for the whole cluster.
    """

    prefix: str
    labels: dict[str, str]
    user: str
    namespaces: Sequence[str] = ()


def service_account_user(namespace: str, name: str) -> str:
    """Return the user name of a ServiceAccount (Kubernetes documentation, Authenticating)."""
    return f"system:serviceaccount:{namespace}:{name}"


def build_admission_policies(scope: PolicyScope) -> Iterator[Json]:
    """Yield the policies that refuse requests, each followed by its binding."""
    yield from build_policy(
        scope, "requesters", _requester_spec(), served_namespaces(scope), action="Deny"
    )
    yield from build_policy(scope, "writes", _write_spec(scope.user), None, action="Deny")
    yield from build_policy(scope, "events", _event_spec(scope.user), None, action="Deny")


def build_policy(
    scope: PolicyScope, name: str, spec: Json, namespace_selector: Json | None, *, action: str
) -> Iterator[Json]:
    """Yield one ValidatingAdmissionPolicy and its binding.

    Args:
        scope: the operator that the policy is for.
        name: what the name of the policy ends with.
        spec: the policy's spec.
        namespace_selector: the namespaces where the policy holds; None for all of them.
        action: what happens to a request that violates it: Deny or Warn.
    """
    metadata = {"name": f"{scope.prefix}-{name}", "labels": dict(scope.labels)}
    matched = {"namespaceSelector": namespace_selector} if namespace_selector else {}
    yield {
        "apiVersion": API_VERSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": metadata,
        "spec": spec,
    }
    yield {
        "apiVersion": API_VERSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": metadata,
        "spec": {
            "policyName": metadata["name"],
            "validationActions": [action],
            **({"matchResources": matched} if matched else {}),
        },
    }


def served_namespaces(scope: PolicyScope) -> Json | None:
    """Return the selector of the namespaces that the operator serves; None for all."""
    if not scope.namespaces:
        return None
    return {"matchExpressions": [namespace_is_one_of(scope.namespaces)]}


def namespace_is_one_of(namespaces: Iterable[str]) -> Json:
    """Return a label selector requirement; every namespace has the label of its own name."""
    return {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(namespaces)}


def app_constraints() -> Json:
    """Return the match constraints of a policy on the specs of apps."""
    return {"resourceRules": [_resource_rule(APPS.group, [APPS.plural], ["CREATE", "UPDATE"])]}


def _requester_spec() -> Json:
    """The policy on who may write the spec of an app.

    Who may create a SelfHealingApp has its pods created by the operator. Kubernetes lets who may
    create pods in a namespace use its Secrets, volumes and ServiceAccounts, so the verb create on
    pods is asked for. For a ServiceAccount there is no verb "use"; the right to act as one is
    impersonate, which the ClusterRole edit grants beside the creation of pods (Kubernetes
    documentation, User impersonation).
    """
    who = "'user ' + request.userInfo.username + ' may not "
    where = "in the namespace ' + request.namespace + '"
    account = "object.spec.serviceAccountName"
    created = "object.spec.?serviceAccount.?create.orValue(false)"
    return {
        "failurePolicy": "Fail",
        "matchConstraints": app_constraints(),
        "matchConditions": [SPEC_CHANGES],
        "validations": [
            {
                "expression": _not_in_system_namespaces(),
                "message": "the operator does nothing in the namespaces of Kubernetes itself: "
                "create the SelfHealingApp in another namespace",
                "reason": "Forbidden",
            },
            {
                "expression": "authorizer.group('').resource('pods')"
                ".namespace(request.namespace).check('create').allowed()",
                "messageExpression": f"{who}create pods {where}, and the pods of a SelfHealingApp "
                "are created for its requester: ask an administrator for the verb create on pods "
                "there (the ClusterRole edit has it)'",
                "reason": "Forbidden",
            },
            {
                "expression": f"!has({account}) || {account} == '{DEFAULT_SERVICE_ACCOUNT}'"
                " || authorizer.group('').resource('serviceaccounts')"
                f".namespace(request.namespace).name({account}).check('impersonate').allowed()",
                "messageExpression": f"{who}use the ServiceAccount ' + {account} + ' {where}: "
                "ask an administrator for the verb impersonate on this ServiceAccount (the "
                "ClusterRole edit has it for all), or remove spec.serviceAccountName'",
                "reason": "Forbidden",
            },
            {
                "expression": f"!{created} || (authorizer.group('').resource('serviceaccounts')"
                ".namespace(request.namespace).check('create').allowed()"
                " && authorizer.group('').resource('serviceaccounts')"
                ".namespace(request.namespace).name(object.metadata.name).check('impersonate')"
                ".allowed())",
                "messageExpression": f"{who}create the ServiceAccount ' + object.metadata.name + '"
                f" {where} and use it: ask an administrator for the verbs create and impersonate on"
                " ServiceAccounts (the ClusterRole edit has both), or remove spec.serviceAccount'",
                "reason": "Forbidden",
            },
            *(
                _may_create_child(field, resource, who, where)
                for field, resource in REQUESTED_KINDS.items()
            ),
        ],
    }


def _may_create_child(field: str, resource: Resource, who: str, where: str) -> Json:
    """Return the validation that the requester may create the child that a field asks for."""
    not_requested = [f"!has(object.spec.{field})"]
    if field in NOT_REQUESTED:
        not_requested.append(f"({NOT_REQUESTED[field]})")
    return {
        "expression": f"{' || '.join(not_requested)} || authorizer.group('{resource.group}')"
        f".resource('{resource.plural}').namespace(request.namespace).check('create').allowed()",
        "messageExpression": f"{who}create {resource.plural} {where}, and spec.{field} creates one "
        f"for its requester: ask an administrator for the verb create on {resource.plural} there, "
        f"or remove spec.{field}'",
        "reason": "Forbidden",
    }


def _write_spec(user: str) -> Json:
    """The policy on what the operator writes, except Events.

    An eviction names a pod and does not contain it, so for evictions only the namespace is checked.
    An object that a user lets the operator adopt may be changed before it gets its owner.
    """
    new, old = "object.metadata", "oldObject.metadata"
    refusal = (
        "'the operator writes only what belongs to a SelfHealingApp: ' + variables.description"
    )
    neither = f"neither an owner of that kind nor the label {names.LABEL_APP}'"
    return {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": list(_written_resource_rules())},
        "matchConditions": [_requested_by(user)],
        "variables": [
            {"name": "isEviction", "expression": "request.?subResource.orValue('') == 'eviction'"},
            {"name": "description", "expression": _describe_request()},
        ],
        "validations": [
            {
                "expression": _not_in_system_namespaces(),
                "messageExpression": "'the operator writes nothing in ' + request.namespace",
                "reason": "Forbidden",
            },
            {
                "expression": f"variables.isEviction || object == null || {_belongs_to_app(new)}"
                f" || (oldObject != null && {_is_adoptable(new)})",
                "messageExpression": f"{refusal} + ' would have {neither}",
                "reason": "Forbidden",
            },
            {
                "expression": "!(request.resource.resource == 'pods'"
                " && request.?subResource.orValue('') == '' && request.operation == 'CREATE')"
                " || request.?dryRun.orValue(false)",
                "message": "the operator creates pods only in a dry run",
                "reason": "Forbidden",
            },
            {
                "expression": f"variables.isEviction || oldObject == null || {_belongs_to_app(old)}"
                f" || {_is_adoptable(old)}",
                "messageExpression": f"{refusal} + ' has {neither}",
                "reason": "Forbidden",
            },
        ],
    }


def _event_spec(user: str) -> Json:
    """The policy on the operator's Events: each is about an app."""
    return {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "resourceRules": [
                _resource_rule(EVENT_SERIES.group, [EVENT_SERIES.plural], ["CREATE", "UPDATE"])
            ]
        },
        "matchConditions": [_requested_by(user)],
        "validations": [
            {
                "expression": f"{_is_about_app('object')}"
                f" && (oldObject == null || ({_is_about_app('oldObject')}))",
                "message": "the operator writes only Events about SelfHealingApps",
                "reason": "Forbidden",
            }
        ],
    }


def _written_resource_rules() -> Iterator[Json]:
    """Yield one rule for each API group; the subresources are those in the table of resources."""
    by_group = sorted(WRITTEN_RESOURCES, key=lambda resource: resource.group)
    for group, resources in groupby(by_group, key=lambda resource: resource.group):
        targets = [target for resource in resources for target in _written_targets(resource)]
        yield _resource_rule(group, targets, ["CREATE", "UPDATE", "DELETE"])


def _written_targets(resource: Resource) -> Iterator[str]:
    yield resource.plural
    for subresource, verbs in resource.subresources.items():
        if verbs & {"create", "update", "patch", "delete"}:
            yield f"{resource.plural}/{subresource}"


def _resource_rule(group: str, resources: list[str], operations: list[str]) -> Json:
    return {
        "apiGroups": [group],
        "apiVersions": ["*"],
        "operations": operations,
        "resources": resources,
        "scope": "Namespaced",
    }


def _requested_by(user: str) -> Json:
    return {
        "name": "requested-by-the-operator",
        "expression": f"has(request.userInfo.username) && request.userInfo.username == '{user}'",
    }


def _not_in_system_namespaces() -> str:
    namespaces = ", ".join(f"'{namespace}'" for namespace in SYSTEM_NAMESPACES)
    return f"!(request.namespace in [{namespaces}])"


def _belongs_to_app(metadata: str) -> str:
    """Return the CEL for: an object carries an app's label, or an app is among its owners."""
    labels = " || ".join(
        f"'{label}' in {metadata}.labels" for label in (names.LABEL_APP, names.LABEL_QUARANTINED)
    )
    return (
        f"(has({metadata}.labels) && ({labels}))"
        f" || (has({metadata}.ownerReferences) && {metadata}.ownerReferences.exists(owner,"
        f" owner.kind == '{names.KIND}' && owner.apiVersion.startsWith('{names.GROUP}/')))"
    )


def _is_adoptable(metadata: str) -> str:
    """Return the CEL for: a user lets the operator adopt an object, or the operator made it."""
    return (
        f"(has({metadata}.annotations) && ("
        f"{metadata}.annotations[?'{names.ANNOTATION_ADOPT}'].orValue('') == 'true'"
        f" || '{names.ANNOTATION_APPLIED_HASH}' in {metadata}.annotations))"
    )


def _is_about_app(event: str) -> str:
    """Return the CEL for: an events.k8s.io/v1 Event regards an app."""
    return (
        f"{event}.?regarding.?kind.orValue('') == '{names.KIND}' &&"
        f" {event}.?regarding.?apiVersion.orValue('').startsWith('{names.GROUP}/')"
    )


def _describe_request() -> str:
    return "request.kind.kind + ' ' + request.?name.orValue('') + ' in ' + request.namespace"
