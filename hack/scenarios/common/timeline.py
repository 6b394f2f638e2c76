"""Summarizes the samples of a step as spans and curves. Pure.

A ``Sample`` is a snapshot with its time. A ``Timeline`` has the states of each pod, the wanted and
the ready pods, the restarts, the CPU and the failed requests. Times are seconds since the step
began.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from hack.scenarios.common.cluster_state import ClusterSnapshot, PodRow

Point = tuple[float, float]
"""A time and a value, which holds until the next point."""

_FAILING_STATUSES = ("Error", "BackOff", "OOMKilled", "ErrImage", "Unknown", "Failed", "Evicted")


class PodState(StrEnum):
    """The state of a pod for people."""

    STARTING = "starting"
    """It has never been ready."""

    SERVING = "ready, gets requests"
    READY = "ready"
    """It is ready, but no Service sends it requests."""

    NOT_READY = "not ready"
    """It was ready before and is not now."""

    FAILING = "failing"
    COMPLETED = "completed"
    TERMINATING = "ending"


@dataclass(frozen=True, slots=True)
class Sample:
    """A snapshot, its time, and the CPU of each pod in millicores."""

    at: float
    snapshot: ClusterSnapshot
    cpu: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A pod was in a state from ``start`` to ``end``."""

    start: float
    end: float
    state: PodState


@dataclass(frozen=True, slots=True)
class PodLane:
    """The states of one pod and the times of its restarts."""

    pod: str
    app: str
    node: str
    spans: tuple[Span, ...]
    restarts: tuple[float, ...]


class MarkKind(StrEnum):
    """The kind of a mark on a timeline."""

    COMMAND = "typed"
    """A command was run."""

    FAULT = "fault"
    """A fault was injected."""

    ACTION = "action"
    """The operator acted."""

    RECOVERED = "well"
    """The app was fully serving again."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An event on a timeline."""

    at: float
    text: str
    kind: MarkKind = MarkKind.COMMAND


@dataclass(frozen=True, slots=True)
class Timeline:
    """The course of a step.

    Attributes:
        length: seconds.
        lanes: the pods, the oldest first.
        desired: number of pods that all apps want.
        ready: number of ready pods.
        restarts: number of restarts in the statuses.
        cpu_percent: CPU in percent of the request, from the autoscaler.
        cpu_target: the autoscaler's target in percent.
        millicores: CPU of all pods, from the metrics server.
        marks: commands, faults and actions.
        failures: failed requests per second, where requests were sent.
    """

    length: float
    lanes: tuple[PodLane, ...]
    desired: tuple[Point, ...]
    ready: tuple[Point, ...]
    restarts: tuple[Point, ...]
    cpu_percent: tuple[Point, ...]
    cpu_target: int | None
    millicores: tuple[Point, ...]
    marks: tuple[Mark, ...]
    failures: tuple[Point, ...] = ()


def build_timeline(
    samples: Sequence[Sample],
    marks: Iterable[Mark],
    length: float,
    failures: tuple[Point, ...] = (),
) -> Timeline:
    """Build the timeline of a step from its samples, marks and failed requests."""
    targets = [
        target for sample in samples if (target := _autoscaler_cpu(sample.snapshot)[1]) is not None
    ]
    return Timeline(
        length=length,
        lanes=_build_lanes(samples, length),
        desired=_build_curve(samples, lambda now: _count_desired_pods(now.snapshot)),
        ready=_build_curve(samples, lambda now: sum(pod.is_ready for pod in now.snapshot.pods)),
        restarts=_build_curve(samples, lambda now: _count_restarts(now.snapshot)),
        cpu_percent=_build_curve(samples, lambda now: _autoscaler_cpu(now.snapshot)[0]),
        cpu_target=targets[-1] if targets else None,
        millicores=_build_curve(
            samples, lambda now: None if now.cpu is None else sum(now.cpu.values())
        ),
        marks=tuple(marks),
        failures=failures,
    )


