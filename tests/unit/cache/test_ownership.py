"""A pod is the app's only if a chain of controllers, by UID, leads to the app."""

from collections.abc import Callable
from itertools import permutations

import pytest

from selfhealing.cache.child_views import CHILD_VIEWS
from selfhealing.cache.parse import app_view, pod_view, replica_set_view
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.store import MAX_FOREIGN_PODS, Store
from selfhealing.cache.views import AppKey
from tests.unit import builders
from tests.unit.builders import (
    controller_reference,
    deployment,
    job,
    job_pod,
    pod,
    replica_set,
    running,
    termination,
)

Json = builders.Json
KEY = AppKey("shop", "web")


def put(store: Store, *objects: Json) -> None:
    """Put raw objects into a store, as the watches would."""
    for raw in objects:
        kind = raw["kind"]
        if kind == "SelfHealingApp":
            store.upsert_app(app_view(raw))
        elif kind == "Pod":
            store.upsert_pod(KEY, pod_view(raw))
        elif kind == "ReplicaSet":
            store.upsert_replica_set(KEY, replica_set_view(raw))
        else:
            store.upsert_child(KEY, CHILD_VIEWS[kind](raw))


def snapshot_of(store: Store) -> AppSnapshot:
    """The snapshot of the app ``web``."""
    found = store.snapshot(KEY)
    assert found is not None
    return found


def build_store(*objects: Json) -> Store:
    """A store with the app ``web`` and these objects."""
    store = Store()
    put(store, builders.app(), *objects)
    return store


def names_of(store: Store) -> tuple[list[str], list[str]]:
    """The names of the app's pods, and of the foreign ones."""
    snapshot = snapshot_of(store)
    return [p.name for p in snapshot.pods], [p.name for p in snapshot.foreign_pods]


OURS: tuple[list[str], list[str]] = (["web-abc-1"], [])
FOREIGN: tuple[list[str], list[str]] = ([], ["web-abc-1"])
CHAIN = (builders.app(), deployment(), replica_set(), pod("web-abc-1", running()))


@pytest.mark.parametrize("order", list(permutations(CHAIN)))
def test_the_order_of_arrival_does_not_matter(order: tuple[Json, ...]) -> None:
    """A pod may come before its ReplicaSet, its Deployment or its app."""
    store = Store()
    put(store, *order)

    assert OURS == names_of(store)


@pytest.mark.parametrize("missing", ["Deployment", "ReplicaSet"])
def test_without_a_part_of_the_chain(missing: str) -> None:
    """Nothing is proved yet."""
    store = build_store(*(part for part in CHAIN if part["kind"] != missing))

    assert [] == names_of(store)[0]


@pytest.mark.parametrize(
    "owners",
    [
        [],
        [controller_reference("DaemonSet", "uid-of-another")],
        [{**controller_reference("ReplicaSet", "uid-of-web-abc"), "controller": False}],
        [controller_reference("Deployment", "uid-of-Deployment")],
        [controller_reference("SelfHealingApp", builders.APP_UID)],
    ],
    ids=["none", "another", "not the controller", "the Deployment itself", "the app itself"],
)
def test_the_label_alone_proves_nothing(owners: list[Json]) -> None:
    """Nor does a reference that no controller of Kubernetes would write."""
    labelled = pod("web-abc-1", running(), ownerReferences=owners)

    assert FOREIGN == names_of(build_store(deployment(), replica_set(), labelled))


@pytest.mark.parametrize(
    "part",
    [
        deployment(owner="uid-of-another-app"),
        deployment(owner=""),
        replica_set(deployment_uid="uid-of-another"),
        replica_set(ownerReferences=[]),
    ],
    ids=["another app", "no app", "another Deployment", "no Deployment"],
)
def test_a_chain_that_leads_elsewhere(part: Json) -> None:
    """Each link counts."""
    chain = {raw["kind"]: raw for raw in CHAIN} | {part["kind"]: part}

    assert FOREIGN == names_of(build_store(*chain.values()))


