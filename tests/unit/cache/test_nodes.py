"""The view of a node."""

from typing import Any

import pytest

from selfhealing.cache.nodes import MAX_CONDITIONS, Taint, node_view
from tests.unit import builders

Json = dict[str, Any]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (builders.node(), False),
        (builders.node(ready="False"), True),
        (builders.node(ready="Unknown"), True),
        (builders.node(taints=["node.kubernetes.io/unreachable"]), True),
        (builders.node(taints=["node.kubernetes.io/not-ready"]), False),
        ({"metadata": {"name": "node-1"}}, True),
    ],
    ids=["ready", "not ready", "unknown", "unreachable", "another taint", "new"],
)
def test_lost(raw: Json, *, expected: bool) -> None:
    """As the node controller counts: whatever is not ready."""
    assert expected == node_view(raw).is_lost


def test_what_is_kept() -> None:
    """The zone, the taints, the labels, and what a person says."""
    raw = builders.node(zone="a", taints=["node.kubernetes.io/out-of-service"])
    raw["spec"]["unschedulable"] = True
    node = node_view(raw)

    assert "a" == node.zone
    assert node.is_out_of_service
    assert node.is_cordoned
    assert (Taint("node.kubernetes.io/out-of-service", "", "NoExecute"),) == node.taints
    assert "node-1" == node.labels["kubernetes.io/hostname"]


@pytest.mark.parametrize(
    ("conditions", "bad"),
    [
        ({"KernelDeadlock": "True", "ReadonlyFilesystem": "False"}, ("KernelDeadlock",)),
        ({"FrequentKubeletRestart": "Unknown"}, ()),
        ({"NetworkUnavailable": "True", "DiskPressure": "True"}, ("NetworkUnavailable",)),
        ({"EtcdIsVoter": "True"}, ()),
        ({"KernelReady": "True", "StorageReady": "False"}, ("StorageReady",)),
        ({"DNSProblem": "True", "Bad\u202eProblem": "True"}, ("BadProblem", "DNSProblem")),
        ({"FilesystemCorruptionProblem": "True"}, ("FilesystemCorruptionProblem",)),
        ({"KubeletUnhealthy": "True", "XfsShutdown": "True"}, ("KubeletUnhealthy", "XfsShutdown")),
        ({"VMEventScheduled": "True", "DriverInstalled": "True"}, ()),
    ],
)
def test_conditions_that_name_a_problem(conditions: Json, bad: tuple[str, ...]) -> None:
    """By their names; of a type of which nobody knows what it means nothing is told."""
    assert bad == node_view(builders.node(conditions=conditions)).bad_conditions


def test_conditions_are_bounded() -> None:
    """Whatever a node says."""
    conditions = {f"{number:02}Problem" + "X" * 300: "True" for number in range(50)}
    found = node_view(builders.node(conditions=conditions)).bad_conditions

    assert MAX_CONDITIONS == len(found)
    assert {64} == set(map(len, found))
