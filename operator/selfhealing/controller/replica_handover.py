"""Gives the field ``replicas`` of a Deployment to its autoscaler."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from selfhealing.api import names
from selfhealing.apply.child_diff import handover_replicas
from selfhealing.cache.child_views import CHILD_VIEWS
from selfhealing.cache.views import ChildView
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ConflictError
from selfhealing.kube.resources import CHILDREN

Json = dict[str, Any]

_ATTEMPTS: Final = 5


async def hand_over_replicas(
    client: Client,
    read_live: Callable[[], Awaitable[ChildView | None]],
    live: ChildView,
    desired: Json,
    min_replicas: int,
) -> ChildView:
    """Give the ownership of ``replicas`` to the handover manager; return the live child.

    With its resource version in the apply, it is a conflict if the autoscaler has changed the
    replicas meanwhile: then the child is read again.

    Args:
        client: the client.
        read_live: reads the child.
        live: the child.
        desired: its manifest.
        min_replicas: the fewest pods that the autoscaler may choose.

    Raises:
        ConflictError: the child changes faster than it can be written.
    """
    kind, meta = desired["kind"], desired["metadata"]
    for _ in range(_ATTEMPTS):
        replicas = (
            handover_replicas(live, desired, min_replicas) if kind == names.DEPLOYMENT else None
        )
        if replicas is None:
            return live
        body = {
            "apiVersion": desired["apiVersion"],
            "kind": kind,
            "metadata": {
                "name": meta["name"],
                "namespace": meta["namespace"],
                "resourceVersion": str(live.resource_version),
            },
            "spec": {"replicas": replicas},
        }
        try:
            raw = await client.apply(CHILDREN[kind], body, names.HANDOVER_MANAGER)
        except ConflictError:
            current = await read_live()
            if current is None:
                raise
            live = current
        else:
            return CHILD_VIEWS[kind](raw)
    raise ConflictError(409, "Conflict", f"the Deployment changed {_ATTEMPTS} times in a row")
