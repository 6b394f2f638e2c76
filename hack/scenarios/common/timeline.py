"""What was seen while a step was played, second by second, as spans and curves. Pure.

A ``Sample`` is one look at the cluster, a ``Timeline`` what they come to: when each pod was in
which state, how many were wanted and ready, the restarts, the CPU, the requests that failed. Times
are seconds since the step began.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from hack.scenarios.common.cluster_state import Picture, Pod

Point = tuple[float, float]
"""A time and a value; it holds until the next point."""

_ILL = ("Error", "BackOff", "OOMKilled", "ErrImage", "Unknown", "Failed", "Evicted")


class State(StrEnum):
    """What a pod is like, as a reader thinks of it."""

    STARTING = "starting"
    """It has never been ready."""

    SERVING = "ready, gets requests"
    READY = "ready"
    """Ready, but no Service sends it requests."""

    NOT_READY = "not ready"
    """It was ready before."""

    FAILING = "failing"
    DONE = "completed"
    ENDING = "ending"


@dataclass(frozen=True, slots=True)
class Sample:
    """One look: the picture, and the CPU that each pod uses, in millicores."""

    at: float
    picture: Picture
    cpu: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A pod was in a state from ``start`` to ``end``."""

    start: float
    end: float
    state: State


@dataclass(frozen=True, slots=True)
class Lane:
    """One pod's life and the times at which a container of it was restarted."""

    pod: str
    app: str
    node: str
    spans: tuple[Span, ...]
    restarts: tuple[float, ...]


class Kind(StrEnum):
    """What kind of thing a mark stands for."""

    TYPED = "typed"
    """Somebody typed a command."""

    FAULT = "fault"
    """Something was broken on purpose."""

    ACTION = "action"
    """The operator did something about it."""

    WELL = "well"
    """All was well again."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that was done."""

    at: float
    text: str
    kind: Kind = Kind.TYPED


@dataclass(frozen=True, slots=True)
class Timeline:
    """A step in curves.

    Attributes:
        length: seconds.
        lanes: the pods, the oldest first.
        wanted: pods that the apps want, together.
        ready: pods that are ready, together.
        restarts: restarts that the status counts, together.
        percent: CPU as the autoscaler sees it, in percent of the request.
        target: the percentage that it aims at.
        millicores: CPU of all pods, as the metrics server tells it.
        marks: what was done.
        failures: requests that failed in each second, where requests were sent.
    """

    length: float
    lanes: tuple[Lane, ...]
    wanted: tuple[Point, ...]
    ready: tuple[Point, ...]
    restarts: tuple[Point, ...]
    percent: tuple[Point, ...]
    target: int | None
    millicores: tuple[Point, ...]
    marks: tuple[Mark, ...]
    failures: tuple[Point, ...] = ()


def timeline(
    samples: Sequence[Sample],
    marks: Iterable[Mark],
    length: float,
    failures: tuple[Point, ...] = (),
) -> Timeline:
    """Put the looks of one step together, and what others have counted meanwhile."""
    targets = [goal for sample in samples if (goal := _cpu(sample.picture)[1]) is not None]
    return Timeline(
        length=length,
        lanes=_lanes(samples, length),
        wanted=_curve(samples, lambda now: _wanted(now.picture)),
        ready=_curve(samples, lambda now: sum(pod.is_ready for pod in now.picture.pods)),
        restarts=_curve(samples, lambda now: _restarts(now.picture)),
        percent=_curve(samples, lambda now: _cpu(now.picture)[0]),
        target=targets[-1] if targets else None,
        millicores=_curve(samples, lambda now: None if now.cpu is None else sum(now.cpu.values())),
        marks=tuple(marks),
        failures=failures,
    )


def seen(line: Timeline) -> str:
    """What happened, in a few words."""
    words = [_count(len(line.lanes), "pod")]
    most = max((int(value) for _, value in line.ready), default=0)
    if most > 1:
        words.append(f"up to {most} ready at once")
    # A Job that makes another pod counts as a restart too, in the status alone.
    told = max((int(value) for _, value in line.restarts), default=0)
    restarts = max(told, sum(len(lane.restarts) for lane in line.lanes))
    if restarts:
        words.append(_count(restarts, "restart"))
    failing = [lane for lane in line.lanes if any(s.state is State.FAILING for s in lane.spans)]
    if failing:
        words.append(f"{len(failing)} failing for a while")
    unready = sum(
        span.end - span.start
        for lane in line.lanes
        for span in lane.spans
        if span.state is State.NOT_READY
    )
    if unready >= 1:
        words.append(f"not ready for {unready:.0f} s")
    if line.percent:
        words.append(f"CPU up to {max(value for _, value in line.percent):.0f} %")
    return ", ".join(words)


def state_of(pod: Pod, *, was_ready: bool) -> State:
    """The state of a pod at one moment."""
    if pod.leaving:
        return State.ENDING
    if pod.is_ready:
        return State.SERVING if pod.serving else State.READY
    if pod.status == "Completed":
        return State.DONE
    if any(word in pod.status for word in _ILL):
        return State.FAILING
    return State.NOT_READY if was_ready else State.STARTING


def _lanes(samples: Sequence[Sample], length: float) -> tuple[Lane, ...]:
    lanes: dict[str, Lane] = {}
    counted: dict[str, int] = {}
    for index, sample in enumerate(samples):
        end = samples[index + 1].at if index + 1 < len(samples) else length
        for pod in sample.picture.pods:
            lane = lanes.get(pod.uid) or Lane(pod.name, pod.app, "", (), ())
            ready_before = any(s.state in (State.SERVING, State.READY) for s in lane.spans)
            span = Span(sample.at, end, state_of(pod, was_ready=ready_before))
            more = pod.restarts > counted.get(pod.uid, pod.restarts if index == 0 else 0)
            counted[pod.uid] = pod.restarts
            lanes[pod.uid] = replace(
                lane,
                node=pod.node or lane.node,
                spans=_grown(lane.spans, span),
                restarts=(*lane.restarts, sample.at) if more else lane.restarts,
            )
    return tuple(lanes.values())


def _grown(spans: tuple[Span, ...], span: Span) -> tuple[Span, ...]:
    last = spans[-1] if spans else None
    if last is not None and last.state is span.state and last.end == span.start:
        return (*spans[:-1], replace(last, end=span.end))
    return (*spans, span)


def _curve(samples: Sequence[Sample], value: Callable[[Sample], float | None]) -> tuple[Point, ...]:
    """The points at which a value changes."""
    found: list[Point] = []
    for sample in samples:
        now = value(sample)
        if now is not None and (not found or found[-1][1] != now):
            found.append((sample.at, float(now)))
    return tuple(found)


def _wanted(now: Picture) -> int:
    """What ``ready: 1/3`` of each app says is wanted."""
    found = (str(app.status.get("ready", "")).partition("/")[2] for app in now.apps)
    return sum(int(text) for text in found if text.isdigit())


def _restarts(now: Picture) -> int:
    return sum(int(app.status.get("restarts", {}).get("total", 0)) for app in now.apps)


def _cpu(now: Picture) -> tuple[int | None, int | None]:
    """``31%/50%`` as two numbers; None where there is no autoscaler or no metric yet."""
    for app in now.apps:
        text = str(app.status.get("autoscaling", {}).get("cpu", ""))
        have, _, goal = text.partition("/")
        return _percent(have), _percent(goal)
    return None, None


def _percent(text: str) -> int | None:
    number = text.removesuffix("%")
    return int(number) if number.isdigit() else None


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
