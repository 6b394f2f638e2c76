"""The injections of opendatahub-io/operator-chaos by their names, as far as no other test has them.

docs/crash-consistency.md lists all twenty, each with its test. As there, an app is Ready before;
afterwards everything is as it should be, and nothing was done that nobody asked for.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hack.testkit.errors import ApiError
from hack.testkit.fake_kubelet import FakeKubelet
from hack.testkit.fault_proxy import run_fault_proxy
from hack.testkit.forked_operator import run_forked_operator
from hack.testkit.healing import create_stable_app, get_healing_status, list_outcomes
from hack.testkit.kube_client import STRATEGIC_PATCH, KubeClient, temporary_namespace
from hack.testkit.namespace import FAKE_NODES, KIND, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.service_account import create_service_account, list_operator_permissions
from hack.testkit.wait import consistently, eventually

pytestmark = pytest.mark.usefixtures("fake_nodes")

SPEC = {"replicas": 2, "port": 80, **FAKE_NODES}
APP_LABEL = "selfhealing.dev/app"
RECOVERY_TIMEOUT = 60


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """A twentieth of the times of healing."""
    return {"SELFHEALING_HEALING_SCALE": "0.05"}


@pytest.fixture
def own(kube: KubeClient) -> Iterator[AppNamespace]:
    """A namespace of the test's own, for a fault that others would notice."""
    with temporary_namespace(kube, "test-operator-chaos") as name:
        yield AppNamespace(kube, name)


def create_ready_app(space: AppNamespace, name: str) -> None:
    """Create an app and wait until it is Ready."""
    space.create_app(name, **SPEC)
    space.wait_for_phase(name, "Ready")


def list_pod_names(space: AppNamespace, name: str) -> list[str]:
    """Return the names of an app's pods."""
    return [pod["metadata"]["name"] for pod in space.list_pods(name)]


@pytest.mark.usefixtures("operator")
def test_pod_kill(space: AppNamespace, name: str) -> None:
    """PodKill: the ReplicaSet makes another pod, and the operator does nothing about it."""
    create_ready_app(space, name)
    generation = space.get_deployment(name)["metadata"]["generation"]
    killed = list_pod_names(space, name)[0]

    space.kube.delete("Pod", space.name, killed, grace=0)

    eventually(
        lambda: killed not in list_pod_names(space, name) and len(space.list_pods(name)) == 2,
        description="there is another pod",
    )
    space.wait_for_phase(name, "Ready")
    assert generation == space.get_deployment(name)["metadata"]["generation"]
    assert [] == list_outcomes(space, name)


@pytest.mark.usefixtures("operator")
def test_crd_mutation(space: AppNamespace, name: str) -> None:
    """CRDMutation: a field of the resource is changed and changed back; the children follow."""
    create_ready_app(space, name)
    before = space.get_deployment(name)["spec"]

    space.patch_spec(name, replicas=3)
    eventually(lambda: space.get_deployment(name)["spec"]["replicas"] == 3)
    space.patch_spec(name, replicas=2)

    eventually(lambda: space.get_deployment(name)["spec"] == before, description="as before")
    space.wait_for_phase(name, "Ready")


