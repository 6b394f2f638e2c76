"""Ordinary situations of production, each in a world of its own, and how each has to end.

A world begins with version 1, which is proved when the situation begins. Its times are those of the
default settings.
"""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from hack.worlds import injections as do, texts, versions
from hack.worlds.fault_table import FAULTS
from hack.worlds.faults import Act, Placement
from hack.worlds.model import Effect, EffectKind
from hack.worlds.operator import OperatorOptions, read_record
from hack.worlds.oracle import STARTED
from hack.worlds.shapes import Shape, build_configs, build_laws, build_spec
from hack.worlds.simulation import Change, Event, Setting, Simulation
from hack.worlds.versions import release
from selfhealing.render.pod import build_pod_template

BEGIN = 1000.0
"""Seconds. When a situation begins: version 1 is proved."""
MINUTE, HOUR = 60.0, 3600.0
V1, V2 = "web:1", "web:2"

Events = dict[float, Change]
"""What happens, by the seconds after BEGIN."""


def act(what: Act, version: int = 2, pick: int = 0) -> Change:
    """What a row of the table of faults does, as an event."""
    placement = Placement(FAULTS[0], BEGIN, None, version, pick)
    return lambda sim: what(sim, placement)


def run(
    shape: Shape,
    events: Events,
    *,
    lasts: float = HOUR,
    options: OperatorOptions | None = None,
) -> Simulation:
    """Carry out a world with healing.

    Args:
        shape: the app.
        events: what happens.
        lasts: seconds from BEGIN to the end.
        options: how the operator's process differs.
    """
    return Simulation(
        Setting(
            build_spec(shape),
            build_laws(shape),
            shape.nodes,
            build_configs(shape),
            [Event(BEGIN + after, f"{after:.0f}", change) for after, change in events.items()],
            BEGIN + lasts,
            options or OperatorOptions(),
        ),
        heals=True,
    ).run()


@dataclass(frozen=True)
class End:
    """How a world ends: the image, the ready pods, what was done, and what is left of it."""

    image: str
    ready: int
    actions: tuple[str, ...] = ()
    barred: bool = False
    quarantined: bool = False


def find_end(sim: Simulation) -> End:
    """How it ends."""
    record = read_record(sim.cluster.app)
    template = sim.cluster.children["Deployment"].spec["template"]
    return End(
        template["spec"]["containers"][0]["image"],
        sum(pod.ready for pod in sim.cluster.active_pods()),
        tuple(list_actions(sim)),
        bool(record.get("failedRevision")),
        bool(record.get("quarantined")),
    )


def list_actions(sim: Simulation) -> list[str]:
    """The remediations that were started, the oldest first."""
    return [a.remediation for a in sim.observations.actions.values() if a.outcome in STARTED]


def crash_from_now_on(image: str) -> Change:
    """All processes of an image crash."""

    def change(sim: Simulation) -> None:
        program = sim.laws.programs[image]
        sim.laws.programs[image] = replace(program, bug=Effect(EffectKind.CRASH, after=2.0))
        sim.reconsider()

    return change


def start_no_more(image: str) -> Change:
    """New processes of an image crash; those that run do not."""

    def change(sim: Simulation) -> None:
        program = sim.laws.programs[image]
        sim.laws.programs[image] = replace(program, bug=Effect(EffectKind.CRASH, after=2.0))

    return change


def test_an_init_container_that_failed_three_times_and_then_succeeded() -> None:
    sim = run(Shape(has_init=True), {0: act(do.late_migration)})

    assert End(V2, 3) == find_end(sim)
    assert not any(each.cause == "NewVersion" for each in sim.observations.shown)


