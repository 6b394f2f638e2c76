"""Pods are made anew when a ConfigMap or Secret changes that they read, and only then.

On fake nodes no container reads anything: looked at is what the Deployment asks for.
"""

from base64 import b64encode
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from hack.testkit.errors import ApiError
from hack.testkit.fake_kubelet import FakeKubelet
from hack.testkit.forked_operator import run_forked_operator
from hack.testkit.kube_client import Json, KubeClient, temporary_namespace
from hack.testkit.namespace import FAKE_NODES, UNSCHEDULABLE, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.service_account import create_service_account, list_operator_permissions
from hack.testkit.wait import consistently, eventually
from selfhealing.api.config_refs import ConfigWatch
from selfhealing.kube.resources import LEASES, SERVED_NAMESPACE, namespace_scoped_resources

pytestmark = pytest.mark.usefixtures("operator")

TIMEOUT = 40
UNCHANGED_SECONDS = 4.0
"""Seconds in which a change would have reached a Deployment."""


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """Healing in a twentieth of the time; Secrets are followed, which is not the default."""
    return {"SELFHEALING_HEALING_SCALE": "0.05", "SELFHEALING_CONFIG_WATCH": "all"}


def apply_config_map(
    space: AppNamespace, name: str, labels: Json | None = None, **data: str
) -> None:
    """Let there be a ConfigMap that holds this."""
    meta = {"name": name, "namespace": space.name, "labels": labels or {}}
    space.kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})


def apply_secret(space: AppNamespace, name: str, **data: str) -> None:
    """Let there be a Secret that holds this."""
    meta = {"name": name, "namespace": space.name}
    encoded = {key: b64encode(value.encode()).decode() for key, value in data.items()}
    space.kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": encoded})


def get_pod_template(space: AppNamespace, name: str) -> Json:
    """The pod template of the app's Deployment."""
    found: Json = space.get_deployment(name)["spec"]["template"]
    return found


def get_config_hash(space: AppNamespace, name: str) -> str:
    """The mark of the configuration in the pod template; empty for none."""
    annotations = get_pod_template(space, name)["metadata"].get("annotations") or {}
    config_hash: str = annotations.get("selfhealing.dev/config", "")
    return config_hash


def create_app_with_hash(space: AppNamespace, name: str, **spec: object) -> str:
    """Make an app and wait for its Deployment; its mark."""
    space.create_app(name, **{**UNSCHEDULABLE, **spec})
    space.wait_until_reconciled(name)
    return get_config_hash(space, name)


def wait_for_new_hash(space: AppNamespace, name: str, before: str) -> str:
    """Wait until the mark is another one."""
    eventually(lambda: get_config_hash(space, name) != before, description="the pods are made anew")
    return get_config_hash(space, name)


def require_same_pods(space: AppNamespace, name: str) -> None:
    """The Deployment's pods stay those that they are."""
    known = get_pod_template(space, name)
    consistently(lambda: get_pod_template(space, name) == known, seconds=UNCHANGED_SECONDS)


def test_a_config_map(space: AppNamespace, name: str) -> None:
    """Another value makes the pods anew, another label does not, and the old value goes back."""
    apply_config_map(space, name, mode="fast")
    first = create_app_with_hash(space, name, envFrom=[{"configMapRef": {"name": name}}])
    assert first

    apply_config_map(space, name, {"seen": "yes"}, mode="fast")
    require_same_pods(space, name)
    apply_config_map(space, name, mode="slow")
    second = wait_for_new_hash(space, name, first)
    apply_config_map(space, name, mode="fast")

    assert second != first == wait_for_new_hash(space, name, second)
    eventually(
        lambda: space.count_events(name)["Updated"] >= 2, description="both Events are written"
    )


def fill_name(part: object, name: str) -> object:
    """A copy in which every "?" is the name."""
    if isinstance(part, dict):
        return {key: fill_name(value, name) for key, value in part.items()}
    if isinstance(part, list):
        return [fill_name(each, name) for each in part]
    return name if part == "?" else part


