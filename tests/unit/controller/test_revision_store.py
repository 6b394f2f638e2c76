"""Templates that have worked: kept under a name of their own, and never a stranger's."""

import asyncio

import pytest

from selfhealing.cache.parse import app_view
from selfhealing.controller.revision_store import BARRED, REMEMBERED, Keeper, RefusedError
from selfhealing.kube.errors import UnavailableError
from selfhealing.render.meta import Owner
from selfhealing.render.overrides import build_kept
from selfhealing.render.pod import build_pod_template
from tests.unit import builders
from tests.unit.controller.clock import now
from tests.unit.controller.fake_api_server import Cluster, Json, forbidden, spec

APP = app_view(builders.app())
GOOD = "a1b2c3d4e5"
NAME = f"web-{GOOD}"
TEMPLATE = build_pod_template(builders.APP, spec())
AWAY = UnavailableError(503, "ServiceUnavailable", "no")


def revision(owner: str = builders.APP_UID, data: Json | None = None) -> Json:
    """A ControllerRevision of that name."""
    body = build_kept(
        Owner(builders.NAMESPACE, builders.APP, owner), GOOD, TEMPLATE if data is None else data
    )
    return {**body, "metadata": {**body["metadata"], "uid": "uid-of-revision"}}


@pytest.fixture
def cluster() -> Cluster:
    """Nothing is kept yet."""
    return Cluster()


@pytest.fixture
def keeper(cluster: Cluster) -> Keeper:
    """It works on that cluster."""
    return Keeper(cluster.client, now)


async def test_kept_and_read(cluster: Cluster, keeper: Keeper) -> None:
    """What was kept is what is gone back to, also by another process."""
    assert await keeper.keep(APP, GOOD, TEMPLATE)
    assert TEMPLATE == await Keeper(cluster.client, now).load(APP, GOOD)
    assert [NAME] == cluster.there("ControllerRevision")


async def test_read_once(cluster: Cluster, keeper: Keeper) -> None:
    """A version never changes: who has read it need not ask again, nor who has written it."""
    cluster.put(revision())

    assert TEMPLATE == await keeper.load(APP, GOOD) == await keeper.load(APP, GOOD)
    assert 1 == len(cluster.asked)

    await keeper.keep(APP, "another", TEMPLATE)
    await keeper.load(APP, "another")

    assert 2 == len(cluster.asked)


async def test_what_is_held_in_memory_is_bounded(cluster: Cluster, keeper: Keeper) -> None:
    """The version that was used last stays, the one that was not used for longest goes."""
    for number in range(REMEMBERED):
        await keeper.keep(APP, f"v{number}", TEMPLATE)
    await keeper.load(APP, "v0")
    await keeper.keep(APP, "one-more", TEMPLATE)
    cluster.asked.clear()
    await keeper.load(APP, "v0")

    assert [] == cluster.asked

    await keeper.load(APP, "v1")

    assert ["get ControllerRevision/web-v1"] == cluster.asked


async def test_kept_twice(cluster: Cluster, keeper: Keeper) -> None:
    """As when the status could not be written after the first time."""
    cluster.put(revision())

    assert await keeper.keep(APP, GOOD, {})
    assert TEMPLATE == await keeper.load(APP, GOOD)


@pytest.mark.parametrize(
    "there",
    [
        revision(owner="uid-of-another"),
        revision(data={}),
        revision(data={"spec": {"containers": [{"name": "other"}]}}),
        {k: v for k, v in revision().items() if k != "data"},
    ],
    ids=["another's", "empty", "no pod of ours", "without data"],
)
async def test_an_object_that_is_no_template_of_the_app(
    cluster: Cluster, keeper: Keeper, caplog: pytest.LogCaptureFixture, there: Json
) -> None:
    """It is not gone back to, not written over, and said; not every second."""
    cluster.put(there)

    assert None is await keeper.load(APP, GOOD)
    assert not await keeper.keep(APP, GOOD, TEMPLATE)
    assert BARRED == keeper.wait(APP, GOOD)
    assert there == cluster.objects_by_path["ControllerRevision", NAME]
    assert 1 == len(caplog.messages)
    assert (
        f"shop/web: version {GOOD}, to be gone back to, cannot be kept; again in 300 s: "
        f"409 AlreadyExists: {NAME} already exists"
    ) == caplog.messages[0]


