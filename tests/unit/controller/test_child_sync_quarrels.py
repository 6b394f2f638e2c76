"""Who changes a child is named, what is stored differently is told, and own changes count not."""

from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any, cast

import pytest

from selfhealing.api import names
from selfhealing.api.spec import parse_spec
from selfhealing.apply.child_diff import ChildAction
from selfhealing.apply.result import SyncErrorReason, SyncResult
from selfhealing.cache.store import Store
from selfhealing.controller.child_sync import ChildSync
from selfhealing.controller.contestants import MAX_AUTOSCALERS
from selfhealing.kube.client import Client
from selfhealing.kube.errors import InvalidError
from selfhealing.kube.resources import Resource
from selfhealing.remediation.reconcile_input import build_reconcile_input
from selfhealing.render import Overrides
from selfhealing.status.events import child_events
from tests.unit import builders
from tests.unit.controller.fake_api_server import build_slots
from tests.unit.snapshots import KEY, put_object
from tests.unit.template_edits import build_desired, field_tree, merge

Json = dict[str, Any]

SCALED: Json = {"spec": {"replicas": 7}}


class FakeApiServer:
    """One Deployment with its managers, and the autoscalers of its namespace.

    Attributes:
        live: the Deployment; None until it is applied.
        rewrites: what a webhook changes in all that is applied.
        requests: the verbs of the requests.
    """

    def __init__(self) -> None:
        self.live: Json | None = None
        self.rewrites: Json = {}
        self.autoscalers: list[Json] = []
        self.requests: list[str] = []
        self.others: list[Json] = []

    async def get(self, _resource: Resource, _namespace: str, _name: str) -> Json | None:
        """Read the Deployment."""
        self.requests.append("get")
        return deepcopy(self.live)

    async def apply(self, _resource: Resource, body: Json, manager: str) -> Json:
        """Store a manifest; others own what they own."""
        self.requests.append("apply")
        own = {"manager": manager, "fieldsV1": field_tree({"spec": body["spec"]})}
        self.live = merge(merge({}, body), self.rewrites)
        self.live["metadata"] |= {
            "uid": "u",
            "resourceVersion": "1",
            "managedFields": [own, *self.others],
        }
        return deepcopy(self.live)

    async def json_patch(
        self, _resource: Resource, _namespace: str, _name: str, operations: list[Json], _: str
    ) -> Json:
        """Replace the spec."""
        self.requests.append(f"replace {operations[1]['path']}")
        assert self.live is not None
        self.live["spec"] = operations[1]["value"]
        return deepcopy(self.live)

    async def list_objects(self, resource: Resource, namespace: str) -> AsyncIterator[Json]:
        """List the autoscalers."""
        assert ("HorizontalPodAutoscaler", KEY.namespace) == (resource.kind, namespace)
        for raw in self.autoscalers:
            yield raw

    def change(self, manager: str, change: Json, subresource: str = "") -> None:
        """Let somebody change the Deployment."""
        assert self.live is not None
        self.live = merge(self.live, change)
        entry: Json = {"manager": manager, "fieldsV1": field_tree(change)}
        self.others = [{**entry, **({"subresource": subresource} if subresource else {})}]
        self.live["metadata"]["managedFields"] = [
            *self.live["metadata"]["managedFields"][:1],
            *self.others,
        ]


class Harness:
    """An app whose Deployment is synced by one process."""

    def __init__(self) -> None:
        self.api_server = FakeApiServer()
        self.store = Store()
        served = cast("Any", type("Served", (), {"is_missing": staticmethod(lambda _: False)}))
        self.child_sync = ChildSync(
            cast("Client", self.api_server), self.store, served, build_slots()
        )

    async def sync(self, **spec: Any) -> SyncResult:  # noqa: ANN401 - fields of the spec
        """Sync the children of a spec."""
        spec = {"image": builders.IMAGE, **spec}
        put_object(self.store, builders.app(spec, {"phase": "Ready"}))
        if self.api_server.live is not None:
            put_object(self.store, self.api_server.live)
        snapshot = self.store.snapshot(KEY)
        assert snapshot is not None
        inputs = build_reconcile_input(snapshot, parse_spec(spec), builders.at(100))
        return await self.child_sync.sync_children(snapshot, inputs, Overrides())


