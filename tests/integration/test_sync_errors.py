"""What only the cluster knows becomes a condition with a reason, and an Event (api.md)."""

from pathlib import Path

import pytest

from hack.testkit.forked_operator import run_forked_operator
from hack.testkit.kube_client import Json, KubeClient, temporary_namespace
from hack.testkit.namespace import FAKE_NODES, UNSCHEDULABLE, AppNamespace
from hack.testkit.service_account import (
    create_service_account,
    list_operator_permissions,
    set_permissions,
)
from hack.testkit.wait import consistently, eventually

pytestmark = pytest.mark.usefixtures("fake_nodes")

RECOVERY_TIMEOUT = 30
"""A refusal is tried again after half a second, then ever later."""


def wait_for_false_condition(space: AppNamespace, name: str, kind: str, reason: str) -> Json:
    """Wait until a condition is False for a reason."""

    def probe() -> Json:
        found = space.get_condition(name, kind)
        assert (found.get("status"), found.get("reason")) == ("False", reason), found
        return found

    return eventually(probe, description=f"{kind} is False: {reason}")


@pytest.mark.usefixtures("operator")
def test_quota_for_a_child(space: AppNamespace, name: str) -> None:
    """A child that a quota forbids: the reason, the server's words, an Event, and recovery."""
    space.create_quota(name, count__services="0")
    space.create_app(name, port=80, **FAKE_NODES)

    found = wait_for_false_condition(space, name, "Reconciled", "QuotaExceeded")

    assert "exceeded quota" in found["message"]
    assert "Service" in found["message"]
    assert space.find_child("Deployment", name) is not None
    space.wait_for_phase(name, "Degraded")
    assert eventually(lambda: space.count_events(name).get("QuotaExceeded")) == 1
    space.kube.delete("ResourceQuota", space.name, name)
    space.wait_until_reconciled(name, RECOVERY_TIMEOUT)
    space.wait_for_phase(name, "Ready")


@pytest.mark.usefixtures("operator")
def test_quota_for_pods(space: AppNamespace, name: str) -> None:
    """Pods that a quota forbids: the app is Degraded and says which quota."""
    space.create_quota(name, pods="1")
    space.create_app(name, replicas=2, **FAKE_NODES)

    app = space.wait_for_phase(name, "Degraded")

    assert "exceeded quota" in app["status"]["message"]
    assert app["status"]["ready"] == "1/2"
    assert space.get_condition(name, "Ready")["reason"] == "FailedCreate"
    assert space.get_condition(name, "Reconciled")["status"] == "True"
    assert eventually(lambda: space.count_events(name).get("Degraded")) == 1
    space.kube.delete("ResourceQuota", space.name, name)


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"serviceAccountName": "nobody"}, "nobody"),
        ({"priorityClassName": "no-such-class"}, "no-such-class"),
    ],
    ids=["service-account", "priority-class"],
)
def test_pods_that_admission_refuses(
    space: AppNamespace, name: str, spec: Json, words: str
) -> None:
    """A service account or a priority class that is not there is named."""
    space.create_app(name, **spec, **FAKE_NODES)

    app = space.wait_for_phase(name, "Degraded")

    assert words in app["status"]["message"]
    assert app["status"]["ready"] == "0/1"


@pytest.mark.usefixtures("operator")
def test_child_that_the_server_finds_invalid(space: AppNamespace, name: str) -> None:
    """What the API server itself refuses makes the app Invalid, in the server's words."""
    service = {"type": "NodePort"}
    space.create_app(f"{name[:50]}-first", port=80, service=service, **FAKE_NODES)
    space.wait_until_reconciled(f"{name[:50]}-first")
    taken = space.get_service(f"{name[:50]}-first")["spec"]["ports"][0]["nodePort"]

    space.create_app(name, port=80, service=service | {"nodePort": taken}, **FAKE_NODES)
    found = wait_for_false_condition(space, name, "Reconciled", "InvalidSpec")

    assert "provided port is already allocated" in found["message"]
    assert str(taken) in found["message"]
    app = space.wait_for_phase(name, "Invalid")
    assert "provided port is already allocated" in app["status"]["message"]
    assert eventually(lambda: space.count_events(name).get("InvalidSpec")) == 1
    assert space.find_child("Deployment", name) is not None
    space.patch_spec(name, service={"nodePort": None})
    space.wait_until_reconciled(name)
    space.wait_for_phase(name, "Ready")
    space.kube.delete("SelfHealingApp", space.name, f"{name[:50]}-first")


