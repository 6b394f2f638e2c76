"""A play's own namespace: made anew for each run, removed at its end, never somebody else's."""

import json
import time

from theatre.errors import ShowError
from theatre.kube import Kube

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
    label = f"selfhealing.dev/{play}"
    found = kube.read(_PATH)
    if found is not None:
        if label not in found["metadata"].get("labels", {}):
            raise ShowError(
                f"there is a namespace {kube.namespace} that is not the {play}'s: "
                "choose another by NAMESPACE=name"
            )
        print(f"Removing what an earlier {play} left in namespace {kube.namespace} ...", flush=True)
        remove(kube)
    body = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": kube.namespace, "labels": {label: "true"}},
    }
    kube.kubectl("create -f -", stdin=json.dumps(body))


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
