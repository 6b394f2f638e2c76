"""Apps that run to their end: the Job as a child, what it comes to, and how it is replaced.

KWOK completes the pods of Jobs as soon as they run, so these pods are on no node and their kubelet
is played.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hack.testkit.fake_kubelet import FakeKubelet
from hack.testkit.kube_client import Json, run_kubectl
from hack.testkit.namespace import KIND, UNSCHEDULABLE, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import consistently, eventually

pytestmark = pytest.mark.usefixtures("operator")

ON_FAILURE: Json = {"restartPolicy": "OnFailure", **UNSCHEDULABLE}
NEVER: Json = {"restartPolicy": "Never", **UNSCHEDULABLE}

MAX_RETRIES = 40
"""The Job controller waits for 10 s before it makes another pod."""


def wait_for_pods(
    space: AppNamespace, name: str, number: int = 1, timeout: float = 20
) -> list[str]:
    """Wait until the app has so many pods; their names, the oldest first."""

    def probe() -> list[Json]:
        found = space.list_pods(name)
        assert len(found) == number, [pod["metadata"]["name"] for pod in found]
        return found

    found = eventually(probe, timeout=timeout, description=f"{name} has {number} pods")
    found.sort(key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    return [pod["metadata"]["name"] for pod in found]


def get_job(space: AppNamespace, name: str) -> Json:
    """The app's Job."""
    return space.get_child("Job", name)


def get_uid(resource: Json) -> str:
    """Which object it is."""
    found: str = resource["metadata"]["uid"]
    return found


@contextmanager
def hold_deletion(space: AppNamespace, pod: str) -> Iterator[None]:
    """Keep a pod that is deleted from going while the block runs, as one that is slow to stop."""
    finalizer = "selfhealing.dev/test"
    found = space.kube.get("Pod", space.name, pod)["metadata"].get("finalizers", [])
    patch = {"metadata": {"finalizers": [*found, finalizer]}}
    space.kube.merge_patch("Pod", space.name, pod, patch)
    try:
        yield
    finally:
        live = space.kube.find("Pod", space.name, pod)
        if live is not None:
            finalizers = [f for f in live["metadata"].get("finalizers", ()) if f != finalizer]
            space.kube.merge_patch("Pod", space.name, pod, {"metadata": {"finalizers": finalizers}})


def test_the_job_is_a_child_as_every_other(
    space: AppNamespace, operator: OperatorProcess, name: str
) -> None:
    """Named, labelled and owned; a port makes the Service; then everything is at rest."""
    space.create_app(
        name,
        port=5000,
        probes={"liveness": {"httpGet": {"path": "/health"}, "failureThreshold": 1}},
        sidecars=[{"name": "proxy", "image": "proxy:v1"}],
        job={"backoffLimit": 2, "activeDeadlineSeconds": 600},
        **ON_FAILURE,
    )
    space.wait_until_reconciled(name)
    found = get_job(space, name)
    meta, spec = found["metadata"], found["spec"]
    template = spec["template"]["spec"]
    [pod] = wait_for_pods(space, name)

    assert space.find_child("Deployment", name) is None
    assert meta["labels"]["selfhealing.dev/app"] == meta["labels"]["app"] == name
    assert [owner["name"] for owner in meta["ownerReferences"]] == [name]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (2, 600)
    assert template["restartPolicy"] == "OnFailure"
    assert [c["name"] for c in template["containers"]] == ["app"]
    assert [(c["name"], c["restartPolicy"]) for c in template["initContainers"]] == [
        ("proxy", "Always")
    ]
    labels = space.kube.get("Pod", space.name, pod)["metadata"]["labels"]
    assert space.get_service(name)["spec"]["selector"].items() <= labels.items()
    assert labels["batch.kubernetes.io/controller-uid"] == get_uid(found)
    before = operator.count_writes().get("patch Job")
    space.kube.merge_patch(KIND, space.name, name, {"metadata": {"annotations": {"look": "again"}}})
    consistently(lambda: operator.count_writes().get("patch Job") == before, seconds=1.5)
    assert meta["generation"] == 1
    assert "DriftCorrected" not in space.count_events(name)


