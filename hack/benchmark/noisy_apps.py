"""Apps of other teams that log lines of 10 MB with NULs in them, and run out of memory.

They run in real containers: healing raises their memory limits, and saves the end of their logs as
evidence before.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from hack.benchmark.api_client import AsyncKubeClient
from hack.testkit.kube_client import Json, KubeClient
from hack.testkit.service_account import Permission, set_permissions
from hack.testkit.wait import poll_async
from selfhealing.api.names import API_VERSION, KIND

IMAGE: Final = "localhost/selfhealing-demo:dev"
LINE_BYTES: Final = 10_000_000
CUT_MARK: Final = "[…]"
"""What evidence has in place of a part that is too long."""
FIRST_EVIDENCE_TIMEOUT: Final = 300.0
"""Seconds until the first of them has evidence: it runs out of memory twice before."""

_SCRIPT: Final = (
    f"print('key' + chr(0) * 1000 + chr(9) * 3000 + 'x' * {LINE_BYTES}, flush=True);"
    "hog = b'x' * (400 << 20)"
)


class NoisyApps:
    """The apps: one in each of some namespaces."""

    def __init__(self, kube: KubeClient, namespaces: Sequence[str]) -> None:
        self._kube = kube
        self._namespaces = namespaces

    def count_evidence(self) -> int:
        """Count those whose log has been saved: of its line the mark of a cut."""
        found = (
            self._kube.find("ConfigMap", namespace, "noisy-evidence")
            for namespace in self._namespaces
        )
        texts = ("".join((each or {}).get("data", {}).values()) for each in found)
        return sum(f"\n| {CUT_MARK}" in text for text in texts)


@asynccontextmanager
async def run_noisy_apps(
    api: AsyncKubeClient,
    namespaces: Sequence[str],
    operator_namespace: str,
    permissions: Sequence[Permission],
) -> AsyncIterator[NoisyApps]:
    """Run an app in each namespace, in which the operator may write; wait for the first evidence.

    Args:
        api: the API server.
        namespaces: where the apps run; whoever made them removes them.
        operator_namespace: where the service account ``operator`` is.
        permissions: what it may do in the namespaces.
    """
    kube = KubeClient()
    subject = {"kind": "ServiceAccount", "name": "operator", "namespace": operator_namespace}
    for namespace in namespaces:
        await asyncio.to_thread(set_permissions, kube, namespace, "operator", permissions)
        meta = {"name": "operator", "namespace": namespace}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "operator"}
        await api.apply(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": meta,
                "roleRef": role,
                "subjects": [subject],
            }
        )
        await api.apply(_build_app(namespace))
    noisy = NoisyApps(kube, namespaces)
    await poll_async(
        "the first app that logs without end has evidence",
        partial(_has_evidence, noisy),
        FIRST_EVIDENCE_TIMEOUT,
        interval=2.0,
    )
    yield noisy


async def _has_evidence(noisy: NoisyApps) -> bool:
    return await asyncio.to_thread(noisy.count_evidence) > 0


def _build_app(namespace: str) -> Json:
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": "noisy", "namespace": namespace},
        "spec": {
            "image": IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "command": ["python", "-c", _SCRIPT],
            "resources": {"limits": {"memory": "96Mi", "cpu": "200m"}},
            "healing": {"evidence": {"logs": True}},
        },
    }
