"""The API server is away, slow or forgetful: the operator comes right again by itself."""

from collections.abc import Iterator
from functools import partial

import pytest

from hack.testkit.fake_kubelet import FakeKubelet
from hack.testkit.fault_proxy import FaultProxy, run_fault_proxy
from hack.testkit.forked_operator import run_forked_operator
from hack.testkit.namespace import FAKE_NODES, KIND, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import consistently, eventually

pytestmark = pytest.mark.usefixtures("fake_nodes")

RECOVERY_TIMEOUT = 20
"""kopf tries again after 1, 1, 2, 3, 5, 8 s."""
RELIST_INTERVAL = 5


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultProxy]:
    """The way of the operator to the API server."""
    with run_fault_proxy(tmp_path_factory.mktemp("proxy")) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def operator(
    namespace: str, proxy: FaultProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """An operator behind the proxy, which asks for everything anew every few seconds."""
    settings = {
        "SELFHEALING_RELIST_INTERVAL": str(RELIST_INTERVAL),
        "SELFHEALING_REQUEST_TIMEOUT": "2",
    }
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    with run_forked_operator(
        [namespace], log, settings=settings, kubeconfig=proxy.kubeconfig
    ) as process:
        yield process


def change_label(space: AppNamespace, name: str) -> None:
    """Change a label of a Deployment."""
    space.kube.merge_patch("Deployment", space.name, name, {"metadata": {"labels": {"app": "x"}}})


def is_drift_reverted(space: AppNamespace, name: str) -> bool:
    """Whether the drift has been put back."""
    return bool(space.get_deployment(name)["metadata"]["labels"]["app"] == name)


def has_restart_total(space: AppNamespace, name: str, number: int) -> bool:
    """Whether so many restarts have been counted."""
    return bool(space.get_status(name)["restarts"]["total"] == number)


def count_requests(proxy: FaultProxy, name: str) -> int:
    """How often the operator has asked for or written a Deployment."""
    return proxy.count_requests(lambda request: request.path.endswith(f"/deployments/{name}"))


def test_watches_that_end(
    space: AppNamespace,
    proxy: FaultProxy,
    operator: OperatorProcess,
    kubelet: FakeKubelet,
    name: str,
) -> None:
    """Connections that close under the watches lose no news."""
    space.create_app(name, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")

    pod = space.list_pods(name)[0]["metadata"]["name"]

    for turn in range(3):
        proxy.close_watches()
        change_label(space, name)
        kubelet.report_restart(pod)
        eventually(lambda: is_drift_reverted(space, name), timeout=RECOVERY_TIMEOUT)
        eventually(partial(has_restart_total, space, name, turn + 1), timeout=RECOVERY_TIMEOUT)
    assert operator.is_running()


def test_api_server_away(
    space: AppNamespace, proxy: FaultProxy, operator: OperatorProcess, name: str
) -> None:
    """What happened while the API server was away is made up for when it is back."""
    doomed, late = f"{name[:50]}-doomed", f"{name[:50]}-late"
    for app in (name, doomed):
        space.create_app(app, port=80, replicas=2, **FAKE_NODES)
    for app in (name, doomed):
        space.wait_for_phase(app, "Ready")

    proxy.disconnect()
    try:
        change_label(space, name)
        space.kube.delete("Service", space.name, name)
        space.kube.delete(KIND, space.name, doomed)
        space.create_app(late, port=80, **FAKE_NODES)
        eventually(
            lambda: space.find_child("Deployment", doomed) is None, description="it is collected"
        )
        consistently(
            lambda: operator.is_running() and not is_drift_reverted(space, name), seconds=4
        )
    finally:
        proxy.reconnect()

    eventually(lambda: is_drift_reverted(space, name), timeout=RECOVERY_TIMEOUT)
    assert eventually(
        lambda: space.find_child("Service", name) is not None, timeout=RECOVERY_TIMEOUT
    )
    space.wait_for_phase(name, "Ready", timeout=RECOVERY_TIMEOUT)
    space.wait_for_phase(late, "Ready", timeout=RECOVERY_TIMEOUT)
    consistently(lambda: space.find_child("Deployment", doomed) is None, seconds=1)
    assert operator.is_running()
    space.kube.delete(KIND, space.name, late)


def test_ghosts(
    space: AppNamespace,
    proxy: FaultProxy,
    operator: OperatorProcess,
    kubelet: FakeKubelet,
    name: str,
) -> None:
    """What was deleted in a gap that no watch can tell of is found missing by the next list."""
    doomed = f"{name[:50]}-doomed"
    for app in (name, doomed):
        space.create_app(app, port=80, replicas=2, **FAKE_NODES)
    for app in (name, doomed):
        space.wait_for_phase(app, "Ready")
    first = space.list_pods(name)[0]["metadata"]["name"]
    kubelet.report_restart(first)
    eventually(lambda: space.get_status(name)["restarts"]["current"] == 1)
    before = operator.read_metric("selfhealing_stale_objects_pruned_total")

    proxy.disconnect()
    try:
        space.kube.delete("Pod", space.name, first, grace=0)
        space.kube.delete("Service", space.name, name)
        space.kube.delete(KIND, space.name, doomed)
        eventually(
            lambda: space.find_child("Deployment", doomed) is None, description="it is collected"
        )
        eventually(lambda: first not in [p["metadata"]["name"] for p in space.list_pods(name)])
    finally:
        proxy.fail_watches(410)
        proxy.reconnect()
    seen = proxy.count_requests(lambda request: request.is_watch)
    # Each of the six watches has been told that it is too late, and lists everything anew.
    eventually(
        lambda: proxy.count_requests(lambda r: r.is_watch) >= seen + 12, timeout=RECOVERY_TIMEOUT
    )
    proxy.fail_watches(0)

    def status_is_true() -> bool:
        status = space.get_status(name)
        assert first not in [pod["name"] for pod in status["pods"]]
        assert status["ready"] == "2/2"
        assert (status["restarts"]["current"], status["restarts"]["total"]) == (0, 1)
        return True

    eventually(status_is_true, timeout=RECOVERY_TIMEOUT + RELIST_INTERVAL)
    assert eventually(
        lambda: space.find_child("Service", name) is not None, timeout=RECOVERY_TIMEOUT
    )
    made = [event for event in space.list_events(doomed, "Created") if "Service" in event["note"]]
    assert len(made) <= 1, "a deleted app's children were made anew"
    consistently(lambda: space.find_child("Service", doomed) is None, seconds=1)
    assert operator.read_metric("selfhealing_stale_objects_pruned_total") > before
    assert operator.is_running()


def test_deleted_behind_the_watch(
    space: AppNamespace, proxy: FaultProxy, operator: OperatorProcess, name: str
) -> None:
    """The garbage collector is not fought over an app of whose end the watch has not told."""
    space.create_app(name, port=80, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")
    since = space.get_service(name)
    proxy.fail_watches(410, "/selfhealingapps$")
    proxy.close_watches()
    try:
        space.kube.delete(KIND, space.name, name)
        eventually(lambda: space.find_child("Service", name) is None, description="it is collected")
        consistently(lambda: space.find_child("Service", name) is None, seconds=3)
    finally:
        proxy.fail_watches(0)

    made = {
        s["metadata"]["uid"] for s in space.kube.watch_history("Service", space.name, name, since)
    }
    assert made <= {since["metadata"]["uid"]}
    eventually(
        lambda: f"{name}: pruned a stale SelfHealingApp" in operator.read_log(),
        timeout=RECOVERY_TIMEOUT,
    )


def test_orphaned_behind_the_watch(
    space: AppNamespace, proxy: FaultProxy, operator: OperatorProcess, name: str
) -> None:
    """Children that were left behind on purpose are not owned again, and so not collected."""
    space.create_app(name, port=80, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")
    uid = space.get_deployment(name)["metadata"]["uid"]
    proxy.fail_watches(410, "/selfhealingapps$")
    proxy.close_watches()

    def is_orphaned() -> bool:
        meta = space.get_deployment(name)["metadata"]
        return meta["uid"] == uid and "ownerReferences" not in meta

    try:
        space.kube.delete(KIND, space.name, name, propagation="Orphan")
        eventually(lambda: space.find_child(KIND, name) is None, description="the app is gone")
        eventually(is_orphaned, description="it has no owner")
        consistently(is_orphaned, seconds=3)
    finally:
        proxy.fail_watches(0)
        for kind in ("Deployment", "Service"):
            space.kube.delete(kind, space.name, name)
    assert operator.is_running()


def test_recreated_in_a_gap(
    space: AppNamespace, proxy: FaultProxy, operator: OperatorProcess, name: str
) -> None:
    """An app that was deleted and made anew in a gap has children of its own afterwards."""
    space.create_app(name, port=80, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")
    old = space.get_deployment(name)["metadata"]["uid"]

    proxy.disconnect()
    try:
        space.kube.delete(KIND, space.name, name)
        eventually(
            lambda: space.find_child("Deployment", name) is None, description="it is collected"
        )
        space.create_app(name, image="demo:v2", port=80, **FAKE_NODES)
    finally:
        proxy.fail_watches(410)
        proxy.reconnect()
    uid = space.get_app(name)["metadata"]["uid"]
    eventually(
        lambda: space.find_child("Deployment", name) is not None,
        timeout=RECOVERY_TIMEOUT + RELIST_INTERVAL,
    )
    proxy.fail_watches(0)

    space.wait_for_phase(name, "Ready", timeout=RECOVERY_TIMEOUT)
    meta = space.get_deployment(name)["metadata"]
    assert meta["uid"] != old
    assert meta["ownerReferences"][0]["uid"] == uid
    assert space.get_container(name)["image"] == "demo:v2"
    assert operator.is_running()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_refused_writes(
    space: AppNamespace, proxy: FaultProxy, operator: OperatorProcess, name: str, status: int
) -> None:
    """Writes that an overloaded API server refuses are tried again, ever later."""
    proxy.inject_errors("PATCH", f"/deployments/{name}$", status, times=2)
    proxy.inject_errors("PATCH", f"/selfhealingapps/{name}/status$", status, times=2)

    space.create_app(name, **FAKE_NODES)

    space.wait_for_phase(name, "Ready")
    assert (
        proxy.count_requests(lambda r: r.path.endswith(f"/deployments/{name}") and r.is_write) == 3
    )
    assert operator.is_running()


def test_hanging_requests(
    space: AppNamespace, proxy: FaultProxy, operator: OperatorProcess, name: str
) -> None:
    """Requests that get no answer are given up after a while, and made again."""
    proxy.stall_requests()
    try:
        space.create_app(name, **FAKE_NODES)
        eventually(
            lambda: count_requests(proxy, name) >= 2,
            timeout=RECOVERY_TIMEOUT,
            description="it has been asked again",
        )
    finally:
        proxy.stall_requests(stall=False)

    space.wait_for_phase(name, "Ready", timeout=RECOVERY_TIMEOUT)
    assert operator.is_running()


def test_conflicting_status_write(
    space: AppNamespace, proxy: FaultProxy, operator: OperatorProcess, name: str
) -> None:
    """A status write that lost a race is made again on what is there now."""
    proxy.inject_errors(
        "PATCH", f"/selfhealingapps/{name}/status$", 409, times=2, reason="Conflict"
    )

    space.create_app(name, **FAKE_NODES)

    space.wait_for_phase(name, "Ready")
    assert operator.is_running()


def test_watch_that_cannot_go_on(
    space: AppNamespace, proxy: FaultProxy, operator: OperatorProcess, name: str
) -> None:
    """An operator that cannot watch ends visibly, and does everything right when started again."""
    space.create_app(name, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")

    proxy.fail_watches(500)
    try:
        proxy.close_watches()
        eventually(lambda: not operator.is_running(), description="it has ended")
        assert operator.stop() == 1
        change_label(space, name)
    finally:
        proxy.fail_watches(0)
    operator.start()

    eventually(lambda: is_drift_reverted(space, name))
    space.wait_for_phase(name, "Ready")