async def test_a_stranger_has_taken_the_name(cluster: Cluster, keeper: Keeper) -> None:
    """What is remembered of what was there does not count when it is kept anew."""
    await keeper.keep(APP, GOOD, TEMPLATE)
    cluster.put(revision(owner="uid-of-another"))

    assert not await keeper.keep(APP, GOOD, TEMPLATE)


async def test_a_right_to_keep_that_is_missing(cluster: Cluster, keeper: Keeper) -> None:
    """It is no fault of the app's: it is tried again after a while."""
    cluster.errors["create"] = forbidden()

    assert not await keeper.keep(APP, GOOD, TEMPLATE)
    assert 0 == keeper.wait(APP, "another")

    await asyncio.sleep(BARRED)
    cluster.errors.clear()

    assert 0 == keeper.wait(APP, GOOD)
    assert await keeper.keep(APP, GOOD, TEMPLATE)


async def test_a_webhook_that_fails(cluster: Cluster, keeper: Keeper) -> None:
    """It may fail for ever: nobody waits for it."""
    cluster.errors["create"] = UnavailableError(500, "InternalError", "failed calling webhook")

    assert not await keeper.keep(APP, GOOD, TEMPLATE)


async def test_a_right_to_read_that_is_missing(
    cluster: Cluster, keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody can tell whether it is there: not even that it is lost. That is asked seldom."""
    cluster.put(revision())
    cluster.errors["get"] = forbidden()
    for _ in range(3):
        with pytest.raises(RefusedError):
            await keeper.load(APP, GOOD)

    assert 1 == len(cluster.asked) == len(caplog.records)

    await asyncio.sleep(BARRED)
    cluster.errors.clear()

    assert TEMPLATE == await keeper.load(APP, GOOD)


async def test_refusals_that_are_over_are_forgotten(cluster: Cluster, keeper: Keeper) -> None:
    """There is one for each version of each app at the most, and only for a while."""
    cluster.errors["create"] = forbidden()
    for number in range(10):
        await keeper.keep(APP, f"v{number}", TEMPLATE)
        await asyncio.sleep(BARRED)

    assert 1 == len(keeper._barred)  # noqa: SLF001 - what would grow


async def test_the_server_is_away(cluster: Cluster, keeper: Keeper) -> None:
    """The caller has to try again; nothing is remembered of it."""
    cluster.errors |= {"create": AWAY, "get": AWAY}
    with pytest.raises(UnavailableError):
        await keeper.keep(APP, GOOD, TEMPLATE)
    with pytest.raises(UnavailableError):
        await keeper.load(APP, GOOD)

    assert 0 == keeper.wait(APP, GOOD)


async def test_forgotten(cluster: Cluster, keeper: Keeper) -> None:
    """It can no longer be gone back to."""
    await keeper.keep(APP, GOOD, TEMPLATE)
    await keeper.forget(APP, GOOD)

    assert [] == cluster.there("ControllerRevision")
    assert None is await keeper.load(APP, GOOD)

    await keeper.forget(APP, GOOD)


async def test_a_strangers_is_not_deleted(cluster: Cluster, keeper: Keeper) -> None:
    """Whatever its name is."""
    cluster.put(revision(owner="uid-of-another"))
    await keeper.forget(APP, GOOD)

    assert [NAME] == cluster.there("ControllerRevision")


async def test_one_that_cannot_be_deleted(
    cluster: Cluster, keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said, and nothing is held up by it."""
    cluster.put(revision())
    cluster.errors["delete"] = forbidden()
    await keeper.forget(APP, GOOD)

    assert [f"shop/web: version {GOOD} is kept for longer: 403 Forbidden: no right"] == (
        caplog.messages
    )
