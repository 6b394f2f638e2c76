"""Templates that have worked: kept under a name of their own, and never a stranger's."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from selfhealing.cache.parse import app_view
from selfhealing.controller.revision_store import (
    CACHE_BYTES,
    RETRY_AFTER,
    RevisionStore,
    UnreadableRevisionError,
)
from selfhealing.kube.errors import UnavailableError
from selfhealing.remediation.template_check import SavedRevision
from selfhealing.render.meta import Owner
from selfhealing.render.overrides import build_revision
from selfhealing.render.pod import build_pod_template
from tests.unit import builders
from tests.unit.controller.fake_api_server import FakeApiServer, Json, build_spec, forbidden_error
from tests.unit.controller.fake_loop import now

APP = app_view(builders.app())
REVISION = "a1b2c3d4e5"
NAME = f"web-{REVISION}"
TEMPLATE = build_pod_template(builders.APP, build_spec())
SAVED = SavedRevision(TEMPLATE)
UNAVAILABLE = UnavailableError(503, "ServiceUnavailable", "no")


def build_revision_object(owner: str = builders.APP_UID, data: Json | None = None) -> Json:
    """A ControllerRevision of that name."""
    body = build_revision(Owner(builders.NAMESPACE, builders.APP, owner), REVISION, TEMPLATE)
    return {
        **body,
        "data": body["data"] if data is None else data,
        "metadata": {**body["metadata"], "uid": "uid-of-revision"},
    }


@pytest.fixture
def cluster() -> FakeApiServer:
    """Nothing is kept yet."""
    return FakeApiServer()


@pytest.fixture
def revision_store(cluster: FakeApiServer) -> RevisionStore:
    """It works on that cluster."""
    return RevisionStore(cluster.client, now)


async def test_kept_and_read(cluster: FakeApiServer, revision_store: RevisionStore) -> None:
    """What was kept is what is gone back to, also by another process."""
    assert await revision_store.save(APP, REVISION, SAVED)
    assert SAVED == await RevisionStore(cluster.client, now).load(APP, REVISION)
    assert [NAME] == cluster.list_names("ControllerRevision")


async def test_read_once(cluster: FakeApiServer, revision_store: RevisionStore) -> None:
    """A version never changes: who has read it need not ask again, nor who has written it."""
    cluster.put_object(build_revision_object())

    assert (
        SAVED
        == await revision_store.load(APP, REVISION)
        == await revision_store.load(APP, REVISION)
    )
    assert 1 == len(cluster.requests)

    await revision_store.save(APP, "another", SAVED)
    await revision_store.load(APP, "another")

    assert 2 == len(cluster.requests)


async def test_what_is_held_in_memory_is_bounded(
    cluster: FakeApiServer, revision_store: RevisionStore
) -> None:
    """The version that was used last stays, the one that was not used for longest goes."""
    large = SavedRevision({"spec": {"containers": [{"args": ["x" * (CACHE_BYTES // 5)]}]}})
    for number in range(4):
        await revision_store.save(APP, f"v{number}", large)
    await revision_store.load(APP, "v0")
    await revision_store.save(APP, "one-more", large)
    cluster.requests.clear()
    await revision_store.load(APP, "v0")

    assert [] == cluster.requests

    await revision_store.load(APP, "v1")

    assert ["get ControllerRevision/web-v1"] == cluster.requests


async def test_one_that_is_too_large_is_read_again(
    cluster: FakeApiServer, revision_store: RevisionStore
) -> None:
    """Nobody's template is, but somebody may have made one."""
    huge = SavedRevision({"spec": {"x": "x" * CACHE_BYTES}})

    assert await revision_store.save(APP, "huge", huge)
    cluster.requests.clear()
    await revision_store.load(APP, "huge")

    assert ["get ControllerRevision/web-huge"] == cluster.requests


