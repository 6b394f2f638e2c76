"""The metrics of an operator that asks the API server who may read them."""

from collections.abc import Iterator

import pytest
import requests

from hack.testkit.kube_client import KubeClient, run_kubectl
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import eventually
from selfhealing.cli.installation import METRICS_READER_ROLE, Installation, build_manifests

RBAC = "rbac.authorization.k8s.io"


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """A token is asked for."""
    return {"SELFHEALING_METRICS_AUTH": "token"}


@pytest.fixture(scope="module")
def tokens(kube: KubeClient, namespace: str) -> Iterator[dict[str, str]]:
    """The tokens of a ServiceAccount that may read the metrics, and of one that may not."""
    role = f"{namespace}-metrics-reader"
    reader = next(
        each
        for each in build_manifests(Installation(metrics_auth="token"))
        if each["metadata"]["name"] == METRICS_READER_ROLE
    )
    kube.create(reader | {"metadata": {"name": role}})
    kube.create(
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": role},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": namespace}],
        }
    )
    try:
        yield {name: create_token(namespace, name) for name in ("reader", "guest")}
    finally:
        kube.delete("ClusterRoleBinding", None, role)
        kube.delete("ClusterRole", None, role)


def create_token(namespace: str, name: str) -> str:
    """Create a ServiceAccount and return a token of it."""
    run_kubectl("-n", namespace, "create", "serviceaccount", name)
    return run_kubectl("-n", namespace, "create", "token", name).strip()


def read_metrics(operator: OperatorProcess, authorization: str | None) -> requests.Response:
    """Ask the operator for its metrics."""
    headers = {} if authorization is None else {"Authorization": authorization}
    return requests.get(operator.metrics_url, headers=headers, timeout=10)


@pytest.mark.parametrize("authorization", [None, "Bearer nonsense", "Basic Zm9vOmJhcg=="])
def test_without_a_valid_token(operator: OperatorProcess, authorization: str | None) -> None:
    """Nothing is told."""
    response = read_metrics(operator, authorization)

    assert 401 == response.status_code
    assert "selfhealing" not in response.text


def test_who_may_not_read(operator: OperatorProcess, tokens: dict[str, str]) -> None:
    """A valid token of somebody else is not enough."""
    response = read_metrics(operator, f"Bearer {tokens['guest']}")

    assert 403 == response.status_code
    assert "selfhealing" not in response.text


def test_who_may_read(operator: OperatorProcess, tokens: dict[str, str]) -> None:
    """He has the ClusterRole of the installation."""
    eventually(
        lambda: read_metrics(operator, f"Bearer {tokens['reader']}").ok,
        timeout=40,
        description="the right is in force",
    )
    response = read_metrics(operator, f"Bearer {tokens['reader']}")

    assert "selfhealing_reconciles_total" in response.text
