"""The store keeps the newest version of each object, and deleted objects stay deleted."""

from collections import defaultdict
from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from selfhealing.cache import pod_events, store as module
from selfhealing.cache.child_views import deployment_view, job_view, service_view
from selfhealing.cache.event_views import ContainerKillEvent
from selfhealing.cache.parse import (
    app_view,
    pod_view,
    replica_set_view,
)
from selfhealing.cache.parse_events import pod_event
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.store import Store
from selfhealing.cache.views import MAX_MANIFEST_BYTES, AppKey, ChildView, PodView
from tests.unit import builders
from tests.unit.builders import job_pod, pod, pod_stop_event, probe_kill_event, running
from tests.unit.examples import scale_examples

KEY = AppKey("shop", "web")
OTHER = AppKey("shop", "other")


def build_service_view(version: int = 1, uid: str = "a", **annotations: str) -> ChildView:
    """A Service with a resource version."""
    return service_view(builders.service(version=version, uid=uid, annotations=annotations))


def build_pod_view(name: str = "web-abc-1", version: int = 1, *, ready: bool = True) -> PodView:
    """A pod with a resource version."""
    return pod_view(pod(name, running(ready=ready), version=version))


def build_kill_event(pod_name: str = "web-abc-1", at: float = 9) -> ContainerKillEvent:
    """The kill of a container by a probe."""
    view = pod_event(probe_kill_event(pod_name, at))
    assert isinstance(view, ContainerKillEvent)
    return view


