"""How many apps are in each phase: of all, and of each namespace what is not well."""

from collections.abc import Iterator

import pytest

from selfhealing.api.status import Phase
from selfhealing.cache.views import AppKey
from selfhealing.controller.phase_counts import PhaseCounts
from selfhealing.kube.metrics import REGISTRY

KEYS = [AppKey("team-1", "web"), AppKey("team-1", "api"), AppKey("team-2", "web")]


@pytest.fixture
def counts() -> Iterator[PhaseCounts]:
    """Counts without an app; the metrics are the whole process's."""
    counts = PhaseCounts()
    yield counts
    for key in KEYS:
        counts.forget_app(key)


def sample(namespace: str, phase: str) -> float | None:
    """What the metric of a namespace says; None without a time series."""
    labels = {"app_namespace": namespace, "phase": phase}
    return REGISTRY.get_sample_value("selfhealing_unhealthy_apps", labels)


def test_each_team_has_a_series_of_its_own(counts: PhaseCounts) -> None:
    """One that has an invalid app for ever does not hide those of another."""
    for key in KEYS:
        counts.update(key, Phase.INVALID)

    assert (2, 1) == (sample("team-1", "Invalid"), sample("team-2", "Invalid"))
    assert 3 == REGISTRY.get_sample_value("selfhealing_apps", {"phase": "Invalid"})


def test_there_is_no_series_of_none(counts: PhaseCounts) -> None:
    """An app that recovers or is deleted leaves nothing behind."""
    counts.update(KEYS[0], Phase.DEGRADED)
    counts.update(KEYS[0], Phase.DEGRADED)
    counts.update(KEYS[0], Phase.READY)
    counts.update(KEYS[2], Phase.QUARANTINED)
    counts.update(KEYS[2], None)

    assert {None} == {sample("team-1", phase) for phase in Phase}
    assert {None} == {sample("team-2", phase) for phase in Phase}
    assert 0 == REGISTRY.get_sample_value("selfhealing_apps", {"phase": "Degraded"})
    assert 1 == REGISTRY.get_sample_value("selfhealing_apps", {"phase": "Ready"})
