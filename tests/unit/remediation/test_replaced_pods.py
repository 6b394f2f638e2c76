"""When the replacement of a pod has helped: its substitute is ready, whatever else is starting.

The substitute may start for as long as its probes and the progress deadline allow.
"""

from dataclasses import replace

import pytest

from selfhealing.api.healing_status import ActionOutcome, HealingAction, Remediation
from selfhealing.cache.parse import pod_view
from selfhealing.cache.views import PodView
from selfhealing.health.attribution import Cause
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.remediation.context import RemediationContext
from selfhealing.remediation.verification import judge_action
from tests.unit import builders
from tests.unit.remediation.factories import (
    AT,
    FAILING_POD,
    HEALTHY_POD,
    latest_action,
    make_action,
    make_context,
    make_diagnosis,
    make_pod,
    make_policy,
    make_record,
    run_decide,
)

STARTED = AT - 200
REPLACEMENT = make_action(
    outcome=ActionOutcome.IN_PROGRESS, at=STARTED, target=FAILING_POD.name, uid=FAILING_POD.uid
)

HUNG = DiagnosisType.NOT_READY_TOO_LONG
FIFTEEN_MINUTES = {"startupProbe": builders.http_probe(periodSeconds=10, failureThreshold=90)}


def make_new_pod(name: str, seconds: float, *, ready: bool) -> PodView:
    """Return a pod that was created some seconds after the action."""
    pod = builders.pod(name, builders.running(ready=ready), created=STARTED + seconds)
    return pod_view(pod)


@pytest.mark.parametrize(
    ("pods", "outcome"),
    [
        ([("web-abc-7", 5, True)], ActionOutcome.SUCCEEDED),
        ([("web-abc-7", 5, True), ("web-abc-8", 150, False)], ActionOutcome.SUCCEEDED),
        ([("web-abc-8", 150, False)], None),
        ([("web-abc-7", -5, True), ("web-abc-8", 150, False)], None),
        ([], None),
    ],
    ids=[
        "its substitute is ready",
        "and a pod of the autoscaler starts",
        "the substitute is not ready",
        "the pod that is ready was there before",
        "there is no substitute",
    ],
)
def test_a_replacement_is_judged_by_the_substitute(
    pods: list[tuple[str, float, bool]], outcome: ActionOutcome | None
) -> None:
    new_pods = [make_new_pod(name, seconds, ready=ready) for name, seconds, ready in pods]
    context = make_context(pods=(HEALTHY_POD, *new_pods), healthy=True, complete=False)
    record = make_record(REPLACEMENT, healthy_since=builders.at(STARTED + 10))

    found = judge_action(record, REPLACEMENT, context, make_policy(), Deadlines(builders.at(AT)))

    assert outcome == found


def test_a_replacement_has_not_helped_while_the_pod_is_there() -> None:
    substitute = make_new_pod("web-abc-7", 5, ready=True)
    record = make_record(REPLACEMENT, healthy_since=builders.at(STARTED + 10))
    remains = make_context(pods=(FAILING_POD, substitute), healthy=True)

    assert None is judge_action(
        record, REPLACEMENT, remains, make_policy(), Deadlines(builders.at(AT))
    )


def running_since(
    at: int, remediation: Remediation = Remediation.REPLACE_POD, **more: str
) -> HealingAction:
    """An action in progress since ``at``."""
    fields = {"uid": "gone", **more}
    return make_action(1, remediation, ActionOutcome.IN_PROGRESS, at=at, diagnosis=HUNG, **fields)


def make_substitute(
    created: int, *, ready: bool = False, since: int = AT, **more: object
) -> PodView:
    """A pod that was created after the action."""
    return make_pod("web-abc-9", ready=ready, created=created, since=since, **more)


def beside_a_hung_pod(substitute: PodView, *affected: PodView) -> RemediationContext:
    """The substitute of the first of two pods that hang; the second still does."""
    diagnosis = make_diagnosis(HUNG, Cause.POD, FAILING_POD, *affected)
    return make_context(diagnosis, pods=(FAILING_POD, HEALTHY_POD, substitute))


