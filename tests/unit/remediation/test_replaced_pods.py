"""When the replacement of a pod has helped: its substitute is ready, whatever else is starting."""

import pytest

from selfhealing.api.healing_status import ActionOutcome
from selfhealing.cache.parse import pod_view
from selfhealing.cache.views import PodView
from selfhealing.health.deadlines import Deadlines
from selfhealing.remediation.verification import judge_action
from tests.unit import builders
from tests.unit.remediation.factories import (
    AT,
    FAILING_POD,
    HEALTHY_POD,
    make_action,
    make_context,
    make_policy,
    make_record,
)

STARTED = AT - 200
REPLACEMENT = make_action(
    outcome=ActionOutcome.IN_PROGRESS, at=STARTED, target=FAILING_POD.name, uid=FAILING_POD.uid
)


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
