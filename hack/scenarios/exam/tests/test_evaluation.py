from dataclasses import replace
from typing import Any

import pytest

from hack.scenarios.exam.evaluation import (
    Bars,
    FaultResult,
    count_bars,
    describe_run,
    evaluate_runs,
)
from hack.scenarios.exam.fault import Expected, corrected, told
from hack.scenarios.exam.faults import select_faults
from hack.scenarios.exam.tests.builders import (
    DIAGNOSIS,
    EVENT,
    HEALED_RUN,
    ROLLBACK_ACTION,
    UNHEALED_RUN,
    build_healed_run,
    build_unhealed_run,
)

(FAULT,) = select_faults(["1-spec"])
TOLD = replace(FAULT, expected=told("ImagePullFailing", causes=("Environment",)))
UNHEALTHY: Any = {"problems": ("web is Pending",), "recovered_after": None}


def test_a_row_passes_when_only_healing_helps() -> None:
    result = evaluate_runs(FAULT, (UNHEALED_RUN, HEALED_RUN))

    assert (True, "as expected", ()) == (result.has_passed, result.result_text, result.failures)
    assert result.is_named
    assert result.is_healed
    assert ((), 0) == (result.wrong_actions, result.lost_requests)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"error": "the app is not ready"}, "could not be run: the app is not ready"),
        ({"actions": (ROLLBACK_ACTION,)}, "healing is off, but there was Rollback Succeeded"),
        ({"problems": ()}, "it became healthy too: the fault proves nothing"),
    ],
)
def test_without_healing_nothing_is_done_and_the_fault_lasts(
    changes: dict[str, Any], says: str
) -> None:
    (missed,) = evaluate_runs(FAULT, (build_unhealed_run(**changes), HEALED_RUN)).failures

    assert says in missed


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"error": "no leader"}, "with healing it could not be run: no leader"),
        ({"diagnoses": ()}, "the cause NewVersion was to be named, but it was nothing"),
        (
            {"diagnoses": (replace(DIAGNOSIS, cause="Environment"),)},
            "to be named, but it was ImagePullFailing (Environment, High)",
        ),
        (UNHEALTHY, "it was to be healthy, but web is Pending"),
        ({"actions": ()}, "Rollback was to be done, but nothing was"),
        (
            {"actions": (ROLLBACK_ACTION, replace(ROLLBACK_ACTION, remediation="ReplacePod"))},
            "ReplacePod Succeeded was wrong",
        ),
        ({"requests_lost": 2}, "2 requests were lost to an action"),
        ({"is_undone_in_vain": True}, "the cause is gone, but the version is barred"),
    ],
)
def test_with_healing_everything_expected_must_be_seen(changes: dict[str, Any], says: str) -> None:
    result = evaluate_runs(FAULT, (UNHEALED_RUN, build_healed_run(**changes)))

    assert says in result.failures[0]
    assert 1 == len(result.failures)


def test_an_action_that_is_only_proposed_was_not_taken() -> None:
    proposed = build_healed_run(actions=(replace(ROLLBACK_ACTION, outcome="Observed"),))

    (missed,) = evaluate_runs(FAULT, (UNHEALED_RUN, proposed)).failures

    assert "Rollback was to be done, but nothing was" == missed


def test_what_people_must_mend_is_named_and_left_alone() -> None:
    named = replace(DIAGNOSIS, cause="Environment")
    run = build_healed_run(actions=(), diagnoses=(named,), **UNHEALTHY)

    assert evaluate_runs(TOLD, (UNHEALED_RUN, run)).has_passed
    (missed,) = evaluate_runs(
        TOLD, (UNHEALED_RUN, replace(run, actions=(ROLLBACK_ACTION,)))
    ).failures
    assert "Rollback Succeeded was wrong" == missed


def test_what_is_put_back_at_once_is_named_by_an_event() -> None:
    fault = replace(FAULT, expected=corrected("Degraded"))
    run = build_healed_run(actions=(), diagnoses=(), events=(EVENT,))

    assert evaluate_runs(fault, (build_unhealed_run(problems=()), run)).has_passed
    (missed,) = evaluate_runs(fault, (UNHEALED_RUN, replace(run, events=()))).failures
    assert "an Event Degraded was to be named, but it was nothing" == missed


def test_what_fails_without_healing_too_is_lost_to_no_action() -> None:
    runs = (build_unhealed_run(requests_failed=3), build_healed_run(requests_lost=4))

    assert 1 == evaluate_runs(FAULT, runs).lost_requests
    assert 0 == evaluate_runs(FAULT, (runs[0], build_healed_run(requests_lost=3))).lost_requests


def test_a_row_that_no_pod_serves_loses_no_request_to_an_action() -> None:
    fault = replace(FAULT, expected=replace(FAULT.expected, is_served=False))
    result = evaluate_runs(fault, (UNHEALED_RUN, build_healed_run(requests_lost=5)))

    assert (True, 0) == (result.has_passed, result.lost_requests)


def test_the_bars_count_what_was_run() -> None:
    nothing = replace(FAULT, expected=Expected())
    results = [
        evaluate_runs(FAULT, (UNHEALED_RUN, HEALED_RUN)),
        evaluate_runs(FAULT, (UNHEALED_RUN, build_healed_run(diagnoses=(), **UNHEALTHY))),
        evaluate_runs(nothing, (HEALED_RUN,)),
        FaultResult(fault=FAULT, missing_requirement="a worker"),
    ]

    bars = count_bars(results)

    assert Bars(3, 2, 1, 3, 2, wrong_actions=1, lost_requests=0) == bars
    assert "1 of 2 named with the true cause, 2 of 3 healed, 1 wrong actions" in str(bars)
    assert not bars.are_reached


@pytest.mark.parametrize(
    ("changes", "reached"),
    [
        ({}, True),
        ({"healed": 9}, True),
        ({"healed": 8}, False),
        ({"named": 11}, False),
        ({"wrong_actions": 1}, False),
        ({"lost_requests": 1}, False),
    ],
)
def test_the_bars_are_reached_without_harm_only(changes: dict[str, Any], *, reached: bool) -> None:
    bars = Bars(12, 12, 12, 10, 10, 0, 0)

    assert reached is replace(bars, **changes).are_reached


def test_what_cannot_be_run_fails_only_when_it_was_asked_for() -> None:
    left, asked = (
        FaultResult(fault=FAULT, missing_requirement="a worker"),
        FaultResult(fault=FAULT, missing_requirement="a worker", is_requested=True),
    )

    assert (False, "left out") == (left.has_failed, left.result_text)
    assert (True, "FAILED") == (asked.has_failed, asked.result_text)


def test_a_half_is_said_in_a_sentence() -> None:
    assert (
        "served in full again after 12 s; 3 of 100 requests failed; Rollback Succeeded;"
        " ended as Degraded, RolledBack"
    ) == describe_run(HEALED_RUN)
    assert describe_run(UNHEALED_RUN).startswith(
        "served: not within 75 s; 0 of 600 requests failed; nothing was done"
    )
    assert "no leader" == describe_run(build_healed_run(error="no leader"))
