"""Formats a pod, its Events and its usage as text, and selects the logs to collect.

The input is objects as the API server returns them. A missing field is not an error.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from selfhealing.api.text import clean_line, clean_text
from selfhealing.evidence.redaction import MAX_RAW_MESSAGE, PATTERNS_ONLY, Redactor
from selfhealing.health.messages import describe_exit_code

Json = Mapping[str, Any]

MAX_MESSAGE: Final = 300
"""The longest message of the cluster in the evidence, in characters."""
MAX_LAST_WORDS: Final = 256
"""The longest last line of a container's termination message in the evidence, in characters."""
FROM_LOG_POLICY: Final = "FallbackToLogsOnError"
"""The terminationMessagePolicy by which the end of the log is the termination message."""
_QUOTING_REASONS: Final = frozenset({"ProbeWarning", "FailedPostStartHook", "FailedPreStopHook"})
"""Reasons of Events that quote a container whatever its probes are (pkg/kubelet/events)."""
_STATUS_FIELDS: Final = ("containerStatuses", "initContainerStatuses")
MAX_LOGS: Final = 6
"""The largest number of logs of one pod in the evidence."""
_MAX_EVENT_TEXT: Final = 1024
"""Characters of a text of an Event that are kept until it is formatted."""
_EVENT_FIELDS: Final = (
    "type",
    "reason",
    "message",
    "count",
    "firstTimestamp",
    "lastTimestamp",
    "eventTime",
)
_TIMESTAMP_LENGTH: Final = len("2026-01-01T12:00:00")


class LogSource(NamedTuple):
    """A log of a container: of its previous run (before the last restart) or of its current one."""

    container: str
    previous: bool


def find_log_sources(pod: Json) -> list[LogSource]:
    """Find the logs that may show why a pod fails, the most useful first.

    For a container that was restarted, that is the log of its previous run; a waiting container has
    no other log. A pod whose containers are all ready and were never restarted has none.
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
    """The container statuses; init containers come last."""
    status = pod.get("status") or {}
    for field in _STATUS_FIELDS:
        yield from status.get(field) or ()


def without_log_messages(pod: Json) -> Json:
    """Return a pod without the termination messages that the kubelet took from a log."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    names = {
        container["name"]
        for field in ("containers", "initContainers")
        for container in spec.get(field) or ()
        if container.get("terminationMessagePolicy") == FROM_LOG_POLICY
    }
    changed = {
        field: [_without_message(each) if each["name"] in names else each for each in status[field]]
        for field in _STATUS_FIELDS
        if status.get(field)
    }
    return {**pod, "status": {**status, **changed}}


def _without_message(container_status: Json) -> Json:
    states = {
        field: {**state, "terminated": {**state["terminated"], "message": ""}}
        for field in ("state", "lastState")
        if (state := container_status.get(field) or {}).get("terminated")
    }
    return {**container_status, **states}


def without_outputs(events: Iterable[Json], pod: Json) -> list[Json]:
    """Return the Events of a pod without what its containers have answered or printed.

    The kubelet's Events quote the output of a probe that is a command, the answer to a probe that
    was redirected, and the output of a hook. What it says itself of another probe stays.
    """
    return [
        {**event, "message": f"{said}: (its output is a log line)"}
        if _quotes_output(event, pod) and (said := event.get("message", "").partition(": ")[0])
        else event
        for event in events
    ]


def _quotes_output(event: Json, pod: Json) -> bool:
    reason, message = event.get("reason"), event.get("message", "")
    if reason != "Unhealthy":
        return reason in _QUOTING_REASONS
    field = f"{message.partition(' ')[0].lower()}Probe"
    probes = [
        container.get(field) or {}
        for containers in ("containers", "initContainers")
        for container in (pod.get("spec") or {}).get(containers) or ()
    ]
    return any("exec" in probe for probe in probes) or not any(probes)


def format_pod(pod: Json, redactor: Redactor = PATTERNS_ONLY) -> str:
    """Format the node, the phase, the conditions and the containers of a pod."""
    meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    deleted = meta.get("deletionTimestamp")
    lines = [
        f"uid {meta.get('uid', '')}, created {meta.get('creationTimestamp', 'at an unknown time')}"
        + (f", being deleted since {deleted}" if deleted else ""),
        f"node {spec.get('nodeName') or 'none'} ({status.get('hostIP') or 'no address'})",
        f"phase {status.get('phase', 'unknown')}{_format_reason(status, redactor)}",
        *(_format_condition(condition, redactor) for condition in status.get("conditions") or ()),
    ]
    specs_by_name = {
        container["name"]: container
        for field in ("containers", "initContainers")
        for container in spec.get(field) or ()
    }
    for container in _container_statuses(pod):
        spec_of_container = specs_by_name.get(container["name"], {})
        lines += _format_container(container, spec_of_container, redactor)
    return "\n".join(lines)


