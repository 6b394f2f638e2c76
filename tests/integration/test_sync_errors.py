"""What only the cluster knows becomes a condition with a reason, and an Event (api.md)."""

from pathlib import Path

import pytest

from hack.testkit.kube_client import Json, Kube, namespace_for
from hack.testkit.namespace import FAKE_NODES, NOWHERE, Space
from hack.testkit.operator_process import running
from hack.testkit.service_account import grant, identity, rights
from hack.testkit.wait import eventually

pytestmark = pytest.mark.usefixtures("fake_nodes")

RECOVERY = 30
"""A refusal is tried again after half a second, then ever later."""


def says(space: Space, name: str, kind: str, reason: str) -> Json:
    """Wait until a condition is False for a reason."""

    def probe() -> Json:
        found = space.condition(name, kind)
        assert (found.get("status"), found.get("reason")) == ("False", reason), found
        return found

    return eventually(probe, says=f"{kind} is False: {reason}")


@pytest.mark.usefixtures("operator")
def test_quota_for_a_child(space: Space, name: str) -> None:
    """A child that a quota forbids: the reason, the server's words, an Event, and recovery."""
    space.limit(name, count__services="0")
    space.create(name, port=80, **FAKE_NODES)

    found = says(space, name, "Reconciled", "QuotaExceeded")

    assert "exceeded quota" in found["message"]
    assert "Service" in found["message"]
    assert space.find("Deployment", name) is not None
    space.is_(name, "Degraded")
    assert eventually(lambda: space.told(name).get("QuotaExceeded")) == 1
    space.kube.delete("ResourceQuota", space.name, name)
    space.reconciled(name, RECOVERY)
    space.is_(name, "Ready")


@pytest.mark.usefixtures("operator")
def test_quota_for_pods(space: Space, name: str) -> None:
    """Pods that a quota forbids: the app is Degraded and says which quota."""
    space.limit(name, pods="1")
    space.create(name, replicas=2, **FAKE_NODES)

    app = space.is_(name, "Degraded")

    assert "exceeded quota" in app["status"]["message"]
    assert app["status"]["ready"] == "1/2"
    assert space.condition(name, "Ready")["reason"] == "FailedCreate"
    assert space.condition(name, "Reconciled")["status"] == "True"
    assert eventually(lambda: space.told(name).get("Degraded")) == 1
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
def test_pods_that_admission_refuses(space: Space, name: str, spec: Json, words: str) -> None:
    """A service account or a priority class that is not there is named."""
    space.create(name, **spec, **FAKE_NODES)

    app = space.is_(name, "Degraded")

    assert words in app["status"]["message"]
    assert app["status"]["ready"] == "0/1"


@pytest.mark.usefixtures("operator")
def test_child_that_the_server_finds_invalid(space: Space, name: str) -> None:
    """What the API server itself refuses makes the app Invalid, in the server's words."""
    service = {"type": "NodePort"}
    space.create(f"{name[:50]}-first", port=80, service=service, **FAKE_NODES)
    space.reconciled(f"{name[:50]}-first")
    taken = space.service(f"{name[:50]}-first")["spec"]["ports"][0]["nodePort"]

    space.create(name, port=80, service=service | {"nodePort": taken}, **FAKE_NODES)
    found = says(space, name, "Reconciled", "InvalidSpec")

    assert "provided port is already allocated" in found["message"]
    assert str(taken) in found["message"]
    app = space.is_(name, "Invalid")
    assert "provided port is already allocated" in app["status"]["message"]
    assert eventually(lambda: space.told(name).get("InvalidSpec")) == 1
    assert space.find("Deployment", name) is not None
    space.edit(name, service={"nodePort": None})
    space.reconciled(name)
    space.is_(name, "Ready")
    space.kube.delete("SelfHealingApp", space.name, f"{name[:50]}-first")


@pytest.mark.usefixtures("operator")
def test_invalid_change_of_a_running_app(space: Space, name: str) -> None:
    """A change that the server refuses leaves what runs alone, and says so."""
    space.create(name, port=80, service={"type": "NodePort"}, **FAKE_NODES)
    space.is_(name, "Ready")
    other = f"{name[:50]}-other"
    space.create(other, port=80, service={"type": "NodePort"}, **NOWHERE)
    space.reconciled(other)
    taken = space.service(other)["spec"]["ports"][0]["nodePort"]

    space.edit(name, service={"nodePort": taken})

    app = space.is_(name, "Invalid")
    assert app["status"]["ready"] == "1/1"
    assert app["status"]["observedGeneration"] == 2
    assert len(space.pods(name)) == 1
    space.kube.delete("SelfHealingApp", space.name, other)


def test_rights_that_the_operator_says_it_needs(kube: Kube, tmp_path: Path) -> None:
    """With exactly those rights, in its namespace only, it makes, corrects and tells."""
    with namespace_for(kube, "test-rights") as where:
        space = Space(kube, where)
        config = identity(kube, where, "operator", rights(), tmp_path)
        leader = {"SELFHEALING_LEADER_ELECTION": "on", "SELFHEALING_LEASE_NAMESPACE": where}
        with running([where], tmp_path / "log", kubeconfig=config, settings=leader) as operator:
            space.create("app", port=80, autoscaling={"maxReplicas": 2}, **FAKE_NODES)
            space.is_("app", "Ready")
            space.edit("app", port=None, autoscaling=None)
            space.reconciled("app")
            kube.merge("Deployment", where, "app", {"spec": {"replicas": 3}})
            eventually(lambda: space.told("app").get("DriftCorrected"))
            eventually(lambda: {"Created", "Ready", "Deleted"} <= space.told("app").keys())

            assert "forbidden" not in operator.text().lower()


def test_forbidden(kube: Kube, tmp_path: Path) -> None:
    """A right that is missing is named in the condition; once it is given the app comes right."""
    missing = ("create", "services", "")
    with namespace_for(kube, "test-forbidden") as where:
        space = Space(kube, where)
        allowed = [right for right in rights() if right != missing]
        config = identity(kube, where, "operator", allowed, tmp_path)
        with running([where], tmp_path / "log", kubeconfig=config):
            space.create("app", port=80, **FAKE_NODES)

            found = says(space, "app", "Reconciled", "Forbidden")

            assert 'cannot create resource "services"' in found["message"]
            assert eventually(lambda: space.told("app").get("Forbidden")) == 1
            grant(kube, where, "operator", rights())
            space.reconciled("app", RECOVERY)
            space.is_("app", "Ready")


def test_operator_that_may_not_watch_ends(kube: Kube, tmp_path: Path) -> None:
    """An operator that would be blind ends with an error that names what it may not see."""
    with namespace_for(kube, "test-blind") as where:
        allowed = [right for right in rights() if right[1] != "pods"]
        config = identity(kube, where, "operator", allowed, tmp_path)
        with running([where], tmp_path / "log", kubeconfig=config, ready=False) as operator:
            eventually(lambda: not operator.alive(), timeout=60, says="it has ended")

            assert operator.stop() == 1
            assert "pods is forbidden" in operator.text()
