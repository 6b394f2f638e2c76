"""Two operators, one leader: the other takes over when the first is killed, or stops."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from hack.testkit.fault_proxy import api_proxy
from hack.testkit.kube_client import Json, Kube, namespace_for
from hack.testkit.namespace import FAKE_NODES, Space
from hack.testkit.operator_process import OperatorProcess, running
from hack.testkit.wait import eventually, stays

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
def own(kube: Kube) -> Iterator[Space]:
    """A namespace of the test's own."""
    with namespace_for(kube, "test-election") as name:
        yield Space(kube, name)


@pytest.fixture(scope="module")
def both(space: Space, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two operators of the module's namespace."""
    where, ours = [space.name], settings(space.name)
    folder = tmp_path_factory.mktemp("operators")
    with (
        running(where, folder / "one.log", settings=ours) as one,
        running(where, folder / "two.log", settings=ours) as two,
    ):
        yield one, two


@pytest.fixture
def pair(both: Pair) -> Pair:
    """The one that leads, and the one that waits behind it."""
    for operator in both:
        if not operator.alive():
            operator.start()
    eventually(lambda: any(leads(operator) for operator in both), says="one of them leads")
    one, two = both
    return (one, two) if leads(one) else (two, one)


def leads(operator: OperatorProcess) -> bool:
    """Whether an operator says that it leads."""
    try:
        return operator.alive() and operator.metric("selfhealing_leader") == 1
    except requests.ConnectionError:  # it is ending
        return False


def lease(space: Space) -> Json:
    """What the Lease says."""
    spec: Json = space.kube.get("Lease", space.name, LEASE)["spec"]
    return spec


def pid(spec: Json) -> str:
    """The process that holds a Lease, which its identity names."""
    return str(spec["holderIdentity"]).split("_")[-2]


def test_one_acts(space: Space, pair: Pair, name: str) -> None:
    """The leader writes everything; the other knows as much and writes nothing."""
    leader, other = pair
    before = leader.wrote().get("patch Deployment", 0)
    space.create(name, port=80, **FAKE_NODES)

    space.is_(name, "Ready")

    assert leader.process is not None
    assert pid(lease(space)) == str(leader.process.pid)
    assert lease(space)["leaseDurationSeconds"] == DURATION
    assert not leads(other)
    assert {kind for kind in other.wrote() if not kind.endswith("Lease")} == set()
    assert leader.wrote()["patch Deployment"] == before + 1


def test_killed_leader(space: Space, pair: Pair, name: str) -> None:
    """After the leader is killed the other leads within the lease's time, and not before."""
    leader, other = pair
    space.create(name, port=80, **FAKE_NODES)
    space.is_(name, "Ready")
    transitions = lease(space)["leaseTransitions"]

    leader.kill()
    killed = time.monotonic()
    space.kube.merge("Deployment", space.name, name, {"spec": {"replicas": 3}})
    stays(lambda: not leads(other), seconds=DURATION / 2, says="the lease is respected")
    eventually(lambda: leads(other), timeout=DURATION + 2 * RENEW + MARGIN)

    assert time.monotonic() - killed <= DURATION + 2 * RENEW + MARGIN
    eventually(lambda: space.deployment(name)["spec"]["replicas"] == 1)
    assert other.process is not None
    assert pid(lease(space)) == str(other.process.pid)
    assert lease(space)["leaseTransitions"] == transitions + 1


def test_stopped_leader(space: Space, pair: Pair, name: str) -> None:
    """A leader that is asked to stop gives the lease back, so the other leads at once."""
    leader, other = pair

    assert leader.stop() == 0
    eventually(lambda: leads(other), timeout=RENEW + MARGIN / 2, says="at once")

    space.create(name, **FAKE_NODES)
    space.is_(name, "Ready")


def test_stopped_follower(space: Space, pair: Pair) -> None:
    """A follower that stops takes nothing from the leader."""
    leader, other = pair
    before = lease(space)

    assert other.stop() == 0

    stays(lambda: leads(leader), seconds=2 * RENEW)
    assert lease(space)["holderIdentity"] == before["holderIdentity"]


def test_leader_that_is_cut_off(own: Space, tmp_path: Path) -> None:
    """A leader that cannot renew ends by itself before the other one begins."""
    where, ours = [own.name], settings(own.name)
    with (
        api_proxy(tmp_path) as proxy,
        running(where, tmp_path / "first.log", settings=ours, kubeconfig=proxy.kubeconfig) as first,
        running(where, tmp_path / "second.log", settings=ours) as second,
    ):
        assert eventually(lambda: leads(first))
        own.create("app", **FAKE_NODES)
        own.is_("app", "Ready")

        proxy.cut()
        eventually(lambda: not leads(first) or leads(second), timeout=DURATION + MARGIN)

        assert not leads(first), "two lead at the same time"
        eventually(lambda: leads(second), timeout=DURATION + MARGIN)
        eventually(lambda: not first.alive(), timeout=15, says="it has ended")
        assert first.stop() == 1
        own.kube.merge("Deployment", own.name, "app", {"spec": {"replicas": 3}})
        eventually(lambda: own.deployment("app")["spec"]["replicas"] == 1)


def test_lease_of_somebody_else(own: Space, tmp_path: Path) -> None:
    """A lease that another process took by force ends the leader."""
    where, ours = [own.name], settings(own.name)
    with running(where, tmp_path / "log", settings=ours) as operator:
        eventually(lambda: leads(operator))

        theirs = {"holderIdentity": "somebody-else", "leaseDurationSeconds": 3600}
        own.kube.merge("Lease", own.name, LEASE, {"spec": theirs})

        eventually(lambda: not operator.alive(), timeout=2 * RENEW + MARGIN)
        assert operator.stop() == 1
        assert lease(own)["holderIdentity"] == "somebody-else"
