"""The operator as ``deploy/`` installs it: its rights, its walls, how it stops and how it dies."""

import json
import time
from collections.abc import Iterator

import pytest

from hack.testkit import node_control
from hack.testkit.kube_client import Json, Kube, kubectl
from hack.testkit.namespace import Space
from hack.testkit.wait import eventually
from tests.e2e.app_client import LabApp
from tests.e2e.deployed_operator import DeployedOperator, wait_for_leader

DEMO = "localhost/selfhealing-demo:dev"
GRACE = 30
"""Seconds after which the kubelet would kill it: what a deaf process costs."""

STOP_LIMIT = GRACE / 2
"""Seconds, where the machine is starved; it takes well under 2 elsewhere."""

LEASE = 15
"""Seconds that a leader which says nothing is waited for."""

TAKEOVER_LIMIT = LEASE + 15
APPLIES = 50


@pytest.fixture
def served(in_cluster: tuple[Space, DeployedOperator]) -> Space:
    """The namespace that the operator in the cluster serves."""
    return in_cluster[0]


@pytest.fixture
def deployed(in_cluster: tuple[Space, DeployedOperator]) -> DeployedOperator:
    """The operator in the cluster, with all its replicas ready."""
    found = in_cluster[1]
    eventually(found.ready, timeout=90, says="every replica is ready")
    return found


@pytest.fixture
def containers(kube: Kube) -> None:
    """The nodes are containers, so that their processes can be hit."""
    node_control.need_containers(kube)


def test_it_runs_where_pods_must_be_restricted(deployed: DeployedOperator, kube: Kube) -> None:
    """Its namespace enforces the restricted standard, and its pods were let in."""
    labels = kube.get("Namespace", None, deployed.namespace)["metadata"]["labels"]

    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert len(deployed.pods()) == 2


def test_it_cannot_write_to_its_own_file_system(deployed: DeployedOperator) -> None:
    """The root file system is read-only, and the operator lives with that."""
    pod = deployed.pods()[0]["metadata"]["name"]

    answer = kubectl(
        *("-n", deployed.namespace, "exec", pod, "--"),
        *("python", "-c", "open('/opt/operator/x', 'w')"),
        check=False,
    )

    assert "Read-only file system" in answer


def test_one_replica_leads_and_the_other_waits(deployed: DeployedOperator) -> None:
    """Only the holder of the Lease says that it leads."""
    leader = deployed.leader()

    assert leader
    (other,) = {pod["metadata"]["name"] for pod in deployed.pods()} - {leader}
    assert "leading as" in kubectl("-n", deployed.namespace, "logs", leader)
    assert "leading as" not in kubectl("-n", deployed.namespace, "logs", other)


@pytest.mark.usefixtures("containers")
def test_killed_in_the_middle_of_50_applies_it_loses_none(
    served: Space, deployed: DeployedOperator
) -> None:
    """The leader dies by SIGKILL; the other replica finishes what was begun, nothing twice."""
    leader, holder = deployed.leader(), deployed.holder()
    created: list[Json] = []
    for number in range(APPLIES):
        # A pod for every tenth: two cores cannot start fifty at once.
        replicas = 1 if number % 10 == 0 else 0
        created.append(served.create(f"many-{number}", image=DEMO, port=5000, replicas=replicas))
        if number == APPLIES // 2:
            deployed.send(leader, "KILL")

    done = [app["metadata"]["name"] for app in created]
    unfinished = [name for name in done if served.find("Deployment", name) is None]
    wait_for_leader(deployed, holder, TAKEOVER_LIMIT)

    assert unfinished, "the leader had finished before it was killed: nothing was tested"
    for name in done:
        served.reconciled(name, timeout=60)
        served.is_(name, "Ready", timeout=90)
    for app in created:
        name = app["metadata"]["name"]
        owners = served.deployment(name)["metadata"]["ownerReferences"]
        assert [owner["uid"] for owner in owners] == [app["metadata"]["uid"]]
        # An Event that had not been sent yet died with the leader; none is sent twice.
        assert served.told(name).get("Created", 0) <= 1, served.told(name)
    for name in done:
        served.kube.delete("SelfHealingApp", served.name, name)


