"""Healing when the operator or its API server is in trouble: nothing twice, nothing forgotten.

Every time of healing is a twentieth of what it says (the setting healing_scale).
"""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from hack.testkit.fake_kubelet import Kubelet
from hack.testkit.fault_proxy import ApiProxy, api_proxy
from hack.testkit.healing import LIMIT, cannot_pull, decided, healing, outcomes, proven
from hack.testkit.kube_client import Kube, namespace_for
from hack.testkit.namespace import Space
from hack.testkit.operator_process import OperatorProcess, running
from hack.testkit.wait import eventually, stays

pytestmark = pytest.mark.usefixtures("fake_nodes")

FAST = {"SELFHEALING_HEALING_SCALE": "0.05", "SELFHEALING_REQUEST_TIMEOUT": "2"}


@pytest.fixture
def own(kube: Kube) -> Iterator[Space]:
    """A namespace of the test's own."""
    with namespace_for(kube, "test-healing-trouble") as name:
        yield Space(kube, name)


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[ApiProxy]:
    """The way of the operator to the API server."""
    with api_proxy(tmp_path) as proxy:
        yield proxy


def evictions(proxy: ApiProxy) -> int:
    """How many evictions have been asked for."""
    return proxy.count(lambda request: request.path.endswith("/eviction"))


def begun(space: Space, name: str) -> bool:
    """Whether anything has been decided."""
    return bool(outcomes(space, name))


def test_the_api_server_is_away_in_the_middle(own: Space, proxy: ApiProxy, tmp_path: Path) -> None:
    """What was decided is carried out when it is back, once."""
    kubelet = Kubelet(own.kube, own.name)
    log = tmp_path / "operator.log"
    with running([own.name], log, settings=FAST, kubeconfig=proxy.kubeconfig) as operator:
        proven(own, "web")
        own.edit("web", image="demo:v2")
        pull = partial(cannot_pull, own, kubelet, "web", "demo:v2")
        eventually(
            lambda: pull() or begun(own, "web"), timeout=LIMIT, poll=0.02, says="it is decided"
        )
        proxy.cut()
        try:
            stays(operator.alive, seconds=3)
        finally:
            proxy.mend()
        decided(own, "web", ("Rollback", "Helped"), meanwhile=pull)

        assert "demo:v1" == own.container("web")["image"]
        assert operator.alive()


def test_the_eviction_is_refused_at_first(own: Space, proxy: ApiProxy, tmp_path: Path) -> None:
    """A step that fails is tried again for as long as it is asked for; it is one action."""
    kubelet = Kubelet(own.kube, own.name)
    log = tmp_path / "operator.log"
    with running([own.name], log, settings=FAST, kubeconfig=proxy.kubeconfig):
        pods = proven(own, "web")
        proxy.refuse("POST", "/eviction", 403, times=1, reason="Forbidden")
        kubelet.ready(pods[0], ready=False)
        decided(own, "web", ("Recycle", "Helped"))

    assert 2 <= evictions(proxy)
    assert 2 == healing(own, "web")["budgetLeft"]


def test_facts_that_are_behind(own: Space, proxy: ApiProxy, tmp_path: Path) -> None:
    """While the watch is silent a pod gets well again: it is not touched."""
    kubelet = Kubelet(own.kube, own.name)
    log = tmp_path / "operator.log"
    with running([own.name], log, settings=FAST, kubeconfig=proxy.kubeconfig) as operator:
        pods = proven(own, "web")
        kubelet.ready(pods[0], ready=False)
        eventually(
            lambda: own.status("web")["phase"] == "Degraded", says="the operator has seen it"
        )
        proxy.break_watches(503)
        proxy.end_watches()
        try:
            kubelet.ready(pods[0])  # nobody tells the operator; everything else is answered
            stays(lambda: not begun(own, "web"), seconds=6)
        finally:
            proxy.break_watches(0)
        own.is_("web", "Ready")
        stays(lambda: not begun(own, "web"), seconds=2)

        assert "it has changed since" in operator.text()
    assert 0 == evictions(proxy)


def test_the_leader_is_killed_in_the_middle(own: Space, tmp_path: Path) -> None:
    """The other replica ends what was begun, and does not do it again."""
    kubelet = Kubelet(own.kube, own.name)
    election = {
        **FAST,
        "SELFHEALING_LEADER_ELECTION": "on",
        "SELFHEALING_LEASE_NAMESPACE": own.name,
        "SELFHEALING_LEASE_DURATION": "4",
        "SELFHEALING_LEASE_RENEW": "0.5",
    }
    with ExitStack() as stack:
        pair = [
            stack.enter_context(running([own.name], tmp_path / f"{n}.log", settings=election))
            for n in ("one", "two")
        ]
        proven(own, "web")
        own.edit("web", image="demo:v2")
        pull = partial(cannot_pull, own, kubelet, "web", "demo:v2")
        eventually(
            lambda: pull() or begun(own, "web"), timeout=LIMIT, poll=0.02, says="it is decided"
        )
        leader = next(operator for operator in pair if _leads(operator))
        leader.kill()
        decided(own, "web", ("Rollback", "Helped"), meanwhile=pull)

        assert "demo:v1" == own.container("web")["image"]
        assert 2 == healing(own, "web")["budgetLeft"]


def _leads(operator: OperatorProcess) -> bool:
    return operator.metric("selfhealing_leader") == 1
