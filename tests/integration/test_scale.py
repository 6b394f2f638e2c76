"""``kubectl scale sha/NAME`` works as for a Deployment (api.md)."""

import json

import pytest

from hack.testkit.kube_client import run_kubectl
from hack.testkit.namespace import FAKE_NODES, AppNamespace
from hack.testkit.wait import eventually

pytestmark = pytest.mark.usefixtures("operator", "fake_nodes")


@pytest.mark.parametrize("given", [{}, {"replicas": 1}], ids=["default", "given"])
def test_scale(space: AppNamespace, name: str, given: dict[str, int]) -> None:
    """So many pods are made, and the scale subresource tells of them and of their selector."""
    space.create_app(name, **given, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")

    said = run_kubectl("-n", space.name, "scale", f"sha/{name}", "--replicas=3")

    assert "scaled" in said
    eventually(lambda: space.wait_for_phase(name, "Ready")["status"]["ready"] == "3/3")
    assert space.get_app(name)["spec"]["replicas"] == 3
    scale = json.loads(
        run_kubectl(
            "get",
            "--raw",
            f"/apis/selfhealing.dev/v1alpha1/namespaces/{space.name}/selfhealingapps/{name}/scale",
        )
    )
    assert scale["spec"]["replicas"] == 3
    assert scale["status"] == {"replicas": 3, "selector": f"selfhealing.dev/app={name}"}


def test_scale_to_nothing_and_back(space: AppNamespace, name: str) -> None:
    """0 is allowed, is Ready, and has no pod."""
    space.create_app(name, replicas=2, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")

    run_kubectl("-n", space.name, "scale", f"sha/{name}", "--replicas=0")
    eventually(lambda: space.wait_for_phase(name, "Ready")["status"]["ready"] == "0/0")
    status = space.get_status(name)
    assert status["message"] == "scaled to 0 pods"
    eventually(lambda: space.list_pods(name) == [])

    run_kubectl("-n", space.name, "scale", f"sha/{name}", "--replicas=1")
    eventually(lambda: space.get_status(name)["ready"] == "1/1")


def test_scale_with_autoscaling_is_refused(space: AppNamespace, name: str) -> None:
    """With autoscaling a number by hand is refused, in words that say what to do instead."""
    space.create_app(name, autoscaling={"minReplicas": 2, "maxReplicas": 5}, **FAKE_NODES)
    space.wait_until_reconciled(name)

    said = run_kubectl("-n", space.name, "scale", f"sha/{name}", "--replicas=3", check=False)

    assert "replicas and autoscaling exclude each other" in said
    assert "remove replicas" in said
    assert space.get_app(name)["spec"]["replicas"] == 1  # the default, which nothing reads


def test_scale_of_the_deployment_is_put_back(space: AppNamespace, name: str) -> None:
    """The number in the spec counts, not one set on the Deployment by hand."""
    space.create_app(name, replicas=2, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")

    run_kubectl("-n", space.name, "scale", f"deployment/{name}", "--replicas=5")

    assert eventually(lambda: space.count_events(name).get("DriftCorrected")) == 1
    assert space.get_deployment(name)["spec"]["replicas"] == 2
