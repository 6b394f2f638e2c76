"""Apps that run to their end: the Job as a child, what it comes to, and how it is replaced.

KWOK completes the pods of Jobs as soon as they run, so these pods are on no node and their kubelet
is played.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hack.testkit.fake_kubelet import Kubelet
from hack.testkit.kube_client import Json, kubectl
from hack.testkit.namespace import KIND, NOWHERE, Space
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import eventually, stays

pytestmark = pytest.mark.usefixtures("operator")

ON_FAILURE: Json = {"restartPolicy": "OnFailure", **NOWHERE}
NEVER: Json = {"restartPolicy": "Never", **NOWHERE}

RETRY_LIMIT = 40
"""The Job controller waits for 10 s before it makes another pod."""


def pods_of(space: Space, name: str, number: int = 1, timeout: float = 20) -> list[str]:
    """Wait until the app has so many pods; their names, the oldest first."""

    def probe() -> list[Json]:
        found = space.pods(name)
        assert len(found) == number, [pod["metadata"]["name"] for pod in found]
        return found

    found = eventually(probe, timeout=timeout, says=f"{name} has {number} pods")
    found.sort(key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    return [pod["metadata"]["name"] for pod in found]


def job(space: Space, name: str) -> Json:
    """The app's Job."""
    return space.child("Job", name)


def uid(thing: Json) -> str:
    """Which object it is."""
    found: str = thing["metadata"]["uid"]
    return found


@contextmanager
def held(space: Space, pod: str) -> Iterator[None]:
    """Keep a pod that is deleted from going while the block runs, as one that is slow to stop."""
    finalizer = "selfhealing.dev/test"
    found = space.kube.get("Pod", space.name, pod)["metadata"].get("finalizers", [])
    patch = {"metadata": {"finalizers": [*found, finalizer]}}
    space.kube.merge("Pod", space.name, pod, patch)
    try:
        yield
    finally:
        live = space.kube.find("Pod", space.name, pod)
        if live is not None:
            left = [f for f in live["metadata"].get("finalizers", ()) if f != finalizer]
            space.kube.merge("Pod", space.name, pod, {"metadata": {"finalizers": left}})


def test_the_job_is_a_child_as_every_other(
    space: Space, operator: OperatorProcess, name: str
) -> None:
    """Named, labelled and owned; a port makes the Service; then everything is at rest."""
    space.create(
        name,
        port=5000,
        probes={"liveness": {"httpGet": {"path": "/health"}, "failureThreshold": 1}},
        sidecars=[{"name": "proxy", "image": "proxy:v1"}],
        job={"backoffLimit": 2, "activeDeadlineSeconds": 600},
        **ON_FAILURE,
    )
    space.reconciled(name)
    found = job(space, name)
    meta, spec = found["metadata"], found["spec"]
    template = spec["template"]["spec"]
    [pod] = pods_of(space, name)

    assert space.find("Deployment", name) is None
    assert meta["labels"]["selfhealing.dev/app"] == meta["labels"]["app"] == name
    assert [owner["name"] for owner in meta["ownerReferences"]] == [name]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (2, 600)
    assert template["restartPolicy"] == "OnFailure"
    assert [c["name"] for c in template["containers"]] == ["app"]
    assert [(c["name"], c["restartPolicy"]) for c in template["initContainers"]] == [
        ("proxy", "Always")
    ]
    labels = space.kube.get("Pod", space.name, pod)["metadata"]["labels"]
    assert space.service(name)["spec"]["selector"].items() <= labels.items()
    assert labels["batch.kubernetes.io/controller-uid"] == uid(found)
    before = operator.wrote().get("patch Job")
    space.kube.merge(KIND, space.name, name, {"metadata": {"annotations": {"look": "again"}}})
    stays(lambda: operator.wrote().get("patch Job") == before, seconds=1.5)
    assert meta["generation"] == 1
    assert "DriftCorrected" not in space.told(name)


