"""Points are numbered by verb and resource, and a fault is placed at exactly one of them."""

import asyncio
import json
from unittest.mock import Mock

import aiohttp
import pytest
from aiohttp.base_protocol import BaseProtocol
from hypothesis import given, strategies as st

from hack.testkit import fault_points, watch_stream
from hack.testkit.fault_points import (
    Fault,
    FaultKind,
    FaultPoints,
    Point,
    list_faults,
    parse_resource,
)
from hack.testkit.kube_client import API_PATHS, object_path
from hack.testkit.watch_stream import build_watch_error, pass_events

DEPLOYMENT = "/apis/apps/v1/namespaces/x/deployments/app"
points = st.builds(
    Point,
    st.sampled_from(("POST", "PATCH", "DELETE", "ADDED", "MODIFIED", "DELETED")),
    st.sampled_from(("pods", "pods/eviction", "deployments")),
    st.integers(1, 99),
)
faults = st.one_of(
    st.builds(Fault, st.sampled_from(list(FaultKind)[:3]), points),
    st.builds(Fault.freeze, st.sampled_from(("pods", "deployments"))),
)


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/api/v1/namespaces/x/pods/y/eviction", "pods/eviction"),
        (
            "/apis/selfhealing.dev/v1alpha1/namespaces/x/selfhealingapps/app/status",
            "selfhealingapps/status",
        ),
        (DEPLOYMENT, "deployments"),
        ("/api/v1/namespaces/x", "namespaces"),
        ("/api/v1/nodes", "nodes"),
        ("/version", ""),
        ("/", ""),
    ],
)
def test_resource_of_a_path(path: str, resource: str) -> None:
    assert resource == parse_resource(path)


@pytest.mark.parametrize("kind", API_PATHS)
def test_every_path_of_the_client_has_a_resource(kind: str) -> None:
    plural = object_path(kind, None).rpartition("/")[2]

    for path in (object_path(kind, "x"), object_path(kind, "x", "y"), object_path(kind, None)):
        assert plural == parse_resource(path)


@given(faults)
def test_a_fault_is_read_as_it_was_written(fault: Fault) -> None:
    assert fault == Fault.parse(str(fault))


@pytest.mark.parametrize("text", ["", "freeze", "freeze ", "swallow pods", "melt ADDED pods 1"])
def test_what_is_no_fault(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any message
        Fault.parse(text)


def test_nothing_is_counted_before_the_story_begins() -> None:
    found = FaultPoints()
    found.on_write("PATCH", DEPLOYMENT, "")
    found.arm((), 0)
    found.on_write("PATCH", DEPLOYMENT, "")

    assert [Point("PATCH", "deployments", 1)] == found.points


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", DEPLOYMENT, ""),
        ("PATCH", DEPLOYMENT, "dryRun=All"),
        ("PATCH", "/apis/coordination.k8s.io/v1/namespaces/x/leases/y", ""),
        ("POST", "/apis/authentication.k8s.io/v1/tokenreviews", ""),
    ],
)
def test_what_changes_nothing_has_no_number(method: str, path: str, query: str) -> None:
    found = FaultPoints()
    found.arm((), 0)

    assert found.on_write(method, path, query) is None
    assert [] == found.points


@pytest.mark.parametrize("kind", [FaultKind.KILL_BEFORE, FaultKind.KILL_AFTER])
def test_a_kill_is_placed_once_and_the_proxy_says_when(kind: FaultKind) -> None:
    found = FaultPoints()
    found.arm([Fault(kind, Point("PATCH", "deployments", 2))], 0)

    assert [None, kind, None] == [found.on_write("PATCH", DEPLOYMENT, "") for _ in range(3)]
    assert not found.reached.is_set()


@given(st.lists(st.sampled_from(("ADDED", "MODIFIED", "DELETED", "BOOKMARK")), max_size=30), points)
def test_at_most_one_event_is_swallowed(types: list[str], point: Point) -> None:
    found = FaultPoints()
    found.arm([Fault(FaultKind.SWALLOW, point)], 0)

    swallowed = [found.on_event("pods", each) for each in types]

    assert sum(swallowed) == (point in found.points)
    assert found.reached.is_set() == any(swallowed)
    assert len(found.points) == sum(each != "BOOKMARK" for each in types)


def test_the_faults_of_a_story() -> None:
    write, event = Point("PATCH", "pods", 1), Point("ADDED", "pods", 1)

    found = list_faults([write, event], {"pods"}, kills_only=False)

    assert [
        "kill-before PATCH pods 1",
        "kill-after PATCH pods 1",
        "swallow ADDED pods 1",
        "freeze pods",
    ] == [str(fault) for fault in found]
    assert found[:2] == list_faults([write, event], {"pods"}, kills_only=True)


def line(event_type: str, uid: str) -> bytes:
    event = {"type": event_type, "object": {"metadata": {"uid": uid}}}
    return json.dumps(event).encode() + b"\n"


async def read_all(found: FaultPoints, *chunks: bytes, is_open: bool = False) -> bytes:
    loop = asyncio.get_running_loop()
    content = aiohttp.StreamReader(Mock(spec=BaseProtocol), 2**16, loop=loop)
    for chunk in chunks:
        content.feed_data(chunk)
    if not is_open:
        content.feed_eof()
    return b"".join([passed async for passed in pass_events(found, "pods", content)])


@given(st.lists(st.sampled_from("abc"), max_size=8), st.integers(1, 40))
async def test_without_a_fault_every_byte_passes(uids: list[str], size: int) -> None:
    """Wherever the chunks are cut."""
    text = b"".join(line("MODIFIED", uid) for uid in uids)

    chunks = [text[start : start + size] for start in range(0, len(text), size)]

    assert text == await read_all(FaultPoints(), *chunks)


async def test_a_later_event_replaces_a_swallowed_one() -> None:
    found = FaultPoints()
    found.arm([Fault(FaultKind.SWALLOW, Point("MODIFIED", "pods", 1))], 0)

    events = [line("MODIFIED", "a"), line("MODIFIED", "b"), line("DELETED", "a")]

    assert b"".join(events[1:]) == await read_all(found, *events)


async def test_without_a_later_event_the_watch_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_stream, "UNSEEN_SECONDS", 0.01)
    found = FaultPoints()
    found.arm([Fault(FaultKind.SWALLOW, Point("DELETED", "pods", 1))], 0)

    passed = await read_all(found, line("DELETED", "a"), line("ADDED", "b"), is_open=True)

    assert line("ADDED", "b") + build_watch_error(410) == passed


async def test_several_events_are_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch expires for the one that nothing replaces."""
    monkeypatch.setattr(watch_stream, "UNSEEN_SECONDS", 0.01)
    faults = [Fault(FaultKind.SWALLOW, Point("MODIFIED", "pods", number)) for number in (1, 2, 9)]
    found = FaultPoints()
    found.arm(faults, 0)

    events = [line("MODIFIED", "a"), line("MODIFIED", "b"), line("MODIFIED", "a")]

    assert events[2] + build_watch_error(410) == await read_all(found, *events, is_open=True)
    assert set(faults[:2]) == found.placed


async def test_a_frozen_watch_delivers_everything_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fault_points, "FROZEN_SECONDS", 0.01)
    found = FaultPoints()
    found.arm([Fault.freeze("pods")], asyncio.get_running_loop().time())

    assert found.reached.is_set()
    assert line("ADDED", "a") == await read_all(found, line("ADDED", "a"))
