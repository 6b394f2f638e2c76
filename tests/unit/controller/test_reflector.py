"""Lists and watches: what is reported, and how each failure is overcome."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from itertools import pairwise
from typing import Any, cast

import pytest

from selfhealing.cache.store import Store
from selfhealing.controller.event_handlers import WatchEvent
from selfhealing.controller.namespace_access import NamespaceAccess
from selfhealing.controller.reflector import (
    BACKOFF_INITIAL,
    BACKOFF_MAX,
    STABLE_SECONDS,
    Reflector,
)
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.client import Client, Page, Selection
from selfhealing.kube.errors import ApiError, ExpiredError, ForbiddenError, UnavailableError
from selfhealing.kube.resources import PODS
from tests.unit.controller.fake_loop import now, run_until_idle

Json = dict[str, Any]
SELECTION = Selection(PODS, labels="selfhealing.dev/app")


def build_object(name: str, version: int) -> Json:
    """Return an object of this name and version."""
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


def build_event(name: str, version: int, kind: str = "MODIFIED") -> Json:
    """Return a watch event."""
    return {"type": kind, "object": build_object(name, version)}


class FakeServer:
    """Lists and watches, each with what it answers; after the last watch nothing comes.

    Attributes:
        lists: for each list its pages, or an error.
        watches: for each watch what it reports: an event, the seconds that pass, or an error.
        requests: what was asked, and when.
    """

    def __init__(self, lists: list[Any], watches: list[list[Any]]) -> None:
        self.lists = lists
        self.watches = watches
        self.requests: list[tuple[float, str]] = []
        self.open_watches = 0

    async def list_pages(
        self, selection: Selection, namespace: str | None
    ) -> AsyncGenerator[Page, None]:
        """Answer as Client.list_pages."""
        assert (SELECTION, "shop") == (selection, namespace)
        self.requests.append((now(), "list"))
        for page in self.lists.pop(0):
            if isinstance(page, Exception):
                raise page
            yield page

    async def watch(
        self, selection: Selection, namespace: str | None, resource_version: str
    ) -> AsyncGenerator[Json, None]:
        """Answer as Client.watch."""
        assert (SELECTION, "shop") == (selection, namespace)
        self.requests.append((now(), f"watch {resource_version}"))
        self.open_watches += 1
        try:
            for step in self.watches.pop(0) if self.watches else [10**9]:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, dict):
                    yield step
                else:
                    await asyncio.sleep(step)
        finally:
            self.open_watches -= 1

    @property
    def asked(self) -> list[str]:
        """What was asked, without the times."""
        return [request for _, request in self.requests]


class Recorder:
    """Writes down what a reflector tells."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def on_list_started(self) -> None:
        """A list begins."""
        self.told.append("(")

    def on_event(self, event: WatchEvent) -> None:
        """An object is reported."""
        name = event["object"]["metadata"]["name"]
        if name == "bad":
            raise KeyError(name)
        self.told.append(f"{event['type']} {name}")

    def on_listed(self) -> None:
        """A list ends."""
        self.told.append(")")


def page(*names: str, version: int = 5) -> Page:
    """Return a page of a list."""
    return Page([build_object(name, 1) for name in names], str(version))


class Harness:
    """A reflector between a server and a recorder."""

    def __init__(
        self,
        lists: Iterable[Any],
        watches: Iterable[list[Any]] = (),
        max_listed: int | None = None,
    ) -> None:
        self.server = FakeServer(list(lists), list(watches))
        self.recorder = Recorder()
        self.store = Store()
        self.reflector = Reflector(
            cast("Client", self.server),
            SELECTION,
            "shop",
            self.recorder,
            max_listed,
            access=NamespaceAccess(self.store, WorkQueue(), now),
        )

    async def run(self, seconds: float) -> None:
        """Let the reflector run for so long."""
        task = asyncio.create_task(self.reflector.run())
        await asyncio.sleep(seconds)
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])
        assert 0 == self.server.open_watches


async def test_a_list_is_followed_by_a_watch_from_its_version() -> None:
    """Objects of a list have no type, and their kind, which the API server leaves out of lists."""
    harness = Harness(
        [[page("a", "b"), page("c")]],
        [[build_event("a", 6), 1, build_event("d", 7, "ADDED"), build_event("b", 8, "DELETED")]],
    )
    await harness.run(2)

    assert ["(", "None a", "None b", "None c", ")", "MODIFIED a", "ADDED d", "DELETED b"] == (
        harness.recorder.told
    )
    assert ["list", "watch 5", "watch 8"] == harness.server.asked
    assert harness.reflector.listed.is_set()


async def test_the_kind_of_listed_objects_is_set() -> None:
    """As in a watch event, else a child would differ from its manifest; that of metadata stays."""
    kinds = []
    whole = build_object("a", 1)
    metadata = {**build_object("b", 1), "kind": "Partial", "apiVersion": "meta.k8s.io/v1"}
    harness = Harness([[Page([whole, metadata], "5")]])
    harness.recorder.on_event = lambda event: kinds.append(  # type: ignore[method-assign]
        (event["object"]["apiVersion"], event["object"]["kind"])
    )
    await harness.run(1)

    assert [("v1", "Pod"), ("meta.k8s.io/v1", "Partial")] == kinds