@pytest.mark.usefixtures("containers")
def test_told_to_stop_it_stops_at_once_and_hands_over(deployed: DeployedOperator) -> None:
    """SIGTERM to the leader: it ends by itself, and the other need not wait its lease out."""
    leader, holder = deployed.leader(), deployed.holder()

    seconds = deployed.send(leader, "TERM")
    waited = wait_for_leader(deployed, holder, TAKEOVER_LIMIT)

    assert seconds < STOP_LIMIT
    assert waited < LEASE
    assert _ended(deployed, leader)["exitCode"] == 0


@pytest.mark.usefixtures("containers")
def test_told_to_stop_while_it_waits_it_stops_at_once(deployed: DeployedOperator) -> None:
    """SIGTERM to the replica that does not lead: it ends by itself, and nothing changes."""
    holder = deployed.holder()
    (other,) = {pod["metadata"]["name"] for pod in deployed.pods()} - {deployed.leader()}

    seconds = deployed.send(other, "TERM")

    assert seconds < STOP_LIMIT
    assert _ended(deployed, other)["exitCode"] == 0
    assert deployed.holder() == holder


def _ended(deployed: DeployedOperator, pod: str) -> Json:
    """How the operator's container in a pod ended last."""

    def probe() -> Json:
        (status,) = deployed.pod(pod)["status"]["containerStatuses"]
        ended: Json = status["lastState"].get("terminated") or status["state"].get("terminated")
        return ended

    return eventually(probe, timeout=30, says=f"the container of {pod} has ended")


def test_a_pod_is_gone_within_seconds_of_its_deletion(deployed: DeployedOperator) -> None:
    """``kubectl delete pod``, a drain and a rollout wait for this."""
    pod = deployed.leader()
    began = time.monotonic()

    deployed.kube.delete("Pod", deployed.namespace, pod)
    eventually(
        lambda: deployed.kube.find("Pod", deployed.namespace, pod) is None,
        timeout=30,
        says="the pod is gone",
    )

    assert time.monotonic() - began < STOP_LIMIT


@pytest.fixture
def drifting(served: Space) -> Iterator[LabApp]:
    """An app of the demo image that is Ready."""
    lab = LabApp(served, "drifting")
    served.create(lab.name, image=DEMO, port=5000, service={"type": "NodePort"})
    lab.ready()
    yield lab
    served.kube.delete("SelfHealingApp", served.name, lab.name)


def test_what_somebody_deletes_or_edits_is_put_back(drifting: LabApp, served: Space) -> None:
    """With the rights that it has in the cluster, real pods run again."""
    before = served.deployment(drifting.name)["metadata"]["uid"]

    served.kube.merge("Service", served.name, drifting.name, {"spec": {"selector": {"app": "x"}}})
    served.kube.delete("Deployment", served.name, drifting.name)

    eventually(
        lambda: served.deployment(drifting.name)["metadata"]["uid"] != before,
        timeout=30,
        says="there is another Deployment",
    )
    drifting.ready()
    selector = served.service(drifting.name)["spec"]["selector"]
    assert selector == {"selfhealing.dev/app": drifting.name}
    new = drifting.pod()["metadata"]["name"]
    eventually(
        lambda: drifting.answers("/")["hostname"] == new, timeout=30, says="the new pod answers"
    )


def test_its_rights_sufficed_for_everything(deployed: DeployedOperator) -> None:
    """Nothing in its logs was refused; each line is JSON, with a level."""
    text = deployed.text()

    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert lines
    assert {line["level"] for line in lines} <= {"INFO", "WARNING", "ERROR"}
    assert "orbidden" not in text
    assert "Traceback" not in text
