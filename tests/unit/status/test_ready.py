"""Ready means that somebody can use what was asked for: enough pods, and an address."""

from typing import Any

from tests.unit import builders
from tests.unit.builders import deployment, hpa, pod, running, service
from tests.unit.snapshots import Json, evaluate_app


def find_ready(*objects: Json, **more: Any) -> tuple[str, str, str, str]:  # noqa: ANN401 - as evaluate_app
    """Phase, the condition Ready with its reason, and the ready pods."""
    status = evaluate_app(*objects, **more).status
    condition = next(c for c in status.conditions if c.type == "Ready")
    return str(status.phase), str(condition.status), condition.reason, status.ready or ""


PODS = [pod(f"web-abc-{n}", running()) for n in range(3)]


def test_a_load_balancer_without_an_address() -> None:
    """The pods are ready, and nobody reaches them from outside."""
    one = [deployment(1), PODS[0]]
    address = [{"ip": "192.0.2.1"}]

    assert ("Progressing", "False", "AddressPending", "1/1") == find_ready(
        *one, service("LoadBalancer")
    )
    assert ("Ready", "True", "AllPodsReady", "1/1") == find_ready(
        *one, service("LoadBalancer", ingress=address)
    )
    assert ("Ready", "True", "AllPodsReady", "1/1") == find_ready(*one, service())
    assert ("Ready", "True", "ScaledToZero", "0/0") == find_ready(
        deployment(0), service("LoadBalancer")
    )


def build_autoscaler(minimum: int, **more: Any) -> Json:  # noqa: ANN401 - as hpa
    """Return the app's autoscaler with a minimum."""
    autoscaler = hpa(1, 1, **more)
    autoscaler["spec"]["minReplicas"] = minimum
    return autoscaler


def test_fewer_pods_than_the_minimum_of_the_autoscaler() -> None:
    """It raises them in a moment; one that is going, or a Deployment at 0, is left alone."""
    one = [deployment(1), PODS[0]]

    phase, status, _, ready = find_ready(*one, build_autoscaler(3))

    assert ("Progressing", "False", "1/3") == (phase, status, ready)
    assert ("Ready", "True", "AllPodsReady", "3/3") == find_ready(
        deployment(3), *PODS, build_autoscaler(3)
    )
    going = build_autoscaler(3, deletionTimestamp=builders.iso(9))
    assert ("Ready", "True", "AllPodsReady", "1/1") == find_ready(*one, going)
    assert "0/0" == find_ready(deployment(0), build_autoscaler(3))[3]
