from hack.scenarios.common.tests.builders import look, pod
from hack.scenarios.common.timeline import Mark, Span, State, seen, state_of, timeline


def test_a_pod_that_starts_serves_loses_readiness_and_goes() -> None:
    samples = [
        look(0, pod("a", "0/1", "ContainerCreating")),
        look(2, pod("a")),
        look(5, pod("a", "0/1")),
        look(6, pod("a", "0/1")),
        look(8, pod("a", leaving=True)),
        look(9),
    ]

    (lane,) = timeline(samples, (), 10).lanes

    assert [
        Span(0, 2, State.STARTING),
        Span(2, 5, State.SERVING),
        Span(5, 8, State.NOT_READY),
        Span(8, 9, State.ENDING),
    ] == list(lane.spans)


def test_a_restart_is_where_the_count_grows() -> None:
    """What was counted before the first look is not of this step; a new pod's count is."""
    samples = [
        look(0, pod("old", restarts=3)),
        look(1, pod("old", restarts=4), pod("new", restarts=1)),
        look(2, pod("old", restarts=4), pod("new", restarts=1)),
    ]

    line = timeline(samples, (), 3)

    assert [("old", (1,)), ("new", (1,))] == [(lane.pod, lane.restarts) for lane in line.lanes]


def test_curves_hold_only_changes() -> None:
    samples = [
        look(0, pod("a"), ready="1/1", restarts={"total": 0}, cpu={"a": 3}),
        look(1, pod("a"), ready="1/1", restarts={"total": 1}, cpu={"a": 3}),
        look(2, pod("a"), pod("b"), ready="2/3", restarts={"total": 1}, cpu=None),
    ]

    line = timeline(samples, [Mark(1, "curl")], 3)

    assert ((0, 1), (2, 3)) == line.wanted
    assert ((0, 1), (2, 2)) == line.ready
    assert ((0, 0), (1, 1)) == line.restarts
    assert ((0, 3),) == line.millicores
    assert (Mark(1, "curl"),) == line.marks


def test_the_autoscaler_s_cpu_is_read_from_the_status() -> None:
    samples = [
        look(0, autoscaling={}),
        look(1, autoscaling={"cpu": "unknown/50%"}),
        look(2, autoscaling={"cpu": "31%/50%"}),
    ]

    line = timeline(samples, (), 3)

    assert (((2, 31),), 50) == (line.percent, line.target)


def test_nothing_seen_is_a_timeline_too() -> None:
    line = timeline((), (), 0)

    assert ((), (), None) == (line.lanes, line.percent, line.target)
    assert "0 pods" == seen(line)


def test_states_of_pods_that_are_not_ready() -> None:
    assert State.READY is state_of(pod("a", serving=False), was_ready=False)
    assert State.DONE is state_of(pod("a", "0/1", "Completed"), was_ready=True)
    assert State.FAILING is state_of(pod("a", "0/1", "CrashLoopBackOff"), was_ready=True)
    assert State.FAILING is state_of(pod("a", "0/1", "Error"), was_ready=False)


def test_what_was_seen_is_said_in_words() -> None:
    samples = [
        look(0, pod("a"), pod("b"), autoscaling={"cpu": "80%/50%"}),
        look(3, pod("a", "0/1", restarts=1), pod("b", "0/1", "Error")),
        look(7, pod("a", restarts=1), autoscaling={"cpu": "20%/50%"}),
    ]

    line = timeline(samples, (), 8)

    assert (
        "2 pods, up to 2 ready at once, 1 restart, 1 failing for a while,"
        " not ready for 4 s, CPU up to 80 %"
    ) == seen(line)