def test_completed_and_never_made_again(
    space: Space, kubelet: Kubelet, operator: OperatorProcess, name: str
) -> None:
    """An end is remembered when the Job is gone, also by the next operator; another spec runs."""
    space.create(name, **ON_FAILURE)
    [pod] = pods_of(space, name)
    kubelet.runs(pod)
    assert space.is_(name, "Ready")["status"]["ready"] == "1/1"
    kubelet.succeeds(pod)
    status = space.is_(name, "Completed")["status"]
    assert status["job"]["result"] == "Complete"
    assert status["restarts"]["total"] == 0
    kubectl("-n", space.name, "wait", "--for=condition=Ready", f"sha/{name}", "--timeout=5s")

    space.kube.delete("Job", space.name, name)
    eventually(lambda: space.find("Job", name) is None)
    stays(lambda: space.find("Job", name) is None, seconds=2)
    with operator.away():
        pass
    stays(lambda: space.find("Job", name) is None, seconds=2)
    space.is_(name, "Completed")
    assert space.condition(name, "Reconciled")["status"] == "True"

    space.edit(name, env=[{"name": "RUN", "value": "2"}])
    pods_of(space, name)
    eventually(lambda: "result" not in space.status(name)["job"], says="another run is told of")


def test_a_job_that_is_deleted_while_it_runs_is_made_again(space: Space, name: str) -> None:
    """As every child."""
    space.create(name, **NEVER)
    space.reconciled(name)
    first = uid(job(space, name))

    space.kube.delete("Job", space.name, name)

    eventually(lambda: uid(job(space, name)) != first, says="another Job")
    space.reconciled(name)


def test_what_can_be_changed_in_a_job_is(space: Space, name: str) -> None:
    """Limits and parallelism, there and back."""
    space.create(name, job={"completions": 4, "parallelism": 1}, **NEVER)
    space.reconciled(name)
    first = uid(job(space, name))

    change = {"parallelism": 3, "backoffLimit": 9, "activeDeadlineSeconds": 900}
    space.edit(name, job=change)
    space.reconciled(name)
    assert change.items() <= job(space, name)["spec"].items()
    space.edit(name, job={"parallelism": 2, "backoffLimit": None, "activeDeadlineSeconds": None})
    space.reconciled(name)

    spec = job(space, name)["spec"]
    assert (spec["parallelism"], spec["backoffLimit"]) == (2, 6)
    assert "activeDeadlineSeconds" not in spec
    assert uid(job(space, name)) == first


@pytest.mark.parametrize("change", ["image", "completions"])
def test_another_run_replaces_the_job(space: Space, name: str, change: str) -> None:
    """What cannot be changed: the Job goes with its pods, and another one is made; it is told."""
    space.create(name, **NEVER)
    space.reconciled(name)
    first = uid(job(space, name))
    [pod] = pods_of(space, name)

    space.edit(name, **({"image": "demo:v2"} if change == "image" else {"job": {"completions": 2}}))
    eventually(lambda: uid(job(space, name)) != first, says="another Job")

    space.reconciled(name)
    assert space.kube.find("Pod", space.name, pod) is None
    eventually(lambda: space.told(name).get("Created") == 2, says="the Events are written")
    assert space.told(name)["Replacing"] == 1
    pods_of(space, name)


def test_a_replacement_waits_for_the_pods_also_across_operators(
    space: Space, kubelet: Kubelet, operator: OperatorProcess, name: str
) -> None:
    """No two runs at once: the new Job comes when the last pod of the old one is gone."""
    space.create(name, **NEVER)
    [pod] = pods_of(space, name)
    kubelet.runs(pod)
    space.is_(name, "Ready")
    first = uid(job(space, name))

    with held(space, pod):
        space.edit(name, image="demo:v2")
        eventually(
            lambda: space.condition(name, "Reconciled").get("reason") == "ChildTerminating",
            says="the status tells of the wait",
        )
        assert "deletionTimestamp" in job(space, name)["metadata"]
        assert space.status(name)["phase"] == "Progressing"
        operator.kill()
        operator.start()
        stays(lambda: uid(job(space, name)) == first, seconds=2)

    eventually(lambda: uid(job(space, name)) != first, timeout=60, says="another Job")
    space.reconciled(name, 60)


