import pytest

from hack.scenarios.common.shapes import FULL_WIDTH, HALF_WIDTH
from hack.scenarios.common.svg_chart import draw_timeline
from hack.scenarios.common.tests.builders import build_pod, build_sample
from hack.scenarios.common.timeline import Mark, MarkKind, Sample, build_timeline

LEFT, RIGHT = FULL_WIDTH.left, FULL_WIDTH.right


def build_ready_samples(count: int) -> list[Sample]:
    """Return samples with ``count`` ready pods."""
    return [build_sample(0, *(build_pod(f"p{i}") for i in range(count)), ready=f"{count}/{count}")]


def test_bars_fill_the_time_between_the_margins() -> None:
    samples = [build_sample(0, build_pod("a", "0/1", "Pending")), build_sample(5, build_pod("a"))]

    (row,) = draw_timeline(build_timeline(samples, (), 10)).rows

    middle = (LEFT + RIGHT) / 2
    assert [(LEFT, middle - LEFT, "starting"), (middle, RIGHT - middle, "serving")] == [
        (bar.x, bar.width, bar.kind) for bar in row.bars
    ]
    assert "a: starting, 0 s to 5 s" == row.bars[0].tip
    assert "a on worker" == row.tip


def test_a_pod_without_a_node_says_so() -> None:
    (row,) = draw_timeline(
        build_timeline([build_sample(0, build_pod("a", "0/1", "Pending", node=""))], (), 2)
    ).rows

    assert "a, on no node yet" == row.tip


def test_panels_without_anything_to_tell_are_left_out() -> None:
    quiet = draw_timeline(
        build_timeline([build_sample(0, build_pod("a"), ready="1/1", cpu={"a": 2})], (), 5)
    )
    busy = draw_timeline(
        build_timeline(
            [build_sample(0, build_pod("a"), restarts={"total": 2}, cpu={"a": 400})], (), 5
        )
    )
    scaled = draw_timeline(
        build_timeline([build_sample(0, build_pod("a"), autoscaling={"cpu": "70%/50%"})], (), 5)
    )

    assert ["Pods"] == [panel.title for panel in quiet.panels]
    assert ["Pods", "Restarts", "CPU, millicores"] == [panel.title for panel in busy.panels]
    assert ["Pods", "CPU, %"] == [panel.title for panel in scaled.panels]
    assert ["cpu", "goal"] == [curve.kind for curve in scaled.panels[1].curves]


def test_curves_are_steps_inside_their_panel() -> None:
    samples = [build_sample(0, ready="0/1"), build_sample(5, build_pod("a"), ready="1/1")]

    (panel,) = draw_timeline(build_timeline(samples, (), 10)).panels

    middle = (LEFT + RIGHT) / 2
    ready = next(curve for curve in panel.curves if curve.kind == "ready")
    assert f"M{LEFT}.0 {panel.bottom:.1f}H{middle:.1f}V{panel.top:.1f}H{RIGHT}" == ready.path
    assert ["0", "1"] == [text for _, text in panel.ticks]


@pytest.mark.parametrize("most", [1, 3, 5, 17, 80, 499, 501])
def test_levels_are_few_round_and_reach_the_top(most: int) -> None:
    samples = [build_sample(0, build_pod("a"), autoscaling={"cpu": f"{most}%/1%"})]

    panel = draw_timeline(build_timeline(samples, (), 10)).panels[-1]

    levels = [float(text) for _, text in panel.ticks]
    assert 2 <= len(levels) <= 6
    assert levels[-1] >= most
    assert all(y >= panel.top - 0.1 for y, _ in panel.ticks)


def test_numbers_of_commands_do_not_cover_each_other() -> None:
    marks = [Mark(1, f"command {i}") for i in range(12)]

    flags = draw_timeline(build_timeline(build_ready_samples(1), marks, 100)).flags

    places = [(flag.x, flag.y) for flag in flags]
    assert len(set(places)) == 12
    same_row = [(a, b) for a in places for b in places if a < b and a[1] == b[1]]
    assert all(b[0] - a[0] >= 15 for a, b in same_row)
    assert {flag.at for flag in flags} == {flags[0].x}


def test_very_many_pods_are_counted_not_drawn() -> None:
    drawing = draw_timeline(build_timeline(build_ready_samples(30), (), 10))

    assert (24, 6) == (len(drawing.rows), drawing.hidden)


@pytest.mark.parametrize(("length", "ticks"), [(0.5, 2), (45, 5), (3000, 11)])
def test_the_axis_of_time_has_few_ticks(length: float, ticks: int) -> None:
    assert (
        ticks >= len(draw_timeline(build_timeline(build_ready_samples(1), (), length)).ticks) >= 1
    )


def test_a_line_ends_where_nothing_more_is_known() -> None:
    """Two timelines side by side share the axis of the longer one."""
    short = build_timeline([build_sample(0, build_pod("a"), ready="1/1")], (), 5)

    drawing = draw_timeline(short, HALF_WIDTH, 10)

    middle = (HALF_WIDTH.left + HALF_WIDTH.right) / 2
    (bar,) = drawing.rows[0].bars
    assert HALF_WIDTH.left + bar.width == middle
    assert all(curve.path.endswith(f"H{middle:g}") for curve in drawing.panels[0].curves)
    assert drawing.ticks[-1] == (HALF_WIDTH.right, "10 s")


def test_failed_requests_are_a_panel_where_requests_were_sent() -> None:
    looks = [build_sample(0, build_pod("a"), ready="1/1")]

    sent = draw_timeline(build_timeline(looks, (), 5, failures=((0, 0), (2, 7))))

    assert ["Pods", "Requests, 1/s"] == [panel.title for panel in sent.panels]
    assert ["failures"] == [curve.kind for curve in sent.panels[1].curves]


def test_a_mark_keeps_its_kind() -> None:
    marks = [Mark(1, "curl"), Mark(2, "the node is killed", MarkKind.FAULT)]

    assert ["typed", "fault"] == [
        flag.kind for flag in draw_timeline(build_timeline(build_ready_samples(1), marks, 5)).flags
    ]
