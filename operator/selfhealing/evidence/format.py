"""A pod and its Events as text, for a reader at night: what is wrong stands where one looks first.

Raw objects of the API server come in; missing fields become nothing, never an error.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from selfhealing.evidence.redaction import plain, redact
from selfhealing.health.messages import exit_words

Json = Mapping[str, Any]

WORDS: Final = 300
"""Characters of a message of the cluster that are worth their room."""
MOST: Final = 6
"""Logs of one pod that are worth their room."""
_SECONDS: Final = len("2026-01-01T12:00:00")


class Source(NamedTuple):
    """A log that can be had: the container's, of the run before its last restart or of this one."""

    container: str
    previous: bool


def sources(pod: Json) -> list[Source]:
    """The logs that tell of what is wrong with a pod, the most telling first.

    A container that has restarted tells by its run before; one that waits has no other run. A pod
    whose containers are all well has no log that tells of its illness.
    """
    found = [
        Source(status["name"], previous)
        for status in sorted(_statuses(pod), key=lambda status: bool(status.get("ready")))
        for previous in (True, False)
        if _has_log(status, previous=previous)
    ]
    return found[:MOST]


def _has_log(status: Json, *, previous: bool) -> bool:
    state, last = status.get("state") or {}, status.get("lastState") or {}
    if previous:
        return bool(last.get("terminated"))
    ran = state.get("terminated") or state.get("running")
    failed = not status.get("ready") or bool(last.get("terminated"))
    return bool(ran) and failed


def _statuses(pod: Json) -> Iterator[Json]:
    """The containers' statuses, those of the app before those that prepare it."""
    status = pod.get("status") or {}
    for field in ("containerStatuses", "initContainerStatuses"):
        yield from status.get(field) or ()


def describe(pod: Json) -> str:
    """Where the pod is, how it is, and how each of its containers is."""
    meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    deleted = meta.get("deletionTimestamp")
    lines = [
        f"uid {meta.get('uid', '')}, made {meta.get('creationTimestamp', 'at an unknown time')}"
        + (f", being deleted since {deleted}" if deleted else ""),
        f"node {spec.get('nodeName') or 'none'} ({status.get('hostIP') or 'no address'})",
        f"phase {status.get('phase', 'unknown')}{_why(status)}",
        *map(_condition, status.get("conditions") or ()),
    ]
    asked = {
        container["name"]: container
        for field in ("containers", "initContainers")
        for container in spec.get(field) or ()
    }
    for container in _statuses(pod):
        lines += _container(container, asked.get(container["name"], {}))
    return "\n".join(lines)


def _condition(condition: Json) -> str:
    since = condition.get("lastTransitionTime") or "an unknown time"
    return f"{condition['type']}={condition.get('status')} since {since}{_why(condition)}"


def _container(status: Json, asked: Json) -> Iterator[str]:
    ready = "ready" if status.get("ready") else "not ready"
    yield f"container {status['name']}: {ready}, {status.get('restartCount', 0)} restarts"
    yield f"  image:  {status.get('image') or asked.get('image')}"
    yield f"  now:    {_state(status.get('state') or {})}"
    yield f"  before: {_state(status.get('lastState') or {})}"
    resources = status.get("resources") or asked.get("resources") or {}
    for field in ("requests", "limits"):
        amounts = ", ".join(f"{name} {much}" for name, much in (resources.get(field) or {}).items())
        yield f"  {field}: {amounts or 'none'}"


def _state(state: Json) -> str:
    """A container's state, or that of its run before."""
    if waiting := state.get("waiting"):
        return f"waiting{_why(waiting)}"
    if running := state.get("running"):
        return f"running since {running.get('startedAt')}"
    end = state.get("terminated")
    if not end:
        return "nothing"
    times = f"from {end.get('startedAt')} to {end.get('finishedAt')}"
    return f"ended with {exit_words(end.get('exitCode', 0))}, {times}{_why(end)}"


def _why(thing: Json) -> str:
    """Its reason and its message, where it has them."""
    said = [thing.get("reason"), short(thing.get("message") or "")]
    return "".join(f"{sign}{part}" for sign, part in zip((", ", ": "), said, strict=True) if part)


def short(message: str) -> str:
    """A message in one line without secrets: the beginning of a long one, and its cause, the end.

    It is masked before it is cut: the cut might take away the word by which a secret is known.
    """
    line = " ".join(redact(plain(message)).split())
    return line if len(line) <= WORDS else f"{line[: WORDS // 2]} … {line[-WORDS // 2 :]}"


def tell(events: Iterable[Json]) -> str:
    """The Events in the order in which they happened last, one in each line."""
    return "\n".join(map(_event, sorted(events, key=_last)))


def _last(event: Json) -> str:
    """When an Event was seen last; to the second, because only some times are finer."""
    series = event.get("series") or {}
    moment = (
        event.get("lastTimestamp")
        or series.get("lastObservedTime")
        or event.get("eventTime")
        or event.get("firstTimestamp")
        or event["metadata"].get("creationTimestamp")
        or ""
    )
    return str(moment)[:_SECONDS]


def _event(event: Json) -> str:
    count = event.get("count") or (event.get("series") or {}).get("count") or 1
    times = f" ({count} times)" if count > 1 else ""
    said = short(event.get("message") or "")
    return f"{_last(event)}Z {event.get('type', 'Normal')} {event.get('reason', '')}{times}: {said}"


def measured(containers: Iterable[Json]) -> str:
    """What each container of a PodMetrics uses, a line each: "app: cpu 12m, memory 46080Ki"."""
    lines = []
    for container in containers:
        usage = container.get("usage") or {}
        told = ", ".join(f"{name} {usage[name]}" for name in sorted(usage))
        lines.append(f"{container['name']}: {told or 'not measured'}")
    return "\n".join(lines)
