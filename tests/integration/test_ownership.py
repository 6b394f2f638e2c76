"""What is not the app's is neither counted nor touched, on a real API server, and is named.

The adversaries are service accounts with ordinary rights: one may do what an editor of the
namespace may, the other may write the status of apps, too. Every time of healing is a twentieth.
"""

import uuid

import pytest
import requests

from hack.testkit.errors import ApiError
from hack.testkit.fake_kubelet import FakeKubelet, format_time, now
from hack.testkit.healing import (
    TIMEOUT,
    create_stable_app,
    get_healing_status,
    list_outcomes,
    wait_for_outcomes,
)
from hack.testkit.kube_client import Json, KubeClient, temporary_namespace
from hack.testkit.namespace import FAKE_NODES, KIND, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.service_account import Permission, create_service_account
from hack.testkit.wait import consistently, eventually
from selfhealing.render.overrides import template_digest, template_revision

EDIT: tuple[Permission, ...] = tuple(
    (verb, resource, group)
    for resource, group in (
        ("pods", ""),
        ("configmaps", ""),
        ("services", ""),
        ("events", ""),
        ("deployments", "apps"),
        ("replicasets", "apps"),
        ("jobs", "batch"),
    )
    for verb in ("get", "list", "create", "patch", "update", "delete")
)
"""Rights that the aggregated role ``edit`` of Kubernetes has, as far as they matter here."""

WRITE_STATUS: tuple[Permission, ...] = (
    ("get", "selfhealingapps", "selfhealing.dev"),
    ("patch", "selfhealingapps/status", "selfhealing.dev"),
    ("create", "controllerrevisions", "apps"),
    ("delete", "controllerrevisions", "apps"),
)

GRACE_SECONDS = 30
"""How old a pod must be before it is called foreign (status/ownership.py)."""


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """A twentieth of the time, and nothing to wait for after a start."""
    return {"SELFHEALING_HEALING_SCALE": "0.05", "SELFHEALING_HEALING_QUIET": "0"}


@pytest.fixture(scope="module")
def editor(
    kube: KubeClient, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> KubeClient:
    """A client with the rights of an editor of the namespace."""
    folder = tmp_path_factory.mktemp("editor")
    return KubeClient(create_service_account(kube, namespace, "editor", EDIT, folder))


@pytest.fixture(scope="module")
def status_writer(
    kube: KubeClient, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> KubeClient:
    """A client that may also write the status of apps and ControllerRevisions."""
    folder, rights = tmp_path_factory.mktemp("writer"), (*EDIT, *WRITE_STATUS)
    return KubeClient(create_service_account(kube, namespace, "writer", rights, folder))


def create_pod(client: KubeClient, namespace: str, name: str, **meta: object) -> Json:
    """Create a bare pod on a fake node."""
    return client.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, **meta},
            "spec": {**FAKE_NODES, "containers": [{"name": "app", "image": "demo:v1"}]},
        }
    )


def wait_until_running(kube: KubeClient, namespace: str, pod: str) -> None:
    """Wait until KWOK plays the pod."""
    eventually(
        lambda: kube.get("Pod", namespace, pod)["status"]["phase"] == "Running",
        description=f"{pod} runs",
    )


def report_failed(kube: KubeClient, namespace: str, pod: str) -> None:
    """Let a bare pod fail, as its kubelet would report it."""
    kube.merge_patch("Pod", namespace, pod, {"status": {"phase": "Failed"}}, sub="status")


def wait_for_finding(space: AppNamespace, name: str, reason: str, text: str) -> None:
    """Wait until the condition and an Event name what was found."""

    def probe() -> bool:
        condition = space.get_condition(name, "OwnershipVerified")
        assert ("False", reason) == (condition.get("status"), condition.get("reason")), condition
        assert text in condition["message"], condition
        assert text in space.list_events(name, reason)[0]["note"]
        return True

    eventually(probe, timeout=GRACE_SECONDS + TIMEOUT, description=f"{reason} is told")


@pytest.mark.usefixtures("operator")
def test_pods_with_only_the_label(
    space: AppNamespace, kube: KubeClient, kubelet: FakeKubelet, editor: KubeClient, name: str
) -> None:
    """They are not counted, evicted or deleted, however ill they are, and they are named."""
    create_stable_app(space, name, replicas=2)
    labels = {"selfhealing.dev/app": name}
    pods = [f"{name}-stranger-{number}" for number in range(4)]
    for pod in pods:
        create_pod(editor, space.name, pod, labels=labels)
        wait_until_running(kube, space.name, pod)
    kubelet.report_restart(pods[0], times=5, backs_off=True)
    for pod in pods[1:]:
        report_failed(kube, space.name, pod)

    wait_for_finding(space, name, "ForeignPods", f"4 pods with the label {next(iter(labels))}")
    # Without the rule the crashing pod would be replaced and one of the failed ones deleted.
    status = space.get_status(name)
    assert ("2/2", 2, 0) == (status["ready"], status["replicas"], status["restarts"]["total"])
    assert {pods[0]} & {pod["name"] for pod in status["pods"]} == set()
    assert [] == list_outcomes(space, name)
    assert all("deletionTimestamp" not in kube.get("Pod", space.name, p)["metadata"] for p in pods)

    for pod in pods:
        editor.delete("Pod", space.name, pod, grace=0)
    eventually(
        lambda: not space.get_condition(name, "OwnershipVerified"),
        description="there is nothing to tell any more",
    )


