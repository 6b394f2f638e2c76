"""The times at which pods stop being ready, as a store sees them."""

import pytest

from selfhealing.cache.parse import app_view, pod_view
from selfhealing.cache.ready_losses import MAX_READY_LOSSES
from selfhealing.cache.store import Store
from tests.unit import builders
from tests.unit.builders import Json, at, iso, pod, running, terminated, termination
from tests.unit.snapshots import KEY, put_object


def find_losses(*versions: Json) -> list[float]:
    """Return the seconds after noon at which the pod stopped being ready."""
    store = Store()
    store.upsert_app(app_view(builders.app()))
    for number, version in enumerate(versions, start=1):
        version["metadata"]["resourceVersion"] = str(number)
        put_object(store, version)
    snapshot = store.snapshot(KEY)
    assert snapshot is not None
    times = snapshot.ready_losses.get("uid-of-web-abc-1", ())
    return [(time - at(0)).total_seconds() for time in times]


def ready(since: float) -> Json:
    """The pod when it is ready."""
    return pod("web-abc-1", running(), since=since)


def unready(since: float, restarts: int = 0) -> Json:
    """The pod when it is not."""
    return pod("web-abc-1", running(ready=False, restarts=restarts), since=since)


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ([ready(1)], []),
        ([ready(1), unready(8)], [8]),
        ([ready(1), unready(8), ready(15), unready(22)], [8, 22]),
        ([ready(1), ready(15)], [15]),
        ([unready(1), ready(5), ready(5)], []),
        ([ready(1), unready(8), unready(8)], [8]),
        ([ready(1), unready(8, restarts=1)], []),
        ([ready(1), pod("web-abc-1", terminated(termination()), since=8)], []),
        ([ready(1), pod("web-abc-1", running(), ready=False, ready_reason="", since=8)], []),
        ([ready(1), unready(8) | {"status": {}}], []),
    ],
    ids=[
        "always ready",
        "once",
        "twice",
        "between two watch events",
        "becomes ready",
        "another change",
        "a restart",
        "a crash",
        "a lost node",
        "no time",
    ],
)
def test_losses(versions: list[Json], expected: list[float]) -> None:
    """A loss counts if the containers kept running and the node answers."""
    assert expected == find_losses(*versions)


def test_a_deletion() -> None:
    """A pod that is deleted becomes unready on purpose."""
    leaving = unready(8)
    leaving["metadata"]["deletionTimestamp"] = iso(8)

    assert [] == find_losses(ready(1), leaving)


def test_only_the_latest_are_kept() -> None:
    """A pod that flaps for a month takes no more memory than one that does for a minute."""
    flaps = [view for n in range(40) for view in (ready(14 * n), unready(14 * n + 7))]

    assert MAX_READY_LOSSES == len(find_losses(*flaps))


def test_they_go_with_the_pod() -> None:
    """Nothing of a deleted pod is kept."""
    store = Store()
    for version, view in enumerate((ready(1), unready(8)), start=1):
        view["metadata"]["resourceVersion"] = str(version)
        store.upsert_pod(KEY, pod_view(view))
    store.delete_pod("uid-of-web-abc-1")
    store.upsert_app(app_view(builders.app()))
    put_object(store, ready(1) | {"metadata": ready(1)["metadata"] | {"resourceVersion": "9"}})
    snapshot = store.snapshot(KEY)

    assert snapshot is not None
    assert {} == dict(snapshot.ready_losses)