def app_snapshot(store: Store) -> AppSnapshot:
    """The snapshot of the app ``web``."""
    found = store.snapshot(KEY)
    assert found is not None
    return found


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit the deletions, and the Events of a pod, of a store that is created later to two."""
    monkeypatch.setattr(module, "MAX_TOMBSTONES", 2)
    monkeypatch.setattr(pod_events, "MAX_EVENTS_OF_POD", 2)


@pytest.fixture
def store() -> Store:
    """A store with the app ``web``."""
    store = Store()
    store.upsert_app(app_view(builders.app()))
    return store


@pytest.fixture
def proving_store(store: Store) -> Store:
    """A store with the app ``web``, its Deployment, the ReplicaSet of its pods, and its Job."""
    put_workloads(store)
    return store


def put_workloads(store: Store) -> None:
    """Put what proves the pods of the app ``web`` into a store."""
    store.upsert_child(KEY, deployment_view(builders.deployment()))
    store.upsert_child(KEY, job_view(builders.job()))
    store.upsert_replica_set(KEY, replica_set_view(builders.replica_set()))


class TestApps:
    """Apps by key."""

    def test_put_and_get(self, store: Store) -> None:
        """An app is found by its key."""
        view = app_view(builders.app())

        assert view == store.app(KEY)
        assert [view] == list(store.apps())
        assert [KEY] == list(store.keys())
        assert {"uid-of-web": KEY} == store.uids("SelfHealingApp")

    def test_unknown(self, store: Store) -> None:
        """An unknown app has no snapshot."""
        assert None is store.app(OTHER)
        assert None is store.snapshot(OTHER)
        assert None is store.children_of(OTHER)

    def test_drop(self, store: Store) -> None:
        """Only the app with that UID is deleted; a new one of the same name stays."""
        store.delete_app(KEY, "another")

        assert [KEY] == list(store.keys())

        store.delete_app(KEY, "uid-of-web")

        assert [] == list(store.keys())

    def test_a_new_app_of_the_same_name(self, store: Store) -> None:
        """It replaces the old one, and the deletion of the old one changes nothing."""
        new = app_view(builders.app(uid="new", resourceVersion="9"))

        assert store.upsert_app(new)

        store.delete_app(KEY, "uid-of-web")

        assert new == store.app(KEY)


class TestChanges:
    """The result says whether something has changed, on which a reconcile depends."""

    def test_first(self, store: Store) -> None:
        """A new object is a change."""
        assert store.upsert_child(KEY, build_service_view())
        assert not store.upsert_child(KEY, build_service_view())

    def test_nothing_but_the_version(self, store: Store) -> None:
        """A change in an unused field is none, but the resource version is stored."""
        store.upsert_child(KEY, build_service_view(1))

        assert not store.upsert_child(KEY, build_service_view(5))
        assert not store.upsert_child(KEY, build_service_view(4, x="y"))

    def test_older(self, store: Store) -> None:
        """The watch may deliver an older version than the response to a write."""
        store.upsert_child(KEY, build_service_view(5, x="new"))

        assert not store.upsert_child(KEY, build_service_view(4, x="old"))
        assert b"new" in stored_service(store).manifest_json

    def test_older_of_another_object(self, store: Store) -> None:
        """Resource versions of different objects are comparable: an older object replaces none."""
        store.upsert_child(KEY, build_service_view(5, "b"))

        assert not store.upsert_child(KEY, build_service_view(4, "a"))
        assert "b" == stored_service(store).uid


def stored_service(store: Store) -> ChildView:
    """The Service in the snapshot, which has the same children as the store."""
    snapshot = app_snapshot(store)
    assert snapshot.children == store.children_of(KEY)
    return snapshot.children["Service"]


class TestDeletion:
    """A deleted object does not come back with a late message."""

    def test_a_late_response(self, store: Store) -> None:
        """The response to a write may arrive after the watch has reported the deletion."""
        store.delete_child(KEY, "Service", "a", 7)

        assert not store.upsert_child(KEY, build_service_view(7))
        assert {} == store.uids("Service")

    def test_it_comes_back(self, store: Store) -> None:
        """A label that is removed and restored brings the same object with a newer version."""
        store.upsert_child(KEY, build_service_view(5))
        store.delete_child(KEY, "Service", "a", 6)

        assert store.upsert_child(KEY, build_service_view(7))
        assert {"a": KEY} == store.uids("Service")

    def test_without_a_version(self, store: Store) -> None:
        """An object that the operator deleted is gone as of the version that it knew."""
        store.upsert_child(KEY, build_service_view(5))
        store.delete_child(KEY, "Service", "a")

        assert not store.upsert_child(KEY, build_service_view(5))

    def test_deletion_of_another_object(self, store: Store) -> None:
        """Only the object with that UID is deleted."""
        store.upsert_child(KEY, build_service_view(5, "b"))
        store.delete_child(KEY, "Service", "a", 9)

        assert {"b": KEY} == store.uids("Service")

    def test_one_of_two(self, store: Store) -> None:
        """The other children of the app stay."""
        store.upsert_child(KEY, build_service_view())
        store.upsert_child(KEY, replace(build_service_view(), kind="Deployment", uid="d"))
        store.delete_child(KEY, "Service", "a")

        assert {"d": KEY} == store.uids("Deployment")

    def test_pods(self, store: Store) -> None:
        """A deleted pod stays deleted as well."""
        store.upsert_pod(KEY, build_pod_view())

        assert KEY == store.delete_pod("uid-of-web-abc-1", 3)
        assert not store.upsert_pod(KEY, build_pod_view(version=3))
        assert None is store.delete_pod("uid-of-web-abc-1")
        assert {} == store.uids("Pod")

    @pytest.mark.usefixtures("small_limits")
    def test_only_so_many_are_remembered(self, store: Store) -> None:
        """The number of remembered deletions is limited."""
        for uid in ("a", "b", "c"):
            store.delete_child(KEY, "Service", uid, 9)

        assert not store.upsert_child(KEY, build_service_view(9, "c"))
        assert not store.upsert_child(KEY, build_service_view(9, "b"))
        assert store.upsert_child(KEY, build_service_view(9, "a"))


class TestPods:
    """Pods by app."""

    def test_in_one_order(self, proving_store: Store) -> None:
        """Pods are sorted by name, whatever their order of arrival."""
        proving_store.upsert_pod(KEY, build_pod_view("web-abc-2"))
        proving_store.upsert_pod(KEY, build_pod_view("web-abc-1"))

        assert ["web-abc-1", "web-abc-2"] == [p.name for p in app_snapshot(proving_store).pods]

    def test_another_app(self, store: Store) -> None:
        """A pod whose label has changed belongs only to the new app."""
        store.upsert_pod(KEY, build_pod_view(version=1))

        assert store.upsert_pod(OTHER, build_pod_view(version=2))
        assert {"uid-of-web-abc-1": OTHER} == store.uids("Pod")
        assert () == app_snapshot(store).pods

    def test_one_of_two_goes(self, store: Store) -> None:
        """The other pod stays."""
        store.upsert_pod(KEY, build_pod_view("web-abc-1"))
        store.upsert_pod(KEY, build_pod_view("web-abc-2"))
        store.delete_pod("uid-of-web-abc-1")

        assert {"uid-of-web-abc-2": KEY} == store.uids("Pod")


class TestReplicaSets:
    """What proves pods."""

    def test_versions(self, store: Store) -> None:
        """An older one is no change, and a deleted one does not come back."""
        view = replica_set_view(builders.replica_set(version=5))

        assert store.upsert_replica_set(KEY, view)
        assert not store.upsert_replica_set(KEY, replace(view, resource_version=4))

        store.delete_replica_set(view.uid, 6)
        store.delete_replica_set("unknown")

        assert not store.upsert_replica_set(KEY, view)
        assert {} == store.uids("ReplicaSet")


class TestDeletedPods:
    """Deleted pods whose restarts are not yet counted."""

    def test_released_one_by_one(self, proving_store: Store) -> None:
        """Released pods are removed; the others stay."""
        for i in (1, 2):
            thing = pod(f"web-abc-{i}", running(restarts=1, last=builders.termination()))
            proving_store.upsert_pod(KEY, pod_view(thing))
            proving_store.delete_pod(f"uid-of-web-abc-{i}")
        first, second = app_snapshot(proving_store).deleted_pods

        proving_store.release_counted(KEY, (first,))

        assert (second,) == app_snapshot(proving_store).deleted_pods

        proving_store.release_counted(KEY, (second,))

        assert () == app_snapshot(proving_store).deleted_pods


class TestKills:
    """Kill Events by container."""

    def test_after_the_deletion_of_the_pod(self, proving_store: Store) -> None:
        """The cause of its last restart may be told late; it goes when it is counted."""
        restarted = pod("web-abc-1", running(restarts=1, last=builders.termination()))
        proving_store.upsert_pod(KEY, pod_view(restarted))
        proving_store.delete_pod("uid-of-web-abc-1")

        assert KEY == proving_store.upsert_pod_event(build_kill_event())
        assert (build_kill_event(),) == app_snapshot(proving_store).kill_events

        deleted = app_snapshot(proving_store).deleted_pods
        for _ in range(2):
            proving_store.release_counted(KEY, deleted)

        assert () == app_snapshot(proving_store).kill_events

    def test_before_the_pod(self, proving_store: Store) -> None:
        """Events are watched when the pods are known: of any other pod, none is kept."""
        assert None is proving_store.upsert_pod_event(build_kill_event())

        proving_store.upsert_pod(KEY, build_pod_view())

        assert () == app_snapshot(proving_store).kill_events
        assert KEY == proving_store.upsert_pod_event(build_kill_event(at=20))
        assert (build_kill_event(at=20),) == app_snapshot(proving_store).kill_events

    @pytest.mark.parametrize("at", [9, 8])
    def test_an_older_event(self, proving_store: Store, at: float) -> None:
        """The same Event, or an older one, is not new."""
        proving_store.upsert_pod(KEY, build_pod_view())
        proving_store.upsert_pod_event(build_kill_event(at=9))

        assert None is proving_store.upsert_pod_event(build_kill_event(at=at))
        assert (build_kill_event(at=9),) == app_snapshot(proving_store).kill_events

    def test_they_go_with_the_pod(self, proving_store: Store) -> None:
        """A pod that comes back has no kill Events."""
        proving_store.upsert_pod(KEY, build_pod_view())
        proving_store.upsert_pod_event(build_kill_event())
        proving_store.delete_pod("uid-of-web-abc-1")
        proving_store.upsert_pod(KEY, build_pod_view(version=9))

        assert () == app_snapshot(proving_store).kill_events

    def test_a_stop_of_a_pod_that_restarts_nothing(self, proving_store: Store) -> None:
        """It may be due to a probe; it is kept beside the kill by a probe."""
        proving_store.upsert_pod(KEY, pod_view(job_pod("web-1", running())))
        stop, probe = pod_event(pod_stop_event("web-1", 9)), build_kill_event("web-1")
        assert stop is not None

        assert KEY == proving_store.upsert_pod_event(stop)
        assert (stop,) == app_snapshot(proving_store).kill_events
        proving_store.upsert_pod_event(probe)
        assert (probe, stop) == app_snapshot(proving_store).kill_events
        proving_store.delete_pod("uid-of-web-1")
        proving_store.upsert_pod(KEY, pod_view(job_pod("web-1", running(), version=9)))
        assert () == app_snapshot(proving_store).kill_events

    def test_a_stop_of_any_other_pod(self, store: Store) -> None:
        """Every deleted pod has such an Event: it is ignored."""
        store.upsert_pod(KEY, build_pod_view())
        stop = pod_event(pod_stop_event("web-abc-1", 9))
        assert stop is not None

        assert store.upsert_pod_event(stop) is None
        assert () == app_snapshot(store).kill_events

    def test_events_about_one_pod_displace_none_about_another(
        self, small_limits: None, proving_store: Store
    ) -> None:
        """Whoever may create Events may create any number of them."""
        del small_limits
        for pod_name in ("web-abc-1", "web-abc-2"):
            proving_store.upsert_pod(KEY, build_pod_view(pod_name))
        proving_store.upsert_pod_event(build_kill_event("web-abc-1"))
        for number in range(9):
            forged = replace(build_kill_event("web-abc-2"), container=f"c{number}")
            proving_store.upsert_pod_event(forged)
            proving_store.upsert_pod_event(replace(forged, pod_uid=f"stranger-{number}"))

        assert (build_kill_event("web-abc-1"),) == app_snapshot(proving_store).kill_events

    def test_an_event_from_another_namespace(self, proving_store: Store) -> None:
        """The kubelet writes the Events of a pod into the namespace of the pod."""
        proving_store.upsert_pod(KEY, build_pod_view())
        forged = replace(build_kill_event(), namespace="other")

        assert None is proving_store.upsert_pod_event(forged)
        assert () == app_snapshot(proving_store).kill_events

    def test_an_event_about_a_foreign_pod(self, proving_store: Store) -> None:
        """It is nothing to the app."""
        proving_store.upsert_pod(KEY, replace(build_pod_view(), controller_uid="another"))

        assert None is proving_store.upsert_pod_event(build_kill_event())
        assert () == app_snapshot(proving_store).kill_events


@given(
    st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, unique_by=lambda v: v[0]),
    st.data(),
)
def test_whatever_the_order_the_newest_stays(
    history: list[tuple[int, bool]], data: st.DataObject
) -> None:
    """Watch events and responses interleave, repeat and arrive late."""
    arrivals = data.draw(st.lists(st.sampled_from(history), min_size=1, max_size=20))
    store = Store()
    store.upsert_app(app_view(builders.app()))
    put_workloads(store)
    for version, ready in arrivals:
        store.upsert_pod(KEY, build_pod_view(version=version, ready=ready))
    (held,) = app_snapshot(store).pods

    assert max(arrivals) == (held.resource_version, held.ready)


class Server(RuleBasedStateMachine):
    """An API server with a delayed watch, and a writer whose responses arrive at any time.

    Each change of an object has a resource version. The watch delivers the changes in order; a
    response has the object after one of the writer's own changes. When the watch has delivered
    all, the store must equal the server, whatever the order of responses.
    """

    KINDS = ("Deployment", "Service")

    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.store.upsert_app(app_view(builders.app()))
        self.version = 1
        self.created_count = 0
        self.live_objects: dict[str, ChildView] = {}
        self.undelivered_events: list[tuple[str, ChildView]] = []
        self.undelivered_answers: list[ChildView] = []
        self.newest_versions: defaultdict[str, int] = defaultdict(int)

    @rule(kind=st.sampled_from(KINDS), ours=st.booleans())
    def create_or_change(self, kind: str, *, ours: bool) -> None:
        """A client, perhaps the operator, creates or changes an object."""
        self.version += 1
        live = self.live_objects.get(kind)
        if live is None:
            self.created_count += 1
        uid = live.uid if live else f"{kind}-{self.created_count}"
        view = replace(build_service_view(self.version, uid, at=str(self.version)), kind=kind)
        self.live_objects[kind] = view
        self.undelivered_events.append(("MODIFIED", view))
        if ours:
            self.undelivered_answers.append(view)

    @precondition(lambda self: self.live_objects)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """A client deletes an object."""
        self.version += 1
        kind = data.draw(st.sampled_from(sorted(self.live_objects)))
        self.undelivered_events.append(
            ("DELETED", replace(self.live_objects.pop(kind), resource_version=self.version))
        )

    @precondition(lambda self: self.undelivered_events)
    @rule()
    def watch_event(self) -> None:
        """The watch delivers the next change."""
        change, view = self.undelivered_events.pop(0)
        if change == "DELETED":
            self.store.delete_child(KEY, view.kind, view.uid, view.resource_version)
        else:
            self.store.upsert_child(KEY, view)

    @precondition(lambda self: self.undelivered_answers)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        """The response to one of the operator's writes arrives."""
        view = self.undelivered_answers.pop(
            data.draw(st.integers(0, len(self.undelivered_answers) - 1))
        )
        self.store.upsert_child(KEY, view)

    @invariant()
    def nothing_goes_back(self) -> None:
        """The stored version of an object never decreases."""
        for view in app_snapshot(self.store).children.values():
            assert self.newest_versions[view.uid] <= view.resource_version

            self.newest_versions[view.uid] = view.resource_version

    @invariant()
    def all_is_true_in_the_end(self) -> None:
        """Once everything is delivered, the store equals the server."""
        if not self.undelivered_events:
            assert self.live_objects == app_snapshot(self.store).children