@pytest.fixture
async def harness() -> Harness:
    """An app whose Deployment is there."""
    harness = Harness()
    harness.api_server.live = merge(
        build_desired(), {"metadata": {"uid": "u", "resourceVersion": "1", "managedFields": []}}
    )
    await harness.sync(env=[{"name": "A", "value": "0"}])
    return harness


def autoscaler(name: str, kind: str, target: str = builders.APP, **metadata: Any) -> Json:  # noqa: ANN401
    """Return an autoscaler that somebody has made."""
    return {
        "metadata": {"name": name, **metadata},
        "spec": {"scaleTargetRef": {"kind": kind, "name": target}},
    }


async def test_a_second_autoscaler_is_named_with_its_manager(harness: Harness) -> None:
    """Also one of the app; those of others, and the app's own, are none."""
    managers = [{"manager": "x", "subresource": "status"}, {"manager": "helm"}, None]
    own = [{"uid": builders.APP_UID}]
    harness.api_server.autoscalers = [
        autoscaler("other", "Deployment", "other"),
        autoscaler("own", "Deployment", ownerReferences=own),
        autoscaler("second", "Deployment", managedFields=managers),
        autoscaler("third", "SelfHealingApp"),
        {"metadata": {"name": "empty"}},
    ]
    harness.api_server.change("kube-controller-manager", SCALED, "scale")

    [change] = (await harness.sync(env=[{"name": "A", "value": "0"}])).changes

    expected = (
        "the HorizontalPodAutoscaler second (written by helm)",
        "the HorizontalPodAutoscaler third",
    )
    assert (ChildAction.REVERT_DRIFT, expected, True) == (
        change.action,
        change.managers,
        change.is_correction,
    )
    [event] = child_events((change,))
    assert event.message.startswith(f"{expected[0]} and {expected[1]} changed Deployment")


async def test_a_scale_by_hand_is_named_by_its_manager(harness: Harness) -> None:
    """There is no autoscaler; only so many are looked at."""
    harness.api_server.autoscalers = [
        *(autoscaler(f"a{n}", "Deployment", "other") for n in range(MAX_AUTOSCALERS)),
        autoscaler("late", "Deployment"),
    ]
    harness.api_server.change("kubectl", SCALED, "scale")

    [change] = (await harness.sync(env=[{"name": "A", "value": "0"}])).changes

    assert ("kubectl",) == change.managers


async def test_own_changes_are_no_corrections(harness: Harness) -> None:
    """However many there are; the same manifest again is one: somebody has replaced it."""
    for turn in range(1, 4):
        [change] = (await harness.sync(env=[{"name": "A", "value": str(turn)}])).changes
        assert (ChildAction.UPDATE, False) == (change.action, change.is_correction)

    earlier = {names.ANNOTATION_APPLIED_HASH: "of another operator"}
    harness.api_server.change("other", {"metadata": {"annotations": earlier}})
    [change] = (await harness.sync(env=[{"name": "A", "value": "3"}])).changes

    assert (ChildAction.UPDATE, True) == (change.action, change.is_correction)


async def test_what_is_stored_differently_is_told_for_as_long_as_it_is(harness: Harness) -> None:
    """A webhook rewrites the image: the correction is no success, and is not repeated."""
    variables = [{"name": "A", "value": "0"}]
    harness.api_server.rewrites = {
        "spec": {"template": {"spec": {"containers": [{"name": "app", "image": "mirror/web:v1"}]}}}
    }
    harness.api_server.change("kubectl", SCALED)

    first = await harness.sync(env=variables)
    requests = list(harness.api_server.requests)
    second = await harness.sync(env=variables)

    assert [] == list(child_events(first.changes))
    assert [SyncErrorReason.STORED_DIFFERENTLY] == [error.reason for error in first.errors]
    assert "template.spec.containers[app].image" in first.errors[0].message
    assert (first.errors, ()) == (second.errors, second.changes)
    assert requests == harness.api_server.requests

    harness.api_server.rewrites = {}
    third = await harness.sync(env=[{"name": "A", "value": "1"}])

    assert ((), ["Updated"]) == (
        third.errors,
        [event.reason for event in child_events(third.changes)],
    )


