"""The simulator has the orders of states that a real cluster has had."""

import json
from pathlib import Path

import pytest

from hack.worlds.model import Json
from hack.worlds.timelines import CASES, Case, is_part_of, simulate

RECORDED: dict[str, Json] = json.loads(
    (Path(__file__).parent / "recorded_timelines.json").read_text(encoding="utf-8")
)["timelines"]

MISSED_OOM_KILL = "terminated(Error)", "terminated(OOMKilled)"
"""The kubelet may miss that a container was killed for its memory, and report Error."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_simulator_has_the_recorded_order_of_states(case: Case) -> None:
    recorded, simulated = RECORDED[case.name], simulate(case, 900)
    pods = recorded["pods"]
    if case.name == "out of memory":
        pods = [[state.replace(*MISSED_OOM_KILL) for state in states] for states in pods]

    strange = [
        states
        for states in pods
        if not any(is_part_of(states, known) for known in simulated["pods"])
    ]
    assert strange == [], simulated["pods"]
    assert is_part_of(recorded["deployment"], simulated["deployment"]), simulated["deployment"]


def test_most_recordings_have_more_than_a_beginning() -> None:
    lengths = [max(map(len, case["pods"]), default=0) for case in RECORDED.values()]

    assert sum(length >= 3 for length in lengths) >= 12
