"""How long a fault of a revision must last before the revision is rolled back."""

from datetime import timedelta
from typing import Any

import pytest

from selfhealing.cache.parse import pod_view
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.remediation.patience import INTOLERABLE_LOSS, compute_patience
from tests.unit.builders import pod, running, waiting
from tests.unit.remediation.factories import make_context, make_diagnosis, make_policy

Json = dict[str, Any]
POLICY = make_policy()


def patience(diagnosis_type: DiagnosisType, confidence: Confidence, *pods: Json) -> timedelta:
    """Return the patience with a fault of a new version while all wanted pods serve."""
    views = [pod_view(each) for each in pods]
    diagnosis = make_diagnosis(diagnosis_type, Cause.NEW_VERSION, *views, confidence=confidence)
    return compute_patience(diagnosis, make_context(diagnosis, wanted=2), POLICY)


def test_a_certain_fault_is_not_waited_for() -> None:
    assert POLICY.certain_patience == patience(DiagnosisType.IMAGE_PULL_FAILING, Confidence.HIGH)


def test_a_fault_that_costs_nothing_gets_the_time_of_a_rollout() -> None:
    assert POLICY.progress_deadline == patience(DiagnosisType.CRASH_LOOPING, Confidence.MEDIUM)


def test_a_hanging_init_container_has_had_its_time_when_it_is_diagnosed() -> None:
    """The diagnosis is made after a deadline: the patience does not begin anew."""
    hangs = pod("web-abc-1", waiting("PodInitializing"), init=[running(name="init", ready=False)])
    fails = pod(
        "web-abc-1",
        waiting("PodInitializing"),
        init=[waiting("CrashLoopBackOff", name="init")],
    )
    found = patience(DiagnosisType.START_FAILING, Confidence.MEDIUM, hangs)

    assert POLICY.start_grace == found < POLICY.progress_deadline
    assert POLICY.progress_deadline == patience(
        DiagnosisType.START_FAILING, Confidence.MEDIUM, fails
    )


@pytest.mark.parametrize("ready", [0, 1, 2, 3])
def test_the_more_pods_are_missing_the_shorter_the_patience(ready: int) -> None:
    """With the share that no app can do without, nothing but the time of a start is left."""
    diagnosis = make_diagnosis(DiagnosisType.CRASH_LOOPING, Cause.NEW_VERSION)
    serving = tuple(
        pod_view(pod(f"web-abc-{n}", running(ready=n < ready))) for n in range(max(ready, 1))
    )
    context = make_context(diagnosis, wanted=4, pods=serving)
    share = max(0.0, 1 - (4 - ready) / 4 / INTOLERABLE_LOSS)

    assert context.ready == ready
    assert compute_patience(diagnosis, context, POLICY) == max(
        POLICY.start_grace, POLICY.progress_deadline * share
    )
