"""A power cut in the middle of the work: nothing is lost, nothing is done twice."""

import uuid
from functools import partial
from pathlib import Path

import pytest

from hack.testkit.fake_kubelet import Kubelet
from hack.testkit.fault_proxy import ApiProxy, Passed, api_proxy
from hack.testkit.namespace import FAKE_NODES, KIND, Space
from hack.testkit.operator_process import running
from hack.testkit.wait import eventually

pytestmark = pytest.mark.usefixtures("fake_nodes")

APPS = 50
KILLS = (20, 70, 110)
"""After so many writes of children, of 100, and once in the middle of the status writes."""


def of_a_child(request: Passed) -> bool:
    """Whether a request writes a Deployment or a Service."""
    return request.writes and ("/deployments/" in request.path or "/services/" in request.path)


def of_anything(request: Passed) -> bool:
    """Whether a request writes a child or a status."""
    return of_a_child(request) or (request.writes and request.path.endswith("/status"))


def wrote(proxy: ApiProxy, number: int) -> bool:
    """Whether there have been so many writes."""
    return proxy.count(of_anything) >= number


def test_killed_in_the_middle_of_many_apps(space: Space, tmp_path: Path) -> None:
    """Killed three times while it makes 50 apps, the operator completes them, each child once."""
    names = [f"app-{i}-{uuid.uuid4().hex[:4]}" for i in range(APPS)]
    for name in names:
        space.create(name, port=80, **FAKE_NODES)

    with (
        api_proxy(tmp_path) as proxy,
        running(
            [space.name], tmp_path / "log", kubeconfig=proxy.kubeconfig, ready=False
        ) as operator,
    ):
        for number in KILLS:
            eventually(partial(wrote, proxy, number), timeout=60, poll=0.002)
            operator.kill()
            assert proxy.count(of_a_child) < 2 * APPS or number == KILLS[-1]
            operator.start(ready=False)
        for name in names:
            space.is_(name, "Ready", timeout=60)

        for name in names:
            deployment, service = space.deployment(name), space.service(name)
            assert deployment["metadata"]["generation"] == 1, "the spec was written once"
            for child in (deployment, service):
                fields = child["metadata"]["managedFields"]
                assert [f["manager"] for f in fields if f["operation"] == "Apply"] == [
                    "selfhealing-operator"
                ]
            assert len(space.pods(name)) == 1
            told = space.told(name)
            assert told.get("Created", 0) <= 2
            assert "DriftCorrected" not in told
            assert "Updated" not in told
        # A write whose answer was lost may be made again; no more than were under way.
        assert proxy.count(of_a_child) <= 2 * APPS + len(KILLS) * 16
    for name in names:
        space.kube.delete(KIND, space.name, name)


def test_killed_between_restarts(space: Space, kubelet: Kubelet, tmp_path: Path, name: str) -> None:
    """Restarts before, during and after a crash of the operator are counted once each."""
    with running([space.name], tmp_path / "log") as operator:
        space.create(name, replicas=2, **FAKE_NODES)
        space.is_(name, "Ready")
        one, two = (pod["metadata"]["name"] for pod in space.pods(name))
        kubelet.ended(one)
        eventually(lambda: space.status(name)["restarts"]["total"] == 1)

        kubelet.ended(one, "OOMKilled", 137)
        operator.kill()
        kubelet.ended(two)
        operator.start()

        eventually(lambda: space.status(name)["restarts"]["total"] == 3)
        operator.kill()
        space.kube.delete("Pod", space.name, one, grace=0)
        operator.start()

        def counted() -> bool:
            restarts = space.status(name)["restarts"]
            assert (restarts["current"], restarts["total"]) == (1, 3)
            assert restarts["byReason"] == {"Error": 2, "OOMKilled": 1}
            return True

        eventually(counted)