async def test_kept_twice(cluster: FakeApiServer, revision_store: RevisionStore) -> None:
    """As when the status could not be written after the first time: it is not made anew."""
    cluster.put_object(build_revision_object())

    assert await revision_store.save(APP, REVISION, SAVED, datetime(2026, 1, 1, tzinfo=UTC))
    assert SAVED == await RevisionStore(cluster.client, now).load(APP, REVISION)
    live = cluster.objects_by_path["ControllerRevision", NAME]
    assert "uid-of-revision" == live["metadata"]["uid"]


async def test_one_of_an_earlier_app_is_made_anew(
    cluster: FakeApiServer, revision_store: RevisionStore
) -> None:
    """It was left without an owner; its content is not trusted."""
    orphan = build_revision_object(data={"template": {"spec": {}}})
    del orphan["metadata"]["ownerReferences"]
    cluster.put_object(orphan)

    assert await revision_store.save(APP, REVISION, SAVED)
    assert SAVED == await RevisionStore(cluster.client, now).load(APP, REVISION)


async def test_kept_before_another(revision_store: RevisionStore) -> None:
    """It is made again as the latest one."""
    older, newer = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    await revision_store.save(APP, REVISION, SAVED, older)
    await revision_store.save(APP, "b2c3d4e5f6", SAVED, newer)

    assert await revision_store.save(APP, REVISION, SAVED, newer + timedelta(1))

    names = [found.revision for found in await revision_store.list_names(APP)]
    assert [REVISION, "b2c3d4e5f6"] == names


async def test_one_that_somebody_has_changed(
    cluster: FakeApiServer, revision_store: RevisionStore
) -> None:
    """It is the app's, so it is saved anew."""
    cluster.put_object(build_revision_object(data={"template": {"spec": {}}}))

    assert await revision_store.save(APP, REVISION, SAVED)
    assert SAVED == await RevisionStore(cluster.client, now).load(APP, REVISION)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            {"template": TEMPLATE, "memoryLimits": {"app": "1Gi", "proxy": 7}},
            SavedRevision(TEMPLATE, {"app": "1Gi"}),
        ),
        ({"template": TEMPLATE, "memoryLimit": "1Gi"}, SavedRevision(TEMPLATE, {"app": "1Gi"})),
        (TEMPLATE, SAVED),
        ({"template": TEMPLATE, "memoryLimit": 7}, SAVED),
        ({"template": TEMPLATE, "memoryLimits": ["1Gi"]}, SAVED),
        ({}, SavedRevision({})),
        ({"template": "none"}, SavedRevision({"template": "none"})),
    ],
    ids=[
        "with limits",
        "of the version before",
        "of an earlier version",
        "no limit",
        "no limits",
        "empty",
        "no template",
    ],
)
async def test_what_is_read(
    cluster: FakeApiServer, revision_store: RevisionStore, data: Json, expected: SavedRevision
) -> None:
    """The content is checked by those who use it."""
    cluster.put_object(build_revision_object(data=data))

    assert expected == await revision_store.load(APP, REVISION)


