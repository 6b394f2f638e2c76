"""Healing on a real API server: modes, budget, resume, GitOps, storms, what is kept.

Pods run on fake nodes; what happens to their containers is written as a kubelet writes it. Every
time of healing is a twentieth of what it says (the setting healing_scale).
"""

from datetime import timedelta
from functools import partial

import pytest

from hack.testkit.fake_kubelet import Kubelet
from hack.testkit.healing import (
    HEALING,
    LIMIT,
    annotate,
    cannot_pull,
    decided,
    healing,
    outcomes,
    proven,
)
from hack.testkit.namespace import FAKE_NODES, KIND, Space
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import eventually, stays

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """A twentieth of the time."""
    return {"SELFHEALING_HEALING_SCALE": "0.05"}


def crashes(kubelet: Kubelet, pod: str) -> None:
    """A container has crashed in a loop and waits."""
    kubelet.ended(pod, "Error", 3, times=3, lived=timedelta(seconds=5))
    kubelet.back_off(pod)


def test_observe(space: Space, kubelet: Kubelet, name: str) -> None:
    """What would be done is said once, and not done."""
    pods = proven(space, name, mode="Observe")

    kubelet.ready(pods[0], ready=False)

    decided(space, name, ("Recycle", "Observed"))
    stays(lambda: pods == [p["metadata"]["name"] for p in space.pods(name)], seconds=2)
    assert 3 == healing(space, name)["budgetLeft"]
    assert 1 == space.told(name)["WouldHeal"]


def test_approve(space: Space, kubelet: Kubelet, name: str) -> None:
    """A proposal waits for its own id, and no other."""
    pods = proven(space, name, mode="Approve")
    kubelet.ready(pods[0], ready=False)
    decided(space, name, ("Recycle", "Proposed"))
    assert "AwaitingApproval" == healing(space, name)["hold"]
    (proposal,) = healing(space, name)["history"]
    assert f"selfhealing.dev/approve={proposal['id']}" in str(
        space.events(name, "ApprovalNeeded")[0]["note"]
    )

    annotate(space, name, approve=str(proposal["id"] + 1))
    stays(lambda: outcomes(space, name) == [("Recycle", "Proposed")], seconds=1)
    annotate(space, name, approve=str(proposal["id"]))

    decided(space, name, ("Recycle", "Helped"))
    assert pods[0] not in {pod["metadata"]["name"] for pod in space.pods(name)}


def test_a_proposal_that_is_no_longer_needed(space: Space, kubelet: Kubelet, name: str) -> None:
    """It expires when its reason goes."""
    pods = proven(space, name, mode="Approve")
    kubelet.ready(pods[0], ready=False)
    decided(space, name, ("Recycle", "Proposed"))

    kubelet.ready(pods[0])

    decided(space, name, ("Recycle", "Expired"))


def test_off(space: Space, kubelet: Kubelet, name: str) -> None:
    """Nothing is done and nothing is noted."""
    pods = proven(space, name)
    space.edit(name, healing={"mode": "Off"})
    kubelet.ready(pods[0], ready=False)

    eventually(lambda: healing(space, name)["mode"] == "Off", says="it is off")
    stays(lambda: not outcomes(space, name), seconds=5)


def test_a_crash_loop_of_one_pod(space: Space, kubelet: Kubelet, name: str) -> None:
    """Others of the same version are well: it is replaced once; the third time it is left alone."""
    pods = proven(space, name, budget=2, window="40m")

    for number in (1, 2):
        crashes(kubelet, pods[0])
        decided(space, name, *[("Recycle", "Helped")] * number)
        pods = [pod["metadata"]["name"] for pod in space.pods(name)]
    crashes(kubelet, pods[0])

    eventually(lambda: healing(space, name)["quarantined"], timeout=LIMIT, says="it is left alone")
    assert [("Quarantine", "Done"), *[("Recycle", "Helped")] * 2] == outcomes(space, name)
    assert pods[0] == healing(space, name)["quarantine"]["pod"]
    space.is_(name, "Ready")  # with a substitute

    annotate(space, name, resume="now")
    eventually(lambda: not healing(space, name)["quarantined"], says="it is resumed")
    assert 2 == healing(space, name)["budgetLeft"]


def test_a_bad_node(space: Space, kubelet: Kubelet, operator: OperatorProcess, name: str) -> None:
    """Several pods crash there and others are well elsewhere: the pods are made anew, elsewhere.

    Seen at the same time: of a single pod nobody would say that it is the node.
    """
    nodes = sorted(n["metadata"]["name"] for n in space.kube.list("Node", None, "type=kwok"))[:2]
    term = {"key": "kubernetes.io/hostname", "operator": "In", "values": nodes}
    space.create(
        name,
        replicas=4,
        healing=HEALING,
        affinity={
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [term]}]
                }
            }
        },
        topologySpreadConstraints=[
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"selfhealing.dev/app": name}},
            }
        ],
        **FAKE_NODES,
    )
    space.is_(name, "Ready")
    bad = nodes[0]
    sick = [p["metadata"]["name"] for p in space.pods(name) if p["spec"]["nodeName"] == bad]
    assert 2 == len(sick)

    with operator.away():
        for pod in sick:
            crashes(kubelet, pod)
    decided(space, name, ("Relocate", "Helped"))

    assert bad == healing(space, name)["avoidedNode"]
    assert {nodes[1]} == {pod["spec"]["nodeName"] for pod in space.pods(name)}


