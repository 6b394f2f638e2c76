"""Snapshots and evaluations of the app ``web``, from raw objects."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Final

import orjson

from selfhealing.api.spec import parse_spec
from selfhealing.apply.result import SyncError, SyncErrorReason, SyncResult
from selfhealing.cache.child_views import CHILD_VIEWS
from selfhealing.cache.parse import (
    app_view,
    pod_view,
    replica_set_view,
)
from selfhealing.cache.parse_events import pod_event
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey, ReplicaSetView
from selfhealing.controller.evaluate import Evaluation, evaluate
from selfhealing.remediation.context import ExternalState
from selfhealing.remediation.reconcile_input import build_invalid_spec_input, build_reconcile_input
from selfhealing.render.overrides import template_revision
from selfhealing.render.pod import build_pod_template
from tests.unit import builders

Json = dict[str, Any]

KEY = AppKey(builders.NAMESPACE, builders.APP)


def build_snapshot(*objects: Json) -> AppSnapshot:
    """Return the snapshot of the app ``web`` from raw objects; the app itself is optional."""
    store = Store()
    if not any(thing["kind"] == "SelfHealingApp" for thing in objects):
        store.upsert_app(app_view(builders.app()))
    # An app proves its children, and they prove their pods.
    for thing in sorted(objects, key=lambda thing: _ARRIVAL.get(thing["kind"], 0)):
        put_object(store, thing)
    snapshot = store.snapshot(KEY)
    assert snapshot is not None
    return snapshot


_ARRIVAL: Final = {"SelfHealingApp": -1, "ReplicaSet": 1, "Pod": 2, "Event": 3}
"""The order in which the kinds are put into a store; the others are children."""

_numbers = count(2)
"""The numbers of former Deployments, and the resource versions of their ReplicaSets."""

_WORKLOADS: Final = {"ReplicaSet": "Deployment", "Job": "Job"}
"""The kind of the workload, by the kind of a pod's controller."""


def put_object(store: Store, raw_object: Json) -> None:
    """Put a raw object into a store.

    A pod comes with the ReplicaSet or the Job that it names, which may be gone again already, so
    that it is the app's.
    """
    if raw_object["kind"] == "SelfHealingApp":
        store.upsert_app(app_view(raw_object))
    elif raw_object["kind"] == "Pod":
        with _controller_of(store, raw_object):
            store.upsert_pod(KEY, pod_view(raw_object))
    elif raw_object["kind"] == "ReplicaSet":
        store.upsert_replica_set(KEY, replica_set_view(raw_object))
    elif raw_object["kind"] == "Event":
        event = pod_event(raw_object)
        assert event is not None
        store.upsert_pod_event(event)
    else:
        store.upsert_child(KEY, CHILD_VIEWS[raw_object["kind"]](raw_object))


@contextmanager
def _controller_of(store: Store, pod: Json) -> Iterator[None]:
    """Have the workload that a pod belongs to for as long as the pod is put into the store."""
    owners = pod["metadata"].get("ownerReferences") or ()
    controller: Json = next((owner for owner in owners if owner.get("controller")), {})
    kind = _WORKLOADS.get(controller.get("kind", ""))
    snapshot = store.snapshot(KEY)
    if kind is None or snapshot is None:
        yield
        return
    current, uid = snapshot.children.get(kind), controller["uid"]
    number = next(_numbers)
    if kind == "Deployment":
        uid = f"uid-of-former-{number}" if current is None else current.uid
        if current is None or controller["uid"] not in store.uids("ReplicaSet"):
            store.upsert_replica_set(KEY, ReplicaSetView(controller["uid"], number, uid))
    if current is None or current.uid != uid:
        version = 0 if current is None else current.resource_version
        former = builders.child(kind, uid=uid, version=version)
        store.upsert_child(KEY, CHILD_VIEWS[kind](former))
    yield
    if current is None:
        store.delete_child(KEY, kind, uid)
    else:
        store.upsert_child(KEY, current)


def status_json(evaluation: Evaluation) -> Json:
    """Return the status of an evaluation as JSON, as it is stored."""
    stored: Json = orjson.loads(orjson.dumps(evaluation.status.to_json()))
    return stored


def evaluate_app(
    *objects: Json,
    previous_status: Json | None = None,
    spec: Json | None = None,
    sync_result: SyncResult | None = None,
    external: ExternalState | None = None,
    namespace_labels: dict[str, str] | None = None,
    now: float = 100,
    generation: int = 1,
) -> Evaluation:
    """Evaluate the app ``web`` with these objects and the stored status ``previous_status``.

    ``now`` is in seconds after noon.
    """
    app = builders.app(spec, status=previous_status, generation=generation)
    snapshot = build_snapshot(app, *objects)
    return evaluate(
        snapshot,
        build_reconcile_input(
            snapshot,
            parse_spec(app["spec"]),
            builders.at(now),
            namespace_labels=namespace_labels,
        ),
        sync_result or SyncResult(),
        external or ExternalState(),
        builders.at(now),
    )


def evaluate_invalid_app(
    *objects: Json, previous_status: Json | None = None, now: float = 100
) -> Evaluation:
    """Evaluate the app ``web`` when its spec cannot be read."""
    snapshot = build_snapshot(builders.app({}, status=previous_status), *objects)
    return evaluate(
        snapshot,
        build_invalid_spec_input(snapshot.app, "spec.image: is missing"),
        SyncResult(errors=(SyncError(SyncErrorReason.INVALID_SPEC, "spec.image: is missing"),)),
        ExternalState(),
        builders.at(now),
    )


def revision_of_spec(spec: Json, config_hash: str = "") -> str:
    """The revision that a spec asks for."""
    return template_revision(build_pod_template(builders.APP, parse_spec(spec), config_hash))
