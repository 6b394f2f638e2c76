"""Counts the apps by phase, for /metrics."""

from collections import Counter
from typing import Final

from selfhealing.api.status import Phase
from selfhealing.cache.views import AppKey
from selfhealing.kube import metrics

_UNHEALTHY: Final = frozenset({Phase.DEGRADED, Phase.INVALID, Phase.QUARANTINED})
"""Phases that are counted by namespace, too: an alert tells one team from the others."""


class PhaseCounts:
    """The phase of each app, and how many apps are in each."""

    def __init__(self) -> None:
        """Create it without apps."""
        self._phases: dict[AppKey, Phase] = {}
        self._totals: Counter[Phase] = Counter()
        self._by_namespace: Counter[tuple[str, Phase]] = Counter()

    def update(self, key: AppKey, phase: Phase | None) -> None:
        """Count an app in its phase, if it has one."""
        if self._phases.get(key) is phase:
            return
        self.forget_app(key)
        if phase is not None:
            self._phases[key] = phase
            self._add(key.namespace, phase, 1)

    def forget_app(self, key: AppKey) -> None:
        """Forget an app that is deleted."""
        phase = self._phases.pop(key, None)
        if phase is not None:
            self._add(key.namespace, phase, -1)

    def _add(self, namespace: str, phase: Phase, number: int) -> None:
        self._totals[phase] += number
        metrics.APPS_BY_PHASE.labels(phase).set(self._totals[phase])
        if phase not in _UNHEALTHY:
            return
        self._by_namespace[namespace, phase] += number
        if count := self._by_namespace[namespace, phase]:
            metrics.UNHEALTHY_APPS.labels(namespace, phase).set(count)
        else:
            del self._by_namespace[namespace, phase]
            metrics.UNHEALTHY_APPS.remove(namespace, phase)
