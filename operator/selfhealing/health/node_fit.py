"""Tells whether a node could ever take a pod: by its labels, taints and allocatable resources.

The rules are those of the scheduler's filters NodeAffinity, TaintToleration and NodeResourcesFit
(pkg/scheduler/framework/plugins, Kubernetes 1.36). What is in use on a node at the moment does not
count, nor do taints that come and go with the state of the node.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from selfhealing.api.quantity import parse_quantity
from selfhealing.cache.nodes import NodeView, Taint

Json = Mapping[str, Any]

_TRANSIENT_TAINTS: Final = (
    "node.kubernetes.io/",
    "node.cloudprovider.kubernetes.io/",
    "ToBeDeletedByClusterAutoscaler",
    "DeletionCandidateOfClusterAutoscaler",
    "karpenter.sh/",
)
"""The beginnings of the keys of taints that say how a node is, not what it is for."""

_NODE_POOL_LABELS: Final = frozenset(
    {
        "karpenter.sh/nodepool",
        "cloud.google.com/gke-nodepool",
        "eks.amazonaws.com/nodegroup",
        "kubernetes.azure.com/agentpool",
    }
)
"""Labels of nodes that an autoscaler may have made: it may make another kind of node, too."""


def could_fit(template: Json, nodes: Iterable[NodeView]) -> bool:
    """Whether one of ``nodes`` could take a pod of a template if the node were empty."""
    return count_fitting(template, nodes) > 0


def count_fitting(template: Json, nodes: Iterable[NodeView]) -> int:
    """Count the nodes that could take a pod of a template if they were empty."""
    spec: Json = template["spec"]
    requests = sum_requests(template)
    return sum(
        _matches_selector(spec, node)
        and _tolerates(spec.get("tolerations") or (), node.taints)
        and _has_room(requests, node)
        for node in nodes
    )


def may_grow(nodes: Iterable[NodeView]) -> bool:
    """Whether an autoscaler may add nodes of a kind that does not exist yet."""
    return any(not _NODE_POOL_LABELS.isdisjoint(node.labels) for node in nodes)


def adds_pod_affinity(template: Json, other: Json) -> bool:
    """Whether a pod of a template must run beside pods that one of ``other`` need not run beside.

    Anti-affinity does not count: the pods that it keeps away from may leave.
    """
    known = _list_affinity_terms(other)
    return any(term not in known for term in _list_affinity_terms(template))


def _list_affinity_terms(template: Json) -> Sequence[Json]:
    affinity: Json = (template["spec"].get("affinity") or {}).get("podAffinity") or {}
    return affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()


def asks_for_more(template: Json, other: Json) -> bool:
    """Whether a pod of a template requests more of a resource than one of ``other``.

    A higher limit counts, too: a quota may be one of limits.
    """
    return any(
        amount > smaller.get(resource, 0)
        for larger, smaller in (
            (sum_requests(template), sum_requests(other)),
            (_sum_resources(template, _limits_of), _sum_resources(other, _limits_of)),
        )
        for resource, amount in larger.items()
    )


def sum_requests(template: Json) -> dict[str, float]:
    """Return what a pod of a template requests, by resource.

    A limit without a request is the request, too.
    """
    return _sum_resources(template, _requests_of)


def _sum_resources(template: Json, of: Callable[[Json], dict[str, float]]) -> dict[str, float]:
    """Return what a pod needs: containers and sidecars together, or one init container alone."""
    spec: Json = template["spec"]
    init_containers = spec.get("initContainers") or ()
    total: dict[str, float] = {}
    for container in (
        *spec["containers"],
        *(c for c in init_containers if c.get("restartPolicy") == "Always"),
    ):
        for resource, amount in of(container).items():
            total[resource] = total.get(resource, 0) + amount
    for container in init_containers:
        for resource, amount in of(container).items():
            total[resource] = max(total.get(resource, 0), amount)
    return total


def _requests_of(container: Json) -> dict[str, float]:
    resources: Json = container.get("resources") or {}
    return _parse({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def _limits_of(container: Json) -> dict[str, float]:
    return _parse((container.get("resources") or {}).get("limits") or {})


def _parse(written: Json) -> dict[str, float]:
    amounts = {resource: parse_quantity(str(amount)) for resource, amount in written.items()}
    return {resource: float(amount) for resource, amount in amounts.items() if amount is not None}


def _has_room(requests: Mapping[str, float], node: NodeView) -> bool:
    for resource, requested in requests.items():
        offered = parse_quantity(node.allocatable.get(resource, "0"))
        if offered is None or requested > float(offered):
            return False
    return True


def _matches_selector(spec: Json, node: NodeView) -> bool:
    selector: Json = spec.get("nodeSelector") or {}
    if any(node.labels.get(key) != value for key, value in selector.items()):
        return False
    affinity: Json = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required: Json | None = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return any(_matches_term(term, node) for term in required.get("nodeSelectorTerms") or ())


def _matches_term(term: Json, node: NodeView) -> bool:
    """Whether a node matches a term; an empty term matches none."""
    expressions = term.get("matchExpressions") or ()
    fields = term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    return all(_matches_expression(e, node.labels) for e in expressions) and all(
        _matches_expression(e, {"metadata.name": node.name}) for e in fields
    )


def _matches_expression(expression: Json, values: Mapping[str, str]) -> bool:
    value = values.get(expression["key"])
    matches = _OPERATORS.get(expression["operator"])
    return matches is not None and matches(value, expression.get("values") or ())


def _is_greater(value: str | None, bounds: Sequence[str | None], sign: int) -> bool:
    try:
        return all(sign * (int(value or "") - int(bound or "")) > 0 for bound in bounds)
    except ValueError:
        return False


_OPERATORS: Final[Mapping[str, Callable[[str | None, Sequence[str | None]], bool]]] = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, _: value is not None,
    "DoesNotExist": lambda value, _: value is None,
    "Gt": lambda value, values: _is_greater(value, values, 1),
    "Lt": lambda value, values: _is_greater(value, values, -1),
}


def _tolerates(tolerations: Iterable[Json], taints: Iterable[Taint]) -> bool:
    return all(
        taint.key.startswith(_TRANSIENT_TAINTS)
        or any(_is_tolerated_by(taint, toleration) for toleration in tolerations)
        for taint in taints
    )


def _is_tolerated_by(taint: Taint, toleration: Json) -> bool:
    if (toleration.get("effect") or taint.effect) != taint.effect:
        return False
    if (toleration.get("key") or taint.key) != taint.key:
        return False
    operator = toleration.get("operator") or "Equal"
    return operator == "Exists" or (
        operator == "Equal" and (toleration.get("value") or "") == taint.value
    )