@pytest.mark.parametrize(
    "reads",
    [
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "?", "key": "word"}}}]},
        {"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "?"}}]}}]},
    ],
    ids=["env", "projected"],
)
def test_a_secret(space: AppNamespace, name: str, reads: Json) -> None:
    """Wherever the pods read it; what it holds is seen nowhere."""
    apply_secret(space, name, word="before")
    first = create_app_with_hash(
        space, name, **{field: fill_name(part, name) for field, part in reads.items()}
    )
    assert first

    apply_secret(space, name, word="after")

    wait_for_new_hash(space, name, first)
    assert "after" not in str(space.get_deployment(name))


def test_what_is_not_read(space: AppNamespace, name: str) -> None:
    """Of another ConfigMap nothing follows, and who reads nothing has no mark."""
    apply_config_map(space, name, mode="fast")

    assert not create_app_with_hash(space, name)

    apply_config_map(space, name, mode="slow")
    require_same_pods(space, name)


def test_not_wanted(space: AppNamespace, name: str) -> None:
    """False: no mark, and no new pods."""
    apply_config_map(space, name, mode="fast")
    reads = {"envFrom": [{"configMapRef": {"name": name}}]}

    assert not create_app_with_hash(space, name, restartOnConfigChange=False, **reads)

    apply_config_map(space, name, mode="slow")
    require_same_pods(space, name)
    space.patch_spec(name, restartOnConfigChange=None)
    wait_for_new_hash(space, name, "")
    space.patch_spec(name, restartOnConfigChange=False)
    eventually(lambda: not get_config_hash(space, name), description="the mark is taken away")


def test_a_job_does_not_run_again(space: AppNamespace, name: str) -> None:
    """Its configuration is that of the time when it began."""
    apply_config_map(space, name, mode="fast")
    reads = {"envFrom": [{"configMapRef": {"name": name}}]}
    space.create_app(name, restartPolicy="Never", **UNSCHEDULABLE, **reads)
    space.wait_until_reconciled(name)
    uid = space.get_child("Job", name)["metadata"]["uid"]

    apply_config_map(space, name, mode="slow")

    consistently(
        lambda: space.get_child("Job", name)["metadata"]["uid"] == uid, seconds=UNCHANGED_SECONDS
    )


def test_one_that_may_be_missing(space: AppNamespace, name: str) -> None:
    """It comes, and the pods that began without it are made anew; it goes, and they are again."""
    reads = {"envFrom": [{"configMapRef": {"name": name, "optional": True}}]}
    first = create_app_with_hash(space, name, **reads)
    assert first

    apply_config_map(space, name, mode="fast")
    second = wait_for_new_hash(space, name, first)
    space.kube.delete("ConfigMap", space.name, name)

    assert first == wait_for_new_hash(space, name, second)


def test_one_that_must_be_there(space: AppNamespace, name: str) -> None:
    """While it is away no pod is touched: a new one could not start."""
    apply_config_map(space, name, mode="fast")
    first = create_app_with_hash(space, name, envFrom=[{"configMapRef": {"name": name}}])

    space.kube.delete("ConfigMap", space.name, name)
    require_same_pods(space, name)
    space.patch_spec(name, env=[{"name": "A", "value": "b"}])  # everything else is followed
    eventually(lambda: "env" in space.get_container(name), description="the spec is followed")
    assert first == get_config_hash(space, name)

    apply_config_map(space, name, mode="slow")
    wait_for_new_hash(space, name, first)


def test_a_new_start_writes_nothing(
    space: AppNamespace, operator: OperatorProcess, name: str
) -> None:
    """What it did not see while it was away, it sees then; what it knew before is no news."""
    apply_config_map(space, name, mode="fast")
    apply_secret(space, name, word="before")
    sources = [{"configMapRef": {"name": name}}, {"secretRef": {"name": name}}]
    first = create_app_with_hash(space, name, envFrom=sources)
    known = space.get_deployment(name)["metadata"]["generation"]

    with operator.stop_temporarily():
        pass
    space.patch_spec(name, service={"enabled": False})  # the answer shows that it works
    space.wait_until_reconciled(name)
    assert known == space.get_deployment(name)["metadata"]["generation"]
    assert not [what for what in operator.count_writes() if what.endswith("Deployment")]

    with operator.stop_temporarily():
        apply_secret(space, name, word="after")
    wait_for_new_hash(space, name, first)


