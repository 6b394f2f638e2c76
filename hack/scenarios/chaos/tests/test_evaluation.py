from dataclasses import replace
from typing import Any

import pytest

from hack.scenarios.chaos.evaluation import FaultResult, describe_run, evaluate_runs
from hack.scenarios.chaos.faults import ExpectedResult, select_faults
from hack.scenarios.chaos.tests.builders import (
    HEALED_RUN,
    ROLLBACK_ACTION,
    UNHEALED_RUN,
    build_healed_run,
    build_unhealed_run,
)

(FAULT,) = select_faults(["bad-image"])
REPEATED_ROLLBACK = (replace(ROLLBACK_ACTION, outcome="Failed"), replace(ROLLBACK_ACTION, id=2))


def test_a_drill_passes_when_only_healing_helps() -> None:
    result = evaluate_runs(FAULT, UNHEALED_RUN, HEALED_RUN)

    assert (True, "as expected", ()) == (result.has_passed, result.result_text, result.failures)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"error": "the app is not ready"}, "could not be run: the app is not ready"),
        ({"actions": (ROLLBACK_ACTION,)}, "healing is off, but there was Rollback Succeeded"),
        ({"recovered_after": 4.0}, "served again after 4 s: the fault proves nothing"),
    ],
)
def test_without_healing_nothing_is_done_and_the_fault_lasts(
    changes: dict[str, Any], says: str
) -> None:
    (missed,) = evaluate_runs(FAULT, build_unhealed_run(**changes), HEALED_RUN).failures

    assert says in missed


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"error": "no leader"}, "with healing it could not be run: no leader"),
        ({"diagnoses": ()}, "ImagePullFailing was to be diagnosed, but it was nothing"),
        ({"recovered_after": None}, "to be served again within 75 s, but that was not within 75 s"),
        ({"actions": ()}, "Rollback was to be done, but it was nothing"),
        (
            {"actions": (replace(ROLLBACK_ACTION, remediation="ReplacePod"),)},
            "but it was ReplacePod Succeeded",
        ),
        (
            {"actions": REPEATED_ROLLBACK},
            "1 action at the most was to be taken, but there was Rollback Failed",
        ),
        (
            {"actions": (replace(ROLLBACK_ACTION, outcome="InProgress"),)},
            "but it is Rollback InProgress",
        ),
        ({"phase": "Ready"}, "it was to end as Degraded, but it is Ready, RolledBack"),
    ],
)
def test_with_healing_everything_expected_must_be_seen(changes: dict[str, Any], says: str) -> None:
    (missed,) = evaluate_runs(FAULT, UNHEALED_RUN, build_healed_run(**changes)).failures

    assert says in missed


def test_an_action_that_is_only_proposed_was_not_taken() -> None:
    proposed = replace(ROLLBACK_ACTION, outcome="Observed")

    (missed,) = evaluate_runs(FAULT, UNHEALED_RUN, build_healed_run(actions=(proposed,))).failures

    assert "Rollback was to be done, but it was Rollback Observed" == missed


def test_some_remedies_may_be_repeated_and_some_faults_heal_by_nothing() -> None:
    twice = replace(
        FAULT, expected=ExpectedResult("ImagePullFailing", ("Rollback",), "Degraded", max_actions=2)
    )
    left = replace(
        FAULT, expected=ExpectedResult("ImagePullFailing", (), "Degraded", is_recovered=False)
    )

    assert evaluate_runs(
        twice, UNHEALED_RUN, build_healed_run(actions=REPEATED_ROLLBACK)
    ).has_passed
    assert evaluate_runs(
        left, UNHEALED_RUN, build_healed_run(actions=(), recovered_after=None)
    ).has_passed
    (missed,) = evaluate_runs(left, UNHEALED_RUN, build_healed_run(actions=())).failures
    assert "it was to be served no more, but that was 12 s" == missed


def test_what_cannot_be_played_fails_only_when_it_was_asked_for() -> None:
    left, asked = (
        FaultResult(FAULT, missing_requirement="a worker"),
        FaultResult(FAULT, missing_requirement="a worker", is_requested=True),
    )

    assert (False, "left out") == (left.has_failed, left.result_text)
    assert (True, "FAILED") == (asked.has_failed, asked.result_text)


def test_a_half_is_said_in_a_sentence() -> None:
    assert (
        "served again after 12 s; 3 of 100 requests failed; Rollback Succeeded;"
        " ended as Degraded, RolledBack"
    ) == describe_run(HEALED_RUN)
    assert describe_run(UNHEALED_RUN).startswith(
        "not within 75 s; 0 of 600 requests failed; nothing was done"
    )
    assert "no leader" == describe_run(build_healed_run(error="no leader"))
