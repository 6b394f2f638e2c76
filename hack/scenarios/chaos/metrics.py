"""From what was seen to figures: served again after how long, and what was done about it. Pure.

An app is served in full when all pods that it wants are there, ready and in the Service, no other
is in trouble, and no request fails. Times are seconds, on one clock for looks and requests.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hack.scenarios.common.cluster_state import ClusterSnapshot, EventRow
from hack.scenarios.common.timeline import Mark, MarkKind, Sample, Timeline

EXECUTED_OUTCOMES = ("InProgress", "Succeeded", "Failed", "Superseded")
"""Outcomes of an action that was taken, and not only thought of."""

PENDING_OUTCOMES = ("InProgress", "Proposed")
"""Outcomes that are not known yet."""


@dataclass(frozen=True, slots=True)
class ActionRecord:
    """Something that the operator did, as its status tells; ``at`` is when that was first seen."""

    id: int
    remediation: str
    diagnosis: str
    outcome: str
    at: float
    target: str = ""
    message: str = ""

    @property
    def is_executed(self) -> bool:
        """Whether it was carried out."""
        return self.outcome in EXECUTED_OUTCOMES

    def __str__(self) -> str:
        """What was done and what became of it."""
        return f"{self.remediation} {self.outcome}"


@dataclass(frozen=True, slots=True)
class FaultRun:
    """A fault, with healing or without.

    Attributes:
        is_healing_enabled: whether the operator was to heal.
        timeout: seconds that were waited at the most.
        timeline: what was seen, from some seconds before the fault.
        recovered_after: seconds from the fault until the app was served in full; None if never.
        requests_sent: requests from the fault on, until it was served again or the time was over.
        requests_failed: those of them that failed.
        actions: what the operator did.
        diagnoses: what it said that the app had, at any time.
        phase: the app's phase at the end.
        reason: why, in a word.
        message: the same in a sentence.
        events: the Events about it.
        error: why it could not be played; all else is empty then.
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
        """The actions that were carried out."""
        return tuple(act for act in self.actions if act.is_executed)

    @property
    def final_state(self) -> str:
        """How the app ended, in two words."""
        return f"{self.phase}, {self.reason}" if self.reason else self.phase

    @property
    def recovery_text(self) -> str:
        """When it was served again, for people."""
        if self.error:
            return "not played"
        return (
            f"not within {self.timeout} s"
            if self.recovered_after is None
            else f"{self.recovered_after:.0f} s"
        )


def is_fully_served(snapshot: ClusterSnapshot, desired: int) -> bool:
    """Whether an app that wants so many pods has them, all of them serving."""
    remaining = snapshot.remaining_pods
    return len(remaining) >= desired and all(pod.is_ready and pod.is_serving for pod in remaining)


def find_recovery(
    samples: Sequence[Sample], failure_times: Iterable[float], injected_at: float, desired: int
) -> float | None:
    """Since when the app has been served in full after a fault.

    None while it is not, and as long as nothing of the fault has shown: it may be about to.

    Args:
        samples: the looks.
        failure_times: when requests failed.
        injected_at: when the fault was made.
        desired: how many pods there must be.
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
    """What the operator has done since the fault, the oldest first, each as it was seen last."""
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
    """What the app was said to have at any time since the fault, in the order of appearance."""
    seen_types: dict[str, None] = {}
    for sample in samples:
        if sample.at > injected_at:
            for entry in get_healing_status(sample.snapshot).get("diagnoses", ()):
                seen_types.setdefault(entry["type"])
    return tuple(seen_types)


def get_ready_reason(snapshot: ClusterSnapshot) -> str:
    """Why the app is as it is, in a word."""
    for condition in snapshot.status.get("conditions", ()):
        if condition["type"] == "Ready":
            return str(condition.get("reason", ""))
    return ""


def build_action_marks(actions: Iterable[ActionRecord]) -> tuple[Mark, ...]:
    """The actions on a timeline."""
    return tuple(
        Mark(action.at, f"{action}: {action.message or action.diagnosis}", MarkKind.ACTION)
        for action in actions
    )


def shift_marks(marks: Iterable[Mark], seconds: float) -> tuple[Mark, ...]:
    """The marks at other times."""
    return tuple(replace(mark, at=max(0.0, mark.at + seconds)) for mark in marks)


def shift_actions(actions: Iterable[ActionRecord], injected_at: float) -> tuple[ActionRecord, ...]:
    """The actions with times that begin at the fault."""
    return tuple(replace(act, at=act.at - injected_at) for act in actions)


def clip_samples(samples: Sequence[Sample], start: float) -> tuple[Sample, ...]:
    """The looks from ``start`` on, with times that begin there; the last one before it is kept."""
    before = [sample for sample in samples if sample.at <= start]
    after = [sample for sample in samples if sample.at > start]
    return tuple(replace(each, at=max(0.0, each.at - start)) for each in [*before[-1:], *after])


def get_healing_status(snapshot: ClusterSnapshot) -> dict[str, Any]:
    """What the status says about healing; empty where it says nothing."""
    found: dict[str, Any] = snapshot.status.get("healing") or {}
    return found