async def test_what_somebody_has_written_too_goes_with_the_spec(harness: Harness) -> None:
    """An apply alone would leave it, because another manager owns it, too."""
    variables = [{"name": "A", "value": "0"}]
    container = {"name": "app", "env": variables}
    harness.api_server.change(
        "kubectl-set", {"spec": {"template": {"spec": {"containers": [container]}}}}
    )
    harness.api_server.requests.clear()

    result = await harness.sync()

    assert [ChildAction.UPDATE] == [change.action for change in result.changes]
    assert ["get", "replace /spec", "apply"] == harness.api_server.requests


async def test_another_object_of_the_name_is_not_taken_for_the_child(harness: Harness) -> None:
    """It was replaced between the watch and the read: the apply is all that is done."""
    harness.api_server.change("kubectl", SCALED)
    put_object(harness.store, cast("Json", harness.api_server.live))
    live = harness.api_server.live
    assert live is not None
    harness.api_server.live = None
    harness.api_server.requests.clear()
    snapshot = harness.store.snapshot(KEY)
    assert snapshot is not None
    spec = {"image": builders.IMAGE, "env": [{"name": "A", "value": "0"}]}
    inputs = build_reconcile_input(snapshot, parse_spec(spec), builders.at(100))

    result = await harness.child_sync.sync_children(snapshot, inputs, Overrides())

    assert [()] == [change.managers for change in result.changes]
    assert ["get", "apply"] == harness.api_server.requests


class StaleHarness(Harness):
    """An app whose children are not what the cache still has."""

    def __init__(self, **meta: Any) -> None:  # noqa: ANN401 - metadata of the object in the cluster
        super().__init__()
        self.found: Json = {"uid": "s", "resourceVersion": "9", **meta}
        self.deleted: list[str] = []
        self.applied: list[Json] = []
        self.api_server.live = merge(
            build_desired(), {"metadata": {"uid": "u", "resourceVersion": "1"}}
        )
        vars(self.api_server).update(
            get_metadata=self.get_metadata, delete=self.delete, apply=self.refuse
        )
        put_object(self.store, builders.service(uid="s"))

    async def get_metadata(self, _resource: Resource, _namespace: str, _name: str) -> Json:
        """Read the metadata of the object that has the name."""
        return {"metadata": self.found}

    async def delete(self, *_: object, resource_version: str, **__: object) -> None:
        """Delete it."""
        self.deleted.append(resource_version)

    async def refuse(self, _resource: Resource, body: Json, _manager: str) -> Json:
        """Refuse every apply, as the API server does for another UID."""
        self.applied.append(body)
        raise InvalidError(422, "Invalid", "metadata.uid: Invalid value: field is immutable")


@pytest.mark.parametrize(
    ("owner", "deleted"), [(builders.APP_UID, ["9"]), ("another", []), ("", [])]
)
async def test_a_child_with_another_owner_by_now_is_not_deleted(
    owner: str, deleted: list[str]
) -> None:
    """The cache may be behind: who owns it is read before, and must still be so."""
    owners = [{"uid": owner, "controller": True, "kind": "Other"}] if owner else []
    harness = StaleHarness(ownerReferences=owners)

    result = await harness.sync()  # without a port there is no Service

    assert deleted == harness.deleted
    reasons = {error.reason for error in result.errors if "Service" in error.message}
    assert bool(deleted) == (SyncErrorReason.CONFLICT not in reasons)


@pytest.mark.parametrize(("uid", "reason"), [("s", "Invalid"), ("another", "Conflict")])
async def test_nothing_is_applied_onto_another_object_of_the_name(uid: str, reason: str) -> None:
    """It may have taken the name since the cache was told last."""
    harness = StaleHarness(uid=uid)

    result = await harness.sync(port=80)

    services = [body for body in harness.applied if body["kind"] == "Service"]
    assert {"s"} == {body["metadata"]["uid"] for body in services}
    assert any(reason in error.reason for error in result.errors if "Service" in error.message)
