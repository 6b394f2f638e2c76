"""The demo without a cluster: the parsed state and the console."""

import argparse
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from hack.scenarios.common.cluster_state import (
    ClusterSnapshot,
    EventRow,
    PodRow,
    parse_cluster_state,
)
from hack.scenarios.common.console import Progress
from hack.scenarios.common.errors import ScenarioError
from hack.scenarios.common.live_console import render_view
from hack.scenarios.common.plain_console import PlainConsole
from hack.scenarios.common.runner import run_each
from hack.scenarios.common.scenario import ScenarioContext
from hack.scenarios.demo.scenarios import MANIFEST, DemoSet, DemoStep
from hack.scenarios.demo.session import DemoSession
from hack.testkit.kube_client import Json
from hack.testkit.yaml_text import parse_yaml
from selfhealing.api.spec import parse_spec

ROOT = Path(__file__).resolve().parents[4]
NOW = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)
STATUS = {
    "phase": "Degraded",
    "conditions": [{"type": "Ready", "status": "False"}],
    "restarts": {"total": 3, "byReason": {"LivenessProbe": 2, "Error": 1}},
    "autoscaling": {"cpu": "31%/50%", "current": 1, "desired": 1, "min": 1, "max": 5},
}


def build_table(columns: list[tuple[str, int]], *rows: tuple[list[object], Json]) -> Json:
    """Return a Table as the API server responds."""
    return {
        "columnDefinitions": [{"name": name, "priority": rank} for name, rank in columns],
        "rows": [{"cells": cells, "object": found} for cells, found in rows],
    }


def build_responses() -> tuple[Json, Json, Json, Json]:
    """Return the responses for apps, pods, endpoint slices and Events."""
    app = {"metadata": {"name": "scaling-demo"}, "status": STATUS}
    pod = {
        "metadata": {"name": "p-1", "uid": "u1", "creationTimestamp": "2026-11-23T12:00:00Z"},
    }
    leaving = {
        "metadata": {
            "name": "p-0",
            "uid": "u0",
            "creationTimestamp": "2026-11-23T11:00:00Z",
            "deletionTimestamp": "2026-11-23T12:00:20Z",
        },
    }
    apps = build_table(
        [("Name", 0), ("Status", 0), ("Last-Heal", 0), ("Image", 1)],
        (["other", "Ready", None, "x"], {"metadata": {"name": "other"}}),
        (["scaling-demo", "Degraded", None, "x"], app),
    )
    pods = build_table(
        [("Name", 0), ("Ready", 0), ("Status", 0), ("Restarts", 0), ("Age", 0), ("IP", 1)],
        (["p-1", "1/1", "Running", "2 (5s ago)", "30s", "10.0.0.1"], pod),
        (["p-0", "1/1", "Terminating", "0", "60m", "10.0.0.2"], leaving),
    )
    slices = {
        "items": [
            {
                "endpoints": [
                    {"conditions": {"ready": True}, "targetRef": {"uid": "u1"}},
                    {"conditions": {"ready": False}, "targetRef": {"uid": "u0"}},
                ]
            },
            {"endpoints": None},
        ]
    }
    events = {
        "items": [
            build_event("Pod", "Pulled", "2026-11-23T12:00:01Z"),
            build_event("SelfHealingApp", "Degraded", "2026-11-23T12:00:20.123456Z"),
            build_event("Pod", "Unhealthy", "2026-11-23T12:00:10Z"),
        ]
    }
    return apps, pods, slices, events


def with_row(snapshot: ClusterSnapshot, *cells: str) -> ClusterSnapshot:
    """Return the snapshot with another row of the app."""
    return replace(snapshot, apps=(replace(snapshot.app, row=("scaling-demo", *cells)),))


def build_event(kind: str, reason: str, at: str) -> Json:
    """Return a core/v1 Event."""
    return {
        "metadata": {"creationTimestamp": at},
        "involvedObject": {"kind": kind},
        "type": "Warning",
        "reason": reason,
        "eventTime": at,
        "lastTimestamp": None,
        "message": "a\nlong  story",
    }


def test_a_picture_is_what_kubectl_would_print() -> None:
    """Columns of ``-o wide``, other apps and other Events are left out."""
    found = parse_cluster_state(*build_responses(), "scaling-demo")

    assert found.columns == ("NAME", "STATUS", "LAST-HEAL")
    assert found.row == ("scaling-demo", "Degraded", "")
    assert [(pod.name, pod.restarts, pod.is_serving, pod.is_terminating) for pod in found.pods] == [
        ("p-0", 0, False, True),
        ("p-1", 2, True, False),
    ]
    assert [pod.name for pod in found.remaining_pods] == ["p-1"]
    assert [told.reason for told in found.events] == ["Unhealthy", "Degraded"]
    assert found.events[0].text == "a long story"


