"""Who is ill: counted for the breaker, which keeps healing from a storm, and for /metrics."""

from typing import Final

from selfhealing.api.healing_status import HealingStatus
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.health.pod_diagnosis import NEVER_QUARANTINED, DiagnosisType
from selfhealing.kube import metrics
from selfhealing.remediation import history
from selfhealing.remediation.circuit_breaker import is_storm

_SHARED_CAUSE: Final = NEVER_QUARANTINED | {DiagnosisType.NODE_LOST}
"""Illnesses that many apps get by one cause that is known, and for which healing is meant: metrics
that are away make every autoscaler blind, and a lost node holds pods of many apps. Whether too many
nodes are lost is asked apart (``heal.breaker.too_many_lost``)."""


class UnhealthyApps:
    """Knows of every app whether it is ill, and how much may still be done for it."""

    def __init__(self, store: Store) -> None:
        """Count among the apps of ``store``."""
        self._store = store
        self._unhealthy: set[AppKey] = set()
        self._budget_spenders: set[AppKey] = set()
        """Apps with a time series of their budget: only those that have spent some of it."""

    @property
    def is_storm(self) -> bool:
        """Whether so many apps are ill at once that none is to be touched."""
        return is_storm(len(self._unhealthy), len(self._store.keys()))

    def update(
        self, key: AppKey, record: HealingStatus | None, *, has_pod_problem: bool = False
    ) -> None:
        """Take in how an app is; None for one that healing has nothing to do with.

        One whose pods are only ``ailing`` counts, before that has lasted long enough to be an
        illness: what has one cause becomes an illness in all apps at the same moment, and the
        first of them would be treated before the others were known.

        One that is left to people does not count: it may stay ill for weeks, and a few of these
        would keep all the others from being healed. Nor does one that only has what many have by
        one cause.
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
        """The app is gone."""
        self.update(key, None)


def _is_unhealthy(record: HealingStatus) -> bool:
    """Whether something ails an app, or did until a moment ago."""
    action = history.find_running(record)
    types = {diagnosis.type for diagnosis in record.diagnoses} | (
        {action.diagnosis} if action else set()
    )
    return bool(types - _SHARED_CAUSE)


def count_changes(before: HealingStatus | None, after: HealingStatus) -> None:
    """Count what is new in the record that was stored."""
    previous_outcomes = {action.id: action.outcome for action in before.history} if before else {}
    previous_types = {diagnosis.type for diagnosis in before.diagnoses} if before else set()
    for action in after.history:
        if previous_outcomes.get(action.id) is not action.outcome:
            metrics.ACTIONS.labels(action.remediation, action.outcome).inc()
    for diagnosis in after.diagnoses:
        if diagnosis.type not in previous_types:
            metrics.DIAGNOSES.labels(diagnosis.type, diagnosis.cause).inc()
