"""Autoscaling by what an app counts itself: a real stream of requests, Prometheus, its adapter.

Needs the add-on: ``make cluster ADDONS=metrics-stack``.
"""

import ipaddress
from collections.abc import Iterator
from typing import Any

import pytest

from hack.scenarios.common.request_stream import send_requests
from hack.testkit.kube_client import Json, KubeClient, run_kubectl
from hack.testkit.namespace import AppNamespace
from hack.testkit.node_control import run_on_node
from hack.testkit.wait import eventually
from tests.e2e.app_client import AppClient, load_example

DEMO = "localhost/selfhealing-demo:dev"
RATE, QUEUED = "http_requests_per_second", "http_requests_queued"

_CONNECT_SCRIPT = 'timeout 5 bash -c "exec 3<>/dev/tcp/$1/9090" 2>&1 && echo connected || true'

METRIC_TIMEOUT = 90
"""A new pod is found, scraped twice, found by the adapter and asked for by the autoscaler."""

SCALE_UP_TIMEOUT = 120
SCALE_DOWN_TIMEOUT = 180
"""The rate falls for 20 s, and the example waits for 30 s before it removes pods."""

pytestmark = pytest.mark.usefixtures("operator", "metrics_stack")


@pytest.fixture(scope="module")
def metrics_stack(kube: KubeClient) -> None:
    """Custom metrics are served; they are an add-on of the local cluster."""
    url = f"{kube.http.url.rstrip('/')}/apis/custom.metrics.k8s.io/v1beta2"
    if not kube.http.session.get(url, timeout=20).ok:
        pytest.fail("no custom metrics are served: make cluster ADDONS=metrics-stack")


def start_app(space: AppNamespace, manifest: Json) -> AppClient:
    space.kube.create({**manifest, "metadata": {**manifest["metadata"], "namespace": space.name}})
    return AppClient(space, manifest["metadata"]["name"])


@pytest.fixture(scope="module")
def app(space: AppNamespace, operator: object) -> AppClient:  # noqa: ARG001 - it must run
    """The example, which shows both metrics."""
    (manifest,) = load_example("14-autoscaling-by-requests.yaml")
    return start_app(space, manifest)


@pytest.fixture(scope="module")
def narrow(space: AppNamespace, operator: object) -> Iterator[AppClient]:  # noqa: ARG001 - it must run
    """An app that works on one request at a time, 0.3 s each, and grows with its queue.

    Prometheus' own question waits in that queue, too, and must be answered within 4 s.
    """
    target: dict[str, Any] = {"type": "AverageValue", "averageValue": "2"}
    metric = {"type": "Pods", "pods": {"metric": {"name": QUEUED}, "target": target}}
    manifest = space.build_manifest(
        "narrow",
        image=DEMO,
        imagePullPolicy="IfNotPresent",
        port=5000,
        env=[{"name": "THREADS", "value": "1"}, {"name": "WORK_SECONDS", "value": "0.3"}],
        probes={"readiness": {"tcpSocket": {}, "periodSeconds": 2}},
        service={"type": "NodePort"},
        autoscaling={
            "minReplicas": 1,
            "maxReplicas": 3,
            "metrics": [metric],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 15}},
        },
    )
    yield start_app(space, manifest)
    space.kube.delete("SelfHealingApp", space.name, "narrow")


def get_metric_status(app: AppClient, metric: str) -> float:
    """What the status shows of a metric."""
    figure = app.get_status()["autoscaling"]["metrics"][metric].partition("/")[0]
    assert figure != "unknown", app.get_status()["autoscaling"]
    return float(figure)


def is_scaling_active(app: AppClient) -> bool:
    found = app.space.get_condition(app.name, "ScalingActive")
    assert found.get("status") == "True", found
    return True


