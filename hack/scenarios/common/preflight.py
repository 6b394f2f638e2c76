"""Checks before a run: the CRD, the operator, and that no second run is active."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from hack.localcluster.paths import Paths
from hack.scenarios.common.errors import ScenarioError
from hack.testkit.kube_client import KubeClient

_OPERATOR = "/apis/apps/v1/namespaces/selfhealing-system/deployments/selfhealing-operator"
OPERATOR_LOG_COMMAND = (
    "kubectl -n selfhealing-system logs deployment/selfhealing-operator --tail=50"
)
_CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/selfhealingapps.selfhealing.dev"


def is_operator_installed(kube: KubeClient) -> bool:
    """Return whether the operator's Deployment exists in the cluster."""
    return kube.get_path(_OPERATOR) is not None


def require_crd(kube: KubeClient) -> None:
    """Check that the CRD is installed.

    Raises:
        ScenarioError: it is not.
    """
    if kube.get_path(_CRD) is None:
        raise ScenarioError("the cluster does not know SelfHealingApps: run `make deploy`")


def require_operator(kube: KubeClient) -> None:
    """Check that the CRD is installed and that an installed operator is available.

    Without an installed operator the user must run one; a line says so.

    Raises:
        ScenarioError: the CRD is missing, or the operator has no available replica.
    """
    require_crd(kube)
    operator = kube.get_path(_OPERATOR)
    if operator is None:
        print("There is no operator in selfhealing-system; so yours must be running (`make run`).")
    elif not operator.get("status", {}).get("availableReplicas"):
        raise ScenarioError(
            "the operator in the cluster is not ready:"
            " `kubectl -n selfhealing-system get pods` tells more"
        )


def describe_cluster(kube: KubeClient) -> str:
    """Return the version and the number of real nodes of the cluster, for people."""
    version = (kube.get_path("/version") or {}).get("gitVersion", "an unknown version")
    nodes = (kube.get_path("/api/v1/nodes") or {}).get("items", ())
    real_nodes = [
        node
        for node in nodes
        if "kwok.x-k8s.io/node" not in node["metadata"].get("annotations", {})
    ]
    return f"Kubernetes {version}, {len(real_nodes)} node{'' if len(real_nodes) == 1 else 's'}"


@contextmanager
def run_exclusively(paths: Paths, scenario: str, namespace: str = "") -> Iterator[None]:
    """Hold a lock during the block: one run of a set of scenarios on a cluster or in a namespace.

    Raises:
        ScenarioError: another run holds it.
    """
    name = f"{scenario}-{namespace}" if namespace else scenario
    with (paths.state / f"{name}.lock").open("w") as lock_file:
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            where = f"in namespace {namespace}" if namespace else "on this cluster"
            raise ScenarioError(f"the {scenario} is already running {where}") from None
        yield
