"""The cluster that is measured on: whether it will do, and what is in the way of a fair figure."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from hack.benchmark.wait import until
from hack.testkit.kube_client import LABEL, PATHS, usable
from selfhealing.api.quantity import quantity

if TYPE_CHECKING:
    from hack.benchmark.api_client import Api

Json = dict[str, Any]

CHILDREN = ("Deployment", "Service", "HorizontalPodAutoscaler")
PODS_A_NODE = 1000
CLEAN_LIMIT = 600


class NotReadyError(RuntimeError):
    """Nothing can be measured here; the message says what to do."""


def path(kind: str, namespace: str | None, name: str = "", sub: str = "") -> str:
    """The path of a collection, an object or its subresource."""
    parts = [PATHS[kind]]
    if namespace:
        parts += ["namespaces", namespace]
    return "/" + "/".join([*parts, *(part for part in (kind.lower() + "s", name, sub) if part)])


async def check(api: "Api", pods: int) -> None:
    """Look whether the cluster can hold ``pods`` fake pods.

    Raises:
        NotReadyError: it cannot.
    """
    if why := usable():
        raise NotReadyError(why)
    nodes = (await api.list("Node", None))["items"]
    fake = [node for node in nodes if _is_fake(node)]
    room = sum(int(quantity(node["status"]["allocatable"]["pods"]) or 0) for node in fake)
    if room < pods:
        wanted = max(1, -(-pods // PODS_A_NODE))
        raise NotReadyError(
            f"{len(fake)} ready KWOK nodes have room for {room} pods, {pods} are needed: "
            f"make cluster-kwok N={max(10, wanted)}"
        )


def _is_fake(node: Json) -> bool:
    conditions = node.get("status", {}).get("conditions", ())
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and node["metadata"]["labels"].get("type") == "kwok"


async def check_alone(api: "Api", probe: Json) -> None:
    """Look whether another operator would work on the bench's apps.

    Args:
        api: the API server.
        probe: an app in a namespace of its own; it must stay without children.

    Raises:
        NotReadyError: somebody made a child of it.
    """
    await api.apply(probe)
    await asyncio.sleep(2)
    if await api.count("Deployment", probe["metadata"]["namespace"]):
        raise NotReadyError(
            "another operator serves the whole cluster and would do half of the work: stop it "
            "(make undeploy, or the `make run` in another window)"
        )


@asynccontextmanager
async def namespace(api: "Api", stem: str) -> AsyncIterator[str]:
    """A namespace that is gone, with everything in it, when the block has ended."""
    name = f"bench-{stem}-{uuid.uuid4().hex[:6]}"
    await api.apply(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {LABEL: "true"}},
        }
    )
    try:
        yield name
    finally:
        await asyncio.shield(remove(api, name))


async def remove(api: "Api", name: str) -> None:
    """Delete a namespace and wait until it is gone: what is left would slow the next figure."""
    await api.call("DELETE", path("Namespace", None, name))
    async with asyncio.timeout(CLEAN_LIMIT):
        await until(lambda: api.gone(name), 0.5)
