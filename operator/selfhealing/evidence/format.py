"""A pod and its Events as text, for a reader at night: what is wrong stands where one looks first.

Raw objects of the API server come in; missing fields become nothing, never an error.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from selfhealing.evidence.redaction import redact, strip_control_characters
from selfhealing.health.messages import describe_exit_code

Json = Mapping[str, Any]

MAX_MESSAGE: Final = 300
"""Characters of a message of the cluster that are worth their room."""
MAX_LOGS: Final = 6
"""Logs of one pod that are worth their room."""
_TIMESTAMP_LENGTH: Final = len("2026-01-01T12:00:00")


class LogSource(NamedTuple):
    """A log that can be had: the container's, of the run before its last restart or of this one."""

    container: str
    previous: bool


def find_log_sources(pod: Json) -> list[LogSource]:
    """The logs that tell of what is wrong with a pod, the most telling first.

    A container that has restarted tells by its run before; one that waits has no other run. A pod
    whose containers are all well has no log that tells of its illness.
    """
    log_sources = [
        LogSource(status["name"], previous)
        for status in sorted(_container_statuses(pod), key=lambda status: bool(status.get("ready")))
        for previous in (True, False)
        if _has_log(status, previous=previous)
    ]
    return log_sources[:MAX_LOGS]


def _has_log(status: Json, *, previous: bool) -> bool:
    state, last = status.get("state") or {}, status.get("lastState") or {}
    if previous:
        return bool(last.get("terminated"))
    ran = state.get("terminated") or state.get("running")
    failed = not status.get("ready") or bool(last.get("terminated"))
    return bool(ran) and failed


def _container_statuses(pod: Json) -> Iterator[Json]:
    """The containers' statuses, those of the app before those that prepare it."""
    status = pod.get("status") or {}
    for field in ("containerStatuses", "initContainerStatuses"):
        yield from status.get(field) or ()


def format_pod(pod: Json) -> str:
    """Where the pod is, how it is, and how each of its containers is."""
    meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    deleted = meta.get("deletionTimestamp")
    lines = [
        f"uid {meta.get('uid', '')}, made {meta.get('creationTimestamp', 'at an unknown time')}"
        + (f", being deleted since {deleted}" if deleted else ""),
        f"node {spec.get('nodeName') or 'none'} ({status.get('hostIP') or 'no address'})",
        f"phase {status.get('phase', 'unknown')}{_format_reason(status)}",
        *map(_format_condition, status.get("conditions") or ()),
    ]
    specs_by_name = {
        container["name"]: container
        for field in ("containers", "initContainers")
        for container in spec.get(field) or ()
    }
    for container in _container_statuses(pod):
        lines += _format_container(container, specs_by_name.get(container["name"], {}))
    return "\n".join(lines)


def _format_condition(condition: Json) -> str:
    since = condition.get("lastTransitionTime") or "an unknown time"
    return f"{condition['type']}={condition.get('status')} since {since}{_format_reason(condition)}"


def _format_container(status: Json, spec: Json) -> Iterator[str]:
    ready = "ready" if status.get("ready") else "not ready"
    yield f"container {status['name']}: {ready}, {status.get('restartCount', 0)} restarts"
    yield f"  image:  {status.get('image') or spec.get('image')}"
    yield f"  now:    {_format_state(status.get('state') or {})}"
    yield f"  before: {_format_state(status.get('lastState') or {})}"
    resources = status.get("resources") or spec.get("resources") or {}
    for field in ("requests", "limits"):
        amounts = ", ".join(
            f"{name} {quantity}" for name, quantity in (resources.get(field) or {}).items()
        )
        yield f"  {field}: {amounts or 'none'}"


def _format_state(state: Json) -> str:
    """A container's state, or that of its run before."""
    if waiting := state.get("waiting"):
        return f"waiting{_format_reason(waiting)}"
    if running := state.get("running"):
        return f"running since {running.get('startedAt')}"
    terminated = state.get("terminated")
    if not terminated:
        return "nothing"
    times = f"from {terminated.get('startedAt')} to {terminated.get('finishedAt')}"
    return f"ended with {describe_exit_code(terminated.get('exitCode', 0))}, {times}{_format_reason(terminated)}"


def _format_reason(state: Json) -> str:
    """Its reason and its message, where it has them."""
    parts = [state.get("reason"), one_line(state.get("message") or "")]
    return "".join(
        f"{separator}{part}" for separator, part in zip((", ", ": "), parts, strict=True) if part
    )


def one_line(message: str) -> str:
    """A message in one line without secrets: the beginning of a long one, and its cause, the end.

    It is masked before it is cut: the cut might take away the word by which a secret is known.
    """
    line = " ".join(redact(strip_control_characters(message)).split())
    return (
        line
        if len(line) <= MAX_MESSAGE
        else f"{line[: MAX_MESSAGE // 2]} … {line[-MAX_MESSAGE // 2 :]}"
    )


def format_events(events: Iterable[Json]) -> str:
    """The Events in the order in which they happened last, one in each line."""
    return "\n".join(map(_format_event, sorted(events, key=_last_seen)))


def _last_seen(event: Json) -> str:
    """When an Event was seen last; to the second, because only some times are finer."""
    series = event.get("series") or {}
    timestamp = (
        event.get("lastTimestamp")
        or series.get("lastObservedTime")
        or event.get("eventTime")
        or event.get("firstTimestamp")
        or event["metadata"].get("creationTimestamp")
        or ""
    )
    return str(timestamp)[:_TIMESTAMP_LENGTH]


def _format_event(event: Json) -> str:
    count = event.get("count") or (event.get("series") or {}).get("count") or 1
    times = f" ({count} times)" if count > 1 else ""
    message = one_line(event.get("message") or "")
    return f"{_last_seen(event)}Z {event.get('type', 'Normal')} {event.get('reason', '')}{times}: {message}"


def format_usage(containers: Iterable[Json]) -> str:
    """What each container of a PodMetrics uses, a line each: "app: cpu 12m, memory 46080Ki"."""
    lines = []
    for container in containers:
        usage = container.get("usage") or {}
        amounts = ", ".join(f"{name} {usage[name]}" for name in sorted(usage))
        lines.append(f"{container['name']}: {amounts or 'not measured'}")
    return "\n".join(lines)
