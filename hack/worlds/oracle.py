"""The oracle: with healing no world is worse than without, and healable ones are better.

The rules are those of `docs/worlds.md`: no regret, no vain touch, no lock, benefit; and what was
shown is compared with the truth.
"""

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

from hack.worlds.cluster import Removal, Sample
from hack.worlds.faults import FaultKind, Placement
from hack.worlds.generator import World
from hack.worlds.model import Json, SimPod
from hack.worlds.observations import Action, Shown
from hack.worlds.simulation import Simulation

SURE: Final = frozenset({"High", "Medium"})
WRONG_FOR: Final = 60.0
"""Seconds that a wrong cause must be shown for to count, if nothing is done about it."""
STAYS_WELL: Final = 60.0
"""Seconds that an app must be well for to count as healed; longer after a slow crash."""
AFTERMATH: Final = 120.0
"""Seconds after the end of a fault in which its diagnosis may still be shown."""
ROLLOUT_OF_ACTION: Final = 900.0
"""Seconds after an action in which a rollout is taken for its rollout."""
STARTED: Final = frozenset({"InProgress", "Succeeded", "Failed", "Superseded"})
ENDED: Final = frozenset({"Succeeded", "Failed"})
"""Outcomes of actions that were carried out; one that mended its fault may fail for another one."""
ROLLS: Final = {
    "Rollback": frozenset({"failedRevision"}),
    "AvoidNode": frozenset({"excludedNode"}),
    "RaiseMemory": frozenset({"memoryLimit", "memoryLimits"}),
    "RelaxLiveness": frozenset({"relaxedUntil"}),
}
"""The remediations that roll the Deployment out, and the fields of the record that they set."""
PROBATION: Final = 660.0
"""Seconds until the first version is proved, with some to spare."""
SECONDARY: Final = frozenset({"MetricsUnavailable", "RolloutStalled", "Unschedulable"})
"""Diagnoses that follow from another one. Their cause counts as wrong only if they are acted on, or
if they are the only ones."""
MAX_BACK_OFF: Final = 300.0
"""Seconds. The longest back-off of the kubelet between two starts of a container."""

STEADY: Final = 4500.0
"""Seconds at the end of a world: more than the hour between the rarest crashes of a fault."""

DRAWS: Final = 6
"""How often it is drawn which pods a partial fault hits, before a loss counts."""

ALL: Final = 100
"""Percent."""

EXCLUSION: Final = 3600.0
"""Seconds after which an excluded node is no longer excluded."""

SLACK: Final = 20.0
"""Seconds of one pod's capacity that two runs may differ by without an action."""


@dataclass(slots=True)
class FaultScore:
    """What came of one fault.

    Attributes:
        attribution: right, wrong, unknown, or none where the fault did no harm.
        healed: whether the app was well again while the fault acted; None where it cannot be.
        seconds: until it was well again.
        actions: the actions that were started.
    """

    name: str
    attribution: str
    healed: bool | None
    seconds: float | None
    actions: int
    wrong: str = ""


@dataclass(slots=True)
class Verdict:
    """What the oracle says about a world."""

    seed: int
    harm: list[str] = field(default_factory=list)
    locks: list[str] = field(default_factory=list)
    scores: list[FaultScore] = field(default_factory=list)
    actions: int = 0
    unjustified: int = 0
    gain: float = 0.0
    """Seconds of the whole app's capacity that healing has won; negative: lost."""


def judge(world: World, off: Simulation, on: Simulation) -> Verdict:
    """Compare the run with healing with that without."""
    verdict = Verdict(world.seed)
    started = [a for a in on.observations.actions.values() if a.outcome in STARTED]
    unjustified = [a for a in started if not is_justified(world, on, a)]
    verdict.actions, verdict.unjustified = len(started), len(unjustified)
    _judge_regret(world, off, on, len(started), verdict)
    _judge_touches(on, started, unjustified, verdict)
    _judge_locks(world, on, verdict)
    verdict.scores = [_score(world, off, on, placement) for placement in world.placements]
    return verdict


