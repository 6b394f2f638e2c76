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
        "metadata": {"name": kube.namespace, "labels": {label_of(scenario): "true"}},
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
    if label_of(scenario) not in found["metadata"].get("labels", {}):
        raise ScenarioError(
            f"there is a namespace {kube.namespace} that is not the {scenario}'s: "
            "choose another by NAMESPACE=name"
        )
    return True


def label_of(scenario: str) -> str:
    """Return the label that marks the namespaces of a set of scenarios."""
    return f"selfhealing.dev/{scenario}"


def begin_deletion(kube: KubeClient, name: str = "") -> None:
    """Delete a namespace, by default the client's, and do not wait for its end; none is no error.

    Raises:
        ToolError: the API server refuses it.
    """
    kube.delete("Namespace", None, name or kube.namespace)


def delete_namespace(kube: KubeClient) -> None:
    """Delete the namespace and wait until it is gone.

    Raises:
        ToolError: it is not gone in time.
    """
    begin_deletion(kube)
    wait_until(
        f"namespace {kube.namespace} is gone",
        lambda: kube.get_path(_PATH) is None,
        _DELETE_TIMEOUT,
        expected_errors=(),
    )


def delete_labelled(kube: KubeClient, scenario: str, timeout: float) -> None:
    """Delete all namespaces of a set of scenarios and wait until they are gone.

    Raises:
        ToolError: one is not gone in time.
    """

    def list_names() -> list[str]:
        found = kube.list("Namespace", None, f"{label_of(scenario)}=true")
        return [each["metadata"]["name"] for each in found]

    for name in list_names():
        begin_deletion(kube, name)
    wait_until(
        f"the namespaces of the {scenario} are gone",
        lambda: not list_names(),
        timeout,
        expected_errors=(),
    )