def test_from_a_deployment_to_a_job_and_back(space: Space, name: str) -> None:
    """What made pods before goes first, with its pods and its autoscaler; the Service stays."""
    space.create(name, port=5000, autoscaling={"minReplicas": 2, "maxReplicas": 3}, **NOWHERE)
    space.reconciled(name)
    pod = pods_of(space, name, 2)[0]
    service = uid(space.service(name))

    with held(space, pod):
        space.edit(name, restartPolicy="OnFailure", autoscaling=None)
        eventually(
            lambda: space.condition(name, "Reconciled").get("reason") == "ChildTerminating",
            says="the status tells of the wait",
        )
        eventually(
            lambda: (
                f"the old Deployment is still being deleted: waiting for {pod}"
                in space.status(name)["message"]
            ),
            says="it says for which pod",
        )
        stays(lambda: space.find("Job", name) is None, seconds=1)
    space.reconciled(name, 60)
    assert space.find("Deployment", name) is None
    assert space.find("HorizontalPodAutoscaler", name) is None
    assert space.status(name)["ready"] == "0/1"
    pods_of(space, name, 1)

    space.edit(name, restartPolicy="Always", replicas=2)
    space.reconciled(name, 60)
    assert space.find("Job", name) is None
    assert space.deployment(name)["spec"]["replicas"] == 2
    pods_of(space, name, 2)
    assert "job" not in space.status(name)
    assert uid(space.service(name)) == service


def test_a_failed_pod_is_counted_once(
    space: Space, kubelet: Kubelet, operator: OperatorProcess, name: str
) -> None:
    """With its reason, when there is another pod, whichever operator looks, however often."""
    probe = {"exec": {"command": ["true"]}}
    space.create(name, probes={"liveness": probe}, **NEVER)
    [first] = pods_of(space, name)
    kubelet.runs(first)
    space.is_(name, "Ready")

    kubelet.stopping(first)
    kubelet.fails(first, exit_code=137)
    status = space.is_(name, "Degraded")["status"]
    assert status["message"].endswith(
        f"{first}: failed its liveness probe; the Job makes another pod"
    )
    assert status["restarts"]["total"] == 0
    with operator.away():
        second = pods_of(space, name, 2, RETRY_LIMIT)[1]
        kubelet.runs(second)
    status = space.is_(name, "Ready")["status"]

    def counted() -> bool:
        block = space.status(name)["restarts"]
        assert block["byReason"] == {"LivenessProbe": 1}, block
        return bool(block["total"] == 1)

    eventually(counted, says="one restart")
    operator.kill()
    operator.start()
    space.kube.delete("Pod", space.name, first)
    eventually(lambda: len(space.pods(name)) == 1)
    stays(counted, seconds=2)


def test_given_up_and_tried_again(space: Space, kubelet: Kubelet, name: str) -> None:
    """The Job's own reason; another limit asks for another try, another Service does not."""
    space.create(name, port=5000, job={"backoffLimit": 0}, **NEVER)
    [pod] = pods_of(space, name)
    kubelet.runs(pod)
    kubelet.fails(pod, exit_code=3)

    def given_up() -> bool:
        found = space.condition(name, "Ready")
        assert found["reason"] == "BackoffLimitExceeded", found
        return bool(space.status(name)["job"].get("result") == "Failed")

    eventually(given_up, timeout=RETRY_LIMIT, says="it has given up")
    first = uid(job(space, name))
    assert space.status(name)["message"] == (
        "the Job has given up: it failed more often than backoffLimit allows; "
        f"{pod}: crashed, exit code 3"
    )
    space.edit(name, service={"port": 8080})
    space.reconciled(name)
    assert uid(job(space, name)) == first
    assert space.status(name)["phase"] == "Degraded"

    space.edit(name, job={"backoffLimit": 1})
    eventually(lambda: uid(job(space, name)) != first, says="another Job")
    kubelet.runs(pods_of(space, name)[0])
    space.is_(name, "Ready")