def test_completed_and_never_made_again(
    space: AppNamespace, kubelet: FakeKubelet, operator: OperatorProcess, name: str
) -> None:
    """An end is remembered when the Job is gone, also by the next operator; another spec runs."""
    space.create_app(name, **ON_FAILURE)
    [pod] = wait_for_pods(space, name)
    kubelet.report_running(pod)
    assert space.wait_for_phase(name, "Ready")["status"]["ready"] == "1/1"
    kubelet.report_succeeded(pod)
    status = space.wait_for_phase(name, "Completed")["status"]
    assert status["job"]["result"] == "Complete"
    assert status["restarts"]["total"] == 0
    run_kubectl("-n", space.name, "wait", "--for=condition=Ready", f"sha/{name}", "--timeout=5s")

    space.kube.delete("Job", space.name, name)
    eventually(lambda: space.find_child("Job", name) is None)
    consistently(lambda: space.find_child("Job", name) is None, seconds=2)
    with operator.stop_temporarily():
        pass
    consistently(lambda: space.find_child("Job", name) is None, seconds=2)
    space.wait_for_phase(name, "Completed")
    assert space.get_condition(name, "Reconciled")["status"] == "True"

    space.patch_spec(name, env=[{"name": "RUN", "value": "2"}])
    wait_for_pods(space, name)
    eventually(
        lambda: "result" not in space.get_status(name)["job"], description="another run is told of"
    )


def test_a_job_that_is_deleted_while_it_runs_is_made_again(space: AppNamespace, name: str) -> None:
    """As every child."""
    space.create_app(name, **NEVER)
    space.wait_until_reconciled(name)
    first = get_uid(get_job(space, name))

    space.kube.delete("Job", space.name, name)

    eventually(lambda: get_uid(get_job(space, name)) != first, description="another Job")
    space.wait_until_reconciled(name)


def test_what_can_be_changed_in_a_job_is(space: AppNamespace, name: str) -> None:
    """Limits and parallelism, there and back."""
    space.create_app(name, job={"completions": 4, "parallelism": 1}, **NEVER)
    space.wait_until_reconciled(name)
    first = get_uid(get_job(space, name))

    change = {"parallelism": 3, "backoffLimit": 9, "activeDeadlineSeconds": 900}
    space.patch_spec(name, job=change)
    space.wait_until_reconciled(name)
    assert change.items() <= get_job(space, name)["spec"].items()
    space.patch_spec(
        name, job={"parallelism": 2, "backoffLimit": None, "activeDeadlineSeconds": None}
    )
    space.wait_until_reconciled(name)

    spec = get_job(space, name)["spec"]
    assert (spec["parallelism"], spec["backoffLimit"]) == (2, 6)
    assert "activeDeadlineSeconds" not in spec
    assert get_uid(get_job(space, name)) == first


@pytest.mark.parametrize("change", ["image", "completions"])
def test_another_run_replaces_the_job(space: AppNamespace, name: str, change: str) -> None:
    """What cannot be changed: the Job goes with its pods, and another one is made; it is told."""
    space.create_app(name, **NEVER)
    space.wait_until_reconciled(name)
    first = get_uid(get_job(space, name))
    [pod] = wait_for_pods(space, name)

    space.patch_spec(
        name, **({"image": "demo:v2"} if change == "image" else {"job": {"completions": 2}})
    )
    eventually(lambda: get_uid(get_job(space, name)) != first, description="another Job")

    space.wait_until_reconciled(name)
    assert space.kube.find("Pod", space.name, pod) is None
    eventually(
        lambda: space.count_events(name).get("Created") == 2, description="the Events are written"
    )
    assert space.count_events(name)["Replacing"] == 1
    wait_for_pods(space, name)


def test_a_replacement_waits_for_the_pods_also_across_operators(
    space: AppNamespace, kubelet: FakeKubelet, operator: OperatorProcess, name: str
) -> None:
    """No two runs at once: the new Job comes when the last pod of the old one is gone."""
    space.create_app(name, **NEVER)
    [pod] = wait_for_pods(space, name)
    kubelet.report_running(pod)
    space.wait_for_phase(name, "Ready")
    first = get_uid(get_job(space, name))

    with hold_deletion(space, pod):
        space.patch_spec(name, image="demo:v2")
        eventually(
            lambda: space.get_condition(name, "Reconciled").get("reason") == "ChildTerminating",
            description="the status tells of the wait",
        )
        assert "deletionTimestamp" in get_job(space, name)["metadata"]
        assert space.get_status(name)["phase"] == "Progressing"
        operator.kill()
        operator.start()
        consistently(lambda: get_uid(get_job(space, name)) == first, seconds=2)

    eventually(
        lambda: get_uid(get_job(space, name)) != first, timeout=60, description="another Job"
    )
    space.wait_until_reconciled(name, 60)