# No regret.


def _judge_regret(
    world: World, off: Simulation, on: Simulation, actions: int, verdict: Verdict
) -> None:
    verdict.gain = integrate(on, off.cluster.samples) - integrate(off, off.cluster.samples)
    shape = world.shape
    pods = shape.replicas if shape.strategy in {"Recreate", "all"} else 1
    share = pods / shape.replicas
    isolated = sum(a.remediation == "Quarantine" for a in on.observations.actions.values())
    rollouts = actions + isolated + _count_returns(on)
    # New pods may be at another point of the kubelet's back-off when a fault ends: all of them, if
    # nothing serves, else one.
    waiting = 1.0 if _goes_down(off) and _goes_down(on) else share
    back_off = MAX_BACK_OFF * waiting if rollouts else 0.0
    allowed = SLACK / shape.replicas + rollouts * share * (shape.cost_of_start + 5) + back_off
    # Without an action healing changes nothing in the cluster: what differs is chance.
    if (
        rollouts
        and verdict.gain < -allowed
        and _compare_mended(world, on) < -allowed
        and _compare_draws(world, off, verdict.gain) < -allowed
    ):
        verdict.harm.append(
            f"regret: {-verdict.gain:.0f} s of the app's capacity lost, {allowed:.0f} s allowed "
            f"for {actions} actions"
        )
    # That an app ends well in a version that is faulty in a part of its pods is luck.
    if _is_version_bad(world) or not (ends_well(off) and has_been_steady(off)):
        return
    if not ends_well(on):
        verdict.harm.append("ends worse: without healing the app ends well")
    elif not runs_what_is_asked(off, on):
        verdict.harm.append("ends in another version than the spec asks for")


def _compare_mended(world: World, on: Simulation) -> float:
    """Return the gain over a run without healing in which a person mends what was healed.

    A fault that keeps a rollout from going on may hide another one: who mends the first is not to
    blame for the second.
    """
    healed = [a for a in on.observations.actions.values() if a.outcome in ENDED]
    placements = tuple(
        replace(placement, until=_find_healing(world, placement, healed) or placement.until)
        for placement in world.placements
    )
    mended = replace(world, placements=placements)
    off = Simulation(mended.build_setting(), heals=False).run()
    return integrate(on, off.cluster.samples) - integrate(off, off.cluster.samples)


def _compare_draws(world: World, off: Simulation, gain: float) -> float:
    """Return the mean gain over several draws of the pods that a partial fault hits.

    A pod that takes the place of another may be a worse one, or a better one: that is chance.
    """
    bugs = (program.bug for program in off.laws.programs.values())
    if not any(bug is not None and bug.percent < ALL for bug in bugs):
        return gain
    gains = [gain]
    for luck in range(1, DRAWS):
        setting = replace(world, luck=luck).build_setting
        other, on = (Simulation(setting(), heals=heals).run() for heals in (False, True))
        gains.append(integrate(on, other.cluster.samples) - integrate(other, other.cluster.samples))
    return sum(gains) / len(gains)


def _find_healing(world: World, placement: Placement, healed: list[Action]) -> float | None:
    """Return when a fault that ends by itself was healed; None if it was not."""
    times = (
        action.at
        for action in healed
        if action.remediation in placement.fault.healed_by
        and is_acting(world, placement, action.at)
    )
    return min(times, default=None) if placement.until is not None else None


def _is_version_bad(world: World) -> bool:
    """Whether what the spec asks for is faulty at the end: then healing rightly runs another."""
    return any(
        placement.fault.kind in {FaultKind.VERSION, FaultKind.CONFIGURATION}
        for placement in world.placements
        if is_acting(world, placement, world.duration)
    )


def _goes_down(sim: Simulation) -> bool:
    """Whether for a time no pod serves, but for the start of the app."""
    samples = sim.cluster.samples
    first = next((s.at for s in samples if s.serving), float("inf"))
    return any(s.at > first and s.wanted and not s.serving for s in samples)


