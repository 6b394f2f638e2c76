"""Computes recovery time, actions and diagnoses from samples and requests. Pure.

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

    @property
    def is_executed(self) -> bool:
        """Whether the action was executed."""
        return self.outcome in EXECUTED_OUTCOMES

    def __str__(self) -> str:
        """Return the remediation and the outcome."""
        return f"{self.remediation} {self.outcome}"


@dataclass(frozen=True, slots=True)
class FaultRun:
    """One run of a fault.

    Attributes:
        is_healing_enabled: whether healing was on.
        timeout: seconds that the app had to recover.
        timeline: the course of the run, from some seconds before the fault.
        recovered_after: seconds from the fault until the app was fully serving; None if never.
        requests_sent: requests from the fault until recovery or timeout.
        requests_failed: the failed ones of them.
        actions: the actions of the operator.
        diagnoses: the types of the diagnoses that the status showed at any time.
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
    actions: tuple[ActionRecord, ...] = ()
    diagnoses: tuple[str, ...] = ()
    phase: str = ""
    reason: str = ""
    message: str = ""
    events: tuple[EventRow, ...] = ()
    error: str = ""

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
        return (
            f"not within {self.timeout} s"
            if self.recovered_after is None
            else f"{self.recovered_after:.0f} s"
        )


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
            )
            first_seen = actions.get(action.id)
            actions[action.id] = replace(action, at=first_seen.at) if first_seen else action
    return tuple(actions[key] for key in sorted(actions) if actions[key].at > injected_at)


def collect_diagnoses(samples: Sequence[Sample], injected_at: float) -> tuple[str, ...]:
    """Return the types of all diagnoses since the fault, in the order of appearance."""
    seen_types: dict[str, None] = {}
    for sample in samples:
        if sample.at > injected_at:
            for entry in get_healing_status(sample.snapshot).get("diagnoses", ()):
                seen_types.setdefault(entry["type"])
    return tuple(seen_types)


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
