"""Autoscaling by what an app counts itself: a real stream of requests, Prometheus, its adapter.

Needs the add-on: ``make cluster ADDONS=metrics-stack``.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from hack.scenarios.common.request_stream import stream
from hack.testkit.kube_client import Json, Kube, kubectl
from hack.testkit.namespace import Space
from hack.testkit.wait import eventually
from tests.e2e.app_client import LabApp, example

DEMO = "localhost/selfhealing-demo:dev"
RATE, QUEUED = "http_requests_per_second", "http_requests_queued"

SEEN_LIMIT = 90
"""A new pod is found, scraped twice, found by the adapter and asked for by the autoscaler."""

GROW_LIMIT = 120
SHRINK_LIMIT = 180
"""The rate falls for 20 s, and the example waits for 30 s before it removes pods."""

pytestmark = pytest.mark.usefixtures("operator", "metrics_stack")


@pytest.fixture(scope="module")
def metrics_stack(kube: Kube) -> None:
    """Custom metrics are served; they are an add-on of the local cluster."""
    url = f"{kube.http.url.rstrip('/')}/apis/custom.metrics.k8s.io/v1beta2"
    if not kube.http.session.get(url, timeout=20).ok:
        pytest.fail("no custom metrics are served: make cluster ADDONS=metrics-stack")


def _started(space: Space, manifest: Json) -> LabApp:
    space.kube.create({**manifest, "metadata": {**manifest["metadata"], "namespace": space.name}})
    return LabApp(space, manifest["metadata"]["name"])


@pytest.fixture(scope="module")
def app(space: Space, operator: object) -> LabApp:  # noqa: ARG001 - it must run
    """The example, which shows both metrics."""
    (manifest,) = example("14-autoscaling-by-requests.yaml")
    return _started(space, manifest)


@pytest.fixture(scope="module")
def narrow(space: Space, operator: object) -> Iterator[LabApp]:  # noqa: ARG001 - it must run
    """An app that works on one request at a time, 0.3 s each, and grows with its queue.

    Prometheus' own question waits in that queue, too, and must be answered within 4 s.
    """
    target: dict[str, Any] = {"type": "AverageValue", "averageValue": "2"}
    metric = {"type": "Pods", "pods": {"metric": {"name": QUEUED}, "target": target}}
    manifest = space.manifest(
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
    yield _started(space, manifest)
    space.kube.delete("SelfHealingApp", space.name, "narrow")


def _shown(app: LabApp, metric: str) -> float:
    """What the status shows of a metric."""
    figure = app.status()["autoscaling"]["metrics"][metric].partition("/")[0]
    assert figure != "unknown", app.status()["autoscaling"]
    return float(figure)


def _active(app: LabApp) -> bool:
    found = app.space.condition(app.name, "ScalingActive")
    assert found.get("status") == "True", found
    return True


def test_an_idle_app_has_a_rate_of_nothing_and_not_none(app: LabApp) -> None:
    """Nobody asks, the probes do not count, and the autoscaler knows both."""
    app.ready()

    eventually(lambda: _active(app), timeout=SEEN_LIMIT, says="the autoscaler has metrics")
    eventually(lambda: _shown(app, RATE) == 0, timeout=SEEN_LIMIT, says="the rate is 0")

    metrics = app.status()["autoscaling"]["metrics"]
    assert metrics == {RATE: "0/5", QUEUED: "0/4"}
    assert len(app.pods()) == 1


def test_requests_add_pods_and_their_end_removes_them(app: LabApp) -> None:
    """A stream through the Service is counted, answered by more pods, and over some day."""
    app.ready()
    app.answers("/")

    with stream(app.status()["endpoint"] + "/", users=4, pause=0.2) as requests_sent:
        eventually(lambda: _shown(app, RATE) > 5, timeout=SEEN_LIMIT, says="the rate is seen")
        app.has(lambda pods: pods > 1, GROW_LIMIT)
        app.ready(GROW_LIMIT)
        eventually(lambda: len(requests_sent.answers) > 1, timeout=30, says="new pods answer")
        assert app.status()["autoscaling"]["desired"] > 1
        assert _active(app)

    app.has(lambda pods: pods == 1, SHRINK_LIMIT)
    eventually(lambda: app.status()["replicas"] == 1, says="the status says 1")
    # A figure that moves by less than a tenth of its target is shown as it was.
    eventually(lambda: _shown(app, RATE) < 1, timeout=SEEN_LIMIT, says="the rate is low again")
    assert requests_sent.failures == 0
    notes = [event["note"] for event in app.space.events(app.name, "Scaled")]
    assert any(RATE in note for note in notes), notes


def test_a_queue_adds_pods(narrow: LabApp) -> None:
    """Requests that wait are seen, and more pods take them."""
    narrow.ready()
    eventually(lambda: _active(narrow), timeout=SEEN_LIMIT, says="the autoscaler has metrics")

    with stream(narrow.status()["endpoint"] + "/", users=8, pause=0):
        eventually(lambda: _shown(narrow, QUEUED) > 2, timeout=SEEN_LIMIT, says="a queue is seen")
        narrow.has(lambda pods: pods > 1, GROW_LIMIT)

    narrow.has(lambda pods: pods == 1, SHRINK_LIMIT)


def test_anybody_with_rights_can_ask_for_the_metrics(app: LabApp) -> None:
    """The add-on serves what kubectl asks for, pod by pod."""
    path = f"/apis/custom.metrics.k8s.io/v1beta2/namespaces/{app.space.name}/pods/*/{RATE}"

    def served() -> bool:
        return app.pod()["metadata"]["name"] in kubectl("get", "--raw", path, check=False)

    eventually(served, timeout=SEEN_LIMIT, says="the metric of the pod is served")
