"""The operator in simulated worlds that know the truth: no harm, no lock."""

import pytest

from hack.worlds.oracle import Verdict
from hack.worlds.runner import judge_world
from tests.unit.examples import scale_examples

WORLDS = scale_examples(500)
PARTS = 20
"""The worlds are judged in this many tests, so that several processes share them."""


@pytest.mark.parametrize("part", range(PARTS))
def test_healing_harms_no_world_and_leaves_no_lock(part: int) -> None:
    """`python -m hack.worlds --seed NUMBER` tells the story of a world."""
    verdicts = [judge_world(seed) for seed in range(1 + part, WORLDS + 1, PARTS)]

    assert [_describe(v) for v in verdicts if v.harm or v.locks] == []


@pytest.mark.parametrize("seed", [1325, 1774, 1888, 2692, 2777, 2836, 3404])
def test_a_world_that_was_harmed(seed: int) -> None:
    """One of each kind."""
    verdict = judge_world(seed)

    assert (verdict.harm, verdict.locks) == ([], [])


def _describe(verdict: Verdict) -> str:
    return f"world {verdict.seed}: {'; '.join((*verdict.harm, *verdict.locks))}"
