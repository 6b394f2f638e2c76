"""Says when an action is due: the more pods are ready, the later.

A cause that is certain needs no more time. A cause that is only likely may turn out to be wrong,
and waiting costs nothing while the earlier revision serves all that is wanted; so the wait is the
whole progress deadline then, and gets shorter the more of the capacity is lost:

===============  ===========================================
ready of wanted  wait, with a progress deadline of 10 minutes
===============  ===========================================
all              10 min
three quarters   5 min
half or fewer    1 min
===============  ===========================================
"""

from datetime import datetime, timedelta
from typing import Final

from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.attribution import Confidence
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.remediation.context import RemediationContext
from selfhealing.remediation.policy import Policy

INTOLERABLE_LOSS: Final = 0.5
"""The lost share of the wanted pods at which the wait is the shortest."""

_AFTER_A_DEADLINE: Final = frozenset(
    {DiagnosisType.ROLLOUT_STALLED, DiagnosisType.NOT_READY_TOO_LONG}
)
"""Diagnoses that are made only when a pod was given the time of a rollout, or of a hang."""


def compute_patience(
    diagnosis: AppDiagnosis, context: RemediationContext, policy: Policy
) -> timedelta:
    """How long a fault of a revision must last before the revision is rolled back."""
    if diagnosis.confidence is Confidence.HIGH:
        return policy.certain_patience
    if _has_waited(diagnosis):
        return policy.start_grace
    lost = 1 - min(context.ready, context.wanted) / max(1, context.wanted)
    remaining = max(0.0, 1 - lost / INTOLERABLE_LOSS)
    return max(policy.start_grace, policy.progress_deadline * remaining)


def _has_waited(diagnosis: AppDiagnosis) -> bool:
    """Whether a diagnosis includes the wait: it is only made after a deadline."""
    is_init_hanging = diagnosis.type is DiagnosisType.START_FAILING and any(
        container.is_init and container.running_since is not None
        for pod in diagnosis.pods
        for container in pod.containers
    )
    return diagnosis.type in _AFTER_A_DEADLINE or is_init_hanging


def compute_due_time(
    diagnosis: AppDiagnosis, context: RemediationContext, policy: Policy, now: datetime
) -> datetime:
    """When the revision is rolled back at the earliest, counted from when the fault was seen."""
    return context.first_seen(diagnosis, now) + compute_patience(diagnosis, context, policy)
