"""Which lost nodes may be given up, and how fast."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, strategies as st

from selfhealing.cache.nodes import NodeView, node_view
from selfhealing.remediation.node_loss import (
    NODE_INTERVAL,
    SLOW_NODE_INTERVAL,
    can_take_pods,
    node_interval,
)
from tests.unit import builders

Json = dict[str, Any]
TAINTED = builders.node("tainted", taints=["dedicated"])


def build_nodes(*zones: tuple[int, int]) -> list[NodeView]:
    """Nodes by zone: how many are lost, and how many there are. They are called ``zone-number``."""
    return [
        node_view(
            builders.node(
                f"{zone}-{number}",
                ready="Unknown" if number < lost else "True",
                zone=f"zone-{zone}",
            )
        )
        for zone, (lost, total) in enumerate(zones)
        for number in range(total)
    ]


@pytest.mark.parametrize(
    ("zones", "interval"),
    [
        pytest.param([(1, 1)], None, id="a cluster of one"),
        pytest.param([(1, 2)], NODE_INTERVAL, id="one of two"),
        pytest.param([(2, 2)], None, id="all of a cluster without zones"),
        pytest.param([(1, 3)], NODE_INTERVAL, id="a third, of three"),
        pytest.param([(10, 30)], NODE_INTERVAL, id="a third, of thirty"),
        pytest.param([(15, 30)], None, id="half of a small zone"),
        pytest.param([(30, 60)], SLOW_NODE_INTERVAL, id="half of a large zone"),
        pytest.param([(10, 10), (0, 10)], NODE_INTERVAL, id="one of two zones"),
        pytest.param([(1, 1), (0, 1), (0, 1)], NODE_INTERVAL, id="a zone of one"),
        pytest.param([(10, 10), (10, 10)], None, id="all zones"),
        pytest.param([(6, 10), (0, 90)], None, id="most of a zone, though few of the cluster"),
    ],
)
def test_the_pace(zones: list[tuple[int, int]], interval: float | None) -> None:
    """That of the node controller."""
    assert interval == node_interval(build_nodes(*zones), "0-0")


def test_nodes_that_are_not_lost() -> None:
    """A ready node is never given up; one that no longer exists at once."""
    nodes = build_nodes((1, 3))

    assert None is node_interval(nodes, "0-2")
    assert 0.0 == node_interval(nodes, "gone")


def test_a_node_that_people_declared_out_of_service() -> None:
    """It needs no turn, and does not make its zone look cut off."""
    out = [
        node_view(
            builders.node(
                f"off-{number}", ready="Unknown", taints=["node.kubernetes.io/out-of-service"]
            )
        )
        for number in range(5)
    ]

    assert 0.0 == node_interval([*out, *build_nodes((0, 2))], "off-0")
    assert NODE_INTERVAL == node_interval([*out, *build_nodes((1, 3))], "0-0")


@given(zones=st.lists(st.integers(0, 60), min_size=1, max_size=4))
def test_never_when_nothing_is_left(zones: list[int]) -> None:
    """If every node is lost, the fault is not in the nodes."""
    nodes = build_nodes(*((lost, lost) for lost in zones))

    assert all(node_interval(nodes, node.name) is None for node in nodes[:10])


@pytest.mark.parametrize(
    ("others", "pod_spec", "expected"),
    [
        ([], {}, False),
        ([builders.node("other")], {}, True),
        ([builders.node("other", ready="False")], {}, False),
        ([{**builders.node("other"), "spec": {"unschedulable": True}}], {}, False),
        ([TAINTED], {}, False),
        ([TAINTED], {"tolerations": [{"operator": "Exists"}]}, True),
        ([builders.node("a")], {"nodeSelector": {"kubernetes.io/hostname": "lost"}}, False),
        ([builders.node("a")], {"nodeSelector": {"kubernetes.io/hostname": "a"}}, True),
    ],
    ids=[
        "no other node",
        "a ready one",
        "one that is not ready",
        "one that is cordoned",
        "one that is tainted",
        "a taint that is tolerated",
        "another node is asked for",
        "that node is asked for",
    ],
)
def test_another_node_must_take_the_pods(
    others: Sequence[Json], pod_spec: Json, *, expected: bool
) -> None:
    """Else the pods would be deleted, and none made that runs."""
    nodes = [node_view(raw) for raw in (builders.node("lost", ready="Unknown"), *others)]

    assert expected is can_take_pods(nodes, {"spec": {"containers": [], **pod_spec}}, "lost")
