"""Puts the restarts, the healing, the rollouts and the scaling of an app on one time line."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from selfhealing.api import names
from selfhealing.api.healing_status import ActionOutcome, HealingStatus, Remediation
from selfhealing.api.linear_regex import compile_pattern
from selfhealing.api.status import SelfHealingAppStatus
from selfhealing.cache.parse import clean_message, parse_time
from selfhealing.plugin.view.level import Level
from selfhealing.plugin.view.model import PodModel, RevisionModel, TimelineEntry, TimelineKind
from selfhealing.plugin.view.objects import Json

MAX_ENTRIES: Final = 500
"""Entries of a time line; the newest are kept."""

REPORT_DELAY: Final = timedelta(seconds=90)
"""The operator reports what it has seen in an Event: some seconds later, more while the API server
is slow. An Event within this time is not shown beside what it reports."""

_OUTCOME_LEVELS: Final[Mapping[ActionOutcome, Level]] = {
    ActionOutcome.SUCCEEDED: Level.OK,
    ActionOutcome.COMPLETED: Level.OK,
    ActionOutcome.FAILED: Level.FAILED,
    ActionOutcome.REFUSED: Level.FAILED,
    ActionOutcome.IN_PROGRESS: Level.BUSY,
    ActionOutcome.PROPOSED: Level.WARNING,
}

_SCALED: Final = "Scaled"
_RESCALED: Final = "SuccessfulRescale"
_ACTION_REASONS: Final = (
    *(f"Healing{remediation}" for remediation in Remediation),
    *(f"Remediation{outcome}" for outcome in ActionOutcome),
    "ApprovalNeeded",
    "RemediationSkipped",
)
"""Events of the operator about actions, which the record tells better while it has them."""

_KINDS_BY_REASON: Final[Mapping[str, TimelineKind]] = {
    **dict.fromkeys(
        ("Ready", "Degraded", "Recovering", "Completed", "Paused", "Quarantined", "Invalid"),
        TimelineKind.STATE,
    ),
    **dict.fromkeys(
        ("ContainerRestarted", "ContainersRestarted", "PodReplaced"), TimelineKind.RESTART
    ),
    **dict.fromkeys(
        ("RollingOut", "Created", "Updated", "Recreated", "Adopted", "RevisionStable"),
        TimelineKind.ROLLOUT,
    ),
    **dict.fromkeys(_ACTION_REASONS, TimelineKind.HEALING),
    _SCALED: TimelineKind.SCALING,
}
"""The kinds of the operator's Events by their reason."""
_DIAGNOSIS_MARK: Final = "(cause: "
"""Part of the message of the operator's Event about a diagnosis (``status.remediation``)."""
_TOLD_NORMAL_EVENTS: Final = frozenset({_RESCALED, "Killing"})
"""Events of Kubernetes that are no warnings, and yet tell something: not that a pod was made,
scheduled, pulled and started."""

_RESTARTED_POD: Final = compile_pattern(r"^container \S+ of pod (?P<pod>\S+) ")


def build_timeline(
    status: SelfHealingAppStatus,
    created: datetime | None,
    revisions: Sequence[RevisionModel],
    pods: Sequence[PodModel],
    events: Sequence[Json],
) -> tuple[TimelineEntry, ...]:
    """Build the time line, the newest entry first; at most MAX_ENTRIES.

    Args:
        status: the stored status, cleaned.
        created: when the app was created.
        revisions: the app's revisions.
        pods: all pods that are shown.
        events: the Events about the app, its children and pods, cleaned.
    """
    told = (
        *_creation(created),
        *_restarts(status, pods),
        *_healing(status.healing),
        *_rollouts(revisions),
    )
    entries = [*told, *_events(events, status.healing, told)]
    entries.sort(key=lambda entry: (entry.at, entry.kind, entry.subject, entry.title), reverse=True)
    return tuple(entries[:MAX_ENTRIES])


def _creation(created: datetime | None) -> Iterator[TimelineEntry]:
    if created is not None:
        yield TimelineEntry(created, TimelineKind.STATE, Level.NEUTRAL, "", "Created", "")


def _restarts(status: SelfHealingAppStatus, pods: Sequence[PodModel]) -> Iterator[TimelineEntry]:
    """Yield the last restart of each container, also of pods that are gone."""
    shown = {pod.uid for pod in pods}
    for pod in pods:
        for container in pod.containers:
            last = container.last_restart
            if last is not None and last.at is not None:
                code = "" if last.exit_code is None else f", exit code {last.exit_code}"
                detail = f"container {container.name}{code}; {container.restarts} restarts so far"
                yield _restart(last.at, pod.name, last.reason, detail)
    for entry in status.restarts.counted if status.restarts else ():
        if entry.uid not in shown and entry.finished_at is not None and entry.count:
            detail = f"container {entry.container}; {entry.count} restarts, the pod is gone"
            yield _restart(entry.finished_at, entry.pod, entry.reason or "Unknown", detail)