def test_a_forged_reference_to_the_apps_own_replica_set() -> None:
    """Kubernetes counts that pod among the replicas, and so does the operator."""
    forged = pod("evil-abc-1", running())

    assert (["evil-abc-1"], []) == names_of(build_store(deployment(), replica_set(), forged))


def test_a_deployment_without_a_controller_owner() -> None:
    """With vertical scaling the app is an owner, and not the controller (render.deployment)."""
    owned = deployment()
    owned["metadata"]["ownerReferences"][0]["controller"] = False

    assert OURS == names_of(build_store(owned, replica_set(), pod("web-abc-1", running())))


def test_a_job() -> None:
    """Its pods have the Job itself as controller."""
    mine, other = job_pod("web-1", running()), job_pod("web-2", running(), job_uid="another")
    store = build_store(job(), mine, other)

    assert (["web-1"], ["web-2"]) == names_of(store)


GONE: dict[str, Callable[[Store], None]] = {
    "ReplicaSet": lambda store: store.delete_replica_set("uid-of-web-abc", 9),
    "Deployment": lambda store: store.delete_child(KEY, "Deployment", "uid-of-Deployment", 9),
}


@pytest.mark.parametrize("kind", GONE)
def test_a_pod_that_outlives_its_controllers(kind: str) -> None:
    """Once proved it stays the app's until it is gone, also with news of it."""
    store = build_store(*CHAIN)
    GONE[kind](store)
    stopping = pod("web-abc-1", running(), version=10, deletionTimestamp=builders.iso(9))
    put(store, stopping)

    assert OURS == names_of(store)


def test_a_replaced_deployment_and_job() -> None:
    """Pods of the former one stay the app's; the new one proves its own."""
    store = build_store(*CHAIN, job(), job_pod("web-1", running()))
    put(store, deployment(uid="new", version=9), job(uid="new-job", version=9))
    put(store, replica_set("uid-of-web-def", deployment_uid="new"), pod("web-def-1", running()))

    assert (["web-1", "web-abc-1", "web-def-1"], []) == names_of(store)


def test_a_pod_that_its_controller_has_released() -> None:
    """It is the app's no longer."""
    store = build_store(*CHAIN)
    put(store, pod("web-abc-1", running(), version=2, ownerReferences=[]))

    assert FOREIGN == names_of(store)


def test_a_new_app_of_the_same_name() -> None:
    """The pods of the former app are not those of the new one, until it has adopted them."""
    store = build_store(*CHAIN)
    put(store, builders.app(uid="new", resourceVersion="9"))

    assert FOREIGN == names_of(store)

    put(store, deployment(owner="new", version=10))

    assert OURS == names_of(store)


def test_restarts_of_a_deleted_pod_are_kept_for_the_apps_own_only() -> None:
    """Foreign restarts are never counted, the app's exactly once, whatever goes first."""
    restarted = running(restarts=1, last=termination())
    foreign = pod("web-abc-2", restarted, ownerReferences=[])
    store = build_store(deployment(), replica_set(), pod("web-abc-1", restarted), foreign)
    GONE["ReplicaSet"](store)
    store.delete_pod("uid-of-web-abc-1")
    store.delete_pod("uid-of-web-abc-2")

    assert ["web-abc-1"] == [p.name for p in snapshot_of(store).deleted_pods]


def test_a_stopping_pod_is_not_called_foreign() -> None:
    """After a restart of the operator its controllers may be gone already."""
    store = build_store(pod("web-abc-1", running(), deletionTimestamp=builders.iso(9)))

    assert ([], []) == names_of(store)


def test_only_some_foreign_pods_are_named() -> None:
    """The oldest ones; all are counted."""
    strangers = [pod(f"p-{i:02}", running(), created=99 - i, ownerReferences=[]) for i in range(30)]
    snapshot = snapshot_of(build_store(*strangers))

    assert 30 == snapshot.foreign_pod_count
    assert [f"p-{29 - i}" for i in range(MAX_FOREIGN_PODS)] == [
        p.name for p in snapshot.foreign_pods
    ]
