"""Which pods a node could take, by the rules of the scheduler."""

from typing import Any

import pytest

from selfhealing.cache.nodes import NodeView, Taint, node_view
from selfhealing.health.node_fit import (
    adds_pod_affinity,
    asks_for_more,
    could_fit,
    count_fitting,
    may_grow,
    sum_requests,
)

Json = dict[str, Any]

SMALL = NodeView("node-1", {"disk": "ssd", "cores": "4"}, (), {"cpu": "4", "memory": "8Gi"})
TAINTED = NodeView(
    "node-2", {}, (Taint("team", "data", "NoSchedule"),), {"cpu": "64", "memory": "256Gi"}
)


def template(
    *requests: Json,
    init: Json | None = None,
    sidecar: Json | None = None,
    limits: Json | None = None,
    **spec: Any,  # noqa: ANN401 - JSON
) -> Json:
    """Return a template of one container for each of ``requests``."""
    containers = [
        {"name": f"c{n}", "resources": {"requests": each, **({"limits": limits} if limits else {})}}
        for n, each in enumerate(requests or ({},))
    ]
    init_containers = [
        *([{"name": "init", "resources": {"requests": init}}] if init else []),
        *(
            [{"name": "s", "restartPolicy": "Always", "resources": {"requests": sidecar}}]
            if sidecar
            else []
        ),
    ]
    return {"spec": {"containers": containers, "initContainers": init_containers, **spec}}


def affinity(*terms: Json) -> Json:
    """Return a required node affinity."""
    required = {"nodeSelectorTerms": list(terms)}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def expression(operator: str, *values: str, key: str = "disk") -> Json:
    """Return a term of one expression."""
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("pod", "fits"),
    [
        (template(), True),
        (template({"cpu": "4", "memory": "8Gi"}), True),
        (template({"cpu": "4001m"}), False),
        (template({"cpu": "3"}, {"cpu": "2"}), False),
        (template({"cpu": "1"}, init={"cpu": "5"}), False),
        (template({"cpu": "3"}, init={"cpu": "3"}), True),
        (template({"cpu": "3"}, sidecar={"cpu": "2"}), False),
        (template({"nvidia.com/gpu": "1"}), False),
        (template({}, limits={"cpu": "5"}), False),
        (template({"cpu": "what"}), True),
        (template(nodeSelector={"disk": "ssd"}), True),
        (template(nodeSelector={"disk": "nvme"}), False),
        (template(affinity={}), True),
        (template(affinity=affinity(expression("In", "ssd", "nvme"))), True),
        (template(affinity=affinity(expression("NotIn", "ssd"))), False),
        (template(affinity=affinity(expression("Exists"))), True),
        (template(affinity=affinity(expression("DoesNotExist"))), False),
        (template(affinity=affinity(expression("Gt", "3", key="cores"))), True),
        (template(affinity=affinity(expression("Lt", "4", key="cores"))), False),
        (template(affinity=affinity(expression("Gt", "3"))), False),
        (template(affinity=affinity(expression("Gt", "3", key="none"))), False),
        (template(affinity=affinity(expression("Near", "3"))), False),
        (template(affinity=affinity({})), False),
        (template(affinity=affinity({}, expression("In", "ssd"))), True),
        (
            template(
                affinity=affinity(
                    {
                        "matchFields": [
                            {"key": "metadata.name", "operator": "In", "values": ["node-2"]}
                        ]
                    }
                )
            ),
            False,
        ),
    ],
)
def test_one_node(pod: Json, fits: bool) -> None:  # noqa: FBT001 - a table's column
    """It offers 4 CPUs and an SSD."""
    assert fits is could_fit(pod, [SMALL])


@pytest.mark.parametrize(
    ("toleration", "fits"),
    [
        ({"key": "team", "value": "data"}, True),
        ({"key": "team", "operator": "Exists", "effect": "NoSchedule"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "team", "value": "web"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"key": "team", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "team", "operator": "Near", "value": "data"}, False),
    ],
)
def test_a_taint(toleration: Json, fits: bool) -> None:  # noqa: FBT001 - a table's column
    """It keeps pods away that do not tolerate it."""
    assert not could_fit(template(), [TAINTED])
    assert fits is could_fit(template(tolerations=[toleration]), [TAINTED])


def test_a_taint_of_a_state() -> None:
    """It ends by itself."""
    key = "node.kubernetes.io/disk-pressure"
    sick = NodeView("node-3", {}, (Taint(key, "", "NoSchedule"),), {})

    assert could_fit(template(), [sick])


def test_how_many_nodes() -> None:
    """Those that could take the pod are counted."""
    assert (1, 0) == (
        count_fitting(template(), [SMALL, TAINTED]),
        count_fitting(template({"cpu": "5"}), [SMALL, TAINTED]),
    )


CACHE: Json = {"labelSelector": {"matchLabels": {"app": "cache"}}, "topologyKey": "zone"}
QUEUE: Json = {"labelSelector": {"matchLabels": {"app": "queue"}}, "topologyKey": "zone"}


def beside(*terms: Json, kind: str = "podAffinity") -> Json:
    """Return a template whose pods must run beside others."""
    required = {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}
    return template(affinity={kind: required})


@pytest.mark.parametrize(
    ("pod", "other", "adds"),
    [
        (beside(CACHE), template(), True),
        (beside(CACHE, QUEUE), beside(CACHE), True),
        (beside({**CACHE, "topologyKey": "host"}), beside(CACHE), True),
        (beside(CACHE), beside(QUEUE, CACHE), False),
        (template(), beside(CACHE), False),
        (beside(CACHE, kind="podAntiAffinity"), template(), False),
        (template(affinity={"podAffinity": {}}), template(affinity=None), False),
    ],
)
def test_a_pod_affinity(pod: Json, other: Json, adds: bool) -> None:  # noqa: FBT001 - a column
    """A term that the other template does not have asks for something new."""
    assert adds is adds_pod_affinity(pod, other)


def test_nodes_that_are_made() -> None:
    """An autoscaler may make another kind."""
    pool = NodeView("node-4", {"eks.amazonaws.com/nodegroup": "a"}, (), {})

    assert not may_grow([SMALL, TAINTED])
    assert may_grow([SMALL, pool])


def test_more_than_the_other() -> None:
    """By requests or by limits."""
    small, large = template({"cpu": "1"}), template({"cpu": "2"})

    assert asks_for_more(large, small)
    assert not asks_for_more(small, large)
    assert asks_for_more(template({"cpu": "1"}, limits={"memory": "1Gi"}), small)
    assert {"cpu": 1.0} == sum_requests(small)


def test_a_node_of_the_cluster() -> None:
    """A taint that only prefers other nodes does not count."""
    raw = {
        "metadata": {"name": "node-1", "labels": {"disk": "ssd"}},
        "spec": {
            "taints": [
                {"key": "a", "effect": "PreferNoSchedule"},
                {"key": "b", "value": "c", "effect": "NoSchedule"},
            ]
        },
        "status": {"allocatable": {"cpu": "4"}},
    }

    assert NodeView(
        "node-1", {"disk": "ssd"}, (Taint("b", "c", "NoSchedule"),), {"cpu": "4"}, is_lost=True
    ) == node_view(raw)
    assert NodeView("node-2", is_lost=True) == node_view({"metadata": {"name": "node-2"}})
