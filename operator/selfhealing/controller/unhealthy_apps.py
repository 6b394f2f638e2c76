"""Counts unhealthy apps, for the circuit breaker and for /metrics."""

from typing import Final

from selfhealing.api.healing_status import HealingStatus
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.health.pod_diagnosis import NEVER_QUARANTINED, DiagnosisType
from selfhealing.kube import metrics
from selfhealing.remediation import history
from selfhealing.remediation.circuit_breaker import is_storm

_SHARED_CAUSE: Final = NEVER_QUARANTINED | {DiagnosisType.NODE_LOST}
"""Diagnoses that many apps have by one known cause, which remediation is meant for: missing metrics
concern every autoscaler, and a lost node has pods of many apps. too_many_nodes_lost limits the
remediation of lost nodes."""


class UnhealthyApps:
    """Knows which apps are unhealthy, and exports the remediation budget of apps."""

    def __init__(self, store: Store) -> None:
        """Compare with the number of apps in ``store``."""
        self._store = store
        self._unhealthy: set[AppKey] = set()
        self._budget_spenders: set[AppKey] = set()
        """Apps with a time series of their budget: those that have spent a part of it."""

    @property
    def is_storm(self) -> bool:
        """Whether too many apps are unhealthy at once for any remediation."""
        return is_storm(len(self._unhealthy), len(self._store.keys()))

    def update(
        self, key: AppKey, record: HealingStatus | None, *, has_pod_problem: bool = False
    ) -> None:
        """Update the counts with one app.

        An app whose pods have a problem counts before the problem has lasted long enough to be a
        diagnosis. A shared cause becomes a diagnosis in all apps at the same moment, and the first
        of them would be remediated before the others are counted.

        A quarantined app is not counted: it may stay unhealthy for weeks, and a few of them would
        block every remediation. Apps with only NodeLost or MetricsUnavailable are not counted.

        Args:
            key: the app.
            record: its record of healing; None for an app that is not healed now.
            has_pod_problem: a pod has a problem of its own, for however short a time.
        """
        if (
            record is not None
            and not record.quarantined
            and (has_pod_problem or _is_unhealthy(record))
        ):
            self._unhealthy.add(key)
        else:
            self._unhealthy.discard(key)
        metrics.BREAKER_OPEN.set(self.is_storm)
        has_spent_budget = record is not None and any(
            a.outcome in history.BUDGETED for a in record.history
        )
        if record is not None and has_spent_budget:
            self._budget_spenders.add(key)
            metrics.BUDGET_LEFT.labels(key.namespace, key.name).set(record.budget_left)
        elif key in self._budget_spenders:
            self._budget_spenders.discard(key)
            metrics.BUDGET_LEFT.remove(key.namespace, key.name)

    def forget_app(self, key: AppKey) -> None:
        """Forget an app that is deleted."""
        self.update(key, None)


def _is_unhealthy(record: HealingStatus) -> bool:
    """Whether an app has a diagnosis that counts, or an action against one is running."""
    action = history.find_running(record)
    types = {diagnosis.type for diagnosis in record.diagnoses} | (
        {action.diagnosis} if action else set()
    )
    return bool(types - _SHARED_CAUSE)


def count_changes(before: HealingStatus | None, after: HealingStatus) -> None:
    """Count the outcomes and diagnoses that are new in a stored record."""
    previous_outcomes = {action.id: action.outcome for action in before.history} if before else {}
    previous_types = {diagnosis.type for diagnosis in before.diagnoses} if before else set()
    for action in after.history:
        if previous_outcomes.get(action.id) is not action.outcome:
            metrics.ACTIONS.labels(action.remediation, action.outcome).inc()
    for diagnosis in after.diagnoses:
        if diagnosis.type not in previous_types:
            metrics.DIAGNOSES.labels(diagnosis.type, diagnosis.cause).inc()
