"""A namespace in which the operator has no rights does not stop it for the others."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.testkit.forked_operator import run_forked_operator
from hack.testkit.kube_client import KubeClient, temporary_namespace
from hack.testkit.namespace import KIND, UNSCHEDULABLE, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.service_account import (
    create_service_account,
    list_operator_permissions,
    set_permissions,
)
from hack.testkit.wait import eventually
from selfhealing.cli.installation import NAME

RETURN_TIMEOUT = 240
"""Seconds within which the operator serves a namespace again: each watch must have tried anew."""


@pytest.fixture(scope="module")
def refusing(kube: KubeClient) -> Iterator[AppNamespace]:
    """A namespace whose administrator has deleted the operator's Role and RoleBinding."""
    with temporary_namespace(kube, "test-refusing") as name:
        yield AppNamespace(kube, name)


@pytest.fixture(scope="module")
def operator(
    kube: KubeClient,
    namespace: str,
    refusing: AppNamespace,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[OperatorProcess]:
    """An operator that is to serve both namespaces; the one that refuses is the first."""
    folder: Path = tmp_path_factory.mktemp("operator")
    kubeconfig = create_service_account(kube, namespace, NAME, list_operator_permissions(), folder)
    with run_forked_operator(
        [refusing.name, namespace], folder / "operator.log", settings={}, kubeconfig=kubeconfig
    ) as process:
        yield process


def test_the_others_are_served_until_it_is_back(
    kube: KubeClient,
    space: AppNamespace,
    refusing: AppNamespace,
    operator: OperatorProcess,
    name: str,
) -> None:
    """From the start on; it is told, and found out when the right is back."""
    refusing.create_app(name, **UNSCHEDULABLE)
    space.create_app(name, **UNSCHEDULABLE)

    space.wait_until_reconciled(name)
    assert f"the namespace {refusing.name} refuses the operator" in operator.read_log()
    assert "status" not in refusing.get_app(name) or "conditions" not in refusing.get_status(name)

    set_permissions(kube, refusing.name, NAME, list_operator_permissions())
    kube.create(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": NAME, "namespace": refusing.name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": NAME},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": space.name}],
        }
    )
    refusing.wait_until_reconciled(name, timeout=RETURN_TIMEOUT)

    assert operator.is_running()
    eventually(
        lambda: f"the namespace {refusing.name} is served again" in operator.read_log(),
        description="it is told",
    )
    kube.delete(KIND, refusing.name, name)