def build_webhook(space: AppNamespace, name: str, policy: str) -> dict[str, object]:
    """Return a webhook for the children in a namespace whose Service does not exist."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [
            {
                "name": "check.example.com",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": policy,
                "timeoutSeconds": 1,
                "clientConfig": {"service": {"name": "nowhere", "namespace": space.name}},
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space.name}},
                "rules": [
                    {
                        "apiGroups": ["apps", ""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["deployments", "services"],
                    }
                ],
            }
        ],
    }


def test_webhook_disrupt(own: AppNamespace, tmp_path: Path) -> None:
    """WebhookDisrupt: a webhook that nobody answers refuses every write; it is named."""
    webhook = own.name
    try:
        with run_forked_operator([own.name], tmp_path / "log") as operator:
            create_ready_app(own, "app")
            own.kube.create(build_webhook(own, webhook, "Fail"))
            # It is in force some time after it was created.
            eventually(
                lambda: (
                    not own.kube.try_patch(
                        "Service", own.name, "app", {"metadata": {"labels": {"a": "b"}}}
                    ).ok
                ),
                description="writes are refused",
            )

            own.patch_spec("app", image="demo:v2")

            eventually(
                lambda: "check.example.com" in own.get_condition("app", "Reconciled")["message"],
                description="the condition names the webhook",
            )
            assert 2 == len(own.list_pods("app"))
            own.kube.apply(build_webhook(own, webhook, "Ignore"))
            own.wait_until_reconciled("app", timeout=RECOVERY_TIMEOUT)
            own.wait_for_phase("app", "Ready")
            assert "demo:v2" == own.get_container("app")["image"]
            assert operator.is_running()
    finally:
        own.kube.delete("ValidatingWebhookConfiguration", None, webhook)


def test_rbac_revoke(own: AppNamespace, tmp_path: Path) -> None:
    """RBACRevoke: the binding of a running operator loses its subjects, and has them again."""
    binding = "RoleBinding", own.name, "operator"
    config = create_service_account(
        own.kube, own.name, "operator", list_operator_permissions(), tmp_path
    )
    with run_forked_operator([own.name], tmp_path / "log", kubeconfig=config) as operator:
        create_ready_app(own, "app")
        subjects = own.kube.get(*binding)["subjects"]
        own.kube.merge_patch(*binding, {"subjects": []})
        eventually(
            lambda: not KubeClient(config).get_response(f"/api/v1/namespaces/{own.name}/pods").ok,
            description="it may not read pods",
        )

        own.patch_spec("app", image="demo:v2")

        consistently(lambda: own.get_container("app")["image"] == "demo:v1", seconds=2)
        own.kube.merge_patch(*binding, {"subjects": subjects})
        if not operator.is_running():  # blind, it ends, and a kubelet starts it again
            operator.start()
        own.wait_until_reconciled("app", timeout=RECOVERY_TIMEOUT)
        own.wait_for_phase("app", "Ready")
        assert "demo:v2" == own.get_container("app")["image"]


@pytest.mark.usefixtures("operator")
def test_finalizer_block(space: AppNamespace, name: str) -> None:
    """FinalizerBlock: a child that is deleted and held is waited for, and then made anew."""
    create_ready_app(space, name)
    held = {"metadata": {"finalizers": ["example.com/held"]}}
    space.kube.merge_patch("Deployment", space.name, name, held)
    old = space.get_deployment(name)["metadata"]["uid"]
    try:
        space.kube.delete("Deployment", space.name, name)
        eventually(
            lambda: space.get_condition(name, "Reconciled")["status"] == "False",
            description="it says that it waits",
        )
        assert old == space.get_deployment(name)["metadata"]["uid"]
    finally:
        space.kube.merge_patch("Deployment", space.name, name, {"metadata": {"finalizers": None}})

    space.wait_until_reconciled(name, timeout=RECOVERY_TIMEOUT)
    space.wait_for_phase(name, "Ready")
    assert old != space.get_deployment(name)["metadata"]["uid"]


def test_webhook_latency(own: AppNamespace, tmp_path: Path) -> None:
    """WebhookLatency: each write takes seconds; a change is still one rollout, and comes."""
    with (
        run_fault_proxy(tmp_path) as proxy,
        run_forked_operator([own.name], tmp_path / "log", kubeconfig=proxy.kubeconfig) as operator,
    ):
        create_ready_app(own, "app")
        generation = own.get_deployment("app")["metadata"]["generation"]
        proxy.delay_writes(3)

        own.patch_spec("app", image="demo:v2")

        own.wait_for_phase("app", "Ready", timeout=RECOVERY_TIMEOUT)
        eventually(lambda: own.get_status("app")["updatedReplicas"] == 2, timeout=RECOVERY_TIMEOUT)
        assert generation + 1 == own.get_deployment("app")["metadata"]["generation"]
        assert operator.is_running()


@pytest.mark.usefixtures("operator")
def test_label_stomping(space: AppNamespace, name: str) -> None:
    """LabelStomping: a pod that loses its label is replaced, and is nobody's; it is left alone."""
    create_ready_app(space, name)
    lost = list_pod_names(space, name)[0]
    try:
        space.kube.merge_patch("Pod", space.name, lost, {"metadata": {"labels": {APP_LABEL: None}}})

        eventually(
            lambda: len(space.list_pods(name)) == 2 and lost not in list_pod_names(space, name),
            description="there are two others",
        )
        space.wait_for_phase(name, "Ready")
        assert "deletionTimestamp" not in space.kube.get("Pod", space.name, lost)["metadata"]
    finally:
        space.kube.delete("Pod", space.name, lost, grace=0)


