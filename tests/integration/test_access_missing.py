"""Kinds of access and monitoring that the cluster does not serve, or does not serve yet.

The operator's way to the API server hides the kind: others may use it meanwhile.
"""

from pathlib import Path

import pytest

from hack.testkit.fault_proxy import run_fault_proxy
from hack.testkit.forked_operator import run_forked_operator
from hack.testkit.kube_client import Json, KubeClient
from hack.testkit.namespace import FAKE_NODES, AppNamespace
from hack.testkit.optional_kinds import SPECS, ensure_kind_served
from hack.testkit.wait import eventually
from selfhealing.controller.optional_kinds import POLL_INTERVAL

pytestmark = pytest.mark.usefixtures("served", "fake_nodes")

SHORT_TIMEOUT = 2 * POLL_INTERVAL + 5
"""Seconds within which a change is noticed that no watch shows."""

PARTS: dict[str, Json] = {
    "HTTPRoute": {"route": {"parentRefs": [{"name": "public"}]}},
    "PodMonitor": {"monitoring": {"interval": "30s", "labels": {"release": "prometheus"}}},
}
"""By kind, the part of the spec that asks for it."""

DRIFTS: dict[str, Json] = {
    "HTTPRoute": {"spec": {"parentRefs": [{"name": "other"}]}},
    "PodMonitor": {"spec": {"podMetricsEndpoints": [{"port": "other"}]}},
}
"""By kind, a manual change."""


@pytest.fixture(scope="module")
def served(kube: KubeClient) -> None:
    """The kinds are served, in truth."""
    for kind in PARTS:
        ensure_kind_served(kube, kind)


@pytest.mark.parametrize("kind", PARTS)
def test_missing_then_served_then_drifted_then_unwanted(
    space: AppNamespace, tmp_path: Path, name: str, kind: str
) -> None:
    """The app is Ready without it; it is made when it can be, kept as it is, and taken away."""
    with run_fault_proxy(tmp_path) as proxy:
        group, _ = SPECS[kind]
        proxy.hide_group(group)
        with run_forked_operator(
            [space.name], tmp_path / "log", kubeconfig=proxy.kubeconfig
        ) as operator:
            space.create_app(name, port=80, **PARTS[kind], **FAKE_NODES)
            space.wait_for_phase(name, "Ready")

            def find_missing() -> Json:
                found = space.get_condition(name, "Reconciled")
                assert found.get("reason") == f"{kind}NotInstalled", found
                return found

            message = eventually(find_missing, timeout=SHORT_TIMEOUT)["message"]
            assert f"this cluster has no {group}/v1 {kind}: install it, or" in message
            assert space.get_condition(name, "Ready")["status"] == "True"

            proxy.hide_group("")
            eventually(lambda: space.find_child(kind, name), timeout=SHORT_TIMEOUT)
            space.wait_until_reconciled(name)
            before = space.get_child(kind, name)
            assert before["metadata"]["generation"] == 1
            assert "DriftCorrected" not in space.count_events(name)

            space.kube.merge_patch(kind, space.name, name, DRIFTS[kind])
            eventually(
                lambda: space.get_child(kind, name)["spec"] == before["spec"],
                timeout=SHORT_TIMEOUT,
                description="the change is reverted",
            )

            space.kube.delete(kind, space.name, name)
            eventually(
                lambda: space.find_child(kind, name),
                timeout=SHORT_TIMEOUT,
                description="a deleted one is made anew",
            )
            space.wait_until_reconciled(name)

            space.patch_spec(name, **dict.fromkeys(PARTS[kind]))
            space.wait_until_reconciled(name)
            assert eventually(lambda: space.find_child(kind, name) is None)
            assert "internal error" not in operator.read_log()


def test_what_a_gateway_says_reaches_the_conditions(
    space: AppNamespace, tmp_path: Path, name: str
) -> None:
    """Accepted, or refused with the words of its controller."""
    with run_forked_operator([space.name], tmp_path / "log"):
        space.create_app(name, port=80, **PARTS["HTTPRoute"], **FAKE_NODES)
        space.wait_until_reconciled(name)
        eventually(lambda: space.get_condition(name, "RouteAccepted")["reason"] == "NotReported")
        for status, reason in (("False", "NotAllowedByListeners"), ("True", "Accepted")):
            condition = {
                "type": "Accepted",
                "status": status,
                "reason": reason,
                "message": "as a test says",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
            parent = {
                "parentRef": {"name": "public"},
                "controllerName": "example.com/test",
                "conditions": [condition],
            }
            patch = {"status": {"parents": [parent]}}
            space.kube.merge_patch("HTTPRoute", space.name, name, patch, sub="status")

            def is_shown(status: str = status, reason: str = reason) -> bool:
                found = space.get_condition(name, "RouteAccepted")
                return (found["status"], found["reason"]) == (status, reason)

            eventually(is_shown, timeout=SHORT_TIMEOUT)