def test_from_a_deployment_to_a_job_and_back(space: AppNamespace, name: str) -> None:
    """What made pods before goes first, with its pods and its autoscaler; the Service stays."""
    space.create_app(
        name, port=5000, autoscaling={"minReplicas": 2, "maxReplicas": 3}, **UNSCHEDULABLE
    )
    space.wait_until_reconciled(name)
    pod = wait_for_pods(space, name, 2)[0]
    service = get_uid(space.get_service(name))

    with hold_deletion(space, pod):
        space.patch_spec(name, restartPolicy="OnFailure", autoscaling=None)
        eventually(
            lambda: space.get_condition(name, "Reconciled").get("reason") == "ChildTerminating",
            description="the status tells of the wait",
        )
        eventually(
            lambda: (
                f"the old Deployment is still being deleted: waiting for {pod}"
                in space.get_status(name)["message"]
            ),
            description="it says for which pod",
        )
        consistently(lambda: space.find_child("Job", name) is None, seconds=1)
    space.wait_until_reconciled(name, 60)
    assert space.find_child("Deployment", name) is None
    assert space.find_child("HorizontalPodAutoscaler", name) is None
    assert space.get_status(name)["ready"] == "0/1"
    wait_for_pods(space, name, 1)

    space.patch_spec(name, restartPolicy="Always", replicas=2)
    space.wait_until_reconciled(name, 60)
    assert space.find_child("Job", name) is None
    assert space.get_deployment(name)["spec"]["replicas"] == 2
    wait_for_pods(space, name, 2)
    assert "job" not in space.get_status(name)
    assert get_uid(space.get_service(name)) == service


def test_a_failed_pod_is_counted_once(
    space: AppNamespace, kubelet: FakeKubelet, operator: OperatorProcess, name: str
) -> None:
    """With its reason, when there is another pod, whichever operator looks, however often."""
    probe = {"exec": {"command": ["true"]}}
    space.create_app(name, probes={"liveness": probe}, **NEVER)
    [first] = wait_for_pods(space, name)
    kubelet.report_running(first)
    space.wait_for_phase(name, "Ready")

    kubelet.create_stopping_event(first)
    kubelet.report_failed(first, exit_code=137)
    status = space.wait_for_phase(name, "Degraded")["status"]
    assert status["message"].endswith(
        f"{first}: failed its liveness probe; the Job makes another pod"
    )
    assert status["restarts"]["total"] == 0
    with operator.stop_temporarily():
        second = wait_for_pods(space, name, 2, MAX_RETRIES)[1]
        kubelet.report_running(second)
    status = space.wait_for_phase(name, "Ready")["status"]

    def counted() -> bool:
        block = space.get_status(name)["restarts"]
        assert block["byReason"] == {"LivenessProbe": 1}, block
        return bool(block["total"] == 1)

    eventually(counted, description="one restart")
    operator.kill()
    operator.start()
    space.kube.delete("Pod", space.name, first)
    eventually(lambda: len(space.list_pods(name)) == 1)
    consistently(counted, seconds=2)


