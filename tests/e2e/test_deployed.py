"""The operator as ``deploy/`` installs it: its rights, its walls, how it stops and how it dies."""

import json
import time
from collections.abc import Iterator

import pytest

from hack.testkit import node_control
from hack.testkit.kube_client import Json, KubeClient, run_kubectl
from hack.testkit.namespace import AppNamespace
from hack.testkit.wait import eventually
from tests.e2e.app_client import AppClient
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
def served(in_cluster: tuple[AppNamespace, DeployedOperator]) -> AppNamespace:
    """The namespace that the operator in the cluster serves."""
    return in_cluster[0]


@pytest.fixture
def deployed(in_cluster: tuple[AppNamespace, DeployedOperator]) -> DeployedOperator:
    """The operator in the cluster, with all its replicas ready."""
    found = in_cluster[1]
    eventually(found.is_ready, timeout=90, description="every replica is ready")
    return found


@pytest.fixture
def containers(kube: KubeClient) -> None:
    """The nodes are containers, so that their processes can be hit."""
    node_control.require_container_nodes(kube)


def test_it_runs_where_pods_must_be_restricted(
    deployed: DeployedOperator, kube: KubeClient
) -> None:
    """Its namespace enforces the restricted standard, and its pods were let in."""
    labels = kube.get("Namespace", None, deployed.namespace)["metadata"]["labels"]

    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert len(deployed.list_pods()) == 2


def test_it_cannot_write_to_its_own_file_system(deployed: DeployedOperator) -> None:
    """The root file system is read-only, and the operator lives with that."""
    pod = deployed.list_pods()[0]["metadata"]["name"]

    answer = run_kubectl(
        *("-n", deployed.namespace, "exec", pod, "--"),
        *("python", "-c", "open('/opt/operator/x', 'w')"),
        check=False,
    )

    assert "Read-only file system" in answer


def test_one_replica_leads_and_the_other_waits(deployed: DeployedOperator) -> None:
    """Only the holder of the Lease says that it leads."""
    leader = deployed.find_leader_pod()

    assert leader
    (other,) = {pod["metadata"]["name"] for pod in deployed.list_pods()} - {leader}
    assert "leading as" in run_kubectl("-n", deployed.namespace, "logs", leader)
    assert "leading as" not in run_kubectl("-n", deployed.namespace, "logs", other)


@pytest.mark.usefixtures("containers")
def test_killed_in_the_middle_of_50_applies_it_loses_none(
    served: AppNamespace, deployed: DeployedOperator
) -> None:
    """The leader dies by SIGKILL; the other replica finishes what was begun, nothing twice."""
    leader, holder = deployed.find_leader_pod(), deployed.get_lease_holder()
    created: list[Json] = []
    for number in range(APPLIES):
        # A pod for every tenth: two cores cannot start fifty at once.
        replicas = 1 if number % 10 == 0 else 0
        created.append(
            served.create_app(f"many-{number}", image=DEMO, port=5000, replicas=replicas)
        )
        if number == APPLIES // 2:
            deployed.send_signal(leader, "KILL")

    done = [app["metadata"]["name"] for app in created]
    unfinished = [name for name in done if served.find_child("Deployment", name) is None]
    wait_for_leader(deployed, holder, TAKEOVER_LIMIT)

    assert unfinished, "the leader had finished before it was killed: nothing was tested"
    for name in done:
        served.wait_until_reconciled(name, timeout=60)
        served.wait_for_phase(name, "Ready", timeout=90)
    for app in created:
        name = app["metadata"]["name"]
        owners = served.get_deployment(name)["metadata"]["ownerReferences"]
        assert [owner["uid"] for owner in owners] == [app["metadata"]["uid"]]
        # An Event that had not been sent yet died with the leader; none is sent twice.
        assert served.count_events(name).get("Created", 0) <= 1, served.count_events(name)
    for name in done:
        served.kube.delete("SelfHealingApp", served.name, name)


