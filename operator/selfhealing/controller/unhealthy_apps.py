"""Counts unhealthy apps and running actions by namespace, for the circuit breakers and /metrics."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from selfhealing.api.healing_status import HealingAction, HealingStatus
from selfhealing.api.status import Condition, ConditionStatus
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.health.pod_diagnosis import NEVER_QUARANTINED, DiagnosisType
from selfhealing.kube import metrics
from selfhealing.remediation import history
from selfhealing.remediation.circuit_breaker import (
    COUNTED_ACTION_SECONDS,
    MAX_NAMESPACE_ACTIONS,
    MIN_UNHEALTHY,
    STORM_LIMIT,
    STORM_REST,
    STORM_WINDOW,
    HealthCount,
    is_action_limit_reached,
    is_cluster_storm,
    is_namespace_storm,
)
from selfhealing.remediation.policy import HealingMode
from selfhealing.remediation.proposal import NO_NEW_PODS
from selfhealing.remediation.storm_shares import StormShares
from selfhealing.remediation.strategies import ESCALATION, UNLIMITED_REMEDIATIONS

logger = logging.getLogger(__name__)

LOGGED_NAMESPACES: Final = 20
"""The most namespaces of a storm that the log names, those with the most unhealthy apps."""

_SHARED_CAUSE: Final = NEVER_QUARANTINED | {DiagnosisType.NODE_LOST}
"""Diagnoses that many apps have by one known cause, which remediation is meant for: missing metrics
concern every autoscaler, and a lost node has pods of many apps. too_many_nodes_lost limits the
remediation of lost nodes."""

_COUNTED: Final[frozenset[str]] = frozenset(ESCALATION) - _SHARED_CAUSE - NO_NEW_PODS
"""Diagnoses that make an app unhealthy. Those of an app whose pods are refused do not: it may stay
so for weeks."""


@dataclass(slots=True)
class _UnhealthyPeriod:
    """Since when an app is unhealthy, in monotonic seconds.

    Attributes:
        onset: when it fell ill. An app that flaps fell ill once: being well for less than
            STORM_WINDOW ends nothing.
        counts_until: until when it counts for the breakers.
        ended_at: since when it is well; None while it is ill.
    """

    onset: float
    counts_until: float
    ended_at: float | None = None


class _CountedAction(NamedTuple):
    """An action in progress that counts for the limits of actions.

    Attributes:
        identity: its id and time.
        counts_until: until when it counts, in monotonic seconds.
    """

    identity: tuple[int, datetime]
    counts_until: float


class UnhealthyApps:
    """Knows which apps are unhealthy or remediated, and exports the remediation budget of apps."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        server_now: Callable[[], datetime],
        time_scale: float = 1.0,
    ) -> None:
        """Compare with the number of apps in ``store``.

        Args:
            store: the apps.
            clock: returns monotonic seconds.
            server_now: returns the API server's time.
            time_scale: the setting healing_scale.
        """
        self._store = store
        self._clock = clock
        self._server_now = server_now
        self._window = STORM_WINDOW * time_scale
        self._limit = STORM_LIMIT * time_scale
        self._counted_action_time = COUNTED_ACTION_SECONDS * time_scale
        self._seen: set[AppKey] = set()
        """The apps that this process has evaluated."""
        self._stored_ages: dict[AppKey, float] = {}
        """By app that is not evaluated yet, for how many seconds its status says that it is not
        ready."""
        self._unhealthy: dict[AppKey, _UnhealthyPeriod] = {}
        self._counted_actions: dict[AppKey, _CountedAction] = {}
        """By app, its action in progress, if it counts or has counted for the limits."""
        self._budget_spenders: set[AppKey] = set()
        """Apps with a time series of their budget: those that have spent a part of it."""
        self._namespace_storms: Counter[str] = Counter()
        """The unhealthy apps of each namespace whose own breaker is open."""
        self._storm_shares = StormShares(self._limit, STORM_REST * time_scale)
        self._cluster_storm: Counter[str] = Counter()
        """The unhealthy apps of each namespace that keeps the breaker of the cluster open."""
        self._peak: Counter[str] = Counter()
        """The same of the whole storm: the largest number of each namespace."""
        self._next_change = float("inf")
        """When the first app or namespace stops counting while there is a storm."""

    def is_storm(self, namespace: str) -> bool:
        """Whether too many apps fell ill together for a remediation in ``namespace``."""
        if self._clock() >= self._next_change:  # time alone ends a storm
            self._update_breakers()
        return bool(self._cluster_storm) or namespace in self._namespace_storms

    def is_action_limit_reached(self, key: AppKey) -> bool:
        """Whether so many actions of other apps are in progress that none of this may start."""
        counts = self._count_actions_of_others(key)
        in_cluster = sum(min(count, MAX_NAMESPACE_ACTIONS) for count in counts.values())
        return is_action_limit_reached(counts[key.namespace], in_cluster)

    def is_namespace_limit_reached(self, key: AppKey) -> bool:
        """Whether the actions of other apps of its namespace alone let none of this start."""
        return is_action_limit_reached(self._count_actions_of_others(key)[key.namespace], 0)

    def _count_actions_of_others(self, key: AppKey) -> Counter[str]:
        """Count the actions in progress by namespace, without that of the app."""
        now = self._clock()
        return Counter(
            other.namespace
            for other, action in self._counted_actions.items()
            if other != key and action.counts_until > now
        )

    def note_stored_status(self, key: AppKey, conditions: Iterable[Condition]) -> None:
        """Note since when the stored status says that an app is not ready, at the first look at it.

        A forged status only makes its own app count for a shorter time.
        """
        if key in self._seen:
            return
        for condition in conditions:
            if condition.type == "Ready" and condition.status is ConditionStatus.FALSE:
                age = self._server_now() - condition.last_transition_time
                self._stored_ages[key] = max(0.0, age.total_seconds())

    def update(
        self, key: AppKey, record: HealingStatus | None, *, has_pod_problem: bool = False
    ) -> None:
        """Update the counts with one app.

        An app whose pods have a problem counts before the problem has lasted long enough to be a
        diagnosis. A shared cause becomes a diagnosis in all apps at the same moment, and the first
        of them would be remediated before the others are counted.

        An app counts for STORM_WINDOW after it fell ill, and for STORM_LIMIT if that was in a storm
        or before this process began. A quarantined app is not counted, nor one that healing leaves
        alone, nor one whose diagnoses are all NodeLost, MetricsUnavailable or without a
        remediation.

        Args:
            key: the app.
            record: its record of healing; None for an app that is not healed now.
            has_pod_problem: a pod has a problem of its own, for however short a time.
        """
        is_unhealthy = (
            record is not None
            and record.mode != HealingMode.OFF
            and not record.quarantined
            and (has_pod_problem or _is_unhealthy(record))
        )
        if is_unhealthy:
            self._note_onset(key)
        elif (period := self._unhealthy.get(key)) is not None and period.ended_at is None:
            period.ended_at = self._clock()
        self._seen.add(key)
        self._stored_ages.pop(key, None)
        self._count_action(key, history.find_running(record) if record is not None else None)
        self._update_breakers()
        self._update_budget_metric(key, record)

    def _count_action(self, key: AppKey, action: HealingAction | None) -> None:
        """Count the action in progress of an app, from its start or from the first look at it.

        Its end may be long in coming, and its time may be forged: it counts for
        COUNTED_ACTION_SECONDS of the operator's own clock at most.
        """
        if action is None or action.remediation in UNLIMITED_REMEDIATIONS:
            self._counted_actions.pop(key, None)
            return
        identity = action.id, action.at
        known = self._counted_actions.get(key)
        if known is None or known.identity != identity:
            age = max(0.0, (self._server_now() - action.at).total_seconds())
            counts_until = self._clock() + self._counted_action_time - age
            self._counted_actions[key] = _CountedAction(identity, counts_until)

    def _note_onset(self, key: AppKey) -> None:
        now = self._clock()
        self._forget_ended(now)
        period = self._unhealthy.get(key)
        if period is not None:
            period.ended_at = None
            return
        onset, counts_for = now, self._window
        if key not in self._seen:
            # What it was part of then is not known any more.
            onset, counts_for = now - self._stored_ages.get(key, 0.0), self._limit
        self._unhealthy[key] = _UnhealthyPeriod(onset, onset + counts_for)

    def _forget_ended(self, now: float) -> None:
        """Forget the periods that ended STORM_WINDOW ago: who is ill again then fell ill anew."""
        for key, period in list(self._unhealthy.items()):
            if period.ended_at is not None and now - period.ended_at >= self._window:
                del self._unhealthy[key]
                if self._store.app(key) is None:
                    self._seen.discard(key)

    def _counted(self) -> dict[AppKey, _UnhealthyPeriod]:
        """Return the apps that fell ill lately and still are."""
        now = self._clock()
        return {
            key: period
            for key, period in self._unhealthy.items()
            if period.ended_at is None and period.counts_until > now
        }

    def _update_breakers(self) -> None:
        now = self._clock()
        namespace_storms, cluster_storm = Counter[str](), Counter[str]()
        counted = self._counted()
        unhealthy = Counter(key.namespace for key in counted)
        spent = self._storm_shares.find_spent(unhealthy, now)
        if len(counted) >= MIN_UNHEALTHY:
            totals = Counter(app.key.namespace for app in self._store.apps())
            counts = {name: HealthCount(unhealthy[name], total) for name, total in totals.items()}
            namespace_storms = Counter(
                {name: unhealthy[name] for name in counts if is_namespace_storm(counts[name])}
            )
            shares = {
                name: HealthCount(0, count.total) if name in spent else count
                for name, count in counts.items()
            }
            if is_cluster_storm(shares.values()):
                cluster_storm = Counter({n: share.unhealthy for n, share in shares.items()})
                cluster_storm = +cluster_storm  # without those that are zero
        for key, period in counted.items():
            if key.namespace in cluster_storm or key.namespace in namespace_storms:
                period.counts_until = period.onset + self._limit
        share_ends = self._storm_shares.set_givers(cluster_storm, now)
        self._next_change = (
            min(share_ends, *(period.counts_until for period in counted.values()))
            if cluster_storm or namespace_storms
            else float("inf")
        )
        _export_storm("cluster", self._cluster_storm, cluster_storm)
        _export_storm("namespace", self._namespace_storms, namespace_storms)
        metrics.BREAKER_OPEN.set(bool(cluster_storm))
        metrics.NAMESPACE_BREAKERS_OPEN.set(len(namespace_storms))
        self._log_cluster_storm(self._cluster_storm, cluster_storm)
        self._cluster_storm, self._namespace_storms = cluster_storm, namespace_storms

    def _log_cluster_storm(self, before: Counter[str], storm: Counter[str]) -> None:
        """Log the begin and the end of a storm of the cluster, with the namespaces that make it."""
        self._peak = self._peak | storm if before else storm
        if storm and not before:
            logger.warning("a storm of the cluster begins: %s", _name_namespaces(storm))
        elif before and not storm:
            logger.warning("the storm of the cluster is over: %s", _name_namespaces(self._peak))

    def _update_budget_metric(self, key: AppKey, record: HealingStatus | None) -> None:
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
        """Forget an app that is deleted.

        One that is made again under its name soon did not fall ill anew: else a few apps that are
        replaced again and again would keep a storm up.
        """
        self.update(key, None)
        if key not in self._unhealthy:
            self._seen.discard(key)


def _is_unhealthy(record: HealingStatus) -> bool:
    """Whether an app has a diagnosis that counts, or an action against one is running."""
    action = history.find_running(record)
    types = {diagnosis.type for diagnosis in record.diagnoses} | (
        {action.diagnosis} if action else set()
    )
    return bool(types & _COUNTED)


def _export_storm(breaker: str, before: Counter[str], storm: Counter[str]) -> None:
    """Export which namespaces keep a breaker open."""
    for namespace in before.keys() - storm.keys():
        metrics.STORM_APPS.remove(breaker, namespace)
    for namespace, unhealthy in storm.items():
        metrics.STORM_APPS.labels(breaker, namespace).set(unhealthy)


def _name_namespaces(storm: Counter[str]) -> str:
    """Name the namespaces of a storm, those with the most unhealthy apps first."""
    worst = storm.most_common(LOGGED_NAMESPACES)
    return f"{storm.total()} apps of {len(storm)} namespaces fell ill together: " + ", ".join(
        f"{name} ({unhealthy})" for name, unhealthy in worst
    )


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
