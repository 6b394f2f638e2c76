"""Healing on a real API server: modes, budget, resume, GitOps, storms, what is kept.

Pods run on fake nodes; what happens to their containers is written as a kubelet writes it. Every
time of healing is a twentieth of what it says (the setting healing_scale).
"""

from contextlib import suppress
from datetime import timedelta
from functools import partial

import pytest

from hack.testkit.errors import ApiError
from hack.testkit.fake_kubelet import FakeKubelet
from hack.testkit.healing import (
    FAST_HEALING,
    TIMEOUT,
    annotate_app,
    create_stable_app,
    fail_image_pulls,
    get_healing_status,
    list_outcomes,
    wait_for_outcomes,
)
from hack.testkit.kube_client import STRATEGIC_PATCH
from hack.testkit.namespace import FAKE_NODES, KIND, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import consistently, eventually

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """A twentieth of the time."""
    return {"SELFHEALING_HEALING_SCALE": "0.05"}


def report_crash_loop(kubelet: FakeKubelet, pod: str) -> None:
    """A container has crashed in a loop and waits."""
    kubelet.report_restart(pod, "Error", 3, times=3, uptime=timedelta(seconds=5), backs_off=True)


def test_observe(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """What would be done is said once, and not done."""
    pods = create_stable_app(space, name, mode="Observe")

    kubelet.set_ready(pods[0], ready=False)

    wait_for_outcomes(space, name, ("ReplacePod", "Observed"))
    consistently(lambda: pods == [p["metadata"]["name"] for p in space.list_pods(name)], seconds=2)
    assert 3 == get_healing_status(space, name)["budgetLeft"]
    space.wait_for_event(name, "RemediationSkipped")
    assert 1 == space.count_events(name)["RemediationSkipped"]


def test_approve(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """A proposal waits for its own id, and no other."""
    pods = create_stable_app(space, name, mode="Approve")
    kubelet.set_ready(pods[0], ready=False)
    wait_for_outcomes(space, name, ("ReplacePod", "Proposed"))
    assert "AwaitingApproval" == get_healing_status(space, name)["blockedReason"]
    assert "Failed" == space.compute_kstatus(name)  # a person decides
    (proposal,) = get_healing_status(space, name)["history"]
    assert f"selfhealing.dev/approve={proposal['id']}" in str(
        space.wait_for_event(name, "ApprovalNeeded")["note"]
    )

    annotate_app(space, name, approve=str(proposal["id"] + 1))
    consistently(lambda: list_outcomes(space, name) == [("ReplacePod", "Proposed")], seconds=1)
    annotate_app(space, name, approve=str(proposal["id"]))

    wait_for_outcomes(space, name, ("ReplacePod", "Succeeded"))
    assert pods[0] not in {pod["metadata"]["name"] for pod in space.list_pods(name)}


def test_a_proposal_that_is_no_longer_needed(
    space: AppNamespace, kubelet: FakeKubelet, name: str
) -> None:
    """It expires when its reason goes."""
    pods = create_stable_app(space, name, mode="Approve")
    kubelet.set_ready(pods[0], ready=False)
    wait_for_outcomes(space, name, ("ReplacePod", "Proposed"))

    kubelet.set_ready(pods[0])

    wait_for_outcomes(space, name, ("ReplacePod", "Expired"))


def test_off(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """Nothing is done and nothing is noted."""
    pods = create_stable_app(space, name)
    space.patch_spec(name, healing={"mode": "Off"})
    kubelet.set_ready(pods[0], ready=False)

    eventually(lambda: get_healing_status(space, name)["mode"] == "Off", description="it is off")
    consistently(lambda: not list_outcomes(space, name), seconds=5)


def test_a_crash_loop_of_one_pod(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """Others of the same version are well: it is replaced once; the third time it is left alone."""
    pods = create_stable_app(space, name, budget=2, window="40m")

    for number in (1, 2):
        report_crash_loop(kubelet, pods[0])
        wait_for_outcomes(space, name, *[("ReplacePod", "Succeeded")] * number)
        pods = [pod["metadata"]["name"] for pod in space.list_pods(name)]
    report_crash_loop(kubelet, pods[0])

    eventually(
        lambda: get_healing_status(space, name)["quarantined"],
        timeout=TIMEOUT,
        description="it is left alone",
    )
    assert [("Quarantine", "Completed"), *[("ReplacePod", "Succeeded")] * 2] == list_outcomes(
        space, name
    )
    assert pods[0] == get_healing_status(space, name)["quarantine"]["pod"]
    space.wait_for_phase(name, "Ready")  # with a substitute

    annotate_app(space, name, resume="now")
    eventually(
        lambda: not get_healing_status(space, name)["quarantined"], description="it is resumed"
    )
    assert 2 == get_healing_status(space, name)["budgetLeft"]


def test_memory_that_is_refused(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """A raise that a LimitRange does not allow is not made, and is told."""
    space.limit_memory(name, "100Mi")
    space.create_app(
        name, healing=FAST_HEALING, resources={"limits": {"memory": "64Mi"}}, **FAKE_NODES
    )
    space.wait_for_phase(name, "Ready")
    (pod,) = space.list_pods(name)
    kubelet.report_restart(
        pod["metadata"]["name"],
        "OOMKilled",
        137,
        times=3,
        uptime=timedelta(seconds=5),
        backs_off=True,
    )

    def probe() -> bool:
        found = str(get_healing_status(space, name)["diagnoses"])
        assert "the memory limit is not raised: 128Mi is refused: maximum memory usage" in found
        return True

    try:
        eventually(probe, timeout=TIMEOUT, description="the refusal is told")
    finally:
        space.kube.delete("LimitRange", space.name, name)
    assert [] == list_outcomes(space, name)
    assert [] == get_healing_status(space, name)["memoryLimits"]
    assert "64Mi" == space.get_container(name)["resources"]["limits"]["memory"]


def test_a_bad_node(
    space: AppNamespace, kubelet: FakeKubelet, operator: OperatorProcess, name: str
) -> None:
    """Several pods crash there and others are well elsewhere: the pods are made anew, elsewhere.

    Seen at the same time: of a single pod nobody would say that it is the node.
    """
    nodes = sorted(n["metadata"]["name"] for n in space.kube.list("Node", None, "type=kwok"))[:2]
    term = {"key": "kubernetes.io/hostname", "operator": "In", "values": nodes}
    space.create_app(
        name,
        replicas=4,
        healing=FAST_HEALING,
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
    space.wait_for_phase(name, "Ready")
    bad = nodes[0]
    sick = [p["metadata"]["name"] for p in space.list_pods(name) if p["spec"]["nodeName"] == bad]
    assert 2 == len(sick)

    with operator.stop_temporarily():
        for pod in sick:
            report_crash_loop(kubelet, pod)
    wait_for_outcomes(space, name, ("AvoidNode", "Succeeded"))

    assert bad == get_healing_status(space, name)["excludedNode"]
    assert {nodes[1]} == {pod["spec"]["nodeName"] for pod in space.list_pods(name)}


def test_rollback_under_gitops(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """The same spec applied again and again changes nothing."""
    create_stable_app(space, name)
    space.patch_spec(name, image="demo:v2")
    pull = partial(fail_image_pulls, space, kubelet, name, "demo:v2")

    eventually(
        lambda: pull() or list_outcomes(space, name),
        timeout=TIMEOUT,
        description="something is decided",
    )
    space.patch_spec(name, image="demo:v2")
    wait_for_outcomes(space, name, ("Rollback", "Succeeded"), before_probe=pull)

    space.patch_spec(name, image="demo:v2")
    consistently(lambda: space.get_container(name)["image"] == "demo:v1", seconds=2)
    assert "demo:v2" == space.get_app(name)["spec"]["image"]
    assert ("Degraded", "False") == (
        space.get_status(name)["phase"],
        space.get_condition(name, "Ready")["status"],
    )
    space.patch_spec(name, replicas=4)  # everything else of the spec is followed
    eventually(lambda: len(space.list_pods(name)) == 4, description="it is scaled")
    assert "demo:v1" == space.get_container(name)["image"]


def set_command(space: AppNamespace, name: str) -> None:
    """Somebody sets a wrong command in the Deployment by hand."""
    edited = {"spec": {"containers": [{"name": "app", "command": ["/bin/false"]}]}}
    change = {"spec": {"template": edited}}
    space.kube.patch("Deployment", space.name, name, change, form=STRATEGIC_PATCH)


def crash_pods_with_command(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """Report a crash loop of each pod that has a command, also of new ones."""
    for pod in space.list_pods(name):
        entries = pod["status"].get("containerStatuses")
        is_edited = "command" in pod["spec"]["containers"][0]
        if is_edited and entries and "waiting" not in entries[0]["state"]:
            with suppress(ApiError):  # it may be gone meanwhile
                report_crash_loop(kubelet, pod["metadata"]["name"])


def test_a_foreign_edit(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """What somebody has set in the Deployment goes when the app falls ill of it: but only once."""
    create_stable_app(space, name)
    crash = partial(crash_pods_with_command, space, kubelet, name)

    set_command(space, name)

    wait_for_outcomes(space, name, ("RemoveForeignFields", "Succeeded"), before_probe=crash)
    assert "command" not in space.get_container(name)
    (action,) = get_healing_status(space, name)["history"]
    assert " set containers[app].command at " in action["message"]
    assert "failedRevision" not in get_healing_status(space, name)
    space.wait_for_phase(name, "Ready")

    set_command(space, name)

    def is_told() -> bool:
        crash()
        found = get_healing_status(space, name)
        assert ["ForeignEdit"] == [each["cause"] for each in found["diagnoses"]], found
        assert "NoRemediation" == found.get("blockedReason"), found
        return True

    eventually(is_told, timeout=TIMEOUT, description="the second time it is only told")
    assert ["/bin/false"] == space.get_container(name)["command"]
    assert 1 == len(list_outcomes(space, name))


def test_a_foreign_edit_of_a_well_app(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """It stays; and what was well with it for the probation is not its fault later."""
    create_stable_app(space, name)
    set_command(space, name)

    eventually(
        lambda: "provenEditTime" in get_healing_status(space, name),
        timeout=TIMEOUT,
        description="the edit has proved itself",
    )
    for pod in space.list_pods(name):
        kubelet.set_ready(pod["metadata"]["name"], ready=False)

    eventually(
        lambda: get_healing_status(space, name).get("diagnoses"), description="it is diagnosed"
    )
    assert "ForeignEdit" not in str(get_healing_status(space, name)["diagnoses"])
    assert ["/bin/false"] == space.get_container(name)["command"]


def test_the_good_version_is_lost(
    space: AppNamespace, kubelet: FakeKubelet, operator: OperatorProcess, name: str
) -> None:
    """Somebody deletes what is kept: an operator that starts then follows the spec again."""
    create_stable_app(space, name)
    space.patch_spec(name, image="demo:v2")
    pull = partial(fail_image_pulls, space, kubelet, name, "demo:v2")
    wait_for_outcomes(space, name, ("Rollback", "Succeeded"), before_probe=pull)
    good = get_healing_status(space, name)["stableRevision"]

    with operator.stop_temporarily():
        space.kube.delete("ControllerRevision", space.name, f"{name}-{good}")

    eventually(
        lambda: "failedRevision" not in get_healing_status(space, name),
        description="the spec counts again",
    )
    eventually(lambda: space.get_container(name)["image"] == "demo:v2", description="it is tried")


def test_only_the_new_version_is_refused(space: AppNamespace, name: str) -> None:
    """A dry run of both tells that it is the version: its ServiceAccount does not exist."""
    create_stable_app(space, name, mode="Observe")

    space.patch_spec(name, serviceAccountName="nobody")

    found = eventually(
        lambda: next(
            (
                each
                for each in get_healing_status(space, name).get("diagnoses") or ()
                if (each["type"], each["cause"]) == ("PodsRefused", "NewVersion")
            ),
            None,
        ),
        timeout=TIMEOUT,
        description="the version is blamed",
    )
    assert found
    assert "High" == found["confidence"]
    assert found["comparison"].startswith("dry run: only the new pod is refused"), found


def test_all_at_once(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """All pods stop being ready together: what they need is down, and no pod is touched."""
    pods = create_stable_app(space, name)

    for pod in pods:
        kubelet.set_ready(pod, ready=False)

    eventually(
        lambda: (
            [d["type"] for d in get_healing_status(space, name)["diagnoses"]] == ["DependencyDown"]
        ),
        timeout=TIMEOUT,
        description="it is diagnosed",
    )
    consistently(lambda: not list_outcomes(space, name), seconds=3)
    assert "NoRemediation" == get_healing_status(space, name)["blockedReason"]


def test_failed_pods_are_cleaned_up(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """The newest are kept to be looked at."""
    pods = create_stable_app(space, name, replicas=5)

    for pod in pods:
        kubelet.report_evicted(pod)

    eventually(
        lambda: 2 == sum(p["status"].get("phase") == "Failed" for p in space.list_pods(name)),
        timeout=TIMEOUT,
        description="two failed pods are left",
    )


def test_a_storm(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """Most apps are ill at once: none is touched, and that is said; afterwards they are healed."""
    names = [f"{name}-{number}" for number in range(5)]
    sick = {each: create_stable_app(space, each, replicas=2)[0] for each in names}
    # Apps of other tests are still here, healthy or not: these five must be enough of them.
    for other in space.kube.list(KIND, space.name):
        if other["metadata"]["name"] not in names:
            space.kube.delete(KIND, space.name, other["metadata"]["name"])
    try:
        for pod in sick.values():
            kubelet.set_ready(pod, ready=False)
        held = eventually(
            lambda: [
                each
                for each in names
                if get_healing_status(space, each).get("blockedReason") == "Storm"
            ],
            timeout=TIMEOUT,
            description="the storm is seen",
        )
        assert held
    finally:
        for each in names:
            space.kube.delete(KIND, space.name, each)


def test_rollback_under_an_autoscaler(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """The number of pods stays the autoscaler's, whichever version runs."""
    scaled = {"minReplicas": 3, "maxReplicas": 5, "targetCPUUtilizationPercentage": 50}
    create_stable_app(space, name, replicas=None, autoscaling=scaled)
    space.patch_spec(name, image="demo:v2")

    pull = partial(fail_image_pulls, space, kubelet, name, "demo:v2")
    wait_for_outcomes(space, name, ("Rollback", "Succeeded"), before_probe=pull)

    found = space.get_deployment(name)
    assert 3 == found["spec"]["replicas"]
    assert "demo:v1" == space.get_container(name)["image"]
    assert 3 == space.get_autoscaler(name)["spec"]["minReplicas"]


def test_an_autoscaler_without_metrics(
    space: AppNamespace,
    kubelet: FakeKubelet,  # noqa: ARG001 - fake nodes, whose pods have no metrics
    name: str,
) -> None:
    """It is given a floor, for as long as the spec asks for one."""
    space.create_app(
        name,
        autoscaling={"maxReplicas": 5, "targetCPUUtilizationPercentage": 50},
        resources={"requests": {"cpu": "10m"}},
        healing={**FAST_HEALING, "scalingFallback": {"replicas": 3, "after": "40s"}},
        **FAKE_NODES,
    )

    wait_for_outcomes(space, name, ("ScalingFallback", "Succeeded"))

    assert 3 == space.get_autoscaler(name)["spec"]["minReplicas"]
    eventually(lambda: "3/3" == space.get_status(name)["ready"], description="there are three")
    assert ["MetricsUnavailable"] == [
        d["type"] for d in get_healing_status(space, name)["diagnoses"]
    ]

    space.patch_spec(name, healing={"scalingFallback": None})
    eventually(
        lambda: 1 == space.get_autoscaler(name)["spec"]["minReplicas"],
        description="it is taken back",
    )
