"""The apps of the benchmark: small, on fake nodes, four objects each."""

from collections.abc import Sequence

from hack.benchmark.preflight import CHILD_KINDS
from hack.testkit.kube_client import Json
from selfhealing.api.spec import parse_spec
from selfhealing.render import Owner, build_children

PODS_PER_APP = 2
"""Pods per app."""

APP_SPEC: Json = {
    "image": "registry.example/shop/api:1.4.2",
    "port": 8080,
    "env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "REGION", "value": "north"}],
    "resources": {
        "requests": {"cpu": "50m", "memory": "64Mi"},
        "limits": {"cpu": "200m", "memory": "128Mi"},
    },
    "probes": {
        "liveness": {"httpGet": {"path": "/health"}, "periodSeconds": 5},
        "readiness": {"httpGet": {"path": "/ready"}, "periodSeconds": 3},
    },
    "autoscaling": {
        "minReplicas": PODS_PER_APP,
        "maxReplicas": 5,
        "targetCPUUtilizationPercentage": 50,
    },
    "disruption": {"enabled": False},  # four objects, as in every table before
    "terminationGracePeriodSeconds": 0,
    "nodeSelector": {"type": "kwok"},
    "tolerations": [{"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}],
}


def list_app_names(count: int, first: int = 0) -> list[str]:
    """Return the names of ``count`` apps."""
    return [f"app-{number:04}" for number in range(first, first + count)]


def build_app(namespace: str, name: str) -> Json:
    """Return the SelfHealingApp."""
    return {
        "apiVersion": "selfhealing.dev/v1alpha1",
        "kind": "SelfHealingApp",
        "metadata": {"name": name, "namespace": namespace},
        "spec": APP_SPEC,
    }


def render_app_children(namespace: str, name: str, uid: str) -> Sequence[Json]:
    """Return the children as the operator renders them, for the raw loop to apply.

    ``replicas`` is added, as in a manifest by hand: without it the second pod would come only after
    the autoscaler's first sync, and the comparison would favour the operator.
    """
    made = build_children(Owner(namespace, name, uid), parse_spec(APP_SPEC))
    for child in made:
        if child["kind"] == "Deployment":
            child["spec"]["replicas"] = PODS_PER_APP
    return [child for child in made if child["kind"] in CHILD_KINDS]