async def test_a_revision_of_another_owner(
    cluster: FakeApiServer, revision_store: RevisionStore, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not gone back to, not written over, and said; not every second."""
    there = build_revision_object(owner="uid-of-another")
    cluster.put_object(there)

    assert None is await revision_store.load(APP, REVISION)
    assert not await revision_store.save(APP, REVISION, SAVED)
    assert RETRY_AFTER == revision_store.retry_after(APP, REVISION)
    assert there == cluster.objects_by_path["ControllerRevision", NAME]
    assert 1 == len(caplog.messages)
    assert (
        f"shop/web: stable revision {REVISION} cannot be saved; retry in 300 s: "
        f"409 AlreadyExists: {NAME} already exists"
    ) == caplog.messages[0]


async def test_a_stranger_has_taken_the_name(
    cluster: FakeApiServer, revision_store: RevisionStore
) -> None:
    """What is remembered of what was there does not count when it is kept anew."""
    await revision_store.save(APP, REVISION, SAVED)
    cluster.put_object(build_revision_object(owner="uid-of-another"))

    assert not await revision_store.save(APP, REVISION, SAVED)


async def test_a_right_to_keep_that_is_missing(
    cluster: FakeApiServer, revision_store: RevisionStore
) -> None:
    """It is no fault of the app's: it is tried again after a while."""
    cluster.errors["create"] = forbidden_error()

    assert not await revision_store.save(APP, REVISION, SAVED)
    assert 0 == revision_store.retry_after(APP, "another")

    await asyncio.sleep(RETRY_AFTER)
    cluster.errors.clear()

    assert 0 == revision_store.retry_after(APP, REVISION)
    assert await revision_store.save(APP, REVISION, SAVED)


async def test_a_webhook_that_fails(cluster: FakeApiServer, revision_store: RevisionStore) -> None:
    """It may fail for ever: nobody waits for it."""
    cluster.errors["create"] = UnavailableError(500, "InternalError", "failed calling webhook")

    assert not await revision_store.save(APP, REVISION, SAVED)


async def test_a_right_to_read_that_is_missing(
    cluster: FakeApiServer, revision_store: RevisionStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody can tell whether it is there: not even that it is lost. That is asked seldom."""
    cluster.put_object(build_revision_object())
    cluster.errors["get"] = forbidden_error()
    for _ in range(3):
        with pytest.raises(UnreadableRevisionError):
            await revision_store.load(APP, REVISION)

    assert 1 == len(cluster.requests) == len(caplog.records)

    await asyncio.sleep(RETRY_AFTER)
    cluster.errors.clear()

    assert SAVED == await revision_store.load(APP, REVISION)


async def test_refusals_that_are_over_are_forgotten(
    cluster: FakeApiServer, revision_store: RevisionStore
) -> None:
    """There is one for each version of each app at the most, and only for a while."""
    cluster.errors["create"] = forbidden_error()
    for number in range(10):
        await revision_store.save(APP, f"v{number}", SAVED)
        await asyncio.sleep(RETRY_AFTER)

    assert 1 == len(revision_store._backoff)  # noqa: SLF001 - what would grow


async def test_the_server_is_away(cluster: FakeApiServer, revision_store: RevisionStore) -> None:
    """The caller has to try again; nothing is remembered of it."""
    cluster.errors |= {"create": UNAVAILABLE, "get": UNAVAILABLE}
    with pytest.raises(UnavailableError):
        await revision_store.save(APP, REVISION, SAVED)
    with pytest.raises(UnavailableError):
        await revision_store.load(APP, REVISION)

    assert 0 == revision_store.retry_after(APP, REVISION)


async def test_forgotten(cluster: FakeApiServer, revision_store: RevisionStore) -> None:
    """It can no longer be gone back to."""
    await revision_store.save(APP, REVISION, SAVED)
    await revision_store.prune(APP, {REVISION})
    assert SAVED == await revision_store.load(APP, REVISION)

    await revision_store.prune(APP, {"another"})

    assert [] == cluster.list_names("ControllerRevision")
    assert None is await revision_store.load(APP, REVISION)

    await revision_store.prune(APP, ())


async def test_a_strangers_is_not_deleted(
    cluster: FakeApiServer, revision_store: RevisionStore
) -> None:
    """Whatever its name is."""
    cluster.put_object(build_revision_object(owner="uid-of-another"))
    await revision_store.prune(APP, ())

    assert [NAME] == cluster.list_names("ControllerRevision")


async def test_one_that_cannot_be_deleted(
    cluster: FakeApiServer, revision_store: RevisionStore, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said, and nothing is held up by it."""
    cluster.put_object(build_revision_object())
    cluster.errors["delete"] = forbidden_error()
    await revision_store.prune(APP, ())

    assert ["shop/web: a saved revision cannot be deleted: 403 Forbidden: no right"] == (
        caplog.messages
    )
