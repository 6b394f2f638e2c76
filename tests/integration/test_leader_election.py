"""Two operators, one leader: the other takes over when the first is killed, or stops."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from hack.testkit.fault_proxy import run_fault_proxy
from hack.testkit.forked_operator import run_forked_operator
from hack.testkit.kube_client import Json, KubeClient, temporary_namespace
from hack.testkit.namespace import FAKE_NODES, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import consistently, eventually

pytestmark = pytest.mark.usefixtures("fake_nodes")

DURATION, RENEW = 4, 0.5
LEASE = "selfhealing-operator"
MARGIN = 3
"""For a busy machine."""

Pair = tuple[OperatorProcess, OperatorProcess]


def settings(namespace: str) -> dict[str, str]:
    """The settings of an operator that takes part in the namespace's election."""
    return {
        "SELFHEALING_LEADER_ELECTION": "on",
        "SELFHEALING_LEASE_NAMESPACE": namespace,
        "SELFHEALING_LEASE_DURATION": str(DURATION),
        "SELFHEALING_LEASE_RENEW": str(RENEW),
    }


@pytest.fixture
def own(kube: KubeClient) -> Iterator[AppNamespace]:
    """A namespace of the test's own."""
    with temporary_namespace(kube, "test-election") as name:
        yield AppNamespace(kube, name)


@pytest.fixture(scope="module")
def both(space: AppNamespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two operators of the module's namespace."""
    where, ours = [space.name], settings(space.name)
    folder = tmp_path_factory.mktemp("operators")
    with (
        run_forked_operator(where, folder / "one.log", settings=ours) as one,
        run_forked_operator(where, folder / "two.log", settings=ours) as two,
    ):
        yield one, two


@pytest.fixture
def pair(both: Pair) -> Pair:
    """The one that leads, and the one that waits behind it."""
    for operator in both:
        if not operator.is_running():
            operator.start()
    eventually(
        lambda: any(is_leader(operator) for operator in both), description="one of them leads"
    )
    one, two = both
    return (one, two) if is_leader(one) else (two, one)


def is_leader(operator: OperatorProcess) -> bool:
    """Whether an operator says that it leads."""
    try:
        return operator.is_running() and operator.read_metric("selfhealing_leader") == 1
    except requests.ConnectionError:  # it is ending
        return False


def get_lease(space: AppNamespace) -> Json:
    """What the Lease says."""
    spec: Json = space.kube.get("Lease", space.name, LEASE)["spec"]
    return spec


def parse_holder_pid(spec: Json) -> str:
    """The process that holds a Lease, which its identity names."""
    return str(spec["holderIdentity"]).split("_")[-2]


def test_one_acts(space: AppNamespace, pair: Pair, name: str) -> None:
    """The leader writes everything; the other knows as much and writes nothing."""
    leader, other = pair
    before = leader.count_writes().get("patch Deployment", 0)
    space.create_app(name, port=80, **FAKE_NODES)

    space.wait_for_phase(name, "Ready")

    assert leader.process is not None
    assert parse_holder_pid(get_lease(space)) == str(leader.process.pid)
    assert get_lease(space)["leaseDurationSeconds"] == DURATION
    assert not is_leader(other)
    assert {kind for kind in other.count_writes() if not kind.endswith("Lease")} == set()
    assert leader.count_writes()["patch Deployment"] == before + 1


def test_killed_leader(space: AppNamespace, pair: Pair, name: str) -> None:
    """After the leader is killed the other leads within the lease's time, and not before."""
    leader, other = pair
    space.create_app(name, port=80, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")
    transitions = get_lease(space)["leaseTransitions"]

    leader.kill()
    killed = time.monotonic()
    space.kube.merge_patch("Deployment", space.name, name, {"spec": {"replicas": 3}})
    consistently(
        lambda: not is_leader(other), seconds=DURATION / 2, description="the lease is respected"
    )
    eventually(lambda: is_leader(other), timeout=DURATION + 2 * RENEW + MARGIN)

    assert time.monotonic() - killed <= DURATION + 2 * RENEW + MARGIN
    eventually(lambda: space.get_deployment(name)["spec"]["replicas"] == 1)
    assert other.process is not None
    assert parse_holder_pid(get_lease(space)) == str(other.process.pid)
    assert get_lease(space)["leaseTransitions"] == transitions + 1


def test_stopped_leader(space: AppNamespace, pair: Pair, name: str) -> None:
    """A leader that is asked to stop gives the lease back, so the other leads at once."""
    leader, other = pair

    assert leader.stop() == 0
    eventually(lambda: is_leader(other), timeout=RENEW + MARGIN / 2, description="at once")

    space.create_app(name, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")


def test_stopped_follower(space: AppNamespace, pair: Pair) -> None:
    """A follower that stops takes nothing from the leader."""
    leader, other = pair
    before = get_lease(space)

    assert other.stop() == 0

    consistently(lambda: is_leader(leader), seconds=2 * RENEW)
    assert get_lease(space)["holderIdentity"] == before["holderIdentity"]


def test_leader_that_is_cut_off(own: AppNamespace, tmp_path: Path) -> None:
    """A leader that cannot renew ends by itself before the other one begins."""
    where, ours = [own.name], settings(own.name)
    with (
        run_fault_proxy(tmp_path) as proxy,
        run_forked_operator(
            where, tmp_path / "first.log", settings=ours, kubeconfig=proxy.kubeconfig
        ) as first,
        run_forked_operator(where, tmp_path / "second.log", settings=ours) as second,
    ):
        assert eventually(lambda: is_leader(first))
        own.create_app("app", **FAKE_NODES)
        own.wait_for_phase("app", "Ready")

        proxy.disconnect()
        eventually(lambda: not is_leader(first) or is_leader(second), timeout=DURATION + MARGIN)

        assert not is_leader(first), "two lead at the same time"
        eventually(lambda: is_leader(second), timeout=DURATION + MARGIN)
        eventually(lambda: not first.is_running(), timeout=15, description="it has ended")
        assert first.stop() == 1
        own.kube.merge_patch("Deployment", own.name, "app", {"spec": {"replicas": 3}})
        eventually(lambda: own.get_deployment("app")["spec"]["replicas"] == 1)


def test_lease_of_somebody_else(own: AppNamespace, tmp_path: Path) -> None:
    """A lease that another process took by force ends the leader."""
    where, ours = [own.name], settings(own.name)
    with run_forked_operator(where, tmp_path / "log", settings=ours) as operator:
        eventually(lambda: is_leader(operator))

        theirs = {"holderIdentity": "somebody-else", "leaseDurationSeconds": 3600}
        own.kube.merge_patch("Lease", own.name, LEASE, {"spec": theirs})

        eventually(lambda: not operator.is_running(), timeout=2 * RENEW + MARGIN)
        assert operator.stop() == 1
        assert get_lease(own)["holderIdentity"] == "somebody-else"
