"""kopf goes on watching the apps of the other namespaces when one refuses the operator."""

import asyncio
import json
from typing import cast

import kopf
import pytest
from kopf._cogs.clients import api, errors, watching
from kopf._cogs.structs import references

from selfhealing.api import names
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller import kopf_watches
from selfhealing.controller.namespace_access import NamespaceAccess
from selfhealing.controller.workqueue import WorkQueue
from tests.unit import builders
from tests.unit.controller.fake_loop import now
from tests.unit.controller.test_kopf_apps import RESOURCE, Response

FORBIDDEN = errors.APIForbiddenError(
    "selfhealingapps is forbidden",
    status=403,
    headers={},
)
EMPTY_LIST = json.dumps({"apiVersion": names.API_VERSION, "items": [], "metadata": {}})
CHANGE = json.dumps({"type": "MODIFIED", "object": builders.app()})


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    """Where it is noted who refuses."""
    monkeypatch.setattr(watching, "continuous_watch", watching.continuous_watch)
    store = Store()
    queue: WorkQueue[AppKey] = WorkQueue()
    kopf_watches.install(NamespaceAccess(store, queue, lambda: 0))
    return store


async def watch(namespace: str | None, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let kopf watch until the first change of an app, of a server that refuses twice."""
    answers: list[str | Exception] = [FORBIDDEN, EMPTY_LIST, FORBIDDEN, EMPTY_LIST, CHANGE]

    class _Response(Response):
        async def json(self) -> object:
            return json.loads(self._text)

    async def request(**_: object) -> Response:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return _Response(answer)

    monkeypatch.setattr(api, "request", request)
    events = watching.infinite_watch(
        settings=kopf.OperatorSettings(),
        resource=RESOURCE,
        namespace=cast("references.NamespaceName | None", namespace),
    )
    async for event in events:
        if isinstance(event, dict):
            return event["object"]["metadata"]["name"]
    raise AssertionError("kopf's watch has ended")


async def test_a_namespace_that_refuses_is_watched_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while; meanwhile its apps are left alone."""
    task = asyncio.create_task(watch("shop", monkeypatch))
    await asyncio.sleep(1)
    assert {"shop"} == store.refused_namespaces

    assert "web" == await task
    assert 2 * kopf_watches.RETRY_DELAY <= now()


@pytest.mark.usefixtures("store")
async def test_the_whole_cluster_may_not_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nothing is served, and a new start is tried."""
    with pytest.raises(errors.APIForbiddenError):
        await watch(None, monkeypatch)