def test_a_bad_configuration_is_rolled_back(
    space: AppNamespace, kubelet: FakeKubelet, name: str
) -> None:
    """The values come back, from a copy; a better configuration is tried."""
    apply_config_map(space, name, mode="fast")
    healing = {"cooldown": "20s", "rollback": {"probation": "40s"}}
    reads = {"envFrom": [{"configMapRef": {"name": name}}]}
    # On fake nodes a pod is ready at once, before it can crash: the old ones are to wait for more.
    rollout = {"minReadySeconds": 5, "progressDeadlineSeconds": 60}
    # On a node of its own, the new pod would be moved to another one before the version is blamed.
    one_node = {"nodeSelector": {"kubernetes.io/hostname": "kwok-node-0"}}
    space.create_app(
        name, replicas=1, healing=healing, rollout=rollout, **(FAKE_NODES | one_node), **reads
    )
    space.wait_for_phase(name, "Ready")
    eventually(
        lambda: (
            (found := space.get_status(name)["healing"])["desiredRevision"]
            == found.get("stableRevision")
        ),
        timeout=TIMEOUT,
        description="the version has proved itself",
    )
    first = get_config_hash(space, name)
    crash = partial(crash_pods, space, kubelet, name, first)

    apply_config_map(space, name, mode="broken")

    def rolled_back() -> bool:
        crash()
        history = space.get_status(name)["healing"].get("history", ())
        assert [("Rollback", "Succeeded")] == [(a["remediation"], a["outcome"]) for a in history]
        return True

    eventually(rolled_back, timeout=TIMEOUT, description="it is rolled back")
    assert first == get_config_hash(space, name)
    copy = get_read_config_map(space, name)
    assert {"mode": "fast"} == space.kube.get("ConfigMap", space.name, copy)["data"]
    for pod in space.list_pods(name):
        if "deletionTimestamp" not in pod["metadata"]:
            assert copy == pod["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"]
    assert "Degraded" == space.get_status(name)["phase"]

    apply_config_map(space, name, mode="better")
    wait_for_new_hash(space, name, first)
    space.wait_for_phase(name, "Ready", timeout=TIMEOUT)
    assert name == get_read_config_map(space, name)


def get_read_config_map(space: AppNamespace, name: str) -> str:
    """The ConfigMap that the pods of the Deployment read."""
    read: str = space.get_container(name)["envFrom"][0]["configMapRef"]["name"]
    return read


def crash_pods(space: AppNamespace, kubelet: FakeKubelet, name: str, good_hash: str) -> None:
    """Let every pod crash that reads another configuration than the ``good`` one."""
    for pod in space.list_pods(name):
        annotations = pod["metadata"].get("annotations") or {}
        entries = pod.get("status", {}).get("containerStatuses")
        is_good = annotations.get("selfhealing.dev/config") == good_hash
        if not is_good and entries and "waiting" not in entries[0]["state"]:
            with suppress(ApiError):  # it may be gone meanwhile
                kubelet.report_restart(
                    pod["metadata"]["name"], "Error", 3, times=3, uptime=timedelta(seconds=5)
                )
                kubelet.report_back_off(pod["metadata"]["name"])


@pytest.mark.parametrize("watch", ["all", "configmaps", "off"])
def test_the_rights_of_the_setting(kube: KubeClient, tmp_path: Path, watch: ConfigWatch) -> None:
    """With exactly the rights of the setting: what may not be read is not followed."""
    with temporary_namespace(kube, "test-no-secrets") as where:
        space = AppNamespace(kube, where)
        apply_config_map(space, "settings", mode="fast")
        apply_secret(space, "password", word="before")
        allowed = list_operator_permissions(
            (*namespace_scoped_resources(watch), SERVED_NAMESPACE, LEASES)
        )
        config = create_service_account(kube, where, "operator", allowed, tmp_path)
        chosen = {"SELFHEALING_CONFIG_WATCH": watch}
        with run_forked_operator(
            [where], tmp_path / "log", kubeconfig=config, settings=chosen
        ) as operator:
            sources = [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "password"}}]
            first = create_app_with_hash(space, "app", envFrom=sources)
            apply_secret(space, "password", word="after")
            if watch == "all":
                first = wait_for_new_hash(space, "app", first)
            else:
                require_same_pods(space, "app")
            apply_config_map(space, "settings", mode="slow")
            if watch == "off":
                require_same_pods(space, "app")
                assert not first
            else:
                wait_for_new_hash(space, "app", first)

            assert "forbidden" not in operator.read_log().lower()
