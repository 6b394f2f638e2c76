"""A node dies: its pods are replaced elsewhere, and the app tells why and how long it took.

The worker's container is killed, as by a power failure, and started again afterwards. Everything
else on it goes down with it; so this comes last, and nobody else may use the cluster meanwhile.
"""

from datetime import UTC, datetime, timedelta

import pytest

from hack.testkit import node_control
from hack.testkit.healing import healing
from hack.testkit.kube_client import Json, Kube
from hack.testkit.namespace import Space
from hack.testkit.node_control import CONTROL_PLANE
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import eventually
from tests.e2e.app_client import LabApp

DEMO = "localhost/selfhealing-demo:dev"
PATIENCE = 20
"""Seconds that the pods stay on a silent node: tolerationSeconds, instead of Kubernetes' 300."""

NOTICED = 90
"""Seconds until Kubernetes takes a silent node for lost (50), and some for a busy machine."""

QUICK = 90
"""Seconds until healing has replaced the pods of a lost node; Kubernetes waits for LONG."""

LONG = 300
"""Kubernetes' own tolerationSeconds; the local cluster's default is shorter."""


def unreachable(seconds: int) -> Json:
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
def worker(kube: Kube) -> str:
    """The node that is to die; the control plane and another node are left."""
    node_control.need_containers(kube)
    workers = node_control.workers(kube)
    if not workers:
        pytest.skip("needs a worker beside the control plane")
    return workers[0]


@pytest.mark.timeout(900)
def test_pods_of_a_dead_node_are_replaced_and_the_app_tells_the_story(
    space: Space, operator: OperatorProcess, name: str, kube: Kube, worker: str
) -> None:
    """Which node, since when, until when; then how long it took, also after a restart."""
    space.create(
        name,
        image=DEMO,
        imagePullPolicy="IfNotPresent",
        port=5000,
        replicas=2,
        service={"type": "NodePort"},
        probes={"readiness": {"httpGet": {"path": "/ready"}, "periodSeconds": 2}},
        topologySpreadConstraints=[_spread(name)],
        tolerations=[
            {"key": CONTROL_PLANE, "operator": "Exists", "effect": "NoSchedule"},
            unreachable(PATIENCE),
        ],
    )
    space.create(
        f"{name}-quick",
        image=DEMO,
        port=5000,
        replicas=2,
        service={"type": "NodePort"},
        topologySpreadConstraints=[_spread(f"{name}-quick")],
        tolerations=[
            {"key": CONTROL_PLANE, "operator": "Exists", "effect": "NoSchedule"},
            unreachable(LONG),
        ],
        healing={"failover": {"after": "5s"}},
    )
    quick = LabApp(space, f"{name}-quick")
    quick.ready()
    app = LabApp(space, name)
    app.ready()
    (doomed,) = (p["metadata"]["name"] for p in app.pods() if p["spec"]["nodeName"] == worker)

    with node_control.dead(kube, worker) as killed:
        lost = space.is_(name, "Degraded", NOTICED)["status"]
        noticed = datetime.now(UTC)
        told = lost["message"]
        assert space.condition(name, "Ready")["reason"] == "NodeLost"
        assert told.startswith(f"1 of 2 pods ready; {doomed}: its node {worker} does not answer, ")
        assert f"waits {PATIENCE} seconds, until " in told
        (shown,) = (pod for pod in lost["pods"] if pod["name"] == doomed)
        assert (shown["reason"], shown["ready"]) == ("NodeLost", False)

        eventually(
            lambda: _moved(space, quick.name),
            timeout=QUICK,
            says=f"the app that is failed over is whole again, long before {LONG} s are over",
        )

        # Who was not there from the beginning can tell the end of the story.
        with operator.away():
            pass
        ready = app.ready(PATIENCE + 120)
        took = datetime.now(UTC) - noticed
        assert worker not in {pod["spec"]["nodeName"] for pod in app.pods()}
        (left,) = (pod for pod in ready["pods"] if pod["name"] == doomed)
        assert left["reason"] == "Terminating"
        assert left["message"].startswith(f"its node {worker} does not answer")
        (event,) = eventually(lambda: _told(space, name))
        assert "2 of 2 pods ready again, " in event["note"]
        assert "after the loss of a node was noticed" in event["note"]
        assert timedelta(seconds=PATIENCE) <= took < timedelta(seconds=PATIENCE + 100)
        assert noticed - killed < timedelta(seconds=NOTICED)
        assert operator.alive()
        assert "ContainerRestarted" not in space.told(name)

    eventually(
        lambda: doomed not in {p["metadata"]["name"] for p in space.pods(name)},
        timeout=node_control.BACK,
        says="what was left behind goes when the node is back",
    )
    app.answers("/")


def _spread(name: str) -> Json:
    """One pod a node, until a node is lost."""
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "nodeTaintsPolicy": "Honor",
        "labelSelector": {"matchLabels": {"selfhealing.dev/app": name}},
    }


def _moved(space: Space, name: str) -> bool:
    """Whether healing has given up the pods of a lost node, and that is all that it has done."""
    taken = [(a["remedy"], a["diagnosis"]) for a in healing(space, name).get("history", ())]
    assert [("Failover", "NodeLost")] == taken, healing(space, name)
    return bool(space.status(name)["ready"] == "2/2")


def _told(space: Space, name: str) -> list[Json]:
    """The Event that tells how long it took."""
    return [event for event in space.events(name, "Ready") if " again, " in event["note"]]
