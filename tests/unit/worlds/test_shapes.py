"""What only some apps of the worlds have: a slow start, a LimitRange, and GitOps."""

from hack.worlds.fault_table import ALL_FAULTS
from hack.worlds.faults import Placement
from hack.worlds.generator import LATER_EVERY, LATER_SHAPES_AT, World, draw_world
from hack.worlds.observations import Action
from hack.worlds.oracle import STARTED
from hack.worlds.shapes import Shape
from hack.worlds.simulation import Simulation


def run(shape: Shape, fault: str) -> Simulation:
    """An app that has a fault after a while, with healing."""
    (row,) = (each for each in ALL_FAULTS if each.name == fault)
    placement = Placement(row, 1000.0, None, 2)
    world = World(0, shape, (placement,), duration=4000.0)
    return Simulation(world.build_setting(), heals=True).run()


def started(sim: Simulation) -> list[Action]:
    """The actions that were started."""
    return [a for a in sim.observations.actions.values() if a.outcome in STARTED]


def test_only_worlds_of_some_numbers_have_them() -> None:
    shapes = {seed: draw_world(seed).shape for seed in range(1, 301)}
    later = {
        seed
        for seed, shape in shapes.items()
        if shape.start == 400.0 or shape.max_memory or shape.has_gitops
    }

    assert later == {seed for seed in shapes if seed % LATER_EVERY == LATER_SHAPES_AT}


def test_a_limit_range_refuses_a_raise() -> None:
    sim = run(Shape(memory_max=True, max_memory=150), "memory spike")

    assert started(sim) == []
    assert any("maximum memory usage per Container" in s.message for s in sim.observations.shown)


def test_gitops_keeps_its_field_through_a_rollback() -> None:
    sim = run(Shape(has_gitops=True), "image missing")

    container = sim.cluster.children["Deployment"].spec["template"]["spec"]["containers"][0]
    assert [action.remediation for action in started(sim)] == ["Rollback"]
    assert container["image"] == "web:1"
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
