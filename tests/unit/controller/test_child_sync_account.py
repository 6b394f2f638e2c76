"""The ServiceAccount of an app is there before its pods, or these are not changed."""

from typing import Any, cast

import pytest

from selfhealing.api.spec import parse_spec
from selfhealing.apply.result import SyncErrorReason, SyncResult
from selfhealing.cache.store import Store
from selfhealing.controller.child_sync import ChildSync
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ConflictError, ForbiddenError
from selfhealing.kube.resources import Resource
from selfhealing.remediation.reconcile_input import build_reconcile_input
from selfhealing.render import Overrides
from tests.unit import builders
from tests.unit.controller.fake_api_server import build_slots
from tests.unit.snapshots import KEY, put_object

Json = dict[str, Any]

SPEC: Json = {
    "image": builders.IMAGE,
    "serviceAccount": {"create": True},
    "autoscaling": {"maxReplicas": 3},
}


class FakeApiServer:
    """It has no child, or a ServiceAccount of somebody else.

    Attributes:
        applied: the kinds that were applied.
    """

    def __init__(
        self, *, taken: bool = False, forbidden: bool = False, rewritten: bool = False
    ) -> None:
        self.applied: list[str] = []
        self._rewritten = rewritten
        self._taken = taken
        self._forbidden = forbidden

    async def apply(self, resource: Resource, body: Json, _manager: str) -> Json:
        """Create a child."""
        if resource.kind == "ServiceAccount" and self._forbidden:
            raise ForbiddenError(403, "Forbidden", "no")
        if resource.kind == "ServiceAccount" and self._taken:
            raise ConflictError(409, "Conflict", "it exists")
        self.applied.append(resource.kind)
        meta = {"uid": f"uid-of-{resource.kind}", "resourceVersion": "9"}
        if resource.kind == "ServiceAccount" and self._rewritten:
            body = {**body, "automountServiceAccountToken": True}
        return {**body, "metadata": body["metadata"] | meta}

    async def get(self, resource: Resource, _namespace: str, _name: str) -> Json | None:
        """Read somebody else's ServiceAccount."""
        return builders.child(resource.kind, owner="") if self._taken else None


async def sync(api_server: FakeApiServer) -> SyncResult:
    """Apply the children of a new app."""
    store = Store()
    put_object(store, builders.app(SPEC))
    snapshot = store.snapshot(KEY)
    assert snapshot is not None
    served = cast("Any", type("Served", (), {"is_missing": staticmethod(lambda _: False)}))
    child_sync = ChildSync(cast("Client", api_server), store, served, build_slots())
    inputs = build_reconcile_input(snapshot, parse_spec(SPEC), builders.at(100))
    return await child_sync.sync_children(snapshot, inputs, Overrides())


async def test_the_account_comes_first() -> None:
    """Without it the ReplicaSet could create no pod."""
    api_server = FakeApiServer()
    result = await sync(api_server)

    assert () == result.errors
    assert ["ServiceAccount", "Deployment"] == api_server.applied[:2]


@pytest.mark.parametrize(
    ("api_server", "reason"),
    [
        (FakeApiServer(taken=True), SyncErrorReason.NAME_CONFLICT),
        (FakeApiServer(forbidden=True), SyncErrorReason.FORBIDDEN),
    ],
    ids=["taken", "forbidden"],
)
async def test_no_pod_runs_as_the_account_of_somebody_else(
    api_server: FakeApiServer, reason: SyncErrorReason
) -> None:
    """Neither the Deployment is applied, nor what would scale it."""
    result = await sync(api_server)

    assert [reason] == [error.reason for error in result.errors]
    assert not {"Deployment", "HorizontalPodAutoscaler"} & set(api_server.applied)


async def test_an_account_that_is_stored_differently_is_one_all_the_same() -> None:
    """A webhook has changed it: that is told, and the pods are made."""
    api_server = FakeApiServer(rewritten=True)
    result = await sync(api_server)

    assert [SyncErrorReason.STORED_DIFFERENTLY] == [error.reason for error in result.errors]
    assert "Deployment" in api_server.applied
