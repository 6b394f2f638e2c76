"""A power cut in the middle of the work: nothing is lost, nothing is done twice."""

import uuid
from functools import partial
from pathlib import Path

import pytest

from hack.testkit.fake_kubelet import FakeKubelet
from hack.testkit.fault_proxy import FaultProxy, ProxiedRequest, run_fault_proxy
from hack.testkit.forked_operator import run_forked_operator
from hack.testkit.namespace import FAKE_NODES, KIND, AppNamespace
from hack.testkit.wait import eventually

pytestmark = pytest.mark.usefixtures("fake_nodes")

APPS = 50
KILL_COUNT = (20, 70, 110)
"""After so many writes of children, of 100, and once in the middle of the status writes."""


def is_child_write(request: ProxiedRequest) -> bool:
    """Whether a request writes a Deployment or a Service."""
    return request.is_write and ("/deployments/" in request.path or "/services/" in request.path)


def is_write(request: ProxiedRequest) -> bool:
    """Whether a request writes a child or a status."""
    return is_child_write(request) or (request.is_write and request.path.endswith("/status"))


def has_written(proxy: FaultProxy, number: int) -> bool:
    """Whether there have been so many writes."""
    return proxy.count_requests(is_write) >= number


def test_killed_in_the_middle_of_many_apps(space: AppNamespace, tmp_path: Path) -> None:
    """Killed three times while it makes 50 apps, the operator completes them, each child once."""
    names = [f"app-{i}-{uuid.uuid4().hex[:4]}" for i in range(APPS)]
    for name in names:
        space.create_app(name, port=80, **FAKE_NODES)

    with (
        run_fault_proxy(tmp_path) as proxy,
        run_forked_operator(
            [space.name], tmp_path / "log", kubeconfig=proxy.kubeconfig, wait_for_sync=False
        ) as operator,
    ):
        for number in KILL_COUNT:
            eventually(partial(has_written, proxy, number), timeout=60, poll=0.002)
            operator.kill()
            assert proxy.count_requests(is_child_write) < 2 * APPS or number == KILL_COUNT[-1]
            operator.start(wait_for_sync=False)
        for name in names:
            space.wait_for_phase(name, "Ready", timeout=60)

        for name in names:
            deployment, service = space.get_deployment(name), space.get_service(name)
            assert deployment["metadata"]["generation"] == 1, "the spec was written once"
            for child in (deployment, service):
                fields = child["metadata"]["managedFields"]
                assert [f["manager"] for f in fields if f["operation"] == "Apply"] == [
                    "selfhealing-operator"
                ]
            assert len(space.list_pods(name)) == 1
            told = space.count_events(name)
            assert told.get("Created", 0) <= 2
            assert "DriftCorrected" not in told
            assert "Updated" not in told
        # A write whose answer was lost may be made again; no more than were under way.
        assert proxy.count_requests(is_child_write) <= 2 * APPS + len(KILL_COUNT) * 16
    for name in names:
        space.kube.delete(KIND, space.name, name)


def test_killed_between_restarts(
    space: AppNamespace, kubelet: FakeKubelet, tmp_path: Path, name: str
) -> None:
    """Restarts before, during and after a crash of the operator are counted once each."""
    with run_forked_operator([space.name], tmp_path / "log") as operator:
        space.create_app(name, replicas=2, **FAKE_NODES)
        space.wait_for_phase(name, "Ready")
        one, two = (pod["metadata"]["name"] for pod in space.list_pods(name))
        kubelet.report_restart(one)
        eventually(lambda: space.get_status(name)["restarts"]["total"] == 1)

        kubelet.report_restart(one, "OOMKilled", 137)
        operator.kill()
        kubelet.report_restart(two)
        operator.start()

        eventually(lambda: space.get_status(name)["restarts"]["total"] == 3)
        operator.kill()
        space.kube.delete("Pod", space.name, one, grace=0)
        operator.start()

        def counted() -> bool:
            restarts = space.get_status(name)["restarts"]
            assert (restarts["current"], restarts["total"]) == (1, 3)
            assert restarts["byReason"] == {"Error": 2, "OOMKilled": 1}
            return True

        eventually(counted)