def _count_returns(on: Simulation) -> int:
    """How often the app went back to what the spec asks for."""
    history = on.observations.overrides
    return sum(
        bool(before[1].get(field)) and not after[1].get(field)
        for before, after in pairwise(history)
        for field in ("failedRevision", "relaxedUntil")
    )


def integrate(sim: Simulation, asked: list[Sample]) -> float:
    """Return the integral of the share of wanted pods that serve, in seconds.

    What is wanted is taken from the run without healing.
    """
    own, end = sim.cluster.samples, sim.setting.duration
    times = sorted({s.at for s in own} | {s.at for s in asked} | {end})
    own_times, asked_times = [s.at for s in own], [s.at for s in asked]
    total = 0.0
    for at, until in pairwise(times):
        mine = own[max(0, bisect_right(own_times, at) - 1)]
        wanted = asked[max(0, bisect_right(asked_times, at) - 1)].wanted
        share = min(1.0, mine.serving / wanted) if wanted else 1.0
        total += share * (until - at)
    return total


def ends_well(sim: Simulation) -> bool:
    """Whether every wanted pod exists, is ready and of the current template at the end."""
    deployment = sim.cluster.children.get("Deployment")
    if deployment is None:
        return False
    pods = list(sim.cluster.active_pods())
    hashes = {pod.template_hash for pod in pods}
    current = sim.deployments.current_hash
    return (
        len(pods) == deployment.spec.get("replicas", 1)
        and all(pod.ready and sim.cluster.nodes[pod.node].is_powered for pod in pods)
        and hashes <= {current}
    )


def has_been_steady(sim: Simulation) -> bool:
    """Whether all wanted pods have served for a long time at the end.

    An app that crashes now and then looks well in between.
    """
    end = sim.setting.duration
    since = max(PROBATION, end - STEADY)
    samples = sim.cluster.samples
    ends = [sample.at for sample in samples[1:]] + [end]
    return all(
        sample.serving >= sample.wanted
        for sample, until in zip(samples, ends, strict=True)
        if until > since
    )


def runs_what_is_asked(off: Simulation, on: Simulation) -> bool:
    """Whether both runs end with the same pod template, but for what helps it run."""
    return _essence(off) == _essence(on)


def _essence(sim: Simulation) -> Json:
    template = sim.cluster.children["Deployment"].spec["template"]
    spec = template["spec"]
    fields = ("name", "image", "command", "args", "env", "envFrom")
    return {
        "annotations": template.get("metadata", {}).get("annotations"),
        "containers": [
            {field: container.get(field) for field in fields}
            for container in (*spec["containers"], *(spec.get("initContainers") or ()))
        ],
        "nodeSelector": spec.get("nodeSelector"),
    }


# No vain touch.


def is_justified(world: World, sim: Simulation, action: Action) -> bool:
    """Whether an action is a remediation of a fault that acted when it began.

    While a container waits in its back-off nobody can see that its fault has ended.
    """
    return any(
        action.remediation in placement.fault.healed_by | placement.fault.tried_by
        for placement in world.placements
        if placement.at <= action.at <= _end_of(world, placement) + MAX_BACK_OFF
    ) or _remediates_pod(sim, action)


def _remediates_pod(sim: Simulation, action: Action) -> bool:
    """Whether a single pod was replaced that had a fault of its own or of its node."""
    return any(
        removal.pod.uid == action.uid and _is_ill(sim, removal.pod)
        for removal in sim.cluster.removed_ready
    )


def is_acting(world: World, placement: Placement, at: float) -> bool:
    """Whether a fault acts at a time, or has ended just before."""
    return placement.at <= at <= _end_of(world, placement) + AFTERMATH


