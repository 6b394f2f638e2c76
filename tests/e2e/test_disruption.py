"""A node is drained: the app is served all the time, and the drain comes to its end.

It is the control plane's node that is drained, and only of the app's own pods: nothing else may be
put there or is taken away, so that whoever shares the cluster does not notice.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hack.testkit.kube_client import Json, KubeClient, run_kubectl
from hack.testkit.namespace import AppNamespace
from hack.testkit.node_control import CONTROL_PLANE
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import eventually
from tests.e2e.app_client import AppClient, load_example
from tests.e2e.request_stream import RequestStream

logger = logging.getLogger(__name__)

DRAIN_TIMEOUT = 120


@contextmanager
def drain_node(node: str, app: str) -> Iterator[float]:
    """Drain a node of an app's pods; the seconds that it took. It is given back afterwards."""
    try:
        began = time.monotonic()
        run_kubectl(
            *("drain", node, f"--pod-selector=selfhealing.dev/app={app}"),
            *("--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={DRAIN_TIMEOUT}s"),
            timeout=DRAIN_TIMEOUT + 30,
        )
        yield time.monotonic() - began
    finally:
        run_kubectl("uncordon", node)


@pytest.fixture
def node(kube: KubeClient) -> Iterator[str]:
    """The node that is drained: one that takes none but pods which ask for it."""
    found = kube.list("Node", None, CONTROL_PLANE)
    real = [n for n in kube.list("Node", None) if "type" not in n["metadata"]["labels"]]
    if len(found) != 1 or len(real) < 2:
        pytest.skip("needs a control plane's node and a worker")
    name = found[0]["metadata"]["name"]
    yield name
    assert "unschedulable" not in kube.get("Node", None, name)["spec"]


def list_nodes(app: AppClient) -> Counter[str]:
    return Counter(pod["spec"].get("nodeName", "") for pod in app.list_pods())


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize("replicas", [2, 4])
def test_the_app_is_served_while_a_node_is_drained(
    space: AppNamespace, name: str, node: str, replicas: int, operator: OperatorProcess
) -> None:
    """No request fails; with two pods on the node they go one after the other."""
    (given,) = load_example("12-disruption-budget.yaml")
    spec = given["spec"]
    spec["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"] = {
        "selfhealing.dev/app": name
    }
    spec |= {"replicas": replicas, "service": {"type": "NodePort"}}
    space.create_app(name, **spec)
    app = AppClient(space, name)
    app.wait_until_ready()
    app.wait_for_response("/")
    assert list_nodes(app)[node] == replicas / 2, list_nodes(app)
    moved = {p["metadata"]["name"] for p in app.list_pods() if p["spec"]["nodeName"] == node}
    (since,) = [space.get_app(name)]

    with (
        RequestStream(f"{app.get_status()['endpoint']}/") as stream,
        drain_node(node, name) as seconds,
    ):
        app.wait_until_ready()
        assert node not in list_nodes(app)
        # Who came last is asked, too.
        eventually(
            lambda: {p["metadata"]["name"] for p in app.list_pods()} <= stream.answered.keys()
        )

    logger.info(
        "drained of %d pods in %.1f s; %d requests answered, %d failed",
        len(moved),
        seconds,
        stream.answered.total(),
        len(stream.failures),
    )
    assert stream.failures == []
    assert seconds < DRAIN_TIMEOUT
    assert not moved & {p["metadata"]["name"] for p in app.list_pods()}
    states = [
        state["status"]
        for state in space.kube.watch_history("SelfHealingApp", space.name, name, since)
    ]
    assert min(state["readyReplicas"] for state in states) >= replicas - 1
    assert {state["disruption"]["allowed"] for state in states} == {0, 1}
    assert operator.is_running()
    assert has_no_alert(space.count_events(name))


def has_no_alert(messages: Json) -> bool:
    """Whether nobody was woken."""
    return not messages.keys() & {"Degraded", "ContainerRestarted", "DriftCorrected"}
