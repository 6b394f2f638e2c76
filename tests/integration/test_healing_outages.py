"""Healing when the operator or its API server is in trouble: nothing twice, nothing forgotten.

Every time of healing is a twentieth of what it says (the setting healing_scale).
"""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from hack.testkit.fake_kubelet import FakeKubelet
from hack.testkit.fault_proxy import FaultProxy, run_fault_proxy
from hack.testkit.forked_operator import run_forked_operator
from hack.testkit.healing import (
    TIMEOUT,
    create_stable_app,
    fail_image_pulls,
    get_healing_status,
    list_outcomes,
    wait_for_outcomes,
)
from hack.testkit.kube_client import KubeClient, temporary_namespace
from hack.testkit.namespace import AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import consistently, eventually

pytestmark = pytest.mark.usefixtures("fake_nodes")

FAST_SETTINGS = {"SELFHEALING_HEALING_SCALE": "0.05", "SELFHEALING_REQUEST_TIMEOUT": "2"}


@pytest.fixture
def own(kube: KubeClient) -> Iterator[AppNamespace]:
    """A namespace of the test's own."""
    with temporary_namespace(kube, "test-healing-trouble") as name:
        yield AppNamespace(kube, name)


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[FaultProxy]:
    """The way of the operator to the API server."""
    with run_fault_proxy(tmp_path) as proxy:
        yield proxy


def count_evictions(proxy: FaultProxy) -> int:
    """How many evictions have been asked for."""
    return proxy.count_requests(lambda request: request.path.endswith("/eviction"))


def has_history(space: AppNamespace, name: str) -> bool:
    """Whether anything has been decided."""
    return bool(list_outcomes(space, name))


def test_the_api_server_is_away_in_the_middle(
    own: AppNamespace, proxy: FaultProxy, tmp_path: Path
) -> None:
    """What was decided is carried out when it is back, once."""
    kubelet = FakeKubelet(own.kube, own.name)
    log = tmp_path / "operator.log"
    with run_forked_operator(
        [own.name], log, settings=FAST_SETTINGS, kubeconfig=proxy.kubeconfig
    ) as operator:
        create_stable_app(own, "web")
        own.patch_spec("web", image="demo:v2")
        pull = partial(fail_image_pulls, own, kubelet, "web", "demo:v2")
        eventually(
            lambda: pull() or has_history(own, "web"),
            timeout=TIMEOUT,
            poll=0.02,
            description="it is decided",
        )
        proxy.disconnect()
        try:
            consistently(operator.is_running, seconds=3)
        finally:
            proxy.reconnect()
        wait_for_outcomes(own, "web", ("Rollback", "Succeeded"), before_probe=pull)

        assert "demo:v1" == own.get_container("web")["image"]
        assert operator.is_running()


def test_the_eviction_is_refused_at_first(
    own: AppNamespace, proxy: FaultProxy, tmp_path: Path
) -> None:
    """A step that fails is tried again for as long as it is asked for; it is one action."""
    kubelet = FakeKubelet(own.kube, own.name)
    log = tmp_path / "operator.log"
    with run_forked_operator([own.name], log, settings=FAST_SETTINGS, kubeconfig=proxy.kubeconfig):
        pods = create_stable_app(own, "web")
        proxy.inject_errors("POST", "/eviction", 403, times=1, reason="Forbidden")
        kubelet.set_ready(pods[0], ready=False)
        wait_for_outcomes(own, "web", ("ReplacePod", "Succeeded"))

    assert 2 <= count_evictions(proxy)
    assert 2 == get_healing_status(own, "web")["budgetLeft"]


def test_facts_that_are_behind(own: AppNamespace, proxy: FaultProxy, tmp_path: Path) -> None:
    """While the watch is silent a pod gets well again: it is not touched."""
    kubelet = FakeKubelet(own.kube, own.name)
    log = tmp_path / "operator.log"
    with run_forked_operator(
        [own.name], log, settings=FAST_SETTINGS, kubeconfig=proxy.kubeconfig
    ) as operator:
        pods = create_stable_app(own, "web")
        kubelet.set_ready(pods[0], ready=False)
        eventually(
            lambda: own.get_status("web")["phase"] == "Degraded",
            description="the operator has seen it",
        )
        proxy.fail_watches(503)
        proxy.close_watches()
        try:
            kubelet.set_ready(pods[0])  # nobody tells the operator; everything else is answered
            consistently(lambda: not has_history(own, "web"), seconds=6)
        finally:
            proxy.fail_watches(0)
        own.wait_for_phase("web", "Ready")
        consistently(lambda: not has_history(own, "web"), seconds=2)

        assert "the cache is stale" in operator.read_log()
    assert 0 == count_evictions(proxy)


def test_the_leader_is_killed_in_the_middle(own: AppNamespace, tmp_path: Path) -> None:
    """The other replica ends what was begun, and does not do it again."""
    kubelet = FakeKubelet(own.kube, own.name)
    election = {
        **FAST_SETTINGS,
        "SELFHEALING_LEADER_ELECTION": "on",
        "SELFHEALING_LEASE_NAMESPACE": own.name,
        "SELFHEALING_LEASE_DURATION": "12",
        "SELFHEALING_LEASE_RENEW": "0.5",
    }
    with ExitStack() as stack:
        pair = [
            stack.enter_context(
                run_forked_operator([own.name], tmp_path / f"{n}.log", settings=election)
            )
            for n in ("one", "two")
        ]
        create_stable_app(own, "web")
        own.patch_spec("web", image="demo:v2")
        pull = partial(fail_image_pulls, own, kubelet, "web", "demo:v2")
        eventually(
            lambda: pull() or has_history(own, "web"),
            timeout=TIMEOUT,
            poll=0.02,
            description="it is decided",
        )
        leader = next(operator for operator in pair if is_leader(operator))
        leader.kill()
        wait_for_outcomes(own, "web", ("Rollback", "Succeeded"), before_probe=pull)

        assert "demo:v1" == own.get_container("web")["image"]
        assert 2 == get_healing_status(own, "web")["budgetLeft"]


def is_leader(operator: OperatorProcess) -> bool:
    return operator.read_metric("selfhealing_leader") == 1
