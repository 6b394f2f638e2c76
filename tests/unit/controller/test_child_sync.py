"""Foreign fields of the Deployment: which requests remove them, and which are tolerated."""

from copy import deepcopy
from datetime import datetime
from typing import Any, cast

import pytest

from selfhealing.api import names
from selfhealing.api.spec import parse_spec
from selfhealing.apply.child_diff import ChildAction
from selfhealing.apply.result import ChildChange, SyncResult
from selfhealing.cache.child_views import deployment_view
from selfhealing.cache.store import Store
from selfhealing.cache.views import MAX_MANIFEST_BYTES
from selfhealing.controller.child_sync import ChildSync
from selfhealing.kube.client import Client
from selfhealing.kube.errors import InvalidError
from selfhealing.kube.resources import Resource
from selfhealing.remediation.reconcile_input import build_reconcile_input
from selfhealing.render import Overrides
from tests.unit import builders
from tests.unit.controller.fake_api_server import build_slots
from tests.unit.snapshots import KEY, put_object
from tests.unit.template_edits import (
    SNIPPETS,
    build_desired,
    build_edited,
    field_tree,
    merge,
)

Json = dict[str, Any]

EDIT = ("kubectl-edit", 5.0, [SNIPPETS["command"], SNIPPETS["sidecar"]])
CORRECTED = ChildChange("Deployment", ChildAction.REVERT_DRIFT, ("kubectl-edit",), True)


class FakeApiServer:
    """One Deployment. A replaced template belongs to nobody, as when nothing in it has changed.

    Attributes:
        live: the Deployment.
        requests: what was asked for.
        refuses: it refuses every template.
        adds: what it puts into every template, as a default or a webhook does.
    """

    def __init__(self, live: Json, *, refuses: bool = False, adds: Json | None = None) -> None:
        self.live = live
        self.requests: list[str] = []
        self._refuses = refuses
        self._adds = adds or {}

    async def json_patch(
        self, _resource: Resource, _namespace: str, _name: str, operations: list[Json], manager: str
    ) -> Json:
        """Replace the template."""
        assert {"op", "path", "value"} == set(operations[1])
        assert self.live["metadata"]["resourceVersion"] == operations[0]["value"]
        self.requests.append(f"replace {operations[1]['path']} by {manager}")
        if self._refuses:
            raise InvalidError(422, "Invalid", "no such volume")
        template = deepcopy(operations[1]["value"])
        if template != self.live["spec"]["template"] and not self._adds:
            self.live["metadata"]["managedFields"] = self.live["metadata"]["managedFields"][:1]
        template["spec"] |= self._adds
        self.live["spec"]["template"] = template
        return deepcopy(self.live)

    async def get(self, resource: Resource, _namespace: str, _name: str) -> Json:
        """Read the Deployment."""
        self.requests.append(f"get {resource.kind}")
        return deepcopy(self.live)

    async def apply(self, resource: Resource, body: Json, manager: str) -> Json:
        """Apply the Deployment; what others own stays."""
        self.requests.append(f"apply {resource.kind} by {manager}")
        annotations = {**self.live["metadata"].get("annotations", {})}
        annotations |= body["metadata"]["annotations"]
        self.live["metadata"] |= {**body["metadata"], "annotations": annotations}
        self.live["spec"]["template"] = merge(
            self.live["spec"]["template"], body["spec"]["template"]
        )
        return deepcopy(self.live)


async def sync(
    api_server: FakeApiServer,
    *,
    drift: str = "Tolerate",
    removed_edit: tuple[str, datetime] | None = None,
    times: int = 1,
) -> SyncResult:
    """Apply the children of an app a number of times; returns the last result."""
    spec = {"image": builders.IMAGE, "drift": drift}
    store = Store()
    put_object(store, builders.app(spec))
    put_object(store, api_server.live)
    served = cast("Any", type("Served", (), {"is_missing": staticmethod(lambda _: False)}))
    child_sync = ChildSync(cast("Client", api_server), store, served, build_slots())
    overrides = Overrides(removed_edit=removed_edit)
    result = SyncResult()
    for _ in range(times):
        snapshot = store.snapshot(KEY)
        assert snapshot is not None
        inputs = build_reconcile_input(snapshot, parse_spec(spec), builders.at(100))
        result = await child_sync.sync_children(snapshot, inputs, overrides)
    return result


READ = "get Deployment"
REPLACED = f"replace /spec/template by {names.RESET_MANAGER}"
APPLIED = f"apply Deployment by {names.FIELD_MANAGER}"
DESIRED = build_desired()
EDITED = build_edited(DESIRED, EDIT)


async def test_foreign_fields_are_tolerated() -> None:
    """Nothing is written."""
    api_server = FakeApiServer(deepcopy(EDITED))

    assert () == (await sync(api_server)).changes
    assert [] == api_server.requests


