"""Tells a world as a story: what happened, what the operator saw, decided and did."""

from hack.worlds.generator import World, draw_world
from hack.worlds.oracle import Verdict, judge
from hack.worlds.simulation import Simulation


def tell_world(seed: int, only: str = "") -> str:
    """Carry out a world, and tell of it."""
    world = draw_world(seed, only=only)
    off = Simulation(world.build_setting(), heals=False, tells_story=True).run()
    on = Simulation(world.build_setting(), heals=True, tells_story=True).run()
    verdict = judge(world, off, on)
    return "\n".join(
        (
            *_describe(world),
            "",
            "Without healing",
            *_tell(off),
            "",
            "With healing",
            *_tell(on),
            "",
            *_conclude(verdict),
        )
    )


def _describe(world: World) -> list[str]:
    shape = world.shape
    lines = [f"World {world.seed}: {shape}"]
    for placement in world.placements:
        until = "never ends" if placement.until is None else f"until {placement.until:.0f} s"
        lines.append(f"  {placement.fault.name}: from {placement.at:.0f} s, {until}")
    lines.extend(f"  a person mends it at {at:.0f} s" for at, _ in world.mends)
    lines.extend(f"  {event.name}: at {event.at:.0f} s" for event in world.disturbances)
    lines.append(f"  {world.options}")
    return lines


def _tell(sim: Simulation) -> list[str]:
    story = [(at, f"{who:22} {text}") for at, who, text in sim.cluster.story or ()]
    story += [
        (s.at, f"{'':22} {s.serving} of {s.wanted} serve, {s.active} pods")
        for s in sim.cluster.samples
    ]
    return [f"{_clock(at)}  {line[:230]}" for at, line in sorted(story, key=lambda each: each[0])]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes) // 60:d}:{int(minutes) % 60:02d}:{rest:04.1f}"


def _conclude(verdict: Verdict) -> list[str]:
    return [
        f"Harm: {'; '.join(verdict.harm) or 'none'}",
        f"Locks: {'; '.join(verdict.locks) or 'none'}",
        f"Actions: {verdict.actions}, of them without a reason: {verdict.unjustified}",
        f"Capacity won: {verdict.gain:.0f} s",
        *(f"{score}" for score in verdict.scores),
    ]