Server.TestCase.settings = settings(
    max_examples=scale_examples(60), stateful_step_count=30, deadline=None
)
TestServer = Server.TestCase


def service_of(owner: str, number: int = 0) -> ChildView:
    """A Service with a manifest of about 60 KB."""
    annotations = {"x": "y" * 60_000}
    return service_view(builders.service(uid=f"s{number}", owner=owner, annotations=annotations))


def kept_bytes(store: Store, key: AppKey = KEY) -> int:
    """The bytes of the manifest that is kept of the app's Service."""
    return sum(len(child.manifest_json) for child in store._children.get(key, {}).values())  # noqa: SLF001 - an app that is not known has no snapshot


def test_a_manifest_is_kept_of_the_apps_own_children_only() -> None:
    """Of an object with its label that another one owns, or nobody, only a digest is kept."""
    store = Store()
    store.upsert_app(app_view(builders.app()))

    for number, owner in enumerate(("", "another")):
        store.upsert_child(KEY, service_of(owner, number))
        assert 0 == kept_bytes(store)
        assert app_snapshot(store).children["Service"].manifest_digest
        store.delete_child(KEY, "Service", f"s{number}")
    store.upsert_child(KEY, service_of(builders.APP_UID, 2))

    assert kept_bytes(store) > 60_000


