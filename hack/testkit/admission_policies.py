"""The admission policies of an installation, for one namespace of a test."""

from collections.abc import Iterator
from contextlib import contextmanager

from hack.testkit.kube_client import TEST_LABEL, Json, KubeClient
from hack.testkit.wait import eventually
from selfhealing.cli.admission_policies import (
    PolicyScope,
    build_admission_policies,
    service_account_user,
)
from selfhealing.cli.installation import NAME
from selfhealing.cli.pod_security_policies import build_pod_security_policies
from selfhealing.cli.spec_warnings import build_spec_warnings

POLICY = "ValidatingAdmissionPolicy"


@contextmanager
def install_policies(kube: KubeClient, namespace: str) -> Iterator[list[str]]:
    """Have the policies of an operator that runs in ``namespace`` and serves it; yield their names.

    The names are unique, and nothing outside of the namespace is checked, except what the
    ServiceAccount of this operator writes.
    """
    scope = PolicyScope(
        prefix=namespace,
        labels={TEST_LABEL: "true"},
        user=service_account_user(namespace, NAME),
        namespaces=(namespace,),
    )
    objects = [
        *build_admission_policies(scope),
        *build_pod_security_policies(scope),
        *build_spec_warnings(scope),
    ]
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


def _is_observed(policy: Json) -> bool:
    generation: int = policy["metadata"]["generation"]
    return bool((policy.get("status") or {}).get("observedGeneration") == generation)
