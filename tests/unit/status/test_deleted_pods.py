"""Restarts of pods that are gone before anybody has counted them."""

import pytest

from selfhealing.api.status import RestartsStatus
from selfhealing.cache.parse import app_view, kill_view, pod_view
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.status import restarts
from tests.unit import builders
from tests.unit.builders import ended, killing, pod, running
from tests.unit.snapshots import Json

KEY = AppKey(builders.NAMESPACE, builders.APP)
UID = "uid-of-web-abc-1"


@pytest.fixture
def store() -> Store:
    """A store with an app."""
    store = Store()
    store.put_app(app_view(builders.app()))
    return store


def restarted(number: int = 1) -> Json:
    """The pod web-abc-1, restarted so many times."""
    end = ended(137, "Error", started=0, finished=10)
    return pod("web-abc-1", running(11, restarts=number, last=end))


def count(store: Store, before: RestartsStatus | None = None) -> RestartsStatus:
    """Count once, and settle what is gone."""
    facts = store.facts(KEY)
    assert facts is not None
    found, _ = restarts.account(before, facts, restarts.causes(before, facts))
    store.settle(KEY, facts.departed)
    return found


def test_a_restart_just_before_the_end_of_the_pod(store: Store) -> None:
    """It is in the total, by its reason, but not among those of living pods."""
    kill = kill_view(killing("web-abc-1", 9))
    assert kill is not None
    store.put_kill(kill)
    store.put_pod(KEY, pod_view(restarted(2)))
    store.drop_pod(UID)

    found = count(store)

    assert (0, 2) == (found.current, found.total)
    assert {"LivenessProbe": 1, "Unknown": 1} == found.by_reason
    assert found.last is not None
    assert "web-abc-1" == found.last.pod


def test_only_what_is_new_is_counted(store: Store) -> None:
    """What is in the ledger already is not counted once more when the pod goes."""
    store.put_pod(KEY, pod_view(restarted(1)))
    before = count(store)
    store.drop_pod(UID)

    found = count(store, before)

    assert (0, 1) == (found.current, found.total)


def test_a_write_whose_answer_was_lost(store: Store) -> None:
    """The status may have been written although nobody knows: nothing is counted twice."""
    store.put_pod(KEY, pod_view(restarted(2)))
    store.drop_pod(UID)
    facts = store.facts(KEY)
    assert facts is not None
    before, _ = restarts.account(None, facts, restarts.causes(None, facts))

    found = count(store, before)

    assert before == found


def test_its_end_alone_is_no_reason_to_write(store: Store) -> None:
    """The entry in the ledger goes with the next restart of another pod."""
    store.put_pod(KEY, pod_view(restarted()))
    store.drop_pod(UID)
    before = count(store)
    quiet = count(store, before)
    other = pod("web-abc-2", running(21, restarts=1, last=ended(finished=20)))
    store.put_pod(KEY, pod_view(other))

    found = count(store, quiet)

    assert before == quiet
    assert ["web-abc-2"] == [entry.pod for entry in found.counted]


def test_what_is_accounted_for_is_forgotten(store: Store) -> None:
    """The next look knows nothing of it any more."""
    store.put_pod(KEY, pod_view(restarted()))
    store.drop_pod(UID)
    before = count(store)

    found = count(store, before)

    assert (0, 1) == (found.current, found.total)
    facts = store.facts(KEY)
    assert facts is not None
    assert () == facts.departed


def test_pods_that_were_never_restarted_leave_nothing(store: Store) -> None:
    """Most pods end so."""
    store.put_pod(KEY, pod_view(pod("web-abc-1", running())))
    store.drop_pod(UID)

    facts = store.facts(KEY)

    assert facts is not None
    assert () == facts.departed


def test_the_end_of_the_app_ends_it_all(store: Store) -> None:
    """A new app of the same name does not count the pods of the old one."""
    store.put_pod(KEY, pod_view(restarted()))
    store.drop_pod(UID)
    store.drop_app(KEY, builders.app()["metadata"]["uid"])
    store.put_app(app_view(builders.app(uid="another", version=9)))

    assert 0 == count(store).total