@pytest.mark.parametrize("is_running", [True, False], ids=["while it runs", "before it starts"])
def test_a_forged_quarantine(
    space: AppNamespace,
    kube: KubeClient,
    operator: OperatorProcess,
    status_writer: KubeClient,
    name: str,
    *,
    is_running: bool,
) -> None:
    """A stranger's pod that the status calls isolated and expired is not deleted."""
    create_stable_app(space, name, replicas=1)
    stranger = create_pod(kube, space.name, f"{name}-stranger")
    quarantine = {
        "pod": stranger["metadata"]["name"],
        "uid": stranger["metadata"]["uid"],
        "until": "2020-01-01T00:00:00Z",
    }

    def forge() -> None:
        forged = {"status": {"healing": {"quarantine": quarantine}}}
        status_writer.merge_patch(KIND, space.name, name, forged, sub="status")

    if is_running:
        forge()
        wait_for_finding(space, name, "RecordRejected", "what somebody else has written")
    else:
        with operator.stop_temporarily():
            forge()
        wait_for_finding(space, name, "RecordRejected", str(quarantine["pod"]))

    eventually(
        lambda: "quarantine" not in get_healing_status(space, name), description="it is dropped"
    )
    found = kube.get("Pod", space.name, f"{name}-stranger")["metadata"]
    assert stranger["metadata"]["uid"] == found["uid"]
    assert "deletionTimestamp" not in found
    kube.delete("Pod", space.name, f"{name}-stranger", grace=0)


def test_a_forged_revision(
    space: AppNamespace,
    kube: KubeClient,
    operator: OperatorProcess,
    status_writer: KubeClient,
    name: str,
) -> None:
    """A privileged template that the status calls the stable revision never runs."""
    create_stable_app(space, name, replicas=1)
    app, deployment = space.get_app(name), space.get_deployment(name)
    healing = app["status"]["healing"]
    (saved,) = (
        revision
        for revision in kube.list("ControllerRevision", space.name)
        if revision["metadata"]["name"] == f"{name}-{healing['stableRevision']}"
    )
    forged = {**saved["data"]["template"]}
    forged["spec"] = {**forged["spec"], "hostNetwork": True}
    revision = template_revision(forged)  # the forger knows how the hash is made
    meta = {key: saved["metadata"][key] for key in ("labels", "ownerReferences", "namespace")}
    with operator.stop_temporarily():
        status_writer.create(
            {
                "apiVersion": "apps/v1",
                "kind": "ControllerRevision",
                "metadata": {**meta, "name": f"{name}-{revision}"},
                "revision": 1,
                "data": {"template": forged},
            }
        )
        record = {
            "stableRevision": revision,
            "stableDigest": template_digest(forged),
            "failedRevision": healing["desiredRevision"],
        }
        patch = {"status": {"healing": record}}
        status_writer.merge_patch(KIND, space.name, name, patch, sub="status")

    wait_for_finding(space, name, "RevisionRejected", f"stable revision {revision} is not used")
    message = space.get_condition(name, "OwnershipVerified")["message"]
    assert "no longer asks for the network of the node" in message
    assert "failedRevision" not in get_healing_status(space, name)
    assert deployment["spec"]["template"] == space.get_deployment(name)["spec"]["template"]


@pytest.mark.usefixtures("operator")
def test_forged_killing_events(
    space: AppNamespace, kube: KubeClient, kubelet: FakeKubelet, editor: KubeClient, name: str
) -> None:
    """An Event from another namespace, or not from the kubelet, is not the cause of a restart."""
    (pod,) = create_stable_app(space, name, replicas=1)
    uid = kube.get("Pod", space.name, pod)["metadata"]["uid"]
    with temporary_namespace(kube, "test-forged-events") as other:
        for client, namespace, component in (
            (kube, other, "kubelet"),
            (editor, space.name, "mallory"),
        ):
            client.create(build_killing_event(namespace, pod, uid, component))
        ended_at = kubelet.report_restart(pod, exit_code=137)
        eventually(
            lambda: space.get_status(name)["restarts"]["total"] == 1, description="it is counted"
        )
        consistently(
            lambda: space.get_status(name)["restarts"]["byReason"] == {"Error": 1}, seconds=2
        )

    # The real one is believed, for the same restart.
    kubelet.create_killing_event(pod, at=ended_at)
    eventually(
        lambda: space.get_status(name)["restarts"]["byReason"] == {"LivenessProbe": 1},
        description="the kubelet's Event tells the cause",
    )