@pytest.mark.parametrize("owner", [builders.APP_UID, "another"])
def test_a_child_may_come_before_its_app(owner: str) -> None:
    """Then the app decides whether its manifest stays."""
    store = Store()
    store.upsert_child(KEY, service_of(owner))
    assert kept_bytes(store) > 60_000

    store.upsert_app(app_view(builders.app()))

    assert (owner == builders.APP_UID) == (kept_bytes(store) > 0)


def test_manifests_without_an_app_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many labelled objects somebody creates; a deleted one makes room for another."""
    monkeypatch.setattr(module, "MAX_EARLY_MANIFEST_BYTES", 200_000)
    store = Store()
    keys = [AppKey("shop", f"web-{number}") for number in range(10)]
    for number, key in enumerate(keys):
        store.upsert_child(key, service_of("", number))

    assert [True] * 3 + [False] * 7 == [kept_bytes(store, key) > 0 for key in keys]

    store.delete_child(keys[0], "Service", "s0")
    late = AppKey("shop", "late")
    store.upsert_child(late, service_of("", 10))
    assert kept_bytes(store, late)


def test_what_a_deleted_app_leaves_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its children may stay, as orphans."""
    monkeypatch.setattr(module, "MAX_EARLY_MANIFEST_BYTES", 1000)
    store = Store()
    store.upsert_app(app_view(builders.app()))
    store.upsert_child(KEY, service_of(builders.APP_UID))

    store.delete_app(KEY, builders.APP_UID)

    assert 0 == kept_bytes(store)


def test_a_large_child_that_came_early_stays_without_its_manifest() -> None:
    """Whoever owns it: the digest is the same before and after."""
    store = Store()
    large = service_view(
        builders.service(owner="another", annotations={"x": "y" * (MAX_MANIFEST_BYTES + 1)})
    )
    store.upsert_child(KEY, large)
    digest = store._children[KEY]["Service"].manifest_digest  # noqa: SLF001 - an app that is not known has no snapshot

    store.upsert_app(app_view(builders.app()))

    assert digest == app_snapshot(store).children["Service"].manifest_digest != b""