def _restart(at: datetime, pod: str, reason: str, detail: str) -> TimelineEntry:
    return TimelineEntry(at, TimelineKind.RESTART, Level.WARNING, f"pod/{pod}", reason, detail)


def _healing(record: HealingStatus | None) -> Iterator[TimelineEntry]:
    if record is None:
        return
    for diagnosis in record.diagnoses:
        if diagnosis.since is not None:
            cause = f"cause {diagnosis.cause}, confidence {diagnosis.confidence}"
            yield TimelineEntry(
                diagnosis.since,
                TimelineKind.DIAGNOSIS,
                Level.FAILED,
                "",
                diagnosis.type,
                f"{diagnosis.message} ({cause})",
            )
    for action in record.history:
        yield TimelineEntry(
            action.at,
            TimelineKind.HEALING,
            _OUTCOME_LEVELS.get(action.outcome, Level.NEUTRAL),
            action.target,
            f"{action.remediation} {action.outcome}",
            f"{action.diagnosis}: {action.message}",
            until=action.ended_at,
        )
    if record.stable_since is not None:
        yield TimelineEntry(
            record.stable_since,
            TimelineKind.ROLLOUT,
            Level.OK,
            "",
            "RevisionStable",
            f"{record.stable_image} has passed its probation",
        )


def _rollouts(revisions: Sequence[RevisionModel]) -> Iterator[TimelineEntry]:
    for revision in revisions:
        if revision.created is not None:
            title = f"Revision {revision.number}" if revision.number else revision.kind
            subject = f"{revision.kind.lower()}/{revision.name}"
            images = ", ".join(revision.images)
            yield TimelineEntry(
                revision.created, TimelineKind.ROLLOUT, Level.NEUTRAL, subject, title, images
            )


def _events(
    events: Sequence[Json], record: HealingStatus | None, told: Sequence[TimelineEntry]
) -> Iterator[TimelineEntry]:
    """Yield the Events that tell something that nothing else tells."""
    has_autoscaler = any(raw.get("reason") == _RESCALED for raw in events)
    oldest_action = min((action.at for action in record.history), default=None) if record else None
    for raw in events:
        entry = _event(raw)
        if entry is None or (entry.title == _SCALED and has_autoscaler):
            continue
        is_recorded = oldest_action is not None and entry.at >= oldest_action
        if entry.kind is TimelineKind.HEALING and is_recorded:
            continue
        if not _is_told(entry, told):
            yield entry


def _event(raw: Json) -> TimelineEntry | None:
    """Return the entry for an Event; None if it has no time, or tells what always happens."""
    reason, last = str(raw.get("reason") or ""), _event_time(raw)
    is_told = raw.get("type") == "Warning" or reason in _TOLD_NORMAL_EVENTS
    if last is None or not (is_told or _is_operators(raw)):
        return None
    series = raw.get("series") or {}
    count = series.get("count") or raw.get("count") or 1
    target = raw.get("involvedObject") or {}
    kind = target.get("kind", "")
    message = clean_message(raw.get("message"))
    return TimelineEntry(
        at=last,
        kind=_event_kind(reason, message) if _is_operators(raw) else _foreign_kind(reason),
        level=Level.WARNING if raw.get("type") == "Warning" else Level.NEUTRAL,
        subject="" if kind == names.KIND else f"{kind.lower()}/{target.get('name', '')}",
        title=reason,
        detail=message,
        count=count,
        first_at=parse_time(raw.get("firstTimestamp") or raw.get("eventTime"))
        if count > 1
        else None,
    )


def _event_time(raw: Json) -> datetime | None:
    series: Mapping[str, Any] = raw.get("series") or {}
    return parse_time(
        series.get("lastObservedTime")
        or raw.get("lastTimestamp")
        or raw.get("eventTime")
        or raw["metadata"].get("creationTimestamp")
    )


def _is_operators(raw: Json) -> bool:
    return raw.get("reportingComponent") == names.EVENT_CONTROLLER


def _foreign_kind(reason: str) -> TimelineKind:
    return TimelineKind.SCALING if reason == _RESCALED else TimelineKind.EVENT


def _event_kind(reason: str, message: str) -> TimelineKind:
    """Return the kind of an Event of the operator."""
    if reason in _KINDS_BY_REASON:
        return _KINDS_BY_REASON[reason]
    return TimelineKind.DIAGNOSIS if _DIAGNOSIS_MARK in message else TimelineKind.EVENT


def _is_told(event: TimelineEntry, told: Iterable[TimelineEntry]) -> bool:
    """Whether the time line has what an Event reports: a restart of that pod, or that diagnosis."""
    match = _RESTARTED_POD.match(event.detail)
    pod = f"pod/{match['pod']}" if match else ""
    return any(
        entry.kind is event.kind
        and abs(entry.at - event.at) <= REPORT_DELAY
        and (entry.title == event.title or (bool(pod) and entry.subject == pod))
        for entry in told
    )
