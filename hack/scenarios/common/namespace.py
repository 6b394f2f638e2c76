"""The namespace of a scenario, which is created for a run and deleted after it.

A label marks it, so that no other namespace is deleted.
"""

import json

from hack.scenarios.common.errors import ScenarioError
from hack.testkit.kube_client import KubeClient
from hack.testkit.wait import wait_until

_PATH = "/api/v1/namespaces/{ns}"
_DELETE_TIMEOUT = 90


def create_namespace(kube: KubeClient, scenario: str) -> None:
    """Create the client's namespace; delete first what an earlier run has left of it.

    Args:
        kube: the client; its namespace is created.
        scenario: the set of scenarios, such as ``demo``, for the label.

    Raises:
        ScenarioError: a namespace of that name exists without the label.
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
    """Return whether an earlier run has left the namespace.

    Raises:
        ScenarioError: a namespace of that name exists without the label.
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
    """Delete the namespace and wait until it is gone.

    Raises:
        ToolError: it is not gone in time.
    """
    kube.run_kubectl(f"delete namespace {kube.namespace} --ignore-not-found --wait=false")
    wait_until(
        f"namespace {kube.namespace} is gone",
        lambda: kube.get_path(_PATH) is None,
        _DELETE_TIMEOUT,
        expected_errors=(),
    )
