"""Which changes of a record must be stored at once: those without which a decision comes sooner."""

import pytest

from selfhealing.api.healing_status import HealingStatus
from selfhealing.remediation.record_changes import is_decisive_change
from tests.unit import builders
from tests.unit.controller.fake_api_server import build_action, build_diagnosis, build_record

HEALTHY = build_record(healthy_since=builders.at(10))
ILL = build_record(diagnoses=[build_diagnosis()])
LATER = build_diagnosis().model_copy(update={"since": builders.at(99)})


@pytest.mark.parametrize(
    ("before", "after", "decisive"),
    [
        pytest.param(None, None, False, id="no record"),
        pytest.param(None, ILL, True, id="the first record"),
        pytest.param(ILL, None, True, id="no record any more"),
        pytest.param(ILL, ILL, False, id="nothing"),
        pytest.param(build_record(), HEALTHY, False, id="it becomes healthy"),
        pytest.param(HEALTHY, build_record(), True, id="it falls ill"),
        pytest.param(
            HEALTHY, build_record(healthy_since=builders.at(20)), True, id="it was ill meanwhile"
        ),
        pytest.param(build_record(), ILL, False, id="a new diagnosis"),
        pytest.param(ILL, build_record(), True, id="a diagnosis that is gone"),
        pytest.param(ILL, build_record(diagnoses=[LATER]), True, id="one that began anew"),
        pytest.param(ILL, ILL.model_copy(update={"budget_left": 1}), False, id="what only informs"),
        pytest.param(ILL, build_record(build_action()), True, id="an action"),
        pytest.param(
            build_record(), build_record(stable_revision="abc"), True, id="a stable revision"
        ),
    ],
)
def test_changes(
    before: HealingStatus | None, after: HealingStatus | None, *, decisive: bool
) -> None:
    """An app that was ill must not pass for one that was healthy all the time."""
    assert decisive is is_decisive_change(before, after)
