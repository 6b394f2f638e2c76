"""Restarts of pods that are deleted before they were counted."""

import pytest

from selfhealing.api.status import RestartsStatus
from selfhealing.cache.parse import app_view
from selfhealing.cache.parse_events import pod_event
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.status import restarts
from tests.unit import builders
from tests.unit.builders import pod, probe_kill_event, running, termination
from tests.unit.snapshots import Json, put_object

KEY = AppKey(builders.NAMESPACE, builders.APP)
UID = "uid-of-web-abc-1"


@pytest.fixture
def store() -> Store:
    """A store with an app."""
    store = Store()
    store.upsert_app(app_view(builders.app()))
    return store


def make_restarted_pod(number: int = 1) -> Json:
    """The pod web-abc-1 with this number of restarts."""
    end = termination(137, "Error", started=0, finished=10)
    return pod("web-abc-1", running(11, restarts=number, last=end))


def count_once(store: Store, previous: RestartsStatus | None = None) -> RestartsStatus:
    """Count once, and release the counted pods."""
    snapshot = store.snapshot(KEY)
    assert snapshot is not None
    restarts_status, _ = restarts.count_restarts(
        previous, snapshot, restarts.collect_termination_causes(previous, snapshot)
    )
    store.release_counted(KEY, snapshot.deleted_pods)
    return restarts_status


def test_a_restart_just_before_the_end_of_the_pod(store: Store) -> None:
    """It counts for the total and its reason, but not for the existing pods."""
    kill = pod_event(probe_kill_event("web-abc-1", 9))
    assert kill is not None
    put_object(store, make_restarted_pod(2))
    store.upsert_pod_event(kill)
    store.delete_pod(UID)

    found = count_once(store)

    assert (0, 2) == (found.current, found.total)
    assert {"LivenessProbe": 1, "Unknown": 1} == found.by_reason
    assert found.last is not None
    assert "web-abc-1" == found.last.pod


def test_only_new_restarts_are_counted(store: Store) -> None:
    """Restarts with an entry are not counted again when the pod is deleted."""
    put_object(store, make_restarted_pod(1))
    before = count_once(store)
    store.delete_pod(UID)

    found = count_once(store, before)

    assert (0, 1) == (found.current, found.total)


def test_a_write_whose_answer_was_lost(store: Store) -> None:
    """The status may have been written in spite of the error: nothing is counted twice."""
    put_object(store, make_restarted_pod(2))
    store.delete_pod(UID)
    snapshot = store.snapshot(KEY)
    assert snapshot is not None
    before, _ = restarts.count_restarts(
        None, snapshot, restarts.collect_termination_causes(None, snapshot)
    )

    found = count_once(store, before)

    assert before == found


def test_a_deleted_pod_alone_causes_no_write(store: Store) -> None:
    """Its entry is removed with the next restart of another pod."""
    put_object(store, make_restarted_pod())
    store.delete_pod(UID)
    before = count_once(store)
    quiet = count_once(store, before)
    other = pod("web-abc-2", running(21, restarts=1, last=termination(finished=20)))
    put_object(store, other)

    found = count_once(store, quiet)

    assert before == quiet
    assert ["web-abc-2"] == [entry.pod for entry in found.counted]


def test_counted_pods_are_released(store: Store) -> None:
    """The next snapshot does not have them."""
    put_object(store, make_restarted_pod())
    store.delete_pod(UID)
    before = count_once(store)

    found = count_once(store, before)

    assert (0, 1) == (found.current, found.total)
    snapshot = store.snapshot(KEY)
    assert snapshot is not None
    assert () == snapshot.deleted_pods


def test_pods_that_were_never_restarted_leave_nothing(store: Store) -> None:
    """Most pods are deleted without a restart."""
    put_object(store, pod("web-abc-1", running()))
    store.delete_pod(UID)

    snapshot = store.snapshot(KEY)

    assert snapshot is not None
    assert () == snapshot.deleted_pods


def test_the_deletion_of_the_app_releases_its_pods(store: Store) -> None:
    """A new app of the same name does not count the old pods."""
    put_object(store, make_restarted_pod())
    store.delete_pod(UID)
    store.delete_app(KEY, builders.app()["metadata"]["uid"])
    store.upsert_app(app_view(builders.app(uid="another", version=9)))

    assert 0 == count_once(store).total
