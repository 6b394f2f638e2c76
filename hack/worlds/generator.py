"""Draws worlds: an app, releases, faults that may overlap, and what befalls the operator itself."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

from hack.worlds.fault_table import ALL_FAULTS, FAULTS, LATER_FAULTS
from hack.worlds.faults import Fault, FaultKind, Placement
from hack.worlds.model import Json
from hack.worlds.operator import OperatorOptions
from hack.worlds.shapes import (
    Shape,
    build_configs,
    build_laws,
    build_spec,
    draw_later_shape,
    draw_shape,
)
from hack.worlds.simulation import Event, Setting, Simulation
from hack.worlds.versions import mend_release

LATER_EVERY: Final = 20
"""One world in this number has a fault of the table LATER_FAULTS."""

LATER_SHAPES_AT: Final = 10
"""The worlds with an app of draw_later_shape: the remainder of their numbers by LATER_EVERY. What
came later is drawn in few worlds, so that the others stay what they are."""

GITOPS_BEGIN: Final = 10.0
"""Seconds until its first look: the Deployment has its field from the beginning."""

GITOPS_INTERVAL: Final = 180.0
"""Seconds from one look of a GitOps tool at the cluster to the next: that of Argo CD."""

QUIET_TAIL: Final = 3.4 * 3600
"""Seconds after the last event: longer than two retries of a version that was barred as Likely."""


@dataclass(frozen=True, slots=True)
class World:
    """A world, by its number.

    Attributes:
        seed: the number.
        shape: the app.
        placements: the faults.
        mends: when a person rolls out a good version, by its number.
        disturbances: what befalls the operator.
        options: how its processes differ from ordinary ones.
        duration: seconds.
        luck: another number draws other pods for a fault that only a part of them has.
    """

    seed: int
    shape: Shape
    placements: tuple[Placement, ...]
    mends: tuple[tuple[float, int], ...] = ()
    disturbances: tuple[Event, ...] = ()
    options: OperatorOptions = field(default_factory=OperatorOptions)
    duration: float = 7200.0
    luck: int = 0

    def build_setting(self) -> Setting:
        """Return what a run of this world begins with."""
        spec = build_spec(self.shape)
        events: list[Event] = []
        for placement in self.placements:
            fault = placement.fault
            events.append(Event(placement.at, f"{fault.name} begins", _act(fault, placement)))
            if placement.until is not None:
                events.append(Event(placement.until, f"{fault.name} ends", _undo(fault, placement)))
        good = {key: value for key, value in build_spec(self.shape).items() if key != "healing"}
        for at, version in self.mends:
            events.append(
                Event(at, f"a person rolls out a good version {version}", _mend(good, version))
            )
        events.extend(self.disturbances)
        if self.shape.has_gitops:
            events.append(Event(GITOPS_BEGIN, "a GitOps tool begins to sync", sync_by_gitops))
        return Setting(
            spec,
            replace(build_laws(self.shape), luck=self.luck),
            self.shape.nodes,
            build_configs(self.shape),
            sorted(events, key=lambda event: event.at),
            self.duration,
            self.options,
        )


def sync_by_gitops(sim: Simulation) -> None:
    """Apply a field of the Deployment wherever it is missing, now and at every look."""
    fields = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    deployment = sim.cluster.children.get("Deployment")
    if deployment is not None:
        container = deployment.spec["template"]["spec"]["containers"][0]
        if not fields.items() <= container.items():
            patch = {"spec": {"template": {"spec": {"containers": [{"name": "app", **fields}]}}}}
            sim.edit_deployment("argocd-controller", patch, _set_in_app(fields))
    sim.cluster.timeline.after(GITOPS_INTERVAL, lambda: sync_by_gitops(sim))


def _set_in_app(fields: dict[str, str]) -> Callable[[Json], None]:
    def change(spec: Json) -> None:
        spec["template"]["spec"]["containers"][0].update(fields)

    return change


def _act(fault: Fault, placement: Placement) -> Callable[[Simulation], None]:
    return lambda sim: fault.inject(sim, placement)


def _undo(fault: Fault, placement: Placement) -> Callable[[Simulation], None]:
    return lambda sim: fault.undo(sim, placement)


def _mend(good: dict[str, object], version: int) -> Callable[[Simulation], None]:
    return lambda sim: mend_release(sim, good, f"web:{version}")


def draw_world(seed: int, *, only: str = "") -> World:
    """Draw the world of a number.

    Args:
        seed: the number.
        only: a part of the name of the fault that it must have; empty for any.
    """
    rng = Random(seed)  # noqa: S311 - not for a secret
    fault, shape = _draw_first(rng, only, is_later=seed % LATER_EVERY == 0)
    if seed % LATER_EVERY == LATER_SHAPES_AT:
        shape = draw_later_shape(Random(seed), shape)  # noqa: S311 - not for a secret
    # Most versions are proved (probation 10 min); some trials are not over yet.
    begin = (
        shape.cost_of_start
        + rng.choices(
            (rng.uniform(60, 500), rng.uniform(700, 1200), rng.uniform(4000, 6000)), (10, 75, 15)
        )[0]
    )
    first = _place(rng, fault, begin, 2)
    placements = [first]
    if rng.random() < 0.3:
        second = _draw_second(rng, shape, fault)
        if second is not None:
            offset = rng.choice((-120.0, 10.0, 90.0, 400.0, 1000.0))
            placements.append(_place(rng, second, max(60.0, begin + offset), 3))
    placements = _end_in_order(placements)
    mends: tuple[tuple[float, int], ...] = ()
    if any(p.fault.kind is FaultKind.VERSION for p in placements) and rng.random() < 0.5:
        latest = max(p.at for p in placements)
        mends = ((latest + rng.choice((240.0, 900.0, 2400.0, 5400.0)), 9),)
    last = max(
        (
            *(p.at for p in placements),
            *(p.until for p in placements if p.until is not None),
            *(at for at, _ in mends),
        )
    )
    disturbances = _draw_disturbances(rng, begin, last)
    return World(
        seed,
        shape,
        tuple(placements),
        mends,
        disturbances,
        OperatorOptions(
            skew=rng.choices((0.0, 360.0, 660.0, -360.0), (85, 5, 5, 5))[0],
            watches_secrets=shape.has_secret and rng.random() < 0.7,
        ),
        last + QUIET_TAIL,
    )


def _draw_first(rng: Random, only: str, *, is_later: bool) -> tuple[Fault, Shape]:
    table = LATER_FAULTS if is_later else FAULTS
    rows = [fault for fault in (ALL_FAULTS if only else table) if only in fault.name]
    if not rows:
        raise ValueError(f"there is no fault {only!r}")
    fault = rng.choices(rows, [row.weight for row in rows])[0]
    for _ in range(200):
        shape = draw_shape(rng)
        if fault in LATER_FAULTS:
            shape = replace(shape, relaxes_liveness=rng.random() < 0.5)
        if fault.fits(shape):
            return fault, shape
    raise AssertionError(f"no app can have the fault {fault.name}")


def _draw_second(rng: Random, shape: Shape, first: Fault) -> Fault | None:
    """Draw another fault; two versions do not overlap, as the spec asks for one."""
    rows = [
        fault
        for fault in FAULTS
        if fault.fits(shape)
        and fault.kind not in {first.kind, FaultKind.VERSION}
        and not (first.kind is FaultKind.VERSION and fault.releases)
    ]
    return rng.choices(rows, [row.weight for row in rows])[0] if rows else None


def _place(rng: Random, fault: Fault, at: float, version: int) -> Placement:
    until = at + rng.choice(fault.durations) if fault.durations else None
    return Placement(fault, round(at), until and round(until), version, rng.randrange(12))


def _end_in_order(placements: list[Placement]) -> list[Placement]:
    return sorted(placements, key=lambda placement: placement.at)


def _draw_disturbances(  # noqa: PLR0911 - one return for each kind
    rng: Random, begin: float, last: float
) -> tuple[Event, ...]:
    """Draw what befalls the operator: most worlds have nothing."""
    kind = rng.choices(
        ("", "kill", "kill at write", "away", "leader", "wipe", "freeze", "cut off"),
        (58, 7, 11, 5, 6, 5, 5, 3),
    )[0]
    span = min(last - begin, 2400.0) + 120.0
    at = begin + rng.uniform(0, span)
    number, before = rng.randrange(1, 12), rng.random() < 0.5
    if not kind:
        return ()
    if kind == "kill":
        return (Event(at, "the operator is killed", lambda sim: sim.kill_operator()),)
    if kind == "kill at write":
        name = f"the operator is to be killed at write {number}"
        return (Event(begin - 1, name, lambda sim: _kill_at_write(sim, number, before)),)
    if kind == "away":
        downtime = rng.choice((300.0, 1200.0, 10800.0))
        name = f"the operator is away for {downtime:.0f} s"
        return (Event(at, name, lambda sim: sim.kill_operator(downtime)),)
    if kind == "leader":
        return (Event(at, "another leader", lambda sim: sim.change_leader(8.0)),)
    if kind == "wipe":
        return (Event(at, "the status is lost", lambda sim: sim.wipe_status()),)
    if kind == "cut off":
        return (
            Event(at, "the API server does not answer", lambda sim: _cut_off(sim, True)),
            Event(at + 90, "the API server answers", lambda sim: _cut_off(sim, False)),
        )
    frozen = rng.choice(("Pod", "Deployment", "ReplicaSet", "SelfHealingApp"))
    length = rng.choice((20.0, 120.0, 400.0))
    return (
        Event(at, f"the watch of {frozen} is frozen", lambda sim: _freeze(sim, frozen)),
        Event(at + length, "the watch goes on", _thaw),
    )


def _kill_at_write(sim: Simulation, number: int, before: bool) -> None:  # noqa: FBT001 - a choice
    for process in sim.processes:
        if sim.heals:
            process.client.kill_at = process.client.writes + number
            process.client.kills_before = before


def _cut_off(sim: Simulation, is_cut_off: bool) -> None:  # noqa: FBT001 - the state
    if sim.heals:
        sim.laws.is_api_cut_off = is_cut_off


def _freeze(sim: Simulation, kind: str) -> None:
    if sim.heals:
        for process in sim.processes:
            process.frozen_kinds.add(kind)


def _thaw(sim: Simulation) -> None:
    for process in sim.processes:
        process.thaw()
