"""Checks of the cluster before a measurement, and its namespaces."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from hack.testkit.kube_client import TEST_LABEL, Json, object_path, unusable_reason
from hack.testkit.wait import poll_async
from selfhealing.api.quantity import parse_quantity

if TYPE_CHECKING:
    from hack.benchmark.api_client import AsyncKubeClient

CHILD_KINDS = ("Deployment", "Service", "HorizontalPodAutoscaler")
PODS_PER_NODE = 1000
DELETE_TIMEOUT = 600


class ClusterNotReadyError(RuntimeError):
    """The cluster cannot be measured; the message says what to do."""


async def require_fake_nodes(api: "AsyncKubeClient", pods: int) -> None:
    """Check that the fake nodes have room for ``pods`` pods.

    Raises:
        ClusterNotReadyError: they have not.
    """
    if reason := unusable_reason():
        raise ClusterNotReadyError(reason)
    nodes = (await api.list("Node", None))["items"]
    fake_nodes = [node for node in nodes if _is_fake(node)]
    capacity = sum(
        int(parse_quantity(node["status"]["allocatable"]["pods"]) or 0) for node in fake_nodes
    )
    if capacity < pods:
        needed_nodes = max(1, -(-pods // PODS_PER_NODE))
        raise ClusterNotReadyError(
            f"{len(fake_nodes)} ready KWOK nodes have room for {capacity} pods, {pods} are needed: "
            f"make cluster-kwok N={max(10, needed_nodes)}"
        )


def _is_fake(node: Json) -> bool:
    conditions = node.get("status", {}).get("conditions", ())
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and node["metadata"]["labels"].get("type") == "kwok"


async def require_no_other_operator(api: "AsyncKubeClient", probe_app: Json) -> None:
    """Check that no other operator serves the apps of the benchmark.

    Args:
        api: the API server.
        probe_app: an app in a namespace of its own, which must get no children.

    Raises:
        ClusterNotReadyError: a Deployment was created for it.
    """
    await api.apply(probe_app)
    await asyncio.sleep(2)
    if await api.count("Deployment", probe_app["metadata"]["namespace"]):
        raise ClusterNotReadyError(
            "another operator serves the whole cluster and would do half of the work: stop it "
            "(make undeploy, or the `make run` in another window)"
        )


@asynccontextmanager
async def temporary_namespace(api: "AsyncKubeClient", stem: str) -> AsyncIterator[str]:
    """Create a namespace for the block; delete it afterwards and wait until it is gone."""
    name = f"bench-{stem}-{uuid.uuid4().hex[:6]}"
    await api.apply(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {TEST_LABEL: "true"}},
        }
    )
    try:
        yield name
    finally:
        await asyncio.shield(delete_namespace(api, name))


async def delete_namespace(api: "AsyncKubeClient", name: str) -> None:
    """Delete a namespace and wait until it is gone: what remains would slow the next figure."""
    await api.send_request("DELETE", object_path("Namespace", None, name))
    await poll_async(
        f"namespace {name} is gone",
        lambda: api.is_namespace_gone(name),
        DELETE_TIMEOUT,
        interval=0.5,
    )
