"""The operator's ServiceAccount, with the rights and the admission policies of an installation.

An operator of a test usually runs with the credentials of an administrator. With these it can do no
more than an operator that is installed with ``--namespaces``.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from hack.testkit.kube_client import KUBECONFIG, TEST_LABEL, Json, KubeClient, run_kubectl
from hack.testkit.wait import eventually
from selfhealing.cli.admission_policies import (
    PolicyScope,
    build_admission_policies,
    service_account_user,
)
from selfhealing.cli.manifests import NAME, NAMESPACE, build_manifests
from selfhealing.cli.pod_security_policies import build_pod_security_policies

POLICY = "ValidatingAdmissionPolicy"


@contextmanager
def install_policies(kube: KubeClient, namespace: str) -> Iterator[list[str]]:
    """Have the policies of an operator that runs in ``namespace`` and serves it; yield their names.

    The names are unique, and nothing outside of the namespace is checked.
    """
    scope = PolicyScope(
        prefix=namespace,
        labels={TEST_LABEL: "true"},
        user=service_account_user(namespace, NAME),
        namespaces=(namespace,),
    )
    objects = [*build_admission_policies(scope), *build_pod_security_policies(scope)]
    names = [each["metadata"]["name"] for each in objects if each["kind"] == POLICY]
    try:
        for each in objects:
            kube.create(each)
        eventually(
            lambda: all(_is_observed(kube.get(POLICY, None, name)) for name in names),
            description="the policies are in force",
        )
        yield names
    finally:
        for name in names:
            kube.delete(f"{POLICY}Binding", None, name)
            kube.delete(POLICY, None, name)


@contextmanager
def install_operator_identity(kube: KubeClient, namespace: str, folder: Path) -> Iterator[Path]:
    """Have the ServiceAccount with its rights and policies; yield a kubeconfig with its token.

    Args:
        kube: an administrator.
        namespace: where the ServiceAccount is, and what the operator serves.
        folder: where the kubeconfig is written.
    """
    user = service_account_user(namespace, NAME)
    for each in build_manifests("not used", (namespace,)):
        if each["kind"] == "ServiceAccount" or (
            each["kind"] in {"Role", "RoleBinding"} and each["metadata"]["namespace"] == namespace
        ):
            kube.apply(_move(each, namespace))
    with install_policies(kube, namespace):
        eventually(
            lambda: (
                "yes" in run_kubectl("auth", "can-i", "list", "pods", "-n", namespace, "--as", user)
            ),
            description="the rights are in force",
        )
        token = run_kubectl("-n", namespace, "create", "token", NAME, "--duration=3h").strip()
        kubeconfig = folder / "operator.kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(_replace_user(token)))
        yield kubeconfig


def _is_observed(policy: Json) -> bool:
    generation: int = policy["metadata"]["generation"]
    return bool((policy.get("status") or {}).get("observedGeneration") == generation)


def _move(body: Json, namespace: str) -> Json:
    moved: Json = json.loads(json.dumps(body).replace(f'"{NAMESPACE}"', f'"{namespace}"'))
    return moved


def _replace_user(token: str) -> Json:
    """Return the kubeconfig of the tests with another user."""
    config: Json = yaml.safe_load(KUBECONFIG.read_text())
    user = "operator"
    for context in config["contexts"]:
        context["context"]["user"] = user
    return {**config, "users": [{"name": user, "user": {"token": token}}]}