def test_the_address_of_no_service_stays_in_the_cluster(kube: KubeClient) -> None:
    """A gateway outside may answer it: the metrics adapter kept asking one, not Prometheus."""
    found = kube.get_path("/apis/networking.k8s.io/v1/servicecidrs/kubernetes")
    assert found is not None
    cidr = found["spec"]["cidrs"][0]
    taken = {service["spec"]["clusterIP"] for service in kube.list("Service", None)}
    hosts = (str(address) for address in ipaddress.ip_network(cidr).hosts())
    free = next(address for address in hosts if address not in taken)
    nodes = [node["metadata"]["name"] for node in kube.list("Node", None)]

    for node in (name for name in nodes if not name.startswith("kwok-")):
        answer = run_on_node(node, _CONNECT_SCRIPT, free)
        assert "connected" not in answer, (node, free, answer)


def test_an_idle_app_has_a_rate_of_nothing_and_not_none(app: AppClient) -> None:
    """Nobody asks, the probes do not count, and the autoscaler knows both."""
    app.wait_until_ready()

    eventually(
        lambda: is_scaling_active(app),
        timeout=METRIC_TIMEOUT,
        description="the autoscaler has metrics",
    )
    eventually(
        lambda: get_metric_status(app, RATE) == 0,
        timeout=METRIC_TIMEOUT,
        description="the rate is 0",
    )

    metrics = app.get_status()["autoscaling"]["metrics"]
    assert metrics == {RATE: "0/5", QUEUED: "0/4"}
    assert len(app.list_pods()) == 1


def test_requests_add_pods_and_their_end_removes_them(app: AppClient) -> None:
    """A stream through the Service is counted, answered by more pods, and over some day."""
    app.wait_until_ready()
    app.wait_for_response("/")

    with send_requests(app.get_status()["endpoint"] + "/", users=4, pause=0.2) as requests_sent:
        eventually(
            lambda: get_metric_status(app, RATE) > 5,
            timeout=METRIC_TIMEOUT,
            description="the rate is seen",
        )
        app.wait_for_pod_count(lambda pods: pods > 1, SCALE_UP_TIMEOUT)
        app.wait_until_ready(SCALE_UP_TIMEOUT)
        eventually(
            lambda: len(requests_sent.answers_by_pod) > 1, timeout=30, description="new pods answer"
        )
        assert app.get_status()["autoscaling"]["desired"] > 1
        assert is_scaling_active(app)

    app.wait_for_pod_count(lambda pods: pods == 1, SCALE_DOWN_TIMEOUT)
    eventually(lambda: app.get_status()["replicas"] == 1, description="the status says 1")
    # A figure that moves by less than a tenth of its target is shown as it was.
    eventually(
        lambda: get_metric_status(app, RATE) < 1,
        timeout=METRIC_TIMEOUT,
        description="the rate is low again",
    )
    assert requests_sent.failure_count == 0
    eventually(
        lambda: any(RATE in event["note"] for event in app.space.list_events(app.name, "Scaled")),
        description="an Event names the metric",
    )


def test_a_queue_adds_pods(narrow: AppClient) -> None:
    """Requests that wait are seen, and more pods take them."""
    narrow.wait_until_ready()
    eventually(
        lambda: is_scaling_active(narrow),
        timeout=METRIC_TIMEOUT,
        description="the autoscaler has metrics",
    )

    with send_requests(narrow.get_status()["endpoint"] + "/", users=8, pause=0):
        eventually(
            lambda: get_metric_status(narrow, QUEUED) > 2,
            timeout=METRIC_TIMEOUT,
            description="a queue is seen",
        )
        narrow.wait_for_pod_count(lambda pods: pods > 1, SCALE_UP_TIMEOUT)

    narrow.wait_for_pod_count(lambda pods: pods == 1, SCALE_DOWN_TIMEOUT)


def test_anybody_with_rights_can_ask_for_the_metrics(app: AppClient) -> None:
    """The add-on serves what kubectl asks for, pod by pod."""
    path = f"/apis/custom.metrics.k8s.io/v1beta2/namespaces/{app.space.name}/pods/*/{RATE}"

    def served() -> bool:
        return app.get_only_pod()["metadata"]["name"] in run_kubectl(
            "get", "--raw", path, check=False
        )

    eventually(served, timeout=METRIC_TIMEOUT, description="the metric of the pod is served")
