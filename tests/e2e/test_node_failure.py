"""A node dies: its pods are replaced elsewhere, and the app tells why and how long it took.

The worker's container is killed, as by a power failure, and started again afterwards. Everything
else on it goes down with it; so this comes last, and nobody else may use the cluster meanwhile.
"""

from datetime import UTC, datetime, timedelta

import pytest

from hack.testkit import node_control
from hack.testkit.healing import get_healing_status
from hack.testkit.kube_client import Json, KubeClient
from hack.testkit.namespace import AppNamespace
from hack.testkit.node_control import CONTROL_PLANE
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import eventually
from tests.e2e.app_client import AppClient

pytestmark = pytest.mark.alone

DEMO = "localhost/selfhealing-demo:dev"
TOLERATION_SECONDS = 20
"""Seconds that the pods stay on a silent node: tolerationSeconds, instead of Kubernetes' 300."""

DETECTION_SECONDS = 90
"""Seconds until Kubernetes takes a silent node for lost (50), and some for a busy machine."""

SHORT_TOLERATION = 90
"""Seconds until healing has replaced the pods of a lost node; Kubernetes waits for LONG."""

LONG_TOLERATION = 300
"""Kubernetes' own tolerationSeconds; the local cluster's default is shorter."""


def unreachable_tolerations(seconds: int) -> Json:
    """How long pods stay on a silent node."""
    return {
        "key": "node.kubernetes.io/unreachable",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": seconds,
    }


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """No quiet time: the node is killed as soon as the apps are ready."""
    return {"SELFHEALING_HEALING_QUIET": "0"}


@pytest.fixture(scope="module")
def worker(kube: KubeClient) -> str:
    """The node that is to die; the control plane and another node are left."""
    node_control.require_container_nodes(kube)
    workers = node_control.list_workers(kube)
    if not workers:
        pytest.skip("needs a worker beside the control plane")
    return workers[0]


@pytest.mark.timeout(900)
def test_pods_of_a_dead_node_are_replaced_and_the_app_tells_the_story(
    space: AppNamespace, operator: OperatorProcess, name: str, kube: KubeClient, worker: str
) -> None:
    """Which node, since when, until when; then how long it took, also after a restart."""
    space.create_app(
        name,
        image=DEMO,
        imagePullPolicy="IfNotPresent",
        port=5000,
        replicas=2,
        service={"type": "NodePort"},
        probes={"readiness": {"httpGet": {"path": "/ready"}, "periodSeconds": 2}},
        topologySpreadConstraints=[spread_over_nodes(name)],
        tolerations=[
            {"key": CONTROL_PLANE, "operator": "Exists", "effect": "NoSchedule"},
            unreachable_tolerations(TOLERATION_SECONDS),
        ],
    )
    space.create_app(
        f"{name}-quick",
        image=DEMO,
        port=5000,
        replicas=2,
        service={"type": "NodePort"},
        topologySpreadConstraints=[spread_over_nodes(f"{name}-quick")],
        tolerations=[
            {"key": CONTROL_PLANE, "operator": "Exists", "effect": "NoSchedule"},
            unreachable_tolerations(LONG_TOLERATION),
        ],
        healing={"failover": {"after": "5s"}},
    )
    quick = AppClient(space, f"{name}-quick")
    quick.wait_until_ready()
    app = AppClient(space, name)
    app.wait_until_ready()
    (doomed,) = (p["metadata"]["name"] for p in app.list_pods() if p["spec"]["nodeName"] == worker)

    with node_control.kill_node(kube, worker) as killed:
        lost = space.wait_for_phase(name, "Degraded", DETECTION_SECONDS)["status"]
        noticed = datetime.now(UTC)
        told = lost["message"]
        assert space.get_condition(name, "Ready")["reason"] == "NodeLost"
        assert told.startswith(f"1 of 2 pods ready; {doomed}: its node {worker} does not answer, ")
        assert f"waits {TOLERATION_SECONDS} seconds, until " in told
        (shown,) = (pod for pod in lost["pods"] if pod["name"] == doomed)
        assert (shown["reason"], shown["ready"]) == ("NodeLost", False)

        eventually(
            lambda: has_only_failed_over(space, quick.name),
            timeout=SHORT_TOLERATION,
            description="the app that is failed over is whole again, "
            f"long before {LONG_TOLERATION} s are over",
        )

        # Who was not there from the beginning can tell the end of the story.
        with operator.stop_temporarily():
            pass
        ready = app.wait_until_ready(TOLERATION_SECONDS + 120)
        took = datetime.now(UTC) - noticed
        assert worker not in {pod["spec"]["nodeName"] for pod in app.list_pods()}
        (left,) = (pod for pod in ready["pods"] if pod["name"] == doomed)
        assert left["reason"] == "Terminating"
        assert left["message"].startswith(f"its node {worker} does not answer")
        (event,) = eventually(lambda: get_recovery_event(space, name))
        assert "2 of 2 pods ready again, " in event["note"]
        assert "after the loss of a node was noticed" in event["note"]
        assert (
            timedelta(seconds=TOLERATION_SECONDS)
            <= took
            < timedelta(seconds=TOLERATION_SECONDS + 100)
        )
        assert noticed - killed < timedelta(seconds=DETECTION_SECONDS)
        assert operator.is_running()
        assert "ContainerRestarted" not in space.count_events(name)

    eventually(
        lambda: doomed not in {p["metadata"]["name"] for p in space.list_pods(name)},
        timeout=node_control.NODE_READY_TIMEOUT,
        description="what was left behind goes when the node is back",
    )
    app.wait_for_response("/")


def spread_over_nodes(name: str) -> Json:
    """One pod a node, until a node is lost."""
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "nodeTaintsPolicy": "Honor",
        "labelSelector": {"matchLabels": {"selfhealing.dev/app": name}},
    }


def has_only_failed_over(space: AppNamespace, name: str) -> bool:
    """Whether healing has given up the pods of a lost node, and that is all that it has done."""
    taken = [
        (a["remediation"], a["diagnosis"])
        for a in get_healing_status(space, name).get("history", ())
    ]
    assert [("Failover", "NodeLost")] == taken, get_healing_status(space, name)
    return bool(space.get_status(name)["ready"] == "2/2")


def get_recovery_event(space: AppNamespace, name: str) -> list[Json]:
    """The Event that tells how long it took."""
    return [event for event in space.list_events(name, "Ready") if " again, " in event["note"]]
