"""A play's own namespace: made anew for each run, removed at its end, never somebody else's."""

import json

from hack.scenarios.common.errors import ScenarioError
from hack.testkit.kube_client import KubeClient
from hack.testkit.wait import wait_until

_PATH = "/api/v1/namespaces/{ns}"
_DELETE_TIMEOUT = 90


def create_namespace(kube: KubeClient, scenario: str) -> None:
    """Make the namespace; what an earlier run has left in it is removed first.

    Args:
        kube: the cluster and the namespace's name.
        scenario: whose it is, such as ``demo``; a label says so.

    Raises:
        ShowError: a namespace of that name is there and is not the play's.
    """
    if has_leftover_namespace(kube, scenario):
        print(
            f"Removing what an earlier {scenario} left in namespace {kube.namespace} ...",
            flush=True,
        )
        delete_namespace(kube)
    body = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": kube.namespace, "labels": {_label(scenario): "true"}},
    }
    kube.run_kubectl("create -f -", stdin=json.dumps(body))


def has_leftover_namespace(kube: KubeClient, scenario: str) -> bool:
    """Whether there is a namespace of that name already.

    Raises:
        ShowError: there is, and it is not the play's.
    """
    found = kube.get_path(_PATH)
    if found is None:
        return False
    if _label(scenario) not in found["metadata"].get("labels", {}):
        raise ScenarioError(
            f"there is a namespace {kube.namespace} that is not the {scenario}'s: "
            "choose another by NAMESPACE=name"
        )
    return True


def _label(scenario: str) -> str:
    return f"selfhealing.dev/{scenario}"


def delete_namespace(kube: KubeClient) -> None:
    """Remove the namespace, and wait until it is gone.

    Raises:
        ShowError: it does not go.
    """
    kube.run_kubectl(f"delete namespace {kube.namespace} --ignore-not-found --wait=false")
    wait_until(
        f"namespace {kube.namespace} is gone",
        lambda: kube.get_path(_PATH) is None,
        _DELETE_TIMEOUT,
        expected_errors=(),
    )