def test_a_version_that_migrated_a_schema_while_the_database_was_away() -> None:
    """Both versions crash without the database; afterwards only the new one can run."""
    sim = run(
        Shape(database=EffectKind.CRASH, has_liveness=False),
        {
            0: act(release(versions.good)),
            5: start_no_more(V1),
            40: act(do.database(False)),
            13 * MINUTE: act(do.database(True)),
        },
        lasts=3 * HOUR,
    )

    end = find_end(sim)
    assert (V2, 3, False, False) == (end.image, end.ready, end.barred, end.quarantined)


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (do.registry(texts.RATE_LIMIT), do.registry("")),
        (do.registry(texts.NO_DNS), do.registry("")),
        (do.registry(texts.BAD_CERTIFICATE), do.registry("")),
        (do.registry(texts.NO_CREDENTIALS), do.registry("")),
        (do.fill_disk, do.empty_disk),
        (do.sandbox(texts.NO_NETWORK), do.sandbox("")),
        (do.inject_proxy, do.remove_proxy),
        (do.lose_node, do.recover_node),
    ],
    ids=["429", "DNS", "x509", "401", "disk full", "CNI", "injected proxy", "node reboots"],
)
def test_new_pods_that_their_environment_keeps_from_starting(begin: Act, end: Act) -> None:
    """The old ones serve, and the new version runs in the end."""
    events: Events = {1: act(begin), 12 * MINUTE: act(end)}
    if begin is do.lose_node:
        events = {0: act(release(versions.good)), 5: act(begin), 2 * MINUTE: act(end)}

    sim = run(Shape(), events)

    ended = find_end(sim)
    assert (V2, 3, False) == (ended.image, ended.ready, ended.barred)
    assert "Rollback" not in ended.actions


def test_an_autoscaler_that_scales_every_nine_minutes_keeps_no_version_on_trial() -> None:
    """A day later the database goes: that is not the fault of a version that was well till then."""
    shape = Shape(autoscaled=True, database=EffectKind.CRASH)
    events: Events = {0: act(release(versions.good)), 60: act(do.scale_often)}
    events |= {26 * HOUR: act(do.database(False)), 26.5 * HOUR: act(do.database(True))}

    sim = run(shape, events, lasts=28 * HOUR)

    record, end = read_record(sim.cluster.app), find_end(sim)
    assert record["desiredRevision"] == record["stableRevision"]
    assert V2 == end.image
    assert "Rollback" not in end.actions


def test_a_secret_that_rotates_hourly_does_not_try_a_missing_image_again() -> None:
    def rotate(sim: Simulation) -> None:
        data = {"PASSWORD": str(sim.cluster.now)}
        sim.cluster.set_config("Secret", "credentials", data)

    events: Events = {hour * HOUR: rotate for hour in range(1, 24)}
    events[0] = act(release(versions.no_image))

    sim = run(
        Shape(has_secret=True),
        events,
        lasts=24 * HOUR,
        options=OperatorOptions(watches_secrets=True),
    )

    assert End(V1, 3, ("Rollback",), barred=True) == find_end(sim)


@pytest.mark.parametrize(
    ("begin", "end"),
    [(do.fill_nodes, do.add_node), (do.exhaust_quota, do.raise_quota)],
    ids=["nodes come", "the quota is raised"],
)
def test_a_slow_start_after_a_long_wait_for_room(begin: Act, end: Act) -> None:
    """Eleven minutes for the room, and the startup probe allows fifteen."""
    events: Events = {1: act(begin), 2: act(release(versions.slow_start)), 11 * MINUTE: act(end)}

    sim = run(Shape(has_startup=True, nodes=3), events, lasts=1.5 * HOUR)

    assert End(V2, 3) == find_end(sim)


def test_an_autoscaler_that_is_blind_because_all_pods_are_unready() -> None:
    shape = Shape(autoscaled=True, fallback=True, database=EffectKind.HANG)

    sim = run(shape, {0: act(do.database(False)), 20 * MINUTE: act(do.database(True))})

    assert "ScalingFallback" not in list_actions(sim)
    assert V1 == find_end(sim).image


def test_a_version_that_was_well_for_an_hour_and_then_crashes_everywhere() -> None:
    sim = run(
        Shape(),
        {0: act(release(versions.good)), HOUR: crash_from_now_on(V2)},
        lasts=2 * HOUR,
    )

    assert End(V1, 3, ("Rollback",), barred=True) == find_end(sim)


