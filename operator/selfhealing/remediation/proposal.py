"""What a remediation is chosen from, and what it proposes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from selfhealing.api.healing_status import BlockedReason, HealingAction, HealingStatus, Remediation
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.remediation import history
from selfhealing.remediation.context import RemediationContext
from selfhealing.remediation.policy import Policy

NO_NEW_PODS: Final = frozenset(
    {
        DiagnosisType.PODS_REFUSED,
        DiagnosisType.QUOTA_EXCEEDED,
        DiagnosisType.UNSCHEDULABLE,
        DiagnosisType.PODS_FAILED,
    }
)
"""Diagnoses by which a pod that is removed may get no substitute."""


@dataclass(frozen=True, slots=True)
class ProposedAction:
    """An action that may start.

    Attributes:
        remediation: what is done.
        diagnosis: what it is for.
        target: a revision, limit, pod, node or number of pods.
        message: what is done, and why.
        uid: the UID of the target, if it is a pod.
        container: the container that gets the limit.
        not_before: when it starts at the earliest; None for now.
        blocked_reason: why it may not start although it fits.
    """

    remediation: Remediation
    diagnosis: AppDiagnosis
    target: str
    message: str
    uid: str = ""
    container: str = ""
    not_before: datetime | None = None
    blocked_reason: BlockedReason | None = None

    def is_due(self, deadlines: Deadlines) -> bool:
        """Whether the wait for the action is over."""
        return self.not_before is None or deadlines.reached(self.not_before)


@dataclass(frozen=True, slots=True)
class DecisionInput:
    """The input of the choice of a remediation."""

    record: HealingStatus
    context: RemediationContext
    policy: Policy
    deadlines: Deadlines

    @property
    def now(self) -> datetime:
        """The time of the decision."""
        return self.deadlines.now


def find_attempts(
    inputs: DecisionInput, remediation: Remediation, diagnosis: AppDiagnosis
) -> list[HealingAction]:
    """Find the actions of one kind that were started for a diagnosis of the desired revision."""
    attempts = history.find_attempts(inputs.record, inputs.policy, inputs.now)
    return [
        action
        for action in attempts
        if (action.remediation, action.diagnosis) == (remediation, diagnosis.type)
    ]