def summarize_timeline(timeline: Timeline) -> str:
    """Return the numbers of pods and restarts and the range of CPU as a short text."""
    parts = [_pluralize(len(timeline.lanes), "pod")]
    max_ready = max((int(value) for _, value in timeline.ready), default=0)
    if max_ready > 1:
        parts.append(f"up to {max_ready} ready at once")
    # A Job that makes another pod counts as a restart too, in the status alone.
    counted_restarts = max((int(value) for _, value in timeline.restarts), default=0)
    restarts = max(counted_restarts, sum(len(lane.restarts) for lane in timeline.lanes))
    if restarts:
        parts.append(_pluralize(restarts, "restart"))
    failing = [
        lane for lane in timeline.lanes if any(s.state is PodState.FAILING for s in lane.spans)
    ]
    if failing:
        parts.append(f"{len(failing)} failing for a while")
    unready = sum(
        span.end - span.start
        for lane in timeline.lanes
        for span in lane.spans
        if span.state is PodState.NOT_READY
    )
    if unready >= 1:
        parts.append(f"not ready for {unready:.0f} s")
    if timeline.cpu_percent:
        parts.append(f"CPU up to {max(value for _, value in timeline.cpu_percent):.0f} %")
    return ", ".join(parts)


def get_pod_state(pod: PodRow, *, was_ready: bool) -> PodState:
    """Return the state of a pod at one moment."""
    if pod.is_terminating:
        return PodState.TERMINATING
    if pod.is_ready:
        return PodState.SERVING if pod.is_serving else PodState.READY
    if pod.status == "Completed":
        return PodState.COMPLETED
    if any(word in pod.status for word in _FAILING_STATUSES):
        return PodState.FAILING
    return PodState.NOT_READY if was_ready else PodState.STARTING


def _build_lanes(samples: Sequence[Sample], length: float) -> tuple[PodLane, ...]:
    lanes: dict[str, PodLane] = {}
    known_restarts: dict[str, int] = {}
    for index, sample in enumerate(samples):
        end = samples[index + 1].at if index + 1 < len(samples) else length
        for pod in sample.snapshot.pods:
            lane = lanes.get(pod.uid) or PodLane(pod.name, pod.app, "", (), ())
            ready_before = any(s.state in (PodState.SERVING, PodState.READY) for s in lane.spans)
            span = Span(sample.at, end, get_pod_state(pod, was_ready=ready_before))
            has_restarted = pod.restarts > known_restarts.get(
                pod.uid, pod.restarts if index == 0 else 0
            )
            known_restarts[pod.uid] = pod.restarts
            lanes[pod.uid] = replace(
                lane,
                node=pod.node or lane.node,
                spans=_extend_spans(lane.spans, span),
                restarts=(*lane.restarts, sample.at) if has_restarted else lane.restarts,
            )
    return tuple(lanes.values())


def _extend_spans(spans: tuple[Span, ...], span: Span) -> tuple[Span, ...]:
    last = spans[-1] if spans else None
    if last is not None and last.state is span.state and last.end == span.start:
        return (*spans[:-1], replace(last, end=span.end))
    return (*spans, span)


def _build_curve(
    samples: Sequence[Sample], value: Callable[[Sample], float | None]
) -> tuple[Point, ...]:
    """Return the points at which a value changes."""
    points: list[Point] = []
    for sample in samples:
        now = value(sample)
        if now is not None and (not points or points[-1][1] != now):
            points.append((sample.at, float(now)))
    return tuple(points)


def _count_desired_pods(snapshot: ClusterSnapshot) -> int:
    """Return the wanted pods of all apps, from ``ready: 1/3`` of each status."""
    found = (str(app.status.get("ready", "")).partition("/")[2] for app in snapshot.apps)
    return sum(int(text) for text in found if text.isdigit())


def _count_restarts(snapshot: ClusterSnapshot) -> int:
    return sum(int(app.status.get("restarts", {}).get("total", 0)) for app in snapshot.apps)


def _autoscaler_cpu(snapshot: ClusterSnapshot) -> tuple[int | None, int | None]:
    """Parse ``31%/50%``; None without an autoscaler or a metric."""
    for app in snapshot.apps:
        text = str(app.status.get("autoscaling", {}).get("cpu", ""))
        have, _, goal = text.partition("/")
        return _parse_percent(have), _parse_percent(goal)
    return None, None


def _parse_percent(text: str) -> int | None:
    number = text.removesuffix("%")
    return int(number) if number.isdigit() else None


def _pluralize(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