async def test_a_bookmark_moves_the_version_on() -> None:
    """A watch that ended is continued from there, without a new list."""
    harness = Harness([[page("a")]], [[STABLE_SECONDS, build_event("", 99, "BOOKMARK")]])
    await harness.run(STABLE_SECONDS + 1)

    assert ["list", "watch 5", "watch 99"] == harness.server.asked
    assert ["(", "None a", ")"] == harness.recorder.told


async def test_a_broken_stream_is_continued() -> None:
    """Nothing is listed, and nothing that was reported is reported again."""
    harness = Harness(
        [[page("a")]],
        [[build_event("b", 7), UnavailableError(0, "", "cut")], [build_event("c", 8)]],
    )
    await harness.run(5)

    assert ["list", "watch 5", "watch 7"] == harness.server.asked[:3]
    assert ["MODIFIED b", "MODIFIED c"] == harness.recorder.told[3:]


@pytest.mark.parametrize("error", [ExpiredError(410, "Expired", "old"), ApiError(0, "", "odd")])
async def test_an_expired_watch_is_a_new_list(error: ApiError) -> None:
    """What was deleted in the gap is not in it."""
    harness = Harness([[page("a", "b")], [page("b", version=70)]], [[5, error]])
    await harness.run(10)

    assert ["list", "watch 5", "list", "watch 70"] == harness.server.asked
    assert ["(", "None a", "None b", ")", "(", "None b", ")"] == harness.recorder.told


async def test_a_list_that_fails_is_made_again() -> None:
    """From its beginning; only a whole one counts."""
    harness = Harness(
        [[page("a"), ExpiredError(410, "Expired", "the token is too old")], [page("a", "b")]]
    )
    task = asyncio.create_task(harness.reflector.run())
    await run_until_idle()

    assert not harness.reflector.listed.is_set()

    await asyncio.sleep(5)
    task.cancel()

    assert ["(", "None a", "(", "None a", "None b", ")"] == harness.recorder.told
    assert ["list", "list", "watch 5"] == harness.server.asked


async def test_failures_are_backed_off(caplog: pytest.LogCaptureFixture) -> None:
    """Longer and longer, up to a limit; each is in the log."""
    error = ForbiddenError(403, "Forbidden", "no right to watch pods")
    harness = Harness([[error]] * 1000)
    await harness.run(600)
    times = [at for at, _ in harness.server.requests]
    gaps = [later - earlier for earlier, later in pairwise(times)]

    assert BACKOFF_INITIAL / 2 <= gaps[0] <= BACKOFF_INITIAL
    assert all(BACKOFF_MAX / 2 <= gap <= BACKOFF_MAX for gap in gaps[8:])
    assert 20 <= len(times) <= 50
    assert "the watch of Pod failed, retry in" in caplog.text
    assert "no right to watch pods" in caplog.text


async def test_watches_that_end_at_once_are_backed_off_too() -> None:
    """A proxy that cuts each connection must not be asked a thousand times a second."""
    harness = Harness([[page("a")]], [[build_event("a", n)] for n in range(1000)])
    await harness.run(300)

    assert len(harness.server.requests) <= 30


async def test_a_watch_that_lasted_forgets_the_failures() -> None:
    """Its end is ordinary, so it is continued soon."""
    broken = UnavailableError(0, "", "cut")
    harness = Harness([[page("a")]], [[broken]] * 6 + [[STABLE_SECONDS + 1]])
    await harness.run(120)
    (before_last, _), (last, _) = harness.server.requests[-2:]

    assert last - before_last <= STABLE_SECONDS + 1 + BACKOFF_INITIAL


async def test_a_watch_that_expires_after_long_is_listed_again_soon() -> None:
    """However often that happens in the life of the operator."""
    old = ExpiredError(410, "Expired", "old")
    harness = Harness([[page("a")]] * 20, [[STABLE_SECONDS + 1, old]] * 19)
    await harness.run(20 * (STABLE_SECONDS + 1 + BACKOFF_INITIAL))

    assert [20, 20] == [
        sum(request.startswith(verb) for request in harness.server.asked)
        for verb in ("list", "watch")
    ]


async def test_an_object_that_cannot_be_handled_stops_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log has it."""
    harness = Harness([[page("bad", "a")]], [[build_event("bad", 6), build_event("b", 7)]])
    await harness.run(1)

    assert ["(", "None a", ")", "MODIFIED b"] == harness.recorder.told
    assert "could not handle an event of a Pod" in caplog.text


async def test_a_list_may_be_limited() -> None:
    """Then the rest of it is not read; the changes are."""
    harness = Harness(
        [[page("a", "b"), page("c"), page("d")]], [[build_event("d", 6)]], max_listed=3
    )
    await harness.run(1)

    assert ["(", "None a", "None b", "None c", ")", "MODIFIED d"] == harness.recorder.told


@pytest.mark.parametrize(("status", "refused"), [(403, {"shop"}), (401, set())])
async def test_a_refusal_is_told(status: int, refused: set[str]) -> None:
    """The namespace is left out; a bad token is the operator's own trouble."""
    harness = Harness([[ForbiddenError(status, "Forbidden", "no")], [page("a")]])
    await harness.run(10)

    assert refused == harness.store.refused_namespaces
    assert "None a" in harness.recorder.told
