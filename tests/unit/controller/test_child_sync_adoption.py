"""What an app takes over changes hands when the app's pods serve, and not before."""

from typing import Any, cast

from selfhealing.api.spec import parse_spec
from selfhealing.apply.result import SyncErrorReason, SyncResult
from selfhealing.cache.store import Store
from selfhealing.controller.child_sync import ChildSync
from selfhealing.kube.client import Client
from selfhealing.kube.resources import Resource
from selfhealing.remediation.reconcile_input import build_reconcile_input
from selfhealing.render import Overrides
from tests.unit import builders
from tests.unit.controller.fake_api_server import build_slots
from tests.unit.snapshots import KEY, put_object

Json = dict[str, Any]

SPEC: Json = {"image": builders.IMAGE, "port": 8080, "replicas": 2}
OFFER: Json = {"annotations": {"selfhealing.dev/adopt": "true"}}
SELECTOR: Json = {"app": "old"}


class FakeApiServer:
    """It has objects of somebody else.

    Attributes:
        applied: the kinds that were written.
        status: that of the Deployment.
    """

    def __init__(self, *objects: Json) -> None:
        self.objects = {each["kind"]: each for each in objects}
        self.applied: list[str] = []
        self.status: Json = {}

    async def apply(self, resource: Resource, body: Json, _manager: str) -> Json:
        """Write a child."""
        self.applied.append(resource.kind)
        meta = {"uid": f"uid-of-{resource.kind}", "resourceVersion": "9"}
        status = self.status if resource.kind == "Deployment" else {}
        return {**body, "metadata": body["metadata"] | meta, "status": status}

    async def get(self, resource: Resource, _namespace: str, _name: str) -> Json | None:
        """Read an object."""
        return self.objects.get(resource.kind)


def old_objects(**deployment_meta: Any) -> list[Json]:  # noqa: ANN401 - metadata
    """Return a Deployment and its Service, which somebody made by hand."""
    ports = [{"port": 80, "protocol": "TCP", "targetPort": 8080}]
    return [
        builders.child(
            "Deployment",
            {"selector": {"matchLabels": SELECTOR}},
            owner="",
            **{"labels": {}, **deployment_meta},
        ),
        builders.child(
            "Service", {"selector": SELECTOR, "ports": ports}, owner="", labels={}, **OFFER
        ),
    ]


async def sync(api_server: FakeApiServer, *stored: Json, spec: Json | None = None) -> SyncResult:
    """Apply the children of an app that is not new."""
    store = Store()
    app = builders.app(spec or SPEC)
    for each in (app | {"status": {"phase": "Pending"}}, *stored):
        put_object(store, each)
    api_server.objects["SelfHealingApp"] = app
    snapshot = store.snapshot(KEY)
    assert snapshot is not None
    served = cast("Any", type("Served", (), {"is_missing": staticmethod(lambda _: False)}))
    child_sync = ChildSync(cast("Client", api_server), store, served, build_slots())
    inputs = build_reconcile_input(snapshot, parse_spec(spec or SPEC), builders.at(100))
    return await child_sync.sync_children(snapshot, inputs, Overrides())


async def test_another_selector_is_refused_before_anything_is_changed() -> None:
    """The Service that leads to the pods of that Deployment stays with them."""
    api_server = FakeApiServer(*old_objects(**OFFER))

    result = await sync(api_server)

    conflict, pending = result.errors
    assert conflict.reason is SyncErrorReason.NAME_CONFLICT
    assert "delete deployment/web --cascade=orphan" in conflict.message
    assert pending.reason is SyncErrorReason.ADOPTION_PENDING
    assert not {"Deployment", "Service"} & set(api_server.applied)


async def test_the_service_waits_for_the_pods() -> None:
    """The Deployment was just made."""
    api_server = FakeApiServer(old_objects()[1])

    result = await sync(api_server)

    assert [SyncErrorReason.ADOPTION_PENDING] == [error.reason for error in result.errors]
    assert "the Service web is taken over when all pods" in result.errors[0].message
    assert api_server.applied[0] == "Deployment"
    assert "Service" not in api_server.applied


async def test_the_service_changes_hands_when_the_pods_serve() -> None:
    api_server = FakeApiServer(old_objects()[1])
    api_server.status = builders.deployment(2)["status"]

    result = await sync(api_server, builders.deployment(2))

    assert result.errors == ()
    assert "Service" in api_server.applied


async def test_the_pods_of_a_job_are_not_waited_for() -> None:
    """They serve nobody."""
    spec = {"image": builders.IMAGE, "restartPolicy": "Never", "networkPolicy": {"allowTo": []}}
    policy = builders.child("NetworkPolicy", {"podSelector": {}}, owner="", labels={}, **OFFER)
    api_server = FakeApiServer(policy)

    result = await sync(api_server, spec=spec)

    assert result.errors == ()
    assert "NetworkPolicy" in api_server.applied