def _end_of(world: World, placement: Placement) -> float:
    """When a fault ends: by itself, by a later version, or with the world."""
    ends = [world.duration]
    if placement.until is not None:
        ends.append(placement.until)
    if placement.fault.kind is FaultKind.VERSION:
        ends += [at for at, _ in world.mends if at > placement.at]
        ends += [p.at for p in world.placements if p.at > placement.at and _releases(p)]
    return min(ends)


def _releases(placement: Placement) -> bool:
    """Whether a placement rolls out another version."""
    return placement.fault.kind is FaultKind.VERSION


def _judge_touches(
    on: Simulation, started: list[Action], unjustified: list[Action], verdict: Verdict
) -> None:
    for removal in on.cluster.removed_ready:
        at, pod, who, _ = removal
        if _is_ill(on, pod):
            continue
        if who == "operator":
            verdict.harm.append(f"vain touch: {pod.name}, which was ready, removed at {at:.0f} s")
        elif who == "deployment controller":
            rolling = [a for a in started if _rolls_out(a) and a.at <= at]
            latest = max(rolling, key=lambda a: a.at, default=None)
            if (
                latest is not None
                and latest in unjustified
                and at - latest.at <= ROLLOUT_OF_ACTION
                and _is_in_force(on, latest, at)
                and not _is_of_version_before(latest, removal)
                and not _began_without_service(on, latest)
            ):
                verdict.harm.append(
                    f"vain touch: {pod.name}, which was ready, removed at {at:.0f} s by "
                    f"{latest.remediation} for {latest.diagnosis}"
                )


def _is_of_version_before(action: Action, removal: Removal) -> bool:
    """Whether a pod was removed by the rollout of the next version, which goes on beside."""
    return action.remediation == "AvoidNode" and (
        _version(removal.pod.template) != _version(removal.wanted)
    )


def _began_without_service(on: Simulation, action: Action) -> bool:
    """Whether no pod served when a rollback began: the way back was free, and is carried through.

    Its rollout keeps the app's own limits, and what it costs counts as regret.
    """
    before = [sample for sample in on.cluster.samples if sample.at <= action.at]
    return action.remediation == "Rollback" and bool(before) and not before[-1].serving


def _version(template: Json) -> tuple[object, object]:
    """Return what makes a version: the images, and the hash of the configuration."""
    images = [container["image"] for container in template["spec"]["containers"]]
    return images, template.get("metadata", {}).get("annotations")


def _rolls_out(action: Action) -> bool:
    """Whether an action replaces pods by a rollout; a raise of memory may resize running pods."""
    return action.remediation in ROLLS and (
        action.remediation != "RaiseMemory" or "new pods" in action.message
    )


def _is_in_force(on: Simulation, action: Action, at: float) -> bool:
    """Whether what an action put in place of the spec is in force: the way back is in order."""
    history = [fields for since, fields in on.observations.overrides if since <= at]
    return bool(history) and bool(ROLLS[action.remediation] & history[-1].keys())


def _is_ill(sim: Simulation, pod: SimPod) -> bool:
    """Whether a pod has a fault of its own, of its node, or of its version."""
    return pod.uid in sim.cluster.ill_when_removed


# No lock.


def _judge_locks(world: World, on: Simulation, verdict: Verdict) -> None:
    left = on.observations.final_overrides
    acting = [p for p in world.placements if is_acting(world, p, world.duration)]
    if left.get("failedRevision") and not _is_version_bad(world):
        verdict.locks.append("the version that the spec asks for is barred, and is good")
    is_recent = any(
        a.remediation == "AvoidNode" and a.at > world.duration - EXCLUSION
        for a in on.observations.actions.values()
    )
    is_well = not any(n.effect for n in on.cluster.nodes.values())
    if left.get("excludedNode") and is_well and not is_recent:
        verdict.locks.append("a node is excluded that is well")
    if left.get("fallbackReplicas") and on.laws.metrics_up:
        verdict.locks.append("a scaling fallback stays although there are metrics")
    if left.get("relaxedUntil") and not acting:
        verdict.locks.append("the liveness probe stays relaxed")
    if left.get("quarantined") and ends_well(on) and not acting:
        verdict.locks.append("the app is quarantined and well")
    isolated = [p for p in on.cluster.pods.values() if not p.owner_uid and p.deleted_at is None]
    if isolated:
        verdict.locks.append(f"{isolated[0].name} is still isolated")


