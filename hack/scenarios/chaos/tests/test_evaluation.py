from dataclasses import replace
from typing import Any

import pytest

from hack.scenarios.chaos.evaluation import Result, judged, said
from hack.scenarios.chaos.faults import Expected, chosen
from hack.scenarios.chaos.tests.builders import HEALED, ROLLBACK, WITHOUT, healed, without

(FAULT,) = chosen(["bad-image"])
TWICE = (replace(ROLLBACK, outcome="NoHelp"), replace(ROLLBACK, id=2))


def test_a_drill_passes_when_only_healing_helps() -> None:
    result = judged(FAULT, WITHOUT, HEALED)

    assert (True, "as expected", ()) == (result.passed, result.word, result.missed)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"why": "the app is not ready"}, "could not be played: the app is not ready"),
        ({"acts": (ROLLBACK,)}, "healing is off, but there was Rollback Helped"),
        ({"after": 4.0}, "served again after 4 s: the fault proves nothing"),
    ],
)
def test_without_healing_nothing_is_done_and_the_fault_lasts(
    changes: dict[str, Any], says: str
) -> None:
    (missed,) = judged(FAULT, without(**changes), HEALED).missed

    assert says in missed


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"why": "no leader"}, "with healing it could not be played: no leader"),
        ({"diagnoses": ()}, "ImagePullFailing was to be diagnosed, but it was nothing"),
        ({"after": None}, "to be served again within 75 s, but that was not within 75 s"),
        ({"acts": ()}, "Rollback was to be done, but it was nothing"),
        ({"acts": (replace(ROLLBACK, remedy="Recycle"),)}, "but it was Recycle Helped"),
        ({"acts": TWICE}, "1 action at the most was to be taken, but there was Rollback NoHelp"),
        ({"acts": (replace(ROLLBACK, outcome="Started"),)}, "but it is Rollback Started"),
        ({"phase": "Ready"}, "it was to end as Degraded, but it is Ready, RolledBack"),
    ],
)
def test_with_healing_everything_expected_must_be_seen(changes: dict[str, Any], says: str) -> None:
    (missed,) = judged(FAULT, WITHOUT, healed(**changes)).missed

    assert says in missed


def test_an_action_that_is_only_proposed_was_not_taken() -> None:
    proposed = replace(ROLLBACK, outcome="Observed")

    (missed,) = judged(FAULT, WITHOUT, healed(acts=(proposed,))).missed

    assert "Rollback was to be done, but it was Rollback Observed" == missed


def test_some_remedies_may_be_repeated_and_some_faults_heal_by_nothing() -> None:
    twice = replace(FAULT, expected=Expected("ImagePullFailing", ("Rollback",), "Degraded", most=2))
    left = replace(FAULT, expected=Expected("ImagePullFailing", (), "Degraded", served=False))

    assert judged(twice, WITHOUT, healed(acts=TWICE)).passed
    assert judged(left, WITHOUT, healed(acts=(), after=None)).passed
    (missed,) = judged(left, WITHOUT, healed(acts=())).missed
    assert "it was to be served no more, but that was 12 s" == missed


def test_what_cannot_be_played_fails_only_when_it_was_asked_for() -> None:
    left, asked = Result(FAULT, lacked="a worker"), Result(FAULT, lacked="a worker", wanted=True)

    assert (True, "left out") == (left.passed, left.word)
    assert (False, "FAILED") == (asked.passed, asked.word)


def test_a_half_is_said_in_a_sentence() -> None:
    assert (
        "served again after 12 s; 3 of 100 requests failed; Rollback Helped;"
        " ended as Degraded, RolledBack"
    ) == said(HEALED)
    assert said(WITHOUT).startswith("not within 75 s; 0 of 600 requests failed; nothing was done")
    assert "no leader" == said(healed(why="no leader"))