@pytest.mark.usefixtures("operator")
def test_invalid_change_of_a_running_app(space: AppNamespace, name: str) -> None:
    """A change that the server refuses leaves what runs alone, and says so."""
    space.create_app(name, port=80, service={"type": "NodePort"}, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")
    other = f"{name[:50]}-other"
    space.create_app(other, port=80, service={"type": "NodePort"}, **UNSCHEDULABLE)
    space.wait_until_reconciled(other)
    taken = space.get_service(other)["spec"]["ports"][0]["nodePort"]

    space.patch_spec(name, service={"nodePort": taken})

    app = space.wait_for_phase(name, "Invalid")
    assert app["status"]["ready"] == "1/1"
    assert app["status"]["observedGeneration"] == 2
    assert len(space.list_pods(name)) == 1
    space.kube.delete("SelfHealingApp", space.name, other)


def test_rights_that_the_operator_says_it_needs(kube: KubeClient, tmp_path: Path) -> None:
    """With exactly those rights, in its namespace only, it makes, corrects and tells."""
    with temporary_namespace(kube, "test-rights") as where:
        space = AppNamespace(kube, where)
        config = create_service_account(
            kube, where, "operator", list_operator_permissions(), tmp_path
        )
        leader = {"SELFHEALING_LEADER_ELECTION": "on", "SELFHEALING_LEASE_NAMESPACE": where}
        with run_forked_operator(
            [where], tmp_path / "log", kubeconfig=config, settings=leader
        ) as operator:
            space.create_app("app", port=80, autoscaling={"maxReplicas": 2}, **FAKE_NODES)
            space.wait_for_phase("app", "Ready")
            space.patch_spec("app", port=None, autoscaling=None)
            space.wait_until_reconciled("app")
            kube.merge_patch("Deployment", where, "app", {"spec": {"replicas": 3}})
            eventually(lambda: space.count_events("app").get("DriftCorrected"))
            eventually(lambda: {"Created", "Ready", "Deleted"} <= space.count_events("app").keys())

            assert "forbidden" not in operator.read_log().lower()


def test_forbidden(kube: KubeClient, tmp_path: Path) -> None:
    """A right that is missing is named in the condition; once it is given the app comes right."""
    missing = ("create", "services", "")
    with temporary_namespace(kube, "test-forbidden") as where:
        space = AppNamespace(kube, where)
        allowed = [right for right in list_operator_permissions() if right != missing]
        config = create_service_account(kube, where, "operator", allowed, tmp_path)
        with run_forked_operator([where], tmp_path / "log", kubeconfig=config):
            space.create_app("app", port=80, **FAKE_NODES)

            found = wait_for_false_condition(space, "app", "Reconciled", "Forbidden")

            assert 'cannot create resource "services"' in found["message"]
            assert eventually(lambda: space.count_events("app").get("Forbidden")) == 1
            set_permissions(kube, where, "operator", list_operator_permissions())
            space.wait_until_reconciled("app", RECOVERY_TIMEOUT)
            space.wait_for_phase("app", "Ready")


def test_operator_that_may_not_watch_pods_says_so(kube: KubeClient, tmp_path: Path) -> None:
    """An operator that would be blind in a namespace leaves it alone, and names what it lacks."""
    with temporary_namespace(kube, "test-blind") as where:
        allowed = [right for right in list_operator_permissions() if right[1] != "pods"]
        config = create_service_account(kube, where, "operator", allowed, tmp_path)
        space = AppNamespace(kube, where)
        with run_forked_operator([where], tmp_path / "log", kubeconfig=config) as operator:
            space.create_app("app", **FAKE_NODES)

            eventually(
                lambda: f"the namespace {where} refuses the operator" in operator.read_log(),
                timeout=60,
                description="it is told",
            )
            assert "pods is forbidden" in operator.read_log()
            consistently(lambda: space.find_child("Deployment", "app") is None, seconds=1)
            assert operator.is_running()