def _format_condition(condition: Json, redactor: Redactor) -> str:
    since = condition.get("lastTransitionTime") or "an unknown time"
    reason = _format_reason(condition, redactor)
    return f"{condition['type']}={condition.get('status')} since {since}{reason}"


def _format_container(status: Json, spec: Json, redactor: Redactor) -> Iterator[str]:
    ready = "ready" if status.get("ready") else "not ready"
    yield f"container {status['name']}: {ready}, {status.get('restartCount', 0)} restarts"
    yield f"  image:  {status.get('image') or spec.get('image')}"
    yield f"  now:    {_format_state(status.get('state') or {}, redactor)}"
    yield f"  before: {_format_state(status.get('lastState') or {}, redactor)}"
    resources = status.get("resources") or spec.get("resources") or {}
    for field in ("requests", "limits"):
        amounts = ", ".join(
            f"{name} {quantity}" for name, quantity in (resources.get(field) or {}).items()
        )
        yield f"  {field}: {amounts or 'none'}"


def _format_state(state: Json, redactor: Redactor) -> str:
    """Format the state, or the lastState, of a container status."""
    if waiting := state.get("waiting"):
        return f"waiting{_format_reason(waiting, redactor)}"
    if running := state.get("running"):
        return f"running since {running.get('startedAt')}"
    terminated = state.get("terminated")
    if not terminated:
        return "nothing"
    times = f"from {terminated.get('startedAt')} to {terminated.get('finishedAt')}"
    exit_code = describe_exit_code(terminated.get("exitCode", 0))
    last_words = _format_last_words(terminated.get("message") or "", redactor)
    return f"ended with {exit_code}, {times}{_join_reason(terminated, last_words, redactor)}"


def _format_last_words(message: str, redactor: Redactor) -> str:
    """Format the last line of a termination message, which the container wrote about its end."""
    lines = clean_text(message[-MAX_RAW_MESSAGE:]).strip().rsplit("\n", 1)
    return shorten_middle(redactor.redact_line(lines[-1]), MAX_LAST_WORDS)


def _format_reason(state: Json, redactor: Redactor) -> str:
    """Format the reason and the message of a state or condition, as far as there are any."""
    return _join_reason(state, one_line(state.get("message") or "", redactor), redactor)


def _join_reason(state: Json, message: str, redactor: Redactor) -> str:
    parts = [one_line(state.get("reason") or "", redactor), message]
    return "".join(
        f"{separator}{part}" for separator, part in zip((", ", ": "), parts, strict=True) if part
    )


def one_line(message: str, redactor: Redactor = PATTERNS_ONLY) -> str:
    """Redact a message and put it in one line; of a long one the beginning and the end are kept.

    It is redacted before it is cut: the cut could remove the word that identifies a secret.
    """
    return shorten_middle(redactor.redact_line(message), MAX_MESSAGE)


def shorten_middle(line: str, limit: int) -> str:
    """Keep the beginning and the end of a line that is longer than ``limit`` characters."""
    return line if len(line) <= limit else f"{line[: limit // 2]} … {line[-limit // 2 :]}"


def format_events(events: Iterable[Json], redactor: Redactor = PATTERNS_ONLY) -> str:
    """Format the Events, one per line, in the order of their last occurrence."""
    return "\n".join(_format_event(event, redactor) for event in sorted(events, key=_last_seen))


def shorten_event(event: Json) -> Json:
    """Return what is formatted of an Event, cut: whoever may write Events may write a megabyte."""
    series = event.get("series") or {}
    return {
        "metadata": _shorten(event["metadata"], ("creationTimestamp",)),
        "series": _shorten(series, ("count", "lastObservedTime")),
        **_shorten(event, _EVENT_FIELDS),
    }


def _shorten(part: Json, fields: Iterable[str]) -> Json:
    return {
        field: value[:_MAX_EVENT_TEXT] if isinstance(value, str) else value
        for field in fields
        if isinstance(value := part.get(field), str | int)
    }


def _last_seen(event: Json) -> str:
    """When an Event occurred last, in whole seconds, because only some of the fields are finer."""
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


def _format_event(event: Json, redactor: Redactor) -> str:
    count = event.get("count") or (event.get("series") or {}).get("count") or 1
    times = f" ({count} times)" if count > 1 else ""
    message = one_line(event.get("message") or "", redactor)
    kind, reason = clean_line(event.get("type") or "Normal"), clean_line(event.get("reason") or "")
    return f"{_last_seen(event)}Z {kind} {reason}{times}: {message}"


def format_usage(containers: Iterable[Json]) -> str:
    """Format the usage of each container of a PodMetrics: "app: cpu 12m, memory 46080Ki"."""
    lines = []
    for container in containers:
        usage = container.get("usage") or {}
        amounts = ", ".join(f"{name} {usage[name]}" for name in sorted(usage))
        lines.append(f"{container['name']}: {amounts or 'not measured'}")
    return "\n".join(lines)
