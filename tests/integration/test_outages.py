"""The API server is away, slow or forgetful: the operator comes right again by itself."""

from collections.abc import Iterator
from functools import partial

import pytest

from hack.testkit.fake_kubelet import Kubelet
from hack.testkit.fault_proxy import ApiProxy, api_proxy
from hack.testkit.namespace import FAKE_NODES, KIND, Space
from hack.testkit.operator_process import OperatorProcess, running
from hack.testkit.wait import eventually, stays

pytestmark = pytest.mark.usefixtures("fake_nodes")

RETURN = 20
"""kopf tries again after 1, 1, 2, 3, 5, 8 s."""
RELIST = 5


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProxy]:
    """The way of the operator to the API server."""
    with api_proxy(tmp_path_factory.mktemp("proxy")) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def operator(
    namespace: str, proxy: ApiProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """An operator behind the proxy, which asks for everything anew every few seconds."""
    settings = {
        "SELFHEALING_RELIST_INTERVAL": str(RELIST),
        "SELFHEALING_REQUEST_TIMEOUT": "2",
    }
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    with running([namespace], log, settings=settings, kubeconfig=proxy.kubeconfig) as process:
        yield process


def drift(space: Space, name: str) -> None:
    """Change a label of a Deployment."""
    space.kube.merge("Deployment", space.name, name, {"metadata": {"labels": {"app": "x"}}})


def corrected(space: Space, name: str) -> bool:
    """Whether the drift has been put back."""
    return bool(space.deployment(name)["metadata"]["labels"]["app"] == name)


def total_is(space: Space, name: str, number: int) -> bool:
    """Whether so many restarts have been counted."""
    return bool(space.status(name)["restarts"]["total"] == number)


def asked(proxy: ApiProxy, name: str) -> int:
    """How often the operator has asked for or written a Deployment."""
    return proxy.count(lambda request: request.path.endswith(f"/deployments/{name}"))


def test_watches_that_end(
    space: Space, proxy: ApiProxy, operator: OperatorProcess, kubelet: Kubelet, name: str
) -> None:
    """Connections that close under the watches lose no news."""
    space.create(name, **FAKE_NODES)
    space.is_(name, "Ready")

    pod = space.pods(name)[0]["metadata"]["name"]

    for turn in range(3):
        proxy.end_watches()
        drift(space, name)
        kubelet.ended(pod)
        eventually(lambda: corrected(space, name), timeout=RETURN)
        eventually(partial(total_is, space, name, turn + 1), timeout=RETURN)
    assert operator.alive()


def test_api_server_away(
    space: Space, proxy: ApiProxy, operator: OperatorProcess, name: str
) -> None:
    """What happened while the API server was away is made up for when it is back."""
    doomed, late = f"{name[:50]}-doomed", f"{name[:50]}-late"
    for app in (name, doomed):
        space.create(app, port=80, replicas=2, **FAKE_NODES)
    for app in (name, doomed):
        space.is_(app, "Ready")

    proxy.cut()
    try:
        drift(space, name)
        space.kube.delete("Service", space.name, name)
        space.kube.delete(KIND, space.name, doomed)
        space.create(late, port=80, **FAKE_NODES)
        eventually(lambda: space.find("Deployment", doomed) is None, says="it is collected")
        stays(lambda: operator.alive() and not corrected(space, name), seconds=4)
    finally:
        proxy.mend()

    eventually(lambda: corrected(space, name), timeout=RETURN)
    assert eventually(lambda: space.find("Service", name) is not None, timeout=RETURN)
    space.is_(name, "Ready", timeout=RETURN)
    space.is_(late, "Ready", timeout=RETURN)
    stays(lambda: space.find("Deployment", doomed) is None, seconds=1)
    assert operator.alive()
    space.kube.delete(KIND, space.name, late)


def test_ghosts(
    space: Space, proxy: ApiProxy, operator: OperatorProcess, kubelet: Kubelet, name: str
) -> None:
    """What was deleted in a gap that no watch can tell of is found missing by the next list."""
    doomed = f"{name[:50]}-doomed"
    for app in (name, doomed):
        space.create(app, port=80, replicas=2, **FAKE_NODES)
    for app in (name, doomed):
        space.is_(app, "Ready")
    first = space.pods(name)[0]["metadata"]["name"]
    kubelet.ended(first)
    eventually(lambda: space.status(name)["restarts"]["current"] == 1)
    before = operator.metric("selfhealing_ghosts_evicted_total")

    proxy.cut()
    try:
        space.kube.delete("Pod", space.name, first, grace=0)
        space.kube.delete("Service", space.name, name)
        space.kube.delete(KIND, space.name, doomed)
        eventually(lambda: space.find("Deployment", doomed) is None, says="it is collected")
        eventually(lambda: first not in [p["metadata"]["name"] for p in space.pods(name)])
    finally:
        proxy.break_watches(410)
        proxy.mend()
    seen = proxy.count(lambda request: request.watch)
    # Each of the six watches has been told that it is too late, and lists everything anew.
    eventually(lambda: proxy.count(lambda r: r.watch) >= seen + 12, timeout=RETURN)
    proxy.break_watches(0)

    def status_is_true() -> bool:
        status = space.status(name)
        assert first not in [pod["name"] for pod in status["pods"]]
        assert status["ready"] == "2/2"
        assert (status["restarts"]["current"], status["restarts"]["total"]) == (0, 1)
        return True

    eventually(status_is_true, timeout=RETURN + RELIST)
    assert eventually(lambda: space.find("Service", name) is not None, timeout=RETURN)
    made = [event for event in space.events(doomed, "Created") if "Service" in event["note"]]
    assert len(made) <= 1, "a deleted app's children were made anew"
    stays(lambda: space.find("Service", doomed) is None, seconds=1)
    assert operator.metric("selfhealing_ghosts_evicted_total") > before
    assert operator.alive()


def test_deleted_behind_the_watch(
    space: Space, proxy: ApiProxy, operator: OperatorProcess, name: str
) -> None:
    """The garbage collector is not fought over an app of whose end the watch has not told."""
    space.create(name, port=80, **FAKE_NODES)
    space.is_(name, "Ready")
    since = space.service(name)
    proxy.break_watches(410, "/selfhealingapps$")
    proxy.end_watches()
    try:
        space.kube.delete(KIND, space.name, name)
        eventually(lambda: space.find("Service", name) is None, says="it is collected")
        stays(lambda: space.find("Service", name) is None, seconds=3)
    finally:
        proxy.break_watches(0)

    made = {s["metadata"]["uid"] for s in space.kube.history("Service", space.name, name, since)}
    assert made <= {since["metadata"]["uid"]}
    eventually(lambda: f"{name}: a SelfHealingApp was gone" in operator.text(), timeout=RETURN)


def test_recreated_in_a_gap(
    space: Space, proxy: ApiProxy, operator: OperatorProcess, name: str
) -> None:
    """An app that was deleted and made anew in a gap has children of its own afterwards."""
    space.create(name, port=80, **FAKE_NODES)
    space.is_(name, "Ready")
    old = space.deployment(name)["metadata"]["uid"]

    proxy.cut()
    try:
        space.kube.delete(KIND, space.name, name)
        eventually(lambda: space.find("Deployment", name) is None, says="it is collected")
        space.create(name, image="demo:v2", port=80, **FAKE_NODES)
    finally:
        proxy.break_watches(410)
        proxy.mend()
    uid = space.app(name)["metadata"]["uid"]
    eventually(lambda: space.find("Deployment", name) is not None, timeout=RETURN + RELIST)
    proxy.break_watches(0)

    space.is_(name, "Ready", timeout=RETURN)
    meta = space.deployment(name)["metadata"]
    assert meta["uid"] != old
    assert meta["ownerReferences"][0]["uid"] == uid
    assert space.container(name)["image"] == "demo:v2"
    assert operator.alive()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_refused_writes(
    space: Space, proxy: ApiProxy, operator: OperatorProcess, name: str, status: int
) -> None:
    """Writes that an overloaded API server refuses are tried again, ever later."""
    proxy.refuse("PATCH", f"/deployments/{name}$", status, times=2)
    proxy.refuse("PATCH", f"/selfhealingapps/{name}/status$", status, times=2)

    space.create(name, **FAKE_NODES)

    space.is_(name, "Ready")
    assert proxy.count(lambda r: r.path.endswith(f"/deployments/{name}") and r.writes) == 3
    assert operator.alive()


def test_hanging_requests(
    space: Space, proxy: ApiProxy, operator: OperatorProcess, name: str
) -> None:
    """Requests that get no answer are given up after a while, and made again."""
    proxy.hang()
    try:
        space.create(name, **FAKE_NODES)
        eventually(lambda: asked(proxy, name) >= 2, timeout=RETURN, says="it has been asked again")
    finally:
        proxy.hang(hanging=False)

    space.is_(name, "Ready", timeout=RETURN)
    assert operator.alive()


def test_conflicting_status_write(
    space: Space, proxy: ApiProxy, operator: OperatorProcess, name: str
) -> None:
    """A status write that lost a race is made again on what is there now."""
    proxy.refuse("PATCH", f"/selfhealingapps/{name}/status$", 409, times=2, reason="Conflict")

    space.create(name, **FAKE_NODES)

    space.is_(name, "Ready")
    assert operator.alive()


def test_watch_that_cannot_go_on(
    space: Space, proxy: ApiProxy, operator: OperatorProcess, name: str
) -> None:
    """An operator that cannot watch ends visibly, and does everything right when started again."""
    space.create(name, **FAKE_NODES)
    space.is_(name, "Ready")

    proxy.break_watches(500)
    try:
        proxy.end_watches()
        eventually(lambda: not operator.alive(), says="it has ended")
        assert operator.stop() == 1
        drift(space, name)
    finally:
        proxy.break_watches(0)
    operator.start()

    eventually(lambda: corrected(space, name))
    space.is_(name, "Ready")