def test_given_up_and_tried_again(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """The Job's own reason; another limit asks for another try, another Service does not."""
    space.create_app(name, port=5000, job={"backoffLimit": 0}, **NEVER)
    [pod] = wait_for_pods(space, name)
    kubelet.report_running(pod)
    kubelet.report_failed(pod, exit_code=3)

    def given_up() -> bool:
        found = space.get_condition(name, "Ready")
        assert found["reason"] == "BackoffLimitExceeded", found
        return bool(space.get_status(name)["job"].get("result") == "Failed")

    eventually(given_up, timeout=MAX_RETRIES, description="it has given up")
    first = get_uid(get_job(space, name))
    assert space.get_status(name)["message"] == (
        "the Job has given up: it failed more often than backoffLimit allows; "
        f"{pod}: crashed, exit code 3"
    )
    space.patch_spec(name, service={"port": 8080})
    space.wait_until_reconciled(name)
    assert get_uid(get_job(space, name)) == first
    assert space.get_status(name)["phase"] == "Degraded"

    space.patch_spec(name, job={"backoffLimit": 1})
    eventually(lambda: get_uid(get_job(space, name)) != first, description="another Job")
    kubelet.report_running(wait_for_pods(space, name)[0])
    space.wait_for_phase(name, "Ready")


def test_what_somebody_changed_is_put_back(space: AppNamespace, name: str) -> None:
    """A limit and a label; a suspension is theirs."""
    space.create_app(name, job={"backoffLimit": 2}, **NEVER)
    space.wait_until_reconciled(name)
    first = get_uid(get_job(space, name))

    space.kube.merge_patch(
        "Job", space.name, name, {"metadata": {"labels": {"app": "x"}}, "spec": {"backoffLimit": 5}}
    )

    def right() -> bool:
        found = get_job(space, name)
        return bool(
            found["spec"]["backoffLimit"] == 2 and found["metadata"]["labels"]["app"] == name
        )

    eventually(right, description="it is put back")
    space.kube.merge_patch("Job", space.name, name, {"spec": {"suspend": True}})
    eventually(lambda: space.get_condition(name, "Ready")["reason"] == "JobSuspended")
    consistently(lambda: get_job(space, name)["spec"]["suspend"], seconds=1)
    space.kube.merge_patch("Job", space.name, name, {"spec": {"suspend": False}})
    eventually(lambda: space.get_condition(name, "Ready")["reason"] == "PodsPending")
    assert get_uid(get_job(space, name)) == first


def test_paused(space: AppNamespace, name: str) -> None:
    """A change waits until the app goes on."""
    space.create_app(name, **NEVER)
    space.wait_until_reconciled(name)
    first = get_uid(get_job(space, name))

    space.patch_spec(name, paused=True, image="demo:v2")
    space.wait_for_phase(name, "Paused")
    consistently(lambda: get_uid(get_job(space, name)) == first, seconds=1)
    space.patch_spec(name, paused=None)

    eventually(lambda: get_uid(get_job(space, name)) != first, description="another Job")


def test_deleted_with_its_owner(space: AppNamespace, name: str) -> None:
    """The pods go, too."""
    space.create_app(name, **NEVER)
    wait_for_pods(space, name)

    space.kube.delete(KIND, space.name, name)

    eventually(lambda: space.find_child("Job", name) is None, description="the Job is gone")
    eventually(lambda: not space.list_pods(name), description="its pods are gone")


def test_a_strangers_job(space: AppNamespace, name: str) -> None:
    """It is not taken over; and where it is to be, it is not thrown away for another one."""
    template = {
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "x", "image": "x"}],
            **UNSCHEDULABLE,
        }
    }
    stranger = space.kube.create(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "namespace": space.name},
            "spec": {"template": template},
        }
    )
    space.create_app(name, **NEVER)
    app = space.wait_for_phase(name, "Invalid")
    assert "NameConflict" in str(app["status"]["conditions"])
    assert f"annotate job/{name} selfhealing.dev/adopt=true" in app["status"]["message"]

    annotations = {"metadata": {"annotations": {"selfhealing.dev/adopt": "true"}}}
    space.kube.merge_patch("Job", space.name, name, annotations)
    space.patch_spec(name, terminationGracePeriodSeconds=1)

    def told() -> bool:
        found = space.get_condition(name, "Reconciled")
        assert "delete the Job and it is recreated" in found["message"], found
        return bool(found["reason"] == "InvalidSpec")

    eventually(told, description="it cannot be changed so")
    assert get_uid(get_job(space, name)) == get_uid(stranger)


def test_an_orphan_is_taken_back_as_it_is(
    space: AppNamespace, kubelet: FakeKubelet, name: str
) -> None:
    """What has run does not run again because its resource was made anew."""
    space.create_app(name, **NEVER)
    [pod] = wait_for_pods(space, name)
    kubelet.report_running(pod)
    kubelet.report_succeeded(pod)
    space.wait_for_phase(name, "Completed")
    first = get_uid(get_job(space, name))
    space.kube.delete(KIND, space.name, name, "Orphan")
    eventually(lambda: space.find_child(KIND, name) is None)
    eventually(lambda: "ownerReferences" not in get_job(space, name)["metadata"])

    space.create_app(name, **NEVER)

    space.wait_for_phase(name, "Completed")
    assert get_uid(get_job(space, name)) == first


def test_it_cannot_be_scaled(space: AppNamespace, name: str) -> None:
    """The scale subresource tells how many there are, and what to write instead."""
    space.create_app(name, **NEVER)
    space.wait_until_reconciled(name)

    answer = run_kubectl("-n", space.name, "scale", f"sha/{name}", "--replicas=2", check=False)

    assert "write job.completions and job.parallelism instead of replicas" in answer
    assert space.get_app(name)["spec"]["replicas"] == 1  # the default, which nothing reads


def test_pods_that_are_refused(space: AppNamespace, name: str) -> None:
    """A Job tells of a quota only by Events: the status says where to look."""
    try:
        space.create_quota("small", pods="0")
        space.create_app(name, **NEVER)
        status = space.wait_for_phase(name, "Degraded", 60)["status"]
    finally:
        space.kube.delete("ResourceQuota", space.name, "small")

    assert status["message"].endswith(f"it has no pod, see kubectl describe job {name}")
    assert space.get_condition(name, "Ready")["reason"] == "NoPods"