def test_a_picture_answers_the_questions_of_the_story() -> None:
    found = parse_cluster_state(*build_responses(), "scaling-demo")

    assert not found.is_ready
    assert found.phase == "Degraded"
    assert (
        found.count_restarts(),
        found.count_restarts("LivenessProbe"),
        found.count_restarts("OOMKilled"),
    ) == (
        3,
        2,
        0,
    )
    assert found.count_events("Degraded") == 1
    assert found.find_pod("u1") is not None
    assert found.find_pod("u9") is None


def test_nothing_is_a_picture_too() -> None:
    """The namespace may be empty or terminating."""
    found = parse_cluster_state({}, {}, {}, {})

    assert found == ClusterSnapshot()
    assert not found.is_ready
    assert found.count_restarts() == 0


class _FakeClient:
    """A cluster without objects."""

    namespace = "demo"

    def get_path(self, _path: str, *, table: bool = False) -> Json | None:
        return None if table else {}

    def format_command(self, arguments: str) -> str:
        return f"kubectl -n demo {arguments}"


def test_a_failing_step_ends_the_run_and_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the step, the condition and the timeout."""
    ticks = iter(range(10_000))
    monkeypatch.setattr("hack.testkit.wait.time.sleep", lambda _: None)
    kube = _FakeClient()
    session = DemoSession()
    context = ScenarioContext(
        kube,  # type: ignore[arg-type]
        PlainConsole(clock=lambda: 0.0),
        clock=lambda: float(next(ticks)),
    )

    def fail(demo: DemoSession) -> str:
        demo.wait_until("pigs fly", lambda _: False, 5)
        return "not reached"

    steps = [
        DemoStep("Wait", 1, lambda _: "waited", session),
        DemoStep("Fly", 1, fail, session),
        DemoStep("Not reached", 1, fail, session),
    ]

    with pytest.raises(
        ScenarioError, match=r"step 2, 'Fly': it did not happen within 5 s that pigs"
    ):
        list(run_each(steps, context, is_selection=False))


def test_lines_tell_the_row_only_when_it_changes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen, progress = (
        PlainConsole(clock=lambda: 65.0),
        Progress(0.0, 60, 2, "kubectl get", 1, "Go"),
    )
    first = parse_cluster_state(*build_responses(), "scaling-demo")
    later = with_row(first, "Ready", "5s")

    screen.begin_step(progress)
    for now in (first, first, with_row(first, "Degraded", "9s"), later):
        screen.show_snapshot(now, progress)

    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "",
        "== 1 of 2: Go",
        "          NAME           STATUS",
        "    1:05  scaling-demo   Degraded",
        "    1:05  scaling-demo   Ready",
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_the_live_view_fits_the_terminal(width: int) -> None:
    """It has at most 24 lines, none is cut, and the row and the pods are complete."""
    pods = tuple(
        PodRow(
            f"scaling-demo-596568795d-{i}zkp5",
            f"u{i}",
            "1/1",
            "Terminating",
            12,
            "2m13s",
            True,
            False,
        )
        for i in range(8)
    )
    events = tuple(
        EventRow(NOW, True, "SelfHealingApp", "ContainerRestarted", "a long story " * 20)
        for _ in range(9)
    )
    now = replace(parse_cluster_state(*build_responses(), "scaling-demo"), pods=pods, events=events)
    progress = Progress(0.0, 140, 10, "kubectl -n demo get selfhealingapps", 5, "Go", 10.0, 30)
    progress.waiting_for = "the pod has left the Service's endpoints"
    console = Console(width=width, height=24, force_terminal=True, color_system=None)

    with console.capture() as captured:
        console.print(render_view(now, progress, 75.0, NOW))

    lines = captured.get().splitlines()
    assert len(lines) <= 24
    assert max(len(line) for line in lines) <= width
    text = "\n".join(lines)
    assert "step 5 of 10" in text
    assert "1:05 of about 0:30" in text
    assert "scaling-demo-596568795d-0zkp5  1/1    Terminating  12        2m13s  yes" in text
    assert "and 2 more" in text


def test_the_manifest_is_short_and_valid() -> None:
    """The manifest fits a terminal, and the operator accepts it."""
    text = (ROOT / MANIFEST).read_text()

    assert len(text.splitlines()) <= 16
    assert max(len(line) for line in text.splitlines()) <= 72
    assert parse_spec(parse_yaml(text)["spec"]).autoscaling is not None


@pytest.mark.parametrize(("keep", "last"), [(False, "Delete it, and everything goes"), (True, "")])
def test_the_demo_takes_well_under_five_minutes(*, keep: bool, last: str) -> None:
    """The last step deletes the app, unless it is to be kept."""
    steps = DemoSet(argparse.Namespace(keep=keep)).list_scenarios()

    assert sum(step.expected_seconds for step in steps) < 200
    assert (steps[-1].title == last) is not keep