def test_a_version_of_which_each_pod_crashes_every_fifteen_minutes() -> None:
    sim = run(Shape(), {0: act(release(versions.crash(900.0)))}, lasts=3 * HOUR)

    end = find_end(sim)
    assert (V1, 3) == (end.image, end.ready)
    assert "Rollback" in end.actions


@pytest.mark.parametrize(
    ("shape", "begin", "end", "length"),
    [
        (Shape(), do.lose_node, do.recover_node, 90.0),
        (Shape(autoscaled=True, fallback=True), do.metrics(False), do.metrics(True), 400.0),
    ],
    ids=["node reboots", "metrics flap"],
)
def test_what_many_apps_have_leaves_the_budget_to_a_bad_release(
    shape: Shape, begin: Act, end: Act, length: float
) -> None:
    """Three times within an hour, and then the release."""
    events: Events = {50 * MINUTE: act(release(versions.crash(2.0)))}
    for start in (0, 15 * MINUTE, 30 * MINUTE):
        events |= {start: act(begin), start + length: act(end)}

    sim = run(shape, events, lasts=1.5 * HOUR)

    ended = find_end(sim)
    assert (V1, True, False) == (ended.image, ended.barred, ended.quarantined)
    assert "Rollback" in ended.actions


def test_a_rollback_of_twenty_pods_that_start_for_three_minutes() -> None:
    """It is judged when it has ended: by then it took far more than five minutes."""
    shape = Shape(replicas=20, nodes=6, start=180.0, has_startup=True)
    events: Events = {0: act(release(versions.good)), 1.5 * HOUR: crash_from_now_on(V2)}

    sim = run(shape, events, lasts=2.5 * HOUR)

    assert End(V1, 20, ("Rollback",), barred=True) == find_end(sim)
    (action,) = sim.observations.actions.values()
    assert "Succeeded" == action.outcome


def test_a_version_whose_predecessor_reads_a_configmap_that_was_pruned() -> None:
    """A rollback would end in pods that cannot start."""
    sim = run(Shape(has_config=True), {0: act(release(versions.pruned_config))})

    assert "Rollback" not in list_actions(sim)
    assert "TargetUnusable" == read_record(sim.cluster.app).get("blockedReason")


def test_a_sidecar_that_is_killed_for_its_memory() -> None:
    """Its own limit is raised, and not that of the app."""
    sim = run(Shape(has_sidecar=True, memory_max=True), {0: act(do.sidecar_spike)})

    assert End(V1, 3, ("RaiseMemory",)) == find_end(sim)
    (raised,) = read_record(sim.cluster.app)["memoryLimits"]
    assert "proxy" == raised["container"]


def test_a_single_node_that_is_silent() -> None:
    """Nothing could take its pods."""
    events: Events = {0: act(do.silence_share(1.0)), 4 * MINUTE: act(do.answer_all)}

    sim = run(Shape(nodes=1), events)

    assert End(V1, 3) == find_end(sim)


def test_a_third_of_the_nodes_is_silent() -> None:
    """One of them is given up; Kubernetes gives up the others when its five minutes are over."""
    shape = Shape(replicas=6, nodes=6)

    sim = run(shape, {0: act(do.silence_share(0.34)), 30 * MINUTE: act(do.answer_all)})

    assert End(V1, 6, ("Failover",)) == find_end(sim)


def test_a_recreated_version_of_which_half_serves_is_not_stopped() -> None:
    sim = run(
        Shape(strategy="Recreate", replicas=4),
        {0: act(release(versions.crash_in_half))},
    )

    end = find_end(sim)
    assert V2 == end.image
    assert "Rollback" not in end.actions


def test_a_recreated_version_that_pod_security_refuses() -> None:
    """No pod is left, so the way back takes nothing away."""
    sim = run(Shape(strategy="Recreate"), {0: act(release(versions.privileged))})

    assert End(V1, 3, ("Rollback",), barred=True) == find_end(sim)


