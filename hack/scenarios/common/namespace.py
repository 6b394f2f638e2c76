"""A play's own namespace: made anew for each run, removed at its end, never somebody else's."""

import json
import time

from hack.scenarios.common.errors import ShowError
from hack.scenarios.common.kube_client import Kube

_PATH = "/api/v1/namespaces/{ns}"
_LIMIT = 90


def make(kube: Kube, play: str) -> None:
    """Make the namespace; what an earlier run has left in it is removed first.

    Args:
        kube: the cluster and the namespace's name.
        play: whose it is, such as ``demo``; a label says so.

    Raises:
        ShowError: a namespace of that name is there and is not the play's.
    """
    if check(kube, play):
        print(f"Removing what an earlier {play} left in namespace {kube.namespace} ...", flush=True)
        remove(kube)
    body = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": kube.namespace, "labels": {_label(play): "true"}},
    }
    kube.kubectl("create -f -", stdin=json.dumps(body))


def check(kube: Kube, play: str) -> bool:
    """Whether there is a namespace of that name already.

    Raises:
        ShowError: there is, and it is not the play's.
    """
    found = kube.read(_PATH)
    if found is None:
        return False
    if _label(play) not in found["metadata"].get("labels", {}):
        raise ShowError(
            f"there is a namespace {kube.namespace} that is not the {play}'s: "
            "choose another by NAMESPACE=name"
        )
    return True


def _label(play: str) -> str:
    return f"selfhealing.dev/{play}"


def remove(kube: Kube) -> None:
    """Remove the namespace, and wait until it is gone.

    Raises:
        ShowError: it does not go.
    """
    kube.kubectl(f"delete namespace {kube.namespace} --ignore-not-found --wait=false")
    deadline = time.monotonic() + _LIMIT
    while kube.read(_PATH) is not None:
        if time.monotonic() > deadline:
            raise ShowError(f"namespace {kube.namespace} is still there after {_LIMIT} s")
        time.sleep(0.5)