@pytest.mark.parametrize("remediation", [Remediation.REPLACE_POD, Remediation.FAILOVER])
@pytest.mark.parametrize(
    ("age", "container_spec", "outcome"),
    [
        (301, {}, ActionOutcome.IN_PROGRESS),
        (599, {}, ActionOutcome.IN_PROGRESS),
        (600, {}, ActionOutcome.FAILED),
        (929, FIFTEEN_MINUTES, ActionOutcome.IN_PROGRESS),
        (930, FIFTEEN_MINUTES, ActionOutcome.FAILED),
    ],
)
def test_a_substitute_that_starts_slowly_is_no_failure(
    remediation: Remediation, age: int, container_spec: object, outcome: ActionOutcome
) -> None:
    """It has the progress deadline, or what its startup probe allows: fifteen minutes and a bit."""
    substitute = make_pod(
        "web-abc-9", created=AT - age, since=AT - age, container_spec=container_spec
    )
    substitute = replace(
        substitute,
        containers=tuple(
            replace(c, running_since=builders.at(AT - age)) for c in substitute.containers
        ),
    )
    record = make_record(running_since(AT - age, remediation))

    found = run_decide(record, beside_a_hung_pod(substitute))

    assert (remediation, outcome) == latest_action(found)


@pytest.mark.parametrize(
    "substitute",
    [
        make_pod("web-abc-9", created=AT - 99),
        replace(
            make_substitute(AT - 400),
            containers=tuple(replace(c, restarts=1) for c in FAILING_POD.containers),
        ),
        make_pod("web-abc-9", created=AT - 403),
    ],
    ids=["added later", "restarted", "there before"],
)
def test_other_pods_that_start_do_not_put_the_end_off(substitute: PodView) -> None:
    """An autoscaler may add one every few minutes."""
    record = make_record(running_since(AT - 400))

    found = run_decide(record, beside_a_hung_pod(substitute))

    assert (Remediation.REPLACE_POD, ActionOutcome.FAILED) == latest_action(found)


@pytest.mark.parametrize(
    ("ready_for", "outcome"), [(29, ActionOutcome.IN_PROGRESS), (30, ActionOutcome.SUCCEEDED)]
)
def test_a_replacement_has_helped_though_another_pod_hangs(
    ready_for: int, outcome: ActionOutcome
) -> None:
    """The other one is replaced next."""
    substitute = make_substitute(AT - 60, ready=True, since=AT - ready_for)
    record = make_record(running_since(AT - 60))

    found = run_decide(record, beside_a_hung_pod(substitute))

    assert (Remediation.REPLACE_POD, outcome) == latest_action(found)


def test_the_times_of_pods_are_cut_to_whole_seconds() -> None:
    """A substitute may seem to be made before the action that it is a consequence of."""
    substitute = make_substitute(AT - 102, ready=True, since=AT - 90)
    record = make_record(running_since(AT - 100))

    found = run_decide(record, beside_a_hung_pod(substitute))

    assert (Remediation.REPLACE_POD, ActionOutcome.SUCCEEDED) == latest_action(found)


@pytest.mark.parametrize("has_it_again", [True, False])
def test_a_substitute_with_a_fault_is_no_success(*, has_it_again: bool) -> None:
    """It has the same one, or was restarted and may crash again."""
    substitute = make_substitute(AT - 200, ready=True, since=AT - 100)
    restarted = tuple(replace(c, restarts=1) for c in substitute.containers)
    affected = [substitute] if has_it_again else []
    substitute = substitute if has_it_again else replace(substitute, containers=restarted)
    record = make_record(running_since(AT - 300))

    found = run_decide(record, beside_a_hung_pod(substitute, *affected))

    assert (Remediation.REPLACE_POD, ActionOutcome.FAILED) == latest_action(found)


@pytest.mark.parametrize(
    ("run_since", "has_probe", "is_up", "outcome"),
    [
        (200, True, False, None),
        (0, True, False, ActionOutcome.FAILED),
        (601, True, False, ActionOutcome.FAILED),
        (200, False, False, ActionOutcome.FAILED),
        (200, True, True, ActionOutcome.FAILED),
    ],
    ids=["still starts", "began too late", "since before the raise", "no probe", "started"],
)
def test_a_raise_waits_for_containers_that_start(
    run_since: int, *, has_probe: bool, is_up: bool, outcome: ActionOutcome | None
) -> None:
    """They were killed before, and run again with the higher limit."""
    spec = FIFTEEN_MINUTES if has_probe else {}
    status = builders.running(AT - run_since, ready=False, restarts=2, started=is_up)
    pod = pod_view(builders.pod("web-abc-1", status, container_spec=spec))
    killed = make_diagnosis(DiagnosisType.OOM_KILLED, Cause.UNKNOWN, pod)
    raised = make_action(
        1,
        Remediation.RAISE_MEMORY,
        ActionOutcome.IN_PROGRESS,
        at=AT - 400,
        diagnosis=DiagnosisType.OOM_KILLED,
        target="200Mi",
        container="app",
    )
    context = make_context(killed, pods=(pod, HEALTHY_POD))

    found = judge_action(
        make_record(raised), raised, context, make_policy(), Deadlines(builders.at(AT))
    )

    assert outcome == found
