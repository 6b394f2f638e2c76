"""The PodDisruptionBudget follows the number of pods that are sure, and never locks a node."""

import pytest

from hack.testkit.kube_client import Json, kubectl
from hack.testkit.namespace import FAKE_NODES, NOWHERE, Space
from hack.testkit.wait import eventually, stays

pytestmark = pytest.mark.usefixtures("operator", "fake_nodes")

KIND = "PodDisruptionBudget"


def limits(space: Space, name: str) -> Json | None:
    """What an app's budget says of numbers; None where there is none."""
    found = space.find(KIND, name)
    if found is None or "deletionTimestamp" in found["metadata"]:
        return None
    return {key: found["spec"][key] for key in found["spec"] if key.endswith("vailable")}


def evict(space: Space, pod: str) -> int:
    """Ask for a pod to be moved, as ``kubectl drain`` does; the answer's code."""
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": space.name},
    }
    url = space.kube.url("Pod", space.name, pod, "eviction")
    code: int = space.kube.http.session.post(url, json=body, timeout=20).status_code
    return code


def test_two_pods_have_a_budget_of_one(space: Space, name: str) -> None:
    """Without a word in the spec one pod may go, and the status says so."""
    space.create(name, replicas=2, **FAKE_NODES)
    space.is_(name, "Ready")

    budget = space.child(KIND, name)["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert budget["selector"] == {"matchLabels": {"selfhealing.dev/app": name}}
    wanted = {"budget": "maxUnavailable 1", "allowed": 1, "healthy": 2, "required": 1}
    assert eventually(lambda: space.status(name).get("disruption") == wanted)


def test_one_goes_and_the_other_stays(space: Space, name: str) -> None:
    """The eviction API lets one pod go and refuses the next, until there are two again."""
    space.create(name, replicas=2, **FAKE_NODES)

    def refused() -> bool:
        space.is_(name, "Ready")
        eventually(lambda: space.status(name)["disruption"]["allowed"] == 1)
        going = "deletionTimestamp"
        pods = [pod["metadata"] for pod in space.pods(name) if going not in pod["metadata"]]
        codes = [evict(space, pod["name"]) for pod in pods]
        assert codes[0] == 201, codes
        return codes[1] == 429  # a fake pod may have been replaced within milliseconds

    assert eventually(refused)
    space.is_(name, "Ready")
    assert eventually(lambda: space.status(name)["disruption"]["allowed"] == 1)


def test_it_follows_kubectl_scale(space: Space, name: str) -> None:
    """It comes with the second pod and goes with it; a drain of a node with one pod never waits."""
    space.create(name, **FAKE_NODES)
    space.is_(name, "Ready")
    assert limits(space, name) is None
    assert "disruption" not in space.status(name)

    kubectl("-n", space.name, "scale", f"sha/{name}", "--replicas=2")
    assert eventually(lambda: limits(space, name)) == {"maxUnavailable": 1}

    kubectl("-n", space.name, "scale", f"sha/{name}", "--replicas=1")
    assert eventually(lambda: limits(space, name) is None)
    assert eventually(lambda: "disruption" not in space.status(name))
    assert eventually(lambda: space.told(name).get("Deleted")) == 1


def test_scaling_into_a_locked_node_is_refused(space: Space, name: str) -> None:
    """``kubectl scale`` to as many pods as must stay says what to do; to 1 and 0 it works."""
    space.create(name, replicas=3, disruption={"minAvailable": 2}, **FAKE_NODES)
    space.is_(name, "Ready")

    said = kubectl("-n", space.name, "scale", f"sha/{name}", "--replicas=2", check=False)

    assert "no pod could be moved, and no node drained" in said
    assert "write a minAvailable below replicas" in said
    assert space.app(name)["spec"]["replicas"] == 3
    for replicas in (1, 0):
        kubectl("-n", space.name, "scale", f"sha/{name}", f"--replicas={replicas}")
        assert eventually(lambda: limits(space, name) is None)


def test_it_follows_the_autoscalers_minimum(space: Space, name: str) -> None:
    """Not the number of the moment, which the autoscaler may lower."""
    space.create(name, autoscaling={"minReplicas": 2, "maxReplicas": 4}, **FAKE_NODES)
    space.reconciled(name)
    assert limits(space, name) == {"maxUnavailable": 1}

    space.edit(name, autoscaling={"minReplicas": 1})

    assert eventually(lambda: limits(space, name) is None)


def test_every_way_to_say_it(space: Space, name: str) -> None:
    """From one limit to the other, to percentages, to none and back."""
    space.create(name, replicas=4, disruption={"minAvailable": 3}, **NOWHERE)
    space.reconciled(name)
    assert limits(space, name) == {"minAvailable": 3}

    for disruption, expected in (
        ({"minAvailable": None, "maxUnavailable": 2}, {"maxUnavailable": 2}),
        ({"maxUnavailable": "25%"}, {"maxUnavailable": "25%"}),
        ({"maxUnavailable": None, "minAvailable": "75%"}, {"minAvailable": "75%"}),
        ({"enabled": False}, None),
        ({"enabled": True}, {"minAvailable": "75%"}),
        (None, {"maxUnavailable": 1}),
    ):
        space.edit(name, disruption=disruption)
        space.reconciled(name)
        assert limits(space, name) == expected
    assert "DriftCorrected" not in space.told(name)


@pytest.mark.parametrize(
    "change",
    [
        {"maxUnavailable": 0},
        {"maxUnavailable": None, "minAvailable": 2},
        {"unhealthyPodEvictionPolicy": "IfHealthyBudget"},
        {"selector": {"matchLabels": {"more": "than-ours"}}},
    ],
    ids=["limit", "other-limit", "policy", "selector"],
)
def test_drift(space: Space, name: str, change: Json) -> None:
    """What somebody changes of it is put back, also where the two limits exclude each other."""
    space.create(name, replicas=2, **NOWHERE)
    space.reconciled(name)
    before = space.child(KIND, name)["spec"]

    space.kube.merge(KIND, space.name, name, {"spec": change})

    assert eventually(lambda: space.child(KIND, name)["spec"] == before)
    space.reconciled(name)
    assert eventually(lambda: space.told(name).get("DriftCorrected")) == 1
    stays(lambda: space.child(KIND, name)["spec"] == before, seconds=1)
