"""Whether a play can begin on this cluster, and that only one does."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from hack.localcluster.paths import Paths
from hack.scenarios.common.errors import ShowError
from hack.scenarios.common.kube_client import Kube

_OPERATOR = "/apis/apps/v1/namespaces/selfhealing-system/deployments/selfhealing-operator"
_CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/selfhealingapps.selfhealing.dev"


def operator_there(kube: Kube) -> bool:
    """Whether the operator is installed in the cluster."""
    return kube.read(_OPERATOR) is not None


def check_kind(kube: Kube) -> None:
    """Look whether the cluster knows the kind.

    Raises:
        ShowError: it does not.
    """
    if kube.read(_CRD) is None:
        raise ShowError("the cluster does not know SelfHealingApps: run `make deploy`")


def check(kube: Kube) -> None:
    """Look whether a play can begin.

    Raises:
        ShowError: the cluster does not know the kind, or its operator is not ready.
    """
    check_kind(kube)
    operator = kube.read(_OPERATOR)
    if operator is None:
        print("There is no operator in selfhealing-system; so yours must be running (`make run`).")
    elif not operator.get("status", {}).get("availableReplicas"):
        raise ShowError(
            "the operator in the cluster is not ready:"
            " `kubectl -n selfhealing-system get pods` tells more"
        )


def described(kube: Kube) -> str:
    """What a play ran on, for people."""
    version = (kube.read("/version") or {}).get("gitVersion", "an unknown version")
    nodes = (kube.read("/api/v1/nodes") or {}).get("items", ())
    real = [
        node
        for node in nodes
        if "kwok.x-k8s.io/node" not in node["metadata"].get("annotations", {})
    ]
    return f"Kubernetes {version}, {len(real)} node{'' if len(real) == 1 else 's'}"


@contextmanager
def alone(paths: Paths, play: str) -> Iterator[None]:
    """Keep a second run of the same play on the same cluster away.

    Raises:
        ShowError: one is running.
    """
    with (paths.state / f"{play}.lock").open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ShowError(f"a {play} is already running on this cluster") from None
        yield
