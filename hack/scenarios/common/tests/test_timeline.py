from hack.scenarios.common.tests.builders import build_pod, build_sample
from hack.scenarios.common.timeline import (
    Mark,
    PodState,
    Span,
    build_timeline,
    get_pod_state,
    summarize_timeline,
)


def test_a_pod_that_starts_serves_loses_readiness_and_goes() -> None:
    samples = [
        build_sample(0, build_pod("a", "0/1", "ContainerCreating")),
        build_sample(2, build_pod("a")),
        build_sample(5, build_pod("a", "0/1")),
        build_sample(6, build_pod("a", "0/1")),
        build_sample(8, build_pod("a", is_terminating=True)),
        build_sample(9),
    ]

    (lane,) = build_timeline(samples, (), 10).lanes

    assert [
        Span(0, 2, PodState.STARTING),
        Span(2, 5, PodState.SERVING),
        Span(5, 8, PodState.NOT_READY),
        Span(8, 9, PodState.TERMINATING),
    ] == list(lane.spans)


def test_a_restart_is_where_the_count_grows() -> None:
    """Restarts before the first sample are not counted; those of a new pod are."""
    samples = [
        build_sample(0, build_pod("old", restarts=3)),
        build_sample(1, build_pod("old", restarts=4), build_pod("new", restarts=1)),
        build_sample(2, build_pod("old", restarts=4), build_pod("new", restarts=1)),
    ]

    line = build_timeline(samples, (), 3)

    assert [("old", (1,)), ("new", (1,))] == [(lane.pod, lane.restarts) for lane in line.lanes]


def test_curves_hold_only_changes() -> None:
    samples = [
        build_sample(0, build_pod("a"), ready="1/1", restarts={"total": 0}, cpu={"a": 3}),
        build_sample(1, build_pod("a"), ready="1/1", restarts={"total": 1}, cpu={"a": 3}),
        build_sample(
            2, build_pod("a"), build_pod("b"), ready="2/3", restarts={"total": 1}, cpu=None
        ),
    ]

    line = build_timeline(samples, [Mark(1, "curl")], 3)

    assert ((0, 1), (2, 3)) == line.desired
    assert ((0, 1), (2, 2)) == line.ready
    assert ((0, 0), (1, 1)) == line.restarts
    assert ((0, 3),) == line.millicores
    assert (Mark(1, "curl"),) == line.marks


def test_the_autoscaler_s_cpu_is_read_from_the_status() -> None:
    samples = [
        build_sample(0, autoscaling={}),
        build_sample(1, autoscaling={"cpu": "unknown/50%"}),
        build_sample(2, autoscaling={"cpu": "31%/50%"}),
    ]

    line = build_timeline(samples, (), 3)

    assert (((2, 31),), 50) == (line.cpu_percent, line.cpu_target)


def test_nothing_seen_is_a_timeline_too() -> None:
    line = build_timeline((), (), 0)

    assert ((), (), None) == (line.lanes, line.cpu_percent, line.cpu_target)
    assert "0 pods" == summarize_timeline(line)


def test_states_of_pods_that_are_not_ready() -> None:
    assert PodState.READY is get_pod_state(build_pod("a", is_serving=False), was_ready=False)
    assert PodState.COMPLETED is get_pod_state(build_pod("a", "0/1", "Completed"), was_ready=True)
    assert PodState.FAILING is get_pod_state(
        build_pod("a", "0/1", "CrashLoopBackOff"), was_ready=True
    )
    assert PodState.FAILING is get_pod_state(build_pod("a", "0/1", "Error"), was_ready=False)


def test_what_was_seen_is_said_in_words() -> None:
    samples = [
        build_sample(0, build_pod("a"), build_pod("b"), autoscaling={"cpu": "80%/50%"}),
        build_sample(3, build_pod("a", "0/1", restarts=1), build_pod("b", "0/1", "Error")),
        build_sample(7, build_pod("a", restarts=1), autoscaling={"cpu": "20%/50%"}),
    ]

    line = build_timeline(samples, (), 8)

    assert (
        "2 pods, up to 2 ready at once, 1 restart, 1 failing for a while,"
        " not ready for 4 s, CPU up to 80 %"
    ) == summarize_timeline(line)
