"""A small world in memory: raw objects in, Facts and reports out, as the operator sees them."""

from typing import Any

import orjson

from selfhealing.api.spec import parse
from selfhealing.apply.result import Outcome
from selfhealing.cache.child_views import CHILD_VIEWS
from selfhealing.cache.parse import app_view, kill_view, pod_view
from selfhealing.cache.snapshot import Facts
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.evaluate import Report, report
from tests.unit import builders

Json = dict[str, Any]

KEY = AppKey(builders.NAMESPACE, builders.APP)


def facts(*objects: Json) -> Facts:
    """The Facts of the app ``web`` from raw objects; the app itself may be left out."""
    store = Store()
    if not any(thing["kind"] == "SelfHealingApp" for thing in objects):
        store.put_app(app_view(builders.app()))
    for thing in objects:
        put(store, thing)
    found = store.facts(KEY)
    assert found is not None
    return found


def put(store: Store, thing: Json) -> None:
    """Put a raw object into a store."""
    if thing["kind"] == "SelfHealingApp":
        store.put_app(app_view(thing))
    elif thing["kind"] == "Pod":
        store.put_pod(KEY, pod_view(thing))
    elif thing["kind"] == "Event":
        kill = kill_view(thing)
        assert kill is not None
        store.put_kill(kill)
    else:
        store.put_child(KEY, CHILD_VIEWS[thing["kind"]](thing))


def status_of(found: Report) -> Json:
    """A report's status as it stands in the resource, read back from JSON."""
    stored: Json = orjson.loads(orjson.dumps(found.status.to_json()))
    return stored


def tell(
    *objects: Json,
    before: Json | None = None,
    spec: Json | None = None,
    outcome: Outcome | None = None,
    now: float = 100,
) -> Report:
    """Report on the app ``web`` as it is with ``objects``, after the status ``before``.

    ``now`` is in seconds after noon.
    """
    thing = builders.app(spec, status=before)
    return report(
        facts(thing, *objects), parse(thing["spec"]), outcome or Outcome(), builders.at(now)
    )
