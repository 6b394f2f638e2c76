"""The oracle finds what it is there for: a run that is made worse is called harmful."""

from dataclasses import replace

import pytest

from hack.worlds.fault_table import ALL_FAULTS
from hack.worlds.generator import World, draw_world
from hack.worlds.observations import Action
from hack.worlds.oracle import integrate, judge
from hack.worlds.report import meets_targets, summarize, to_markdown
from hack.worlds.runner import judge_world
from hack.worlds.shapes import Shape
from hack.worlds.simulation import Event, Simulation
from hack.worlds.story import tell_world

QUIET = World(seed=0, shape=Shape(), placements=(), duration=3000.0)


ACTION = Action(1, 900.0, "ReplacePod", "CrashLooping", "web-1", "", "", "Succeeded")


def run(world: World, *, heals: bool) -> Simulation:
    """A run of a world."""
    return Simulation(world.build_setting(), heals=heals).run()


def test_a_quiet_world_is_no_different_with_healing() -> None:
    verdict = judge(QUIET, run(QUIET, heals=False), run(QUIET, heals=True))

    assert (verdict.harm, verdict.locks, verdict.actions) == ([], [], 0)
    assert verdict.gain == pytest.approx(0, abs=5)


def test_a_ready_pod_that_the_operator_removes_is_a_vain_touch() -> None:
    def remove(sim: Simulation) -> None:
        if sim.heals:
            sim.requests.delete_pod(next(sim.cluster.active_pods()), "operator")

    world = replace(QUIET, disturbances=(Event(900.0, "a pod is removed", remove),))
    verdict = judge(world, run(world, heals=False), run(world, heals=True))

    assert any(text.startswith("vain touch") for text in verdict.harm)


@pytest.mark.parametrize("acts", [True, False])
def test_capacity_that_is_lost_is_regretted(*, acts: bool) -> None:
    """If the operator did anything: else two runs differ by chance."""

    def remove_all(sim: Simulation) -> None:
        if sim.heals:
            sim.laws.webhook_error = "refused"
            for pod in list(sim.cluster.active_pods()):
                sim.requests.delete_pod(pod, "somebody")
            if acts:
                sim.observations.actions[1, ""] = ACTION

    world = replace(QUIET, disturbances=(Event(900.0, "all pods are gone", remove_all),))
    verdict = judge(world, run(world, heals=False), run(world, heals=True))

    assert verdict.gain < -1000
    assert acts is any(text.startswith("regret") for text in verdict.harm)
    assert any(text.startswith("ends worse") for text in verdict.harm)


def test_an_app_that_crashes_now_and_then_does_not_end_well() -> None:
    """In world 2189 a version crashes every five minutes, with healing at other moments."""
    verdict = judge_world(2189)

    assert [] == verdict.harm


def test_the_integral_counts_the_share_of_wanted_pods() -> None:
    sim = run(QUIET, heals=False)

    assert integrate(sim, sim.cluster.samples) == pytest.approx(QUIET.duration - 10, abs=10)


@pytest.mark.parametrize("fault", ALL_FAULTS, ids=lambda fault: fault.name)
def test_every_fault_can_begin_and_end(fault: object) -> None:
    name = getattr(fault, "name", "")

    assert judge_world(7, only=name).seed == 7


def test_the_same_number_is_the_same_world() -> None:
    first, second = judge_world(11), judge_world(11)

    assert first == second
    assert draw_world(11).placements == draw_world(11).placements


def test_a_world_is_told_as_a_story() -> None:
    story = tell_world(3, "image missing")

    assert "image missing begins" in story
    assert "Without healing" in story
    assert "Harm:" in story


def test_the_table_names_the_targets() -> None:
    summary = summarize([judge_world(seed) for seed in range(1, 4)], 1.0)

    assert summary["worlds"] == 3
    assert "| harmful |" in to_markdown(summary)
    assert isinstance(meets_targets(summary), bool)
