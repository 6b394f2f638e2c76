"""Who is ill: counted for the breaker, which keeps healing from a storm, and for /metrics."""

from typing import Final

from selfhealing.api.healing_status import HealingStatus
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.health.pod_diagnosis import SPARED, IllnessType
from selfhealing.kube import metrics
from selfhealing.remediation import history
from selfhealing.remediation.circuit_breaker import is_storm

_ONE_CAUSE: Final = SPARED | {IllnessType.NODE_LOST}
"""Illnesses that many apps get by one cause that is known, and for which healing is meant: metrics
that are away make every autoscaler blind, and a lost node holds pods of many apps. Whether too many
nodes are lost is asked apart (``heal.breaker.too_many_lost``)."""


class Ward:
    """Knows of every app whether it is ill, and how much may still be done for it."""

    def __init__(self, store: Store) -> None:
        """Count among the apps of ``store``."""
        self._store = store
        self._ill: set[AppKey] = set()
        self._spent: set[AppKey] = set()
        """Apps with a time series of their budget: only those that have spent some of it."""

    @property
    def storm(self) -> bool:
        """Whether so many apps are ill at once that none is to be touched."""
        return is_storm(len(self._ill), len(self._store.keys()))

    def note(self, key: AppKey, record: HealingStatus | None, *, ailing: bool = False) -> None:
        """Take in how an app is; None for one that healing has nothing to do with.

        One whose pods are only ``ailing`` counts, before that has lasted long enough to be an
        illness: what has one cause becomes an illness in all apps at the same moment, and the
        first of them would be treated before the others were known.

        One that is left to people does not count: it may stay ill for weeks, and a few of these
        would keep all the others from being healed. Nor does one that only has what many have by
        one cause.
        """
        if record is not None and not record.quarantined and (ailing or _is_ill(record)):
            self._ill.add(key)
        else:
            self._ill.discard(key)
        metrics.BREAKER.set(self.storm)
        spent = record is not None and any(a.outcome in history.COUNTED for a in record.history)
        if record is not None and spent:
            self._spent.add(key)
            metrics.BUDGET_LEFT.labels(key.namespace, key.name).set(record.budget_left)
        elif key in self._spent:
            self._spent.discard(key)
            metrics.BUDGET_LEFT.remove(key.namespace, key.name)

    def forget(self, key: AppKey) -> None:
        """The app is gone."""
        self.note(key, None)


def _is_ill(record: HealingStatus) -> bool:
    """Whether something ails an app, or did until a moment ago."""
    action = history.running(record)
    found = {each.type for each in record.diagnoses} | ({action.diagnosis} if action else set())
    return bool(found - _ONE_CAUSE)


def count(before: HealingStatus | None, after: HealingStatus) -> None:
    """Count what is new in the record that was stored."""
    known = {action.id: action.outcome for action in before.history} if before else {}
    ailed = {found.type for found in before.diagnoses} if before else set()
    for action in after.history:
        if known.get(action.id) is not action.outcome:
            metrics.ACTIONS.labels(action.remedy, action.outcome).inc()
    for found in after.diagnoses:
        if found.type not in ailed:
            metrics.DIAGNOSES.labels(found.type, found.cause).inc()
