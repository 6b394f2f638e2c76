"""Keeps kopf's watch of the apps of a namespace going although the namespace refuses the operator.

A watch that is refused ends the whole of kopf, also while the other namespaces are served. kopf has
no setting for that, so one name of its module for watches is replaced (kopf 1.45:
``kopf._cogs.clients.watching``, whose ``infinite_watch`` begins a watch anew that ends).
"""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final

from kopf._cogs.clients import watching
from kopf._cogs.clients.errors import APIForbiddenError
from kopf._cogs.structs import references

from selfhealing.controller.namespace_access import NamespaceAccess
from selfhealing.kube.metrics import WATCH_FAILURES
from selfhealing.kube.resources import APPS

RETRY_DELAY: Final = 30.0
"""Seconds after a refusal until kopf tries again, as long as the other watches wait at most. Each
try is several requests: kopf repeats one that is refused for half a minute."""

_watch = watching.continuous_watch


async def watch_namespace(
    access: NamespaceAccess,
    *,
    namespace: references.NamespaceName | None,
    **options: Any,  # noqa: ANN401 - as kopf's own
) -> AsyncIterator[Any]:
    """List and watch the apps of a namespace, in place of kopf's function.

    Returns a while after the namespace has refused it. Raises the refusal for the whole cluster.
    """
    try:
        async for event in _watch(namespace=namespace, **options):
            yield event
    except APIForbiddenError as error:
        if namespace is None:
            raise
        WATCH_FAILURES.labels(APPS.kind).inc()
        access.refuse(namespace, error)
        await asyncio.sleep(RETRY_DELAY)


def install(access: NamespaceAccess) -> None:
    """Replace kopf's function."""
    setattr(watching, "continuous_watch", partial(watch_namespace, access))  # noqa: B010