@pytest.mark.usefixtures("containers")
def test_told_to_stop_it_stops_at_once_and_hands_over(deployed: DeployedOperator) -> None:
    """SIGTERM to the leader: it ends by itself, and the other need not wait its lease out."""
    leader, holder = deployed.find_leader_pod(), deployed.get_lease_holder()

    restarts = count_restarts(deployed, leader)
    seconds = deployed.send_signal(leader, "TERM")
    waited = wait_for_leader(deployed, holder, TAKEOVER_LIMIT)

    assert seconds < STOP_LIMIT
    assert waited < LEASE
    assert describe_termination_after(deployed, leader, restarts)["exitCode"] == 0


@pytest.mark.usefixtures("containers")
def test_told_to_stop_while_it_waits_it_stops_at_once(deployed: DeployedOperator) -> None:
    """SIGTERM to the replica that does not lead: it ends by itself, and nothing changes."""
    holder = deployed.get_lease_holder()
    (other,) = {pod["metadata"]["name"] for pod in deployed.list_pods()} - {
        deployed.find_leader_pod()
    }

    restarts = count_restarts(deployed, other)
    seconds = deployed.send_signal(other, "TERM")

    assert seconds < STOP_LIMIT
    assert describe_termination_after(deployed, other, restarts)["exitCode"] == 0
    assert deployed.get_lease_holder() == holder


def get_container_status(deployed: DeployedOperator, pod: str) -> Json:
    """The status of the operator's container in a pod."""
    (status,) = deployed.get_pod(pod)["status"]["containerStatuses"]
    found: Json = status
    return found


def count_restarts(deployed: DeployedOperator, pod: str) -> int:
    """How often the operator's container in a pod was restarted."""
    count: int = get_container_status(deployed, pod)["restartCount"]
    return count


def describe_termination_after(deployed: DeployedOperator, pod: str, restarts: int) -> Json:
    """How the operator's container in a pod ended after so many restarts."""

    def probe() -> Json:
        status = get_container_status(deployed, pod)
        last: Json = status["lastState"].get("terminated") or {}
        ended: Json = status["state"].get("terminated") or {}
        return last if status["restartCount"] > restarts else ended

    return eventually(probe, timeout=30, description=f"the container of {pod} has ended")


def test_a_pod_is_gone_within_seconds_of_its_deletion(deployed: DeployedOperator) -> None:
    """``kubectl delete pod``, a drain and a rollout wait for this."""
    pod = deployed.find_leader_pod()
    began = time.monotonic()

    deployed.kube.delete("Pod", deployed.namespace, pod)
    eventually(
        lambda: deployed.kube.find("Pod", deployed.namespace, pod) is None,
        timeout=30,
        description="the pod is gone",
    )

    assert time.monotonic() - began < STOP_LIMIT


@pytest.fixture
def drifting(served: AppNamespace) -> Iterator[AppClient]:
    """An app of the demo image that is Ready."""
    lab = AppClient(served, "drifting")
    served.create_app(lab.name, image=DEMO, port=5000, service={"type": "NodePort"})
    lab.wait_until_ready()
    yield lab
    served.kube.delete("SelfHealingApp", served.name, lab.name)


def test_what_somebody_deletes_or_edits_is_put_back(
    drifting: AppClient, served: AppNamespace
) -> None:
    """With the rights that it has in the cluster, real pods run again."""
    before = served.get_deployment(drifting.name)["metadata"]["uid"]

    served.kube.merge_patch(
        "Service", served.name, drifting.name, {"spec": {"selector": {"app": "x"}}}
    )
    served.kube.delete("Deployment", served.name, drifting.name)

    eventually(
        lambda: served.get_deployment(drifting.name)["metadata"]["uid"] != before,
        timeout=30,
        description="there is another Deployment",
    )
    drifting.wait_until_ready()
    selector = served.get_service(drifting.name)["spec"]["selector"]
    assert selector == {"selfhealing.dev/app": drifting.name}
    new = drifting.get_only_pod()["metadata"]["name"]
    eventually(
        lambda: drifting.wait_for_response("/")["hostname"] == new,
        timeout=30,
        description="the new pod answers",
    )


def test_its_rights_sufficed_for_everything(deployed: DeployedOperator) -> None:
    """Nothing in its logs was refused; each line is JSON, with a level."""
    text = deployed.read_log()

    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert lines
    assert {line["level"] for line in lines} <= {"INFO", "WARNING", "ERROR"}
    assert "orbidden" not in text
    assert "Traceback" not in text