# Benefit and attribution.


def _score(world: World, off: Simulation, on: Simulation, placement: Placement) -> FaultScore:
    end = _end_of(world, placement)
    bites = any(s.is_ill for s in off.cluster.samples if placement.at <= s.at <= end) or any(
        s.is_ill for s in on.cluster.samples if placement.at <= s.at <= end
    )
    actions = [
        a
        for a in on.observations.actions.values()
        if a.outcome in STARTED and placement.at <= a.at <= end + AFTERMATH
    ]
    score = FaultScore(placement.fault.name, "none", None, None, len(actions))
    if not bites and placement.fault.kind is not FaultKind.NUISANCE:
        return score
    score.attribution, score.wrong = _attribute(world, on, placement, end, actions)
    if placement.fault.is_healable and bites:
        stays = max(STAYS_WELL, placement.fault.onset)
        score.healed, score.seconds = _find_healed(on, placement.at, end, stays)
        if not score.healed and not _can_be_healed(world, placement, end):
            score.healed = None
    return score


def _can_be_healed(world: World, placement: Placement, end: float) -> bool:
    """Whether healing could be expected: it is on, there is a way back, and time enough.

    While the version before serves all that is wanted, a rollback may wait for the progress
    deadline.
    """
    shape = world.shape
    is_rollback = placement.fault.healed_by == {"Rollback"}
    proved_at = shape.cost_of_start + PROBATION
    patience = (shape.deadline or 600.0) + shape.cost_of_start + 180.0
    return (
        shape.mode == "Auto"
        and not (is_rollback and placement.at < proved_at)
        and end - placement.at > placement.fault.onset + patience
    )


def _attribute(
    world: World, on: Simulation, placement: Placement, end: float, actions: list[Action]
) -> tuple[str, str]:
    """Compare the causes that were shown while a fault acted with those that were true."""
    truth = {
        cause
        for other in world.placements
        if other.at <= end + AFTERMATH and _end_of(world, other) + AFTERMATH >= placement.at
        for cause in other.fault.causes
    }
    shown = [
        s
        for s in on.observations.shown
        if s.confidence in SURE and s.begin <= end and s.end >= placement.at
    ]
    for each in shown:
        is_secondary = each.type in SECONDARY and any(s.type not in SECONDARY for s in shown)
        lasts = each.end - max(each.begin, placement.at) > WRONG_FOR and not is_secondary
        if each.cause not in truth and (lasts or _acted_on(each, actions)):
            return "wrong", f"{each.type}: {each.cause} ({each.confidence}): {each.message}"
    if placement.fault.kind is FaultKind.NUISANCE:
        return "right", ""
    is_named = any(s.cause in placement.fault.causes for s in shown)
    return ("right" if is_named else "unknown"), ""


def _acted_on(shown: Shown, actions: list[Action]) -> bool:
    return any(
        action.diagnosis == shown.type
        and action.cause == shown.cause
        and shown.begin - 2 <= action.at <= shown.end + 2
        for action in actions
    )


def _find_healed(
    on: Simulation, begin: float, end: float, stays: float
) -> tuple[bool, float | None]:
    """Return whether the app was well again, and after how many seconds of the fault's onset.

    It must stay well for ``stays`` seconds: between two crashes it is well, too.
    """
    samples = [s for s in on.cluster.samples if s.at <= end]
    onset = next((s.at for s in samples if s.at >= begin and s.is_ill), None)
    if onset is None:
        return True, 0.0
    times = [*(s.at for s in samples), end]
    for sample, until in zip(samples, times[1:], strict=True):
        if sample.at > onset and not sample.is_ill and until - sample.at >= stays:
            return True, sample.at - onset
    return False, None
