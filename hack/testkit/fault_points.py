"""Numbers the writes and the watch events of an operator, and places faults at some of them.

The proxy of the tests asks it about every write and every line of a watch. The faults are those of
Sieve (Sun et al., OSDI 2022, "Automatic Reliability Testing for Cluster Management Controllers"):
a crash in an intermediate state, an event that is never observed, a stale view.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

FROZEN_SECONDS = 4.0
"""How long a frozen watch delivers nothing."""

UNCOUNTED = frozenset({"leases", "subjectaccessreviews", "tokenreviews"})
"""Writes that have no number: a Lease is renewed by the clock, a review changes nothing."""

UNCOUNTED_EVENTS = frozenset({"BOOKMARK", "ERROR"})


class FaultKind(StrEnum):
    """What is done at a point."""

    KILL_BEFORE = "kill-before"
    """The operator is killed, and its write has not arrived."""
    KILL_AFTER = "kill-after"
    """The operator is killed, and its write was stored: it has not seen the answer."""
    SWALLOW = "swallow"
    """A watch does not deliver this event."""
    FREEZE = "freeze"
    """The watches of a resource deliver nothing for a time, while all others go on."""


KILLS = frozenset({FaultKind.KILL_BEFORE, FaultKind.KILL_AFTER})
SWALLOWS = frozenset({FaultKind.SWALLOW})


@dataclass(frozen=True, order=True)
class Point:
    """The n-th write, or watch event, of one kind: ``PATCH deployments 1``, ``ADDED pods 2``.

    Attributes:
        verb: the HTTP method of a write, or the type of a watch event.
        resource: the plural, with the subresource: ``pods/eviction``.
        number: from 1 in each story. Numbers count by verb and resource because the order between
            resources differs from run to run.
    """

    verb: str
    resource: str
    number: int

    def __str__(self) -> str:
        return f"{self.verb} {self.resource} {self.number}"


@dataclass(frozen=True, order=True)
class Fault:
    """A fault at a point; the point of a freeze names no verb and has the number 0."""

    kind: FaultKind
    point: Point

    def __str__(self) -> str:
        where = self.point.resource if self.kind is FaultKind.FREEZE else str(self.point)
        return f"{self.kind} {where}"

    @classmethod
    def freeze(cls, resource: str) -> Self:
        """Return the fault that freezes the watches of a resource."""
        return cls(FaultKind.FREEZE, Point("", resource, 0))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``str`` wrote.

        Raises:
            ValueError: it is no fault.
        """
        kind, _, where = text.partition(" ")
        if kind == FaultKind.FREEZE and where and " " not in where:
            return cls.freeze(where)
        verb, resource, number = where.split(" ")
        return cls(FaultKind(kind), Point(verb, resource, int(number)))


def parse_resource(path: str) -> str:
    """Return the resource of an API path, with its subresource; empty for other paths.

    ``/api/v1/namespaces/x/pods/y/eviction`` is ``pods/eviction``.
    """
    parts = [part for part in path.split("/") if part]
    rest = parts[2:] if parts[:1] == ["api"] else parts[3:] if parts[:1] == ["apis"] else []
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    return "/".join(rest[::2][:2])


class FaultPoints:
    """The points since ``arm``, and the faults that are placed at some of them.

    Attributes:
        points: all points since ``arm``, in order.
        watched: the resources that were watched since the proxy started.
        placed: the faults whose points have come.
        reached: set when a fault has been placed.
    """

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.watched: set[str] = set()
        self.placed: set[Fault] = set()
        self.reached = threading.Event()
        self._faults: dict[Point, Fault] = {}
        self._is_armed = False
        self._counts: Counter[tuple[str, str]] = Counter()
        self._frozen_until = 0.0

    def arm(self, faults: Iterable[Fault], now: float) -> None:
        """Count from 1 on, and place each fault when its point comes; ``now``: the loop's time."""
        self._faults, self._is_armed = {fault.point: fault for fault in faults}, True
        for fault in self._faults.values():
            if fault.kind is FaultKind.FREEZE:
                self._frozen_until = now + FROZEN_SECONDS
                self.placed.add(fault)
                self.reached.set()

    def list_events(self) -> list[Point]:
        """Return the points that are watch events."""
        return [point for point in list(self.points) if not _is_write(point)]

    def on_write(self, method: str, path: str, query: str) -> FaultKind | None:
        """Count a request; return how the operator is to be killed at it, if it is."""
        resource = parse_resource(path)
        if method == "GET" or "dryRun" in query or not resource or resource in UNCOUNTED:
            return None
        return self._place(self._count(method, resource), KILLS)

    def on_event(self, resource: str, event_type: str) -> bool:
        """Count a watch event; return whether it is to be swallowed."""
        if event_type in UNCOUNTED_EVENTS:
            return False
        return self._place(self._count(event_type, resource), SWALLOWS) is not None

    async def wait_for_thaw(self, resource: str) -> None:
        """Wait while the watches of a resource are frozen."""
        if Fault.freeze(resource).point in self._faults:
            await asyncio.sleep(self._frozen_until - asyncio.get_running_loop().time())

    def _count(self, verb: str, resource: str) -> Point | None:
        if not self._is_armed:
            return None
        self._counts[verb, resource] += 1
        point = Point(verb, resource, self._counts[verb, resource])
        self.points.append(point)
        return point

    def _place(self, point: Point | None, kinds: frozenset[FaultKind]) -> FaultKind | None:
        fault = self._faults.get(point) if point is not None else None
        if fault is None or fault.kind not in kinds:
            return None
        self.placed.add(fault)
        if fault.kind not in KILLS:  # the proxy says when the operator may be killed
            self.reached.set()
        return fault.kind


def _is_write(point: Point) -> bool:
    return point.verb in {"POST", "PUT", "PATCH", "DELETE"}


def list_faults(points: list[Point], watched: set[str], *, kills_only: bool) -> list[Fault]:
    """Return every fault of a story: two kills at each write, each event swallowed, each freeze."""
    kills = [
        Fault(kind, point)
        for point in points
        if _is_write(point)
        for kind in (FaultKind.KILL_BEFORE, FaultKind.KILL_AFTER)
    ]
    if kills_only:
        return kills
    swallows = [Fault(FaultKind.SWALLOW, point) for point in points if not _is_write(point)]
    return [*kills, *swallows, *(Fault.freeze(resource) for resource in sorted(watched))]