def test_rollback_under_gitops(space: Space, kubelet: Kubelet, name: str) -> None:
    """The same spec applied again and again changes nothing."""
    proven(space, name)
    space.edit(name, image="demo:v2")
    pull = partial(cannot_pull, space, kubelet, name, "demo:v2")

    eventually(lambda: pull() or outcomes(space, name), timeout=LIMIT, says="something is decided")
    space.edit(name, image="demo:v2")
    decided(space, name, ("Rollback", "Helped"), meanwhile=pull)

    space.edit(name, image="demo:v2")
    stays(lambda: space.container(name)["image"] == "demo:v1", seconds=2)
    assert "demo:v2" == space.app(name)["spec"]["image"]
    assert ("Degraded", "False") == (
        space.status(name)["phase"],
        space.condition(name, "Ready")["status"],
    )
    space.edit(name, replicas=4)  # everything else of the spec is followed
    eventually(lambda: len(space.pods(name)) == 4, says="it is scaled")
    assert "demo:v1" == space.container(name)["image"]


def test_the_good_version_is_lost(
    space: Space, kubelet: Kubelet, operator: OperatorProcess, name: str
) -> None:
    """Somebody deletes what is kept: an operator that starts then follows the spec again."""
    proven(space, name)
    space.edit(name, image="demo:v2")
    pull = partial(cannot_pull, space, kubelet, name, "demo:v2")
    decided(space, name, ("Rollback", "Helped"), meanwhile=pull)
    good = healing(space, name)["goodTemplate"]

    with operator.away():
        space.kube.delete("ControllerRevision", space.name, f"{name}-{good}")

    eventually(lambda: "failedTemplate" not in healing(space, name), says="the spec counts again")
    eventually(lambda: space.container(name)["image"] == "demo:v2", says="it is tried")


def test_all_at_once(space: Space, kubelet: Kubelet, name: str) -> None:
    """All pods stop being ready together: what they need is down, and no pod is touched."""
    pods = proven(space, name)

    for pod in pods:
        kubelet.ready(pod, ready=False)

    eventually(
        lambda: [d["type"] for d in healing(space, name)["diagnoses"]] == ["DependencyDown"],
        timeout=LIMIT,
        says="it is diagnosed",
    )
    stays(lambda: not outcomes(space, name), seconds=3)
    assert "NoRemedy" == healing(space, name)["hold"]


def test_failed_pods_are_cleaned_up(space: Space, kubelet: Kubelet, name: str) -> None:
    """The newest are kept to be looked at."""
    pods = proven(space, name, replicas=5)

    for pod in pods:
        kubelet.evicted(pod)

    eventually(
        lambda: 2 == sum(p["status"].get("phase") == "Failed" for p in space.pods(name)),
        timeout=LIMIT,
        says="two failed pods are left",
    )


def test_a_storm(space: Space, kubelet: Kubelet, name: str) -> None:
    """Most apps are ill at once: none is touched, and that is said; afterwards they are healed."""
    names = [f"{name}-{number}" for number in range(5)]
    sick = {each: proven(space, each, replicas=2)[0] for each in names}
    # Apps of other tests are still here, healthy or not: these five must be enough of them.
    for other in space.kube.list(KIND, space.name):
        if other["metadata"]["name"] not in names:
            space.kube.delete(KIND, space.name, other["metadata"]["name"])
    try:
        for pod in sick.values():
            kubelet.ready(pod, ready=False)
        held = eventually(
            lambda: [each for each in names if healing(space, each).get("hold") == "Storm"],
            timeout=LIMIT,
            says="the storm is seen",
        )
        assert held
    finally:
        for each in names:
            space.kube.delete(KIND, space.name, each)


def test_rollback_under_an_autoscaler(space: Space, kubelet: Kubelet, name: str) -> None:
    """The number of pods stays the autoscaler's, whichever version runs."""
    scaled = {"minReplicas": 3, "maxReplicas": 5, "targetCPUUtilizationPercentage": 50}
    proven(space, name, replicas=None, autoscaling=scaled)
    space.edit(name, image="demo:v2")

    pull = partial(cannot_pull, space, kubelet, name, "demo:v2")
    decided(space, name, ("Rollback", "Helped"), meanwhile=pull)

    found = space.deployment(name)
    assert 3 == found["spec"]["replicas"]
    assert "demo:v1" == space.container(name)["image"]
    assert 3 == space.autoscaler(name)["spec"]["minReplicas"]


def test_an_autoscaler_without_metrics(space: Space, kubelet: Kubelet, name: str) -> None:  # noqa: ARG001 - fake nodes, whose pods have no metrics
    """It is given a floor, for as long as the spec asks for one."""
    space.create(
        name,
        autoscaling={"maxReplicas": 5, "targetCPUUtilizationPercentage": 50},
        resources={"requests": {"cpu": "10m"}},
        healing={**HEALING, "scalingFallback": {"replicas": 3, "after": "40s"}},
        **FAKE_NODES,
    )

    decided(space, name, ("ScalingFallback", "Helped"))

    assert 3 == space.autoscaler(name)["spec"]["minReplicas"]
    eventually(lambda: "3/3" == space.status(name)["ready"], says="there are three")
    assert ["MetricsUnavailable"] == [d["type"] for d in healing(space, name)["diagnoses"]]

    space.edit(name, healing={"scalingFallback": None})
    eventually(lambda: 1 == space.autoscaler(name)["spec"]["minReplicas"], says="it is taken back")