def test_what_somebody_changed_is_put_back(space: Space, name: str) -> None:
    """A limit and a label; a suspension is theirs."""
    space.create(name, job={"backoffLimit": 2}, **NEVER)
    space.reconciled(name)
    first = uid(job(space, name))

    space.kube.merge(
        "Job", space.name, name, {"metadata": {"labels": {"app": "x"}}, "spec": {"backoffLimit": 5}}
    )

    def right() -> bool:
        found = job(space, name)
        return bool(
            found["spec"]["backoffLimit"] == 2 and found["metadata"]["labels"]["app"] == name
        )

    eventually(right, says="it is put back")
    space.kube.merge("Job", space.name, name, {"spec": {"suspend": True}})
    eventually(lambda: space.condition(name, "Ready")["reason"] == "JobSuspended")
    stays(lambda: job(space, name)["spec"]["suspend"], seconds=1)
    space.kube.merge("Job", space.name, name, {"spec": {"suspend": False}})
    eventually(lambda: space.condition(name, "Ready")["reason"] == "PodsPending")
    assert uid(job(space, name)) == first


def test_paused(space: Space, name: str) -> None:
    """A change waits until the app goes on."""
    space.create(name, **NEVER)
    space.reconciled(name)
    first = uid(job(space, name))

    space.edit(name, paused=True, image="demo:v2")
    space.is_(name, "Paused")
    stays(lambda: uid(job(space, name)) == first, seconds=1)
    space.edit(name, paused=None)

    eventually(lambda: uid(job(space, name)) != first, says="another Job")


def test_deleted_with_its_owner(space: Space, name: str) -> None:
    """The pods go, too."""
    space.create(name, **NEVER)
    pods_of(space, name)

    space.kube.delete(KIND, space.name, name)

    eventually(lambda: space.find("Job", name) is None, says="the Job is gone")
    eventually(lambda: not space.pods(name), says="its pods are gone")


def test_a_strangers_job(space: Space, name: str) -> None:
    """It is not taken over; and where it is to be, it is not thrown away for another one."""
    template = {
        "spec": {"restartPolicy": "Never", "containers": [{"name": "x", "image": "x"}], **NOWHERE}
    }
    stranger = space.kube.create(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "namespace": space.name},
            "spec": {"template": template},
        }
    )
    space.create(name, **NEVER)
    app = space.is_(name, "Invalid")
    assert "NameConflict" in str(app["status"]["conditions"])
    assert f"annotate job/{name} selfhealing.dev/adopt=true" in app["status"]["message"]

    annotations = {"metadata": {"annotations": {"selfhealing.dev/adopt": "true"}}}
    space.kube.merge("Job", space.name, name, annotations)
    space.edit(name, terminationGracePeriodSeconds=1)

    def told() -> bool:
        found = space.condition(name, "Reconciled")
        assert "delete the Job and it is made anew" in found["message"], found
        return bool(found["reason"] == "InvalidSpec")

    eventually(told, says="it cannot be changed so")
    assert uid(job(space, name)) == uid(stranger)


def test_an_orphan_is_taken_back_as_it_is(space: Space, kubelet: Kubelet, name: str) -> None:
    """What has run does not run again because its resource was made anew."""
    space.create(name, **NEVER)
    [pod] = pods_of(space, name)
    kubelet.runs(pod)
    kubelet.succeeds(pod)
    space.is_(name, "Completed")
    first = uid(job(space, name))
    space.kube.delete(KIND, space.name, name, "Orphan")
    eventually(lambda: space.find(KIND, name) is None)

    annotations = {"metadata": {"annotations": {"selfhealing.dev/adopt": "true"}}}
    space.kube.merge("Job", space.name, name, annotations)
    space.create(name, **NEVER)

    space.is_(name, "Completed")
    assert uid(job(space, name)) == first


def test_it_cannot_be_scaled(space: Space, name: str) -> None:
    """The scale subresource tells how many there are, and what to write instead."""
    space.create(name, **NEVER)
    space.reconciled(name)

    answer = kubectl("-n", space.name, "scale", f"sha/{name}", "--replicas=2", check=False)

    assert "write job.completions and job.parallelism instead of replicas" in answer
    assert space.app(name)["spec"].get("replicas") is None


def test_pods_that_are_refused(space: Space, name: str) -> None:
    """A Job tells of a quota only by Events: the status says where to look."""
    try:
        space.limit("small", pods="0")
        space.create(name, **NEVER)
        status = space.is_(name, "Degraded", 60)["status"]
    finally:
        space.kube.delete("ResourceQuota", space.name, "small")

    assert status["message"].endswith(f"it has no pod, see kubectl describe job {name}")
    assert space.condition(name, "Ready")["reason"] == "NoPods"
