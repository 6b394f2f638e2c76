"""``kubectl scale sha/NAME`` works as for a Deployment (api.md)."""

import json

import pytest

from hack.testkit.kube_client import kubectl
from hack.testkit.namespace import FAKE_NODES, Space
from hack.testkit.wait import eventually

pytestmark = pytest.mark.usefixtures("operator", "fake_nodes")


@pytest.mark.parametrize("given", [{}, {"replicas": 1}], ids=["default", "given"])
def test_scale(space: Space, name: str, given: dict[str, int]) -> None:
    """So many pods are made, and the scale subresource tells of them and of their selector."""
    space.create(name, **given, **FAKE_NODES)
    space.is_(name, "Ready")

    said = kubectl("-n", space.name, "scale", f"sha/{name}", "--replicas=3")

    assert "scaled" in said
    eventually(lambda: space.is_(name, "Ready")["status"]["ready"] == "3/3")
    assert space.app(name)["spec"]["replicas"] == 3
    scale = json.loads(
        kubectl(
            "get",
            "--raw",
            f"/apis/selfhealing.dev/v1alpha1/namespaces/{space.name}/selfhealingapps/{name}/scale",
        )
    )
    assert scale["spec"]["replicas"] == 3
    assert scale["status"] == {"replicas": 3, "selector": f"selfhealing.dev/app={name}"}


def test_scale_to_nothing_and_back(space: Space, name: str) -> None:
    """0 is allowed, is Ready, and has no pod."""
    space.create(name, replicas=2, **FAKE_NODES)
    space.is_(name, "Ready")

    kubectl("-n", space.name, "scale", f"sha/{name}", "--replicas=0")
    eventually(lambda: space.is_(name, "Ready")["status"]["ready"] == "0/0")
    status = space.status(name)
    assert status["message"] == "scaled to 0 pods"
    eventually(lambda: space.pods(name) == [])

    kubectl("-n", space.name, "scale", f"sha/{name}", "--replicas=1")
    eventually(lambda: space.status(name)["ready"] == "1/1")


def test_scale_with_autoscaling_is_refused(space: Space, name: str) -> None:
    """With autoscaling a number by hand is refused, in words that say what to do instead."""
    space.create(name, autoscaling={"minReplicas": 2, "maxReplicas": 5}, **FAKE_NODES)
    space.reconciled(name)

    said = kubectl("-n", space.name, "scale", f"sha/{name}", "--replicas=3", check=False)

    assert "replicas and autoscaling exclude each other" in said
    assert "remove replicas" in said
    assert "replicas" not in space.app(name)["spec"]


def test_scale_of_the_deployment_is_put_back(space: Space, name: str) -> None:
    """The number in the spec counts, not one set on the Deployment by hand."""
    space.create(name, replicas=2, **FAKE_NODES)
    space.is_(name, "Ready")

    kubectl("-n", space.name, "scale", f"deployment/{name}", "--replicas=5")

    assert eventually(lambda: space.told(name).get("DriftCorrected")) == 1
    assert space.deployment(name)["spec"]["replicas"] == 2
