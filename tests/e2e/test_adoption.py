"""A Deployment written by hand becomes an app, and its callers notice nothing."""

import logging
import subprocess
import sys

import pytest

from hack.testkit.kube_client import KUBECONFIG, ROOT, Json, find_condition, run_kubectl
from hack.testkit.namespace import AppNamespace
from hack.testkit.service_access import list_node_port_urls
from hack.testkit.wait import eventually
from hack.testkit.yaml_text import parse_yaml
from tests.e2e.app_client import PORT, AppClient
from tests.e2e.request_stream import RequestStream

logger = logging.getLogger(__name__)

RECHECK = 60
"""Seconds. An object without the operator's label is looked at every 30 s."""

pytestmark = pytest.mark.usefixtures("operator")


def build_objects(name: str, namespace: str) -> dict[str, Json]:
    """Return a Deployment with its Service and its budget, as people write them."""
    labels = {"app": name, "tier": "front"}
    container: Json = {
        "name": "server",
        "image": "localhost/selfhealing-demo:dev",
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": PORT}, "periodSeconds": 2},
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
    }
    specs: dict[str, tuple[str, Json]] = {
        "Deployment": (
            "apps/v1",
            {
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        ),
        "Service": (
            "v1",
            {
                "type": "NodePort",
                "selector": labels,
                "ports": [{"port": 80, "targetPort": PORT}],  # without a name, as most are
            },
        ),
        "PodDisruptionBudget": (
            "policy/v1",
            {"minAvailable": 1, "selector": {"matchLabels": labels}},
        ),
    }
    return {
        kind: {
            "apiVersion": version,
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        }
        for kind, (version, spec) in specs.items()
    }


def import_from_cluster(namespace: str, name: str) -> str:
    """Return what `python -m selfhealing import` prints."""
    command = [sys.executable, "-m", "selfhealing", "import"]
    done = subprocess.run(
        [*command, "--namespace", namespace, "--deployment", name],
        cwd=ROOT / "operator",
        env={"KUBECONFIG": str(KUBECONFIG), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def offer(space: AppNamespace, name: str, *kinds: str) -> None:
    """Let the operator take objects over."""
    for kind in kinds:
        annotate = ("annotate", f"{kind.lower()}/{name}", "selfhealing.dev/adopt=true")
        run_kubectl("-n", space.name, *annotate)


def read_specs(space: AppNamespace, name: str, *kinds: str) -> dict[str, Json]:
    return {kind: space.get_child(kind, name)["spec"] for kind in kinds}


def test_no_request_fails_while_a_deployment_is_taken_over(space: AppNamespace, name: str) -> None:
    """What would cut off the callers is refused first; then every step leaves somebody to serve."""
    kinds = ("Deployment", "Service", "PodDisruptionBudget")
    objects = build_objects(name, space.name)
    for each in objects.values():
        space.kube.create(each)
    app = AppClient(space, name)
    eventually(lambda: len(app.list_endpoint_pods()) == 2, timeout=90, description="2 old pods")
    service = space.get_service(name)
    old_pods = app.list_endpoint_pods()
    (url, *_) = list_node_port_urls(service, space.kube.list("Node", None))
    text = import_from_cluster(space.name, name)
    imported = parse_yaml(text)
    assert "Deployment.spec.selector" in text
    assert imported["spec"]["service"]["nodePort"] == service["spec"]["ports"][0]["nodePort"]

    with RequestStream(f"{url}/") as stream:
        offer(space, name, *kinds)
        before = read_specs(space, name, *kinds)
        run_kubectl("-n", space.name, "apply", "-f", "-", stdin=text)

        def find_conflict() -> Json:
            found = space.get_condition(name, "Reconciled")
            assert found.get("reason") == "NameConflict", found
            return found

        refused = eventually(find_conflict)["message"]
        assert f"delete deployment/{name} --cascade=orphan" in refused
        assert before == read_specs(space, name, *kinds)

        run_kubectl("-n", space.name, "delete", f"deployment/{name}", "--cascade=orphan")
        found = space.wait_until_reconciled(name, timeout=RECHECK)
        message = find_condition(found, "Reconciled")["message"]
        assert message.endswith("; taken over: PodDisruptionBudget, Service"), message
        eventually(lambda: not old_pods & app.list_endpoint_pods())
        left = f"app={name},tier=front,!selfhealing.dev/app"
        run_kubectl("-n", space.name, "delete", "replicaset", "-l", left)
        new_pods = {pod["metadata"]["name"] for pod in app.list_pods()}
        eventually(lambda: new_pods <= stream.answered.keys(), description="the new pods answer")
        eventually(
            lambda: (
                not old_pods & {p["metadata"]["name"] for p in space.kube.list("Pod", space.name)}
            ),
            timeout=90,
            description="the old pods are gone",
        )

    logger.info(
        "taken over; %d requests answered, %d failed",
        stream.answered.total(),
        len(stream.failures),
    )
    assert stream.failures == []
    assert old_pods <= stream.answered.keys()
    after = space.get_service(name)
    assert after["metadata"]["uid"] == service["metadata"]["uid"]
    assert after["spec"]["clusterIP"] == service["spec"]["clusterIP"]
    assert after["spec"]["selector"] == {"selfhealing.dev/app": name}
    assert "name" not in after["spec"]["ports"][0]
    assert app.wait_until_ready()["readyReplicas"] == 2
    assert space.count_events(name)["Adopted"] >= 1
