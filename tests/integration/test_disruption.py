"""The PodDisruptionBudget follows the number of pods that are sure, and never locks a node."""

import pytest

from hack.testkit.kube_client import Json, run_kubectl
from hack.testkit.namespace import FAKE_NODES, UNSCHEDULABLE, AppNamespace
from hack.testkit.wait import consistently, eventually

pytestmark = pytest.mark.usefixtures("operator", "fake_nodes")

KIND = "PodDisruptionBudget"


def get_budget_limits(space: AppNamespace, name: str) -> Json | None:
    """What an app's budget says of numbers; None where there is none."""
    found = space.find_child(KIND, name)
    if found is None or "deletionTimestamp" in found["metadata"]:
        return None
    return {key: found["spec"][key] for key in found["spec"] if key.endswith("vailable")}


def evict_pod(space: AppNamespace, pod: str) -> int:
    """Ask for a pod to be moved, as ``kubectl drain`` does; the answer's code."""
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": space.name},
    }
    url = space.kube.url("Pod", space.name, pod, "eviction")
    code: int = space.kube.http.session.post(url, json=body, timeout=20).status_code
    return code


def test_two_pods_have_a_budget_of_one(space: AppNamespace, name: str) -> None:
    """Without a word in the spec one pod may go, and the status says so."""
    space.create_app(name, replicas=2, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")

    budget = space.get_child(KIND, name)["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert budget["selector"] == {"matchLabels": {"selfhealing.dev/app": name}}
    wanted = {"budget": "maxUnavailable 1", "allowed": 1, "healthy": 2, "required": 1}
    assert eventually(lambda: space.get_status(name).get("disruption") == wanted)


def test_one_goes_and_the_other_stays(space: AppNamespace, name: str) -> None:
    """The eviction API lets one pod go and refuses the next, until there are two again."""
    space.create_app(name, replicas=2, **FAKE_NODES)

    def refused() -> bool:
        space.wait_for_phase(name, "Ready")
        eventually(lambda: space.get_status(name)["disruption"]["allowed"] == 1)
        going = "deletionTimestamp"
        pods = [pod["metadata"] for pod in space.list_pods(name) if going not in pod["metadata"]]
        codes = [evict_pod(space, pod["name"]) for pod in pods]
        assert codes[0] == 201, codes
        return codes[1] == 429  # a fake pod may have been replaced within milliseconds

    assert eventually(refused)
    space.wait_for_phase(name, "Ready")
    assert eventually(lambda: space.get_status(name)["disruption"]["allowed"] == 1)


def test_it_follows_kubectl_scale(space: AppNamespace, name: str) -> None:
    """It comes with the second pod and goes with it; a drain of a node with one pod never waits."""
    space.create_app(name, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")
    assert get_budget_limits(space, name) is None
    assert "disruption" not in space.get_status(name)

    run_kubectl("-n", space.name, "scale", f"sha/{name}", "--replicas=2")
    assert eventually(lambda: get_budget_limits(space, name)) == {"maxUnavailable": 1}

    run_kubectl("-n", space.name, "scale", f"sha/{name}", "--replicas=1")
    assert eventually(lambda: get_budget_limits(space, name) is None)
    assert eventually(lambda: "disruption" not in space.get_status(name))
    assert eventually(lambda: space.count_events(name).get("Deleted")) == 1


def test_scaling_into_a_locked_node_is_refused(space: AppNamespace, name: str) -> None:
    """``kubectl scale`` to as many pods as must stay says what to do; to 1 and 0 it works."""
    space.create_app(name, replicas=3, disruption={"minAvailable": 2}, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")

    said = run_kubectl("-n", space.name, "scale", f"sha/{name}", "--replicas=2", check=False)

    assert "no pod could be evicted, and no node drained" in said
    assert "write a minAvailable below replicas" in said
    assert space.get_app(name)["spec"]["replicas"] == 3
    for replicas in (1, 0):
        run_kubectl("-n", space.name, "scale", f"sha/{name}", f"--replicas={replicas}")
        assert eventually(lambda: get_budget_limits(space, name) is None)


def test_it_follows_the_autoscalers_minimum(space: AppNamespace, name: str) -> None:
    """Not the number of the moment, which the autoscaler may lower."""
    space.create_app(name, autoscaling={"minReplicas": 2, "maxReplicas": 4}, **FAKE_NODES)
    space.wait_until_reconciled(name)
    assert get_budget_limits(space, name) == {"maxUnavailable": 1}

    space.patch_spec(name, autoscaling={"minReplicas": 1})

    assert eventually(lambda: get_budget_limits(space, name) is None)


def test_every_way_to_say_it(space: AppNamespace, name: str) -> None:
    """From one limit to the other, to percentages, to none and back."""
    space.create_app(name, replicas=4, disruption={"minAvailable": 3}, **UNSCHEDULABLE)
    space.wait_until_reconciled(name)
    assert get_budget_limits(space, name) == {"minAvailable": 3}

    for disruption, expected in (
        ({"minAvailable": None, "maxUnavailable": 2}, {"maxUnavailable": 2}),
        ({"maxUnavailable": "25%"}, {"maxUnavailable": "25%"}),
        ({"maxUnavailable": None, "minAvailable": "75%"}, {"minAvailable": "75%"}),
        ({"enabled": False}, None),
        ({"enabled": True}, {"minAvailable": "75%"}),
        (None, {"maxUnavailable": 1}),
    ):
        space.patch_spec(name, disruption=disruption)
        space.wait_until_reconciled(name)
        assert get_budget_limits(space, name) == expected
    assert "DriftCorrected" not in space.count_events(name)


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
def test_drift(space: AppNamespace, name: str, change: Json) -> None:
    """What somebody changes of it is put back, also where the two limits exclude each other."""
    space.create_app(name, replicas=2, **UNSCHEDULABLE)
    space.wait_until_reconciled(name)
    before = space.get_child(KIND, name)["spec"]

    space.kube.merge_patch(KIND, space.name, name, {"spec": change})

    assert eventually(lambda: space.get_child(KIND, name)["spec"] == before)
    space.wait_until_reconciled(name)
    assert eventually(lambda: space.count_events(name).get("DriftCorrected")) == 1
    consistently(lambda: space.get_child(KIND, name)["spec"] == before, seconds=1)