def test_a_status_that_is_wiped_after_a_rollback() -> None:
    events: Events = {
        0: act(release(versions.no_image)),
        10 * MINUTE: lambda sim: sim.wipe_status(),
    }

    sim = run(Shape(), events, lasts=2 * HOUR)

    end = find_end(sim)
    assert (V1, 3, True) == (end.image, end.ready, end.barred)


def test_what_happened_while_the_operator_was_away_proves_nothing() -> None:
    """A version that was released shortly before is still on trial when it is back."""
    events: Events = {
        0: act(release(versions.good)),
        60: lambda sim: sim.kill_operator(3 * HOUR),
    }

    sim = run(Shape(), events, lasts=3 * HOUR + 5 * MINUTE)

    record = read_record(sim.cluster.app)
    assert record["stableRevision"] != record["desiredRevision"]


@pytest.mark.parametrize("skew", [660.0, -660.0])
def test_a_clock_that_is_eleven_minutes_off_changes_nothing(skew: float) -> None:
    events: Events = {0: act(release(versions.crash(2.0)))}

    right = run(Shape(), events)
    wrong = run(Shape(), events, options=OperatorOptions(skew=skew))

    assert (V1, True) == (find_end(wrong).image, find_end(wrong).barred)
    assert find_end(right) == find_end(wrong)
    assert [a.at for a in right.observations.actions.values()] == pytest.approx(
        [a.at for a in wrong.observations.actions.values()], abs=5
    )


def test_a_readiness_that_flaps_every_seven_seconds() -> None:
    """It is named, nothing is done, and there is a handful of Events."""
    sim = run(
        Shape(replicas=2), {0: act(do.flap), 15 * MINUTE: act(do.cure_pods)}, lasts=0.5 * HOUR
    )

    assert "ReadinessFlapping" in {each.type for each in sim.observations.shown}
    assert End(V1, 2) == find_end(sim)
    assert sum(process.recorder.count for process in sim.processes) < 20


def test_the_only_pod_of_an_app_whose_database_is_away_for_twelve_minutes() -> None:
    shape = Shape(replicas=1, database=EffectKind.HANG)

    sim = run(shape, {0: act(do.database(False)), 12 * MINUTE: act(do.database(True))})

    end = find_end(sim)
    assert (V1, 1, False) == (end.image, end.ready, end.quarantined)
    assert end.actions.count("ReplacePod") <= 1


def test_an_operator_that_renders_one_field_more_tries_no_barred_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def render_more(*args: Any) -> dict[str, Any]:  # noqa: ANN401 - as build_pod_template
        template = build_pod_template(*args)
        template["spec"]["enableServiceLinks"] = False
        return template

    def upgrade(sim: Simulation) -> None:
        name = "selfhealing.remediation.reconcile_input.build_pod_template"
        monkeypatch.setattr(name, render_more)
        sim.kill_operator()

    events: Events = {0: act(release(versions.no_image)), 15 * MINUTE: upgrade}

    sim = run(Shape(), events, lasts=2 * HOUR)

    assert End(V1, 3, ("Rollback",), barred=True) == find_end(sim)


def test_two_pods_that_hang_are_replaced_though_their_substitutes_start_slowly() -> None:
    """Each substitute takes seven minutes, as its startup probe allows."""
    shape = Shape(replicas=4, start=400.0, has_startup=True)

    def hang_two(sim: Simulation) -> None:
        for pod in list(sim.cluster.active_pods())[:2]:
            pod.effect = Effect(EffectKind.HANG, after=2.0, text="HTTP probe failed: 503")
        sim.reconsider()

    sim = run(shape, {0.5 * HOUR: hang_two}, lasts=2 * HOUR)

    assert End(V1, 4, ("ReplacePod", "ReplacePod")) == find_end(sim)


def test_memory_is_raised_for_pods_that_start_for_longer_than_five_minutes() -> None:
    shape = Shape(start=400.0, has_startup=True, memory_max=True)

    sim = run(shape, {0: act(do.memory_spike)})

    assert End(V1, 3, ("RaiseMemory",)) == find_end(sim)
    (action,) = sim.observations.actions.values()
    assert "Succeeded" == action.outcome