@pytest.mark.parametrize(
    ("drift", "removed_edit"),
    [("Correct", None), ("Tolerate", ("kubectl-edit", builders.at(5)))],
)
async def test_foreign_fields_are_removed_with_one_request(
    drift: str, removed_edit: tuple[str, datetime] | None
) -> None:
    """Where the spec, or a remediation, asks for it: once, and told with the manager."""
    api_server = FakeApiServer(deepcopy(EDITED))

    result = await sync(api_server, drift=drift, removed_edit=removed_edit)

    assert (CORRECTED,) == result.changes
    assert [REPLACED] == api_server.requests
    assert DESIRED["spec"]["template"] == api_server.live["spec"]["template"]
    assert () == (await sync(api_server, drift=drift, removed_edit=removed_edit)).changes


@pytest.mark.parametrize(
    "meta",
    [{"deletionTimestamp": builders.iso(9)}, {"ownerReferences": []}],
    ids=["deleted", "not ours"],
)
async def test_other_deployments_are_left_alone(meta: Json) -> None:
    """One that is being deleted, and one of another owner."""
    live = build_edited(DESIRED, EDIT, **meta)
    live["metadata"]["annotations"] = {}

    result = await sync(api_server := FakeApiServer(live), drift="Correct")

    assert () == result.changes
    assert [] == api_server.requests


async def test_an_undo_is_corrected_with_one_rollout() -> None:
    """The template is right after the first request; the apply takes the annotations back."""
    undo = ("kubectl", 5.0, [SNIPPETS["sidecar"]])
    live = build_edited(DESIRED, undo, annotations={names.ANNOTATION_APPLIED_HASH: "earlier"})
    live["spec"]["template"]["spec"]["containers"][0]["image"] = "web:v0"
    api_server = FakeApiServer(live)

    result = await sync(api_server)

    assert (
        ChildChange("Deployment", ChildAction.REVERT_DRIFT, ("kubectl",), True),
    ) == result.changes
    assert [REPLACED, APPLIED] == api_server.requests
    assert DESIRED["spec"]["template"] == api_server.live["spec"]["template"]


async def test_a_refused_removal_keeps_nothing_from_being_applied() -> None:
    """It is not repeated before the Deployment changes."""
    live = build_edited(DESIRED, EDIT)
    live["metadata"]["annotations"][names.ANNOTATION_APPLIED_HASH] = ""
    api_server = FakeApiServer(live, refuses=True)

    result = await sync(api_server, drift="Correct", times=2)

    assert () == result.changes
    assert [REPLACED, READ, APPLIED, REPLACED] == api_server.requests


async def test_a_default_that_somebody_has_written_is_removed_only_once() -> None:
    """It is back at once, and it is no change."""
    default = {"spec": {"dnsPolicy": "ClusterFirst"}}
    live = build_edited(DESIRED, ("kubectl-edit", 5, [default]))
    assert {"f:spec": {"f:dnsPolicy": {}}} == field_tree(default)
    api_server = FakeApiServer(live, adds=default["spec"])

    result = await sync(api_server, drift="Correct", times=3)

    assert () == result.changes
    assert [REPLACED] == api_server.requests
    assert deployment_view(api_server.live).template_edits


FAT = "x" * MAX_MANIFEST_BYTES
"""An annotation that makes a manifest too large to be kept."""


def build_fat(live: Json) -> Json:
    """A Deployment with a large annotation."""
    fat = deepcopy(live)
    fat["metadata"].setdefault("annotations", {})["tenant.example/notes"] = FAT
    return fat


async def test_a_large_deployment_is_read_once() -> None:
    """As long as neither it nor what is desired has changed."""
    api_server = FakeApiServer(build_fat(EDITED))

    assert () == (await sync(api_server, times=3)).changes
    assert ["get Deployment"] == api_server.requests


async def test_a_large_deployment_is_corrected() -> None:
    """It is compared as any other one, and so are the fields of others."""
    live = build_fat(EDITED)
    live["spec"]["replicas"] = 9
    api_server = FakeApiServer(live)

    result = await sync(api_server)

    assert [ChildAction.REVERT_DRIFT] == [change.action for change in result.changes]
    assert ["get Deployment", APPLIED] == api_server.requests

    api_server = FakeApiServer(build_fat(EDITED))

    assert (CORRECTED,) == (await sync(api_server, drift="Correct")).changes
    assert ["get Deployment", REPLACED] == api_server.requests


async def test_a_large_deployment_of_somebody_else_is_not_read() -> None:
    """Its name is taken, and that is told."""
    live = build_fat(EDITED)
    live["metadata"]["ownerReferences"][0] |= {"kind": "Other", "uid": "uid-of-another"}
    api_server = FakeApiServer(live)

    assert 1 == len((await sync(api_server)).errors)
    assert [] == api_server.requests
