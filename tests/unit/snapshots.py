"""A small world in memory: raw objects in, Facts and reports out, as the operator sees them."""

from typing import Any

import orjson

from selfhealing.api.spec import parse_spec
from selfhealing.apply.result import SyncResult
from selfhealing.cache.child_views import CHILD_VIEWS
from selfhealing.cache.parse import app_view, container_kill_event, pod_view
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.evaluate import Evaluation, evaluate
from tests.unit import builders

Json = dict[str, Any]

KEY = AppKey(builders.NAMESPACE, builders.APP)


def build_snapshot(*objects: Json) -> AppSnapshot:
    """The Facts of the app ``web`` from raw objects; the app itself may be left out."""
    store = Store()
    if not any(thing["kind"] == "SelfHealingApp" for thing in objects):
        store.upsert_app(app_view(builders.app()))
    for thing in objects:
        put_object(store, thing)
    snapshot = store.snapshot(KEY)
    assert snapshot is not None
    return snapshot


def put_object(store: Store, raw_object: Json) -> None:
    """Put a raw object into a store."""
    if raw_object["kind"] == "SelfHealingApp":
        store.upsert_app(app_view(raw_object))
    elif raw_object["kind"] == "Pod":
        store.upsert_pod(KEY, pod_view(raw_object))
    elif raw_object["kind"] == "Event":
        kill = container_kill_event(raw_object)
        assert kill is not None
        store.upsert_kill_event(kill)
    else:
        store.upsert_child(KEY, CHILD_VIEWS[raw_object["kind"]](raw_object))


def status_json(evaluation: Evaluation) -> Json:
    """A report's status as it stands in the resource, read back from JSON."""
    stored: Json = orjson.loads(orjson.dumps(evaluation.status.to_json()))
    return stored


def evaluate_app(
    *objects: Json,
    previous_status: Json | None = None,
    spec: Json | None = None,
    sync_result: SyncResult | None = None,
    now: float = 100,
) -> Evaluation:
    """Report on the app ``web`` as it is with ``objects``, after the status ``before``.

    ``now`` is in seconds after noon.
    """
    app = builders.app(spec, status=previous_status)
    return evaluate(
        build_snapshot(app, *objects),
        parse_spec(app["spec"]),
        sync_result or SyncResult(),
        builders.at(now),
    )
