"""Computes recovery time, actions, diagnoses and lost requests from samples and requests. Pure.

An app is fully serving when all wanted pods are ready and in the Service, no other pod has a
problem, and no request fails. Times are seconds on one clock for samples and requests.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hack.scenarios.common.cluster_state import ClusterSnapshot, EventRow
from hack.scenarios.common.timeline import Mark, MarkKind, Sample, Timeline

EXECUTED_OUTCOMES = ("InProgress", "Succeeded", "Failed", "Superseded")
"""Outcomes of actions that were executed, not only proposed."""

PENDING_OUTCOMES = ("InProgress", "Proposed")
"""Outcomes that will change."""


@dataclass(frozen=True, slots=True)
class ActionRecord:
    """An entry of ``status.healing.history``; ``at`` is when it was first observed."""

    id: int
    remediation: str
    diagnosis: str
    outcome: str
    at: float
    target: str = ""
    message: str = ""
    cause: str = ""
    confidence: str = ""
    comparison: str = ""

    @property
    def is_executed(self) -> bool:
        """Whether the action was executed."""
        return self.outcome in EXECUTED_OUTCOMES

    def __str__(self) -> str:
        """Return the remediation and the outcome."""
        return f"{self.remediation} {self.outcome}"


@dataclass(frozen=True, slots=True)
class DiagnosisRecord:
    """A diagnosis with its cause, as the status has shown it.

    Attributes:
        type: the type.
        cause: what it was attributed to.
        confidence: how certain that was.
        at: when it was first observed.
        seconds: for how long it was observed, in all.
        message: the latest message.
        comparison: how the cause was found, in the latest words.
    """

    type: str
    cause: str
    confidence: str
    at: float
    seconds: float = 0.0
    message: str = ""
    comparison: str = ""

    def __str__(self) -> str:
        """Return the type, the cause and the confidence."""
        return f"{self.type} ({self.cause}, {self.confidence})"


@dataclass(frozen=True, slots=True)
class FaultRun:
    """One half of a row: the fault with healing, or without it.

    Attributes:
        is_healing_enabled: whether healing was on.
        timeout: seconds from the fault until the end of the observation.
        timeline: the course of the run, from some seconds before the fault.
        recovered_after: seconds from the fault until the app was fully serving; None if never.
        requests_sent: requests from the fault until recovery or timeout.
        requests_failed: the failed ones of them.
        requests_lost: those that failed after the first action although a pod served.
        problems: what the mitigation oracle has found; empty if the app is healthy for good.
        is_undone_in_vain: whether it was not healthy either after the cause was gone.
        actions: the actions of the operator.
        diagnoses: the diagnoses that the status showed at any time.
        phase: the phase at the end.
        reason: the reason of the Ready condition at the end.
        message: the message of the status at the end.
        events: the Events about the app.
        error: why the run could not be completed; the other fields are empty then.
    """

    is_healing_enabled: bool
    timeout: int
    timeline: Timeline
    recovered_after: float | None = None
    requests_sent: int = 0
    requests_failed: int = 0
    requests_lost: int = 0
    problems: tuple[str, ...] = ()
    is_undone_in_vain: bool = False
    actions: tuple[ActionRecord, ...] = ()
    diagnoses: tuple[DiagnosisRecord, ...] = ()
    phase: str = ""
    reason: str = ""
    message: str = ""
    events: tuple[EventRow, ...] = ()
    error: str = ""

    @property
    def is_healthy(self) -> bool:
        """Whether the app was healthy in the end, as the mitigation oracle sees it."""
        return not (self.problems or self.error)

    @property
    def executed_actions(self) -> tuple[ActionRecord, ...]:
        """The actions that were executed."""
        return tuple(act for act in self.actions if act.is_executed)

    @property
    def final_state(self) -> str:
        """The phase and the reason at the end."""
        return f"{self.phase}, {self.reason}" if self.reason else self.phase

    @property
    def recovery_text(self) -> str:
        """The recovery time for people."""
        if self.error:
            return "not run"
        if self.recovered_after is not None:
            return f"{self.recovered_after:.0f} s"
        if not self.is_healthy:
            return f"not within {self.timeout} s"
        return "in the end" if self.requests_failed else "always"


def is_fully_served(snapshot: ClusterSnapshot, desired: int) -> bool:
    """Return whether ``desired`` pods exist and all pods are ready and in the Service."""
    remaining = snapshot.remaining_pods
    return len(remaining) >= desired and all(pod.is_ready and pod.is_serving for pod in remaining)


def find_recovery(
    samples: Sequence[Sample], failure_times: Iterable[float], injected_at: float, desired: int
) -> float | None:
    """Return since when the app has been fully serving after a fault.

    None while it is not, and before the fault has had any effect: the effect may follow.

    Args:
        samples: the samples.
        failure_times: the times of failed requests.
        injected_at: the time of the fault.
        desired: number of wanted pods.
    """
    observations = [
        (each.at, is_fully_served(each.snapshot, desired))
        for each in samples
        if each.at > injected_at
    ]
    failures_after = [at for at in failure_times if at > injected_at]
    degraded_at = [at for at, good in observations if not good]
    if not observations or not observations[-1][1] or not (failures_after or degraded_at):
        return None
    last = max(degraded_at, default=injected_at)
    first = next(at for at, _ in observations if at > last)
    return max([first, *failures_after])


def collect_actions(samples: Sequence[Sample], injected_at: float) -> tuple[ActionRecord, ...]:
    """Return the actions since the fault, the oldest first, each in its latest state."""
    actions: dict[int, ActionRecord] = {}
    for sample in samples:
        for entry in get_healing_status(sample.snapshot).get("history", ()):
            action = ActionRecord(
                id=entry["id"],
                remediation=entry["remediation"],
                diagnosis=entry["diagnosis"],
                outcome=entry["outcome"],
                at=sample.at,
                target=entry.get("target", ""),
                message=entry.get("message", ""),
                cause=entry.get("cause", ""),
                confidence=entry.get("confidence", ""),
                comparison=entry.get("comparison", ""),
            )
            first_seen = actions.get(action.id)
            actions[action.id] = replace(action, at=first_seen.at) if first_seen else action
    return tuple(actions[key] for key in sorted(actions) if actions[key].at > injected_at)


def collect_diagnoses(samples: Sequence[Sample], injected_at: float) -> tuple[DiagnosisRecord, ...]:
    """Return all diagnoses since the fault with their causes, in the order of appearance.

    One that an action ended before a sample has shown it is taken from the action.
    """
    found: dict[tuple[str, str, str], DiagnosisRecord] = {}
    previous = injected_at
    for sample in samples:
        if sample.at <= injected_at:
            continue
        for entry in get_healing_status(sample.snapshot).get("diagnoses", ()):
            key = (entry["type"], entry.get("cause", ""), entry.get("confidence", ""))
            known = found.get(key) or DiagnosisRecord(*key, at=sample.at)
            found[key] = replace(
                known,
                seconds=known.seconds + (sample.at - previous if key in found else 0.0),
                message=entry.get("message", ""),
                comparison=entry.get("comparison", ""),
            )
        previous = sample.at
    for act in collect_actions(samples, injected_at):
        key = (act.diagnosis, act.cause, act.confidence)
        if act.cause and key not in found:
            found[key] = DiagnosisRecord(
                *key, at=act.at, message=act.message, comparison=act.comparison
            )
    return tuple(sorted(found.values(), key=lambda diagnosis: diagnosis.at))


def count_lost_requests(
    samples: Sequence[Sample], failure_times: Iterable[float], actions: Sequence[ActionRecord]
) -> int:
    """Count the failed requests after the first action at a time at which a pod served.

    A request that fails while no pod serves is lost to the fault.
    """
    executed = [act.at for act in actions if act.is_executed]
    if not executed:
        return 0
    return sum(at > min(executed) and _has_serving_pod(samples, at) for at in failure_times)


def _has_serving_pod(samples: Sequence[Sample], at: float) -> bool:
    """Return whether a pod served in the last sample before ``at``."""
    before = [sample for sample in samples if sample.at <= at]
    return bool(before) and any(pod.is_ready and pod.is_serving for pod in before[-1].snapshot.pods)


def get_ready_reason(snapshot: ClusterSnapshot) -> str:
    """Return the reason of the Ready condition; empty without one."""
    for condition in snapshot.status.get("conditions", ()):
        if condition["type"] == "Ready":
            return str(condition.get("reason", ""))
    return ""


def build_action_marks(actions: Iterable[ActionRecord]) -> tuple[Mark, ...]:
    """Return the actions as marks of a timeline."""
    return tuple(
        Mark(action.at, f"{action}: {action.message or action.diagnosis}", MarkKind.ACTION)
        for action in actions
    )


def shift_marks(marks: Iterable[Mark], seconds: float) -> tuple[Mark, ...]:
    """Return the marks with their times moved by ``seconds``."""
    return tuple(replace(mark, at=max(0.0, mark.at + seconds)) for mark in marks)


def shift_actions(actions: Iterable[ActionRecord], injected_at: float) -> tuple[ActionRecord, ...]:
    """Return the actions with times relative to the fault."""
    return tuple(replace(act, at=act.at - injected_at) for act in actions)


def clip_samples(samples: Sequence[Sample], start: float) -> tuple[Sample, ...]:
    """Return the samples since ``start``, with times relative to it, and the last one before it."""
    before = [sample for sample in samples if sample.at <= start]
    after = [sample for sample in samples if sample.at > start]
    return tuple(replace(each, at=max(0.0, each.at - start)) for each in [*before[-1:], *after])


def get_healing_status(snapshot: ClusterSnapshot) -> dict[str, Any]:
    """Return ``status.healing`` of the first app; empty without one."""
    found: dict[str, Any] = snapshot.status.get("healing") or {}
    return found


def shift_diagnoses(
    diagnoses: Iterable[DiagnosisRecord], injected_at: float
) -> tuple[DiagnosisRecord, ...]:
    """Return the diagnoses with times relative to the fault."""
    return tuple(replace(found, at=found.at - injected_at) for found in diagnoses)