def build_killing_event(namespace: str, pod: str, uid: str, component: str) -> Json:
    """An Event that the liveness probe of a pod has failed, just now."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{pod}.{uuid.uuid4().hex[:16]}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": namespace,
            "name": pod,
            "uid": uid,
        },
        "type": "Normal",
        "reason": "Killing",
        "message": "Container app failed liveness probe, will be restarted",
        "source": {"component": component, "host": "node"},
        "lastTimestamp": format_time(now()),
        "count": 1,
    }


@pytest.mark.usefixtures("operator")
def test_evidence_of_somebody_else(
    space: AppNamespace, kubelet: FakeKubelet, editor: KubeClient, name: str
) -> None:
    """The action goes on without evidence, and the reason is told; the ConfigMap stays."""
    pods = create_stable_app(space, name, replicas=3)
    editor.create(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"{name}-evidence", "namespace": space.name},
            "data": {"mine": "yes"},
        }
    )

    kubelet.set_ready(pods[0], ready=False)

    wait_for_outcomes(space, name, ("ReplacePod", "Succeeded"))
    wait_for_finding(space, name, "ForeignEvidence", f"the ConfigMap {name}-evidence belongs to")
    assert {"mine": "yes"} == editor.get("ConfigMap", space.name, f"{name}-evidence")["data"]
    editor.delete("ConfigMap", space.name, f"{name}-evidence")


@pytest.mark.usefixtures("operator")
def test_a_resize_with_a_precondition(space: AppNamespace, kube: KubeClient, name: str) -> None:
    """The API server refuses the resize of a pod that has changed since it was proved."""
    limits = {"limits": {"memory": "64Mi"}}
    space.create_app(name, resources=limits, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")
    (pod,) = space.list_pods(name)
    containers = [{"name": "app", "resources": {"limits": {"memory": "128Mi"}}}]

    def resize(**meta: str) -> requests.Response:
        patch = {"metadata": meta, "spec": {"containers": containers}}
        return kube.try_patch(
            "Pod",
            space.name,
            pod["metadata"]["name"],
            patch,
            form="application/strategic-merge-patch+json",
            sub="resize",
        )

    uid = pod["metadata"]["uid"]
    assert requests.codes.conflict == resize(uid=uid, resourceVersion="1").status_code
    assert requests.codes.unprocessable_entity == resize(uid=str(uuid.uuid4())).status_code
    current = kube.get("Pod", space.name, pod["metadata"]["name"])["metadata"]["resourceVersion"]
    # With the right version the answer is that the fake node has no support for it.
    assert "without support for resize" in resize(uid=uid, resourceVersion=current).text


@pytest.mark.usefixtures("operator")
def test_a_status_that_no_operator_writes(
    space: AppNamespace, status_writer: KubeClient, name: str
) -> None:
    """Texts have a largest length, unknown fields are pruned, and a large status is replaced."""
    create_stable_app(space, name, replicas=2)

    def write(status: Json) -> None:
        status_writer.merge_patch(KIND, space.name, name, {"status": status}, sub="status")

    with pytest.raises(ApiError, match="Too long"):
        write({"message": "x" * 2**20})
    write({"healing": {"unknown": "x" * 2**18}})
    assert "unknown" not in space.get_status(name)["healing"]

    text, moment = "😀" * 1024, format_time(now())
    word = text[:128]
    restart = {"pod": "x" * 253, "container": "x" * 253, "count": 1, "reason": word}
    write(
        {
            "pods": [
                {"name": f"forged-{number}", "message": text, "reason": word, "phase": word}
                for number in range(20)
            ],
            "restarts": {"counted": [{**restart, "uid": f"u{number}"} for number in range(200)]},
            "conditions": [
                {
                    "type": f"Forged{number}",
                    "status": "True",
                    "reason": "x" * 128,
                    "message": text,
                    "lastTransitionTime": moment,
                }
                for number in range(20)
            ],
        }
    )

    wait_for_finding(space, name, "RecordRejected", "KiB, which no operator writes, is replaced")
    status = space.get_status(name)
    assert "forged" not in str(status["pods"])
    assert "😀" not in str(status)
    assert "Forged0" not in {condition["type"] for condition in status["conditions"]}