@pytest.mark.usefixtures("operator")
def test_secret_deletion(space: AppNamespace, name: str) -> None:
    """SecretDeletion: the pods that run are left alone, and follow when it is there again."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": space.name},
        "stringData": {"TOKEN": "a"},
    }
    space.kube.create(secret)
    space.create_app(name, **SPEC, envFrom=[{"secretRef": {"name": name}}])
    space.wait_for_phase(name, "Ready")
    pods = list_pod_names(space, name)

    space.kube.delete("Secret", space.name, name)

    consistently(lambda: pods == list_pod_names(space, name), seconds=3)
    space.kube.create(secret)
    space.wait_for_phase(name, "Ready")
    assert [] == list_outcomes(space, name)


@pytest.mark.usefixtures("operator")
def test_crash_loop_inject(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """CrashLoopInject: a hand puts a missing binary into the Deployment; the spec is not blamed."""
    create_stable_app(space, name, replicas=2)
    command = ["/chaos-nonexistent-binary"]
    patch = {"containers": [{"name": "app", "command": command}]}
    space.kube.patch(
        "Deployment",
        space.name,
        name,
        {"spec": {"template": {"spec": patch}}},
        form=STRATEGIC_PATCH,
    )

    def is_ill() -> bool:
        for pod in space.list_pods(name):
            entries = pod["status"].get("containerStatuses")
            if (
                pod["spec"]["containers"][0].get("command") == command
                and entries
                and "waiting" not in entries[0]["state"]
            ):
                with suppress(ApiError):  # it may be gone meanwhile
                    kubelet.report_restart(
                        pod["metadata"]["name"], "StartError", 128, times=3, backs_off=True
                    )

        return space.get_status(name)["phase"] not in {"Ready", "Progressing"}

    eventually(is_ill, timeout=RECOVERY_TIMEOUT, description="the status says that the app is ill")
    assert "failedRevision" not in get_healing_status(space, name)
    if "command" in space.get_container(name):
        path = "/spec/template/spec/containers/0/command"
        space.kube.patch("Deployment", space.name, name, [{"op": "remove", "path": path}])
    space.wait_for_phase(name, "Ready", timeout=RECOVERY_TIMEOUT)
    assert "failedRevision" not in get_healing_status(space, name)
    assert "command" not in space.get_container(name)


def test_leader_election_disrupt(own: AppNamespace, tmp_path: Path) -> None:
    """LeaderElectionDisrupt: the Lease is deleted; one operator leads again, by itself."""
    election = {
        "SELFHEALING_LEADER_ELECTION": "on",
        "SELFHEALING_LEASE_NAMESPACE": own.name,
        "SELFHEALING_LEASE_DURATION": "12",
        "SELFHEALING_LEASE_RENEW": "1",
    }
    with run_forked_operator([own.name], tmp_path / "log", settings=election) as operator:
        create_ready_app(own, "app")

        own.kube.delete("Lease", own.name, "selfhealing-operator")

        if not has_new_lease(own, operator):  # it has ended, and a kubelet starts it again
            operator.start()
        own.patch_spec("app", image="demo:v2")
        own.wait_for_phase("app", "Ready", timeout=RECOVERY_TIMEOUT)
        assert "demo:v2" == own.get_container("app")["image"]
        assert own.kube.find("Lease", own.name, "selfhealing-operator") is not None


def has_new_lease(space: AppNamespace, operator: OperatorProcess) -> bool:
    """Whether the operator has made the Lease anew; False when it has ended."""
    return (
        eventually(
            lambda: (
                (
                    "lease"
                    if space.kube.find("Lease", space.name, "selfhealing-operator")
                    else not operator.is_running() and "ended"
                )
                or ""
            ),
            description="there is a Lease, or the operator has ended",
        )
        == "lease"
    )


@pytest.mark.usefixtures("operator")
def test_pdb_block(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """PDBBlock: a stranger's budget forbids the eviction; the pod stays until it is gone."""
    pods = create_stable_app(space, name)
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": f"{name}-block", "namespace": space.name},
        "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {APP_LABEL: name}}},
    }
    space.kube.create(budget)
    try:
        kubelet.set_ready(pods[0], ready=False)
        consistently(
            lambda: pods == sorted(list_pod_names(space, name)),
            seconds=6,
            description="no pod is evicted",
        )
    finally:
        space.kube.delete("PodDisruptionBudget", space.name, f"{name}-block")

    eventually(
        lambda: pods[0] not in list_pod_names(space, name),
        timeout=RECOVERY_TIMEOUT,
        description="the ill pod is replaced",
    )
    space.wait_for_phase(name, "Ready", timeout=RECOVERY_TIMEOUT)
    space.kube.delete(KIND, space.name, name)
