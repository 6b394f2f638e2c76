"""Evaluates scenarios, and compares their wording with the golden file.

golden/messages.yaml has the full wording of each scenario, for one evaluation after the other: the
phase, the messages of the conditions, and the Events. ``REFRESH=1 pytest tests/unit/status`` writes
the file; then read the diff.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.testkit.yaml_text import parse_yaml
from selfhealing.controller.evaluate import Evaluation
from tests.unit.builders import pod, progressing_condition, running
from tests.unit.snapshots import Json, evaluate_app

ROLLING = [progressing_condition("ReplicaSetUpdated", "def")]
STUCK = [progressing_condition("ProgressDeadlineExceeded", "def", status="False")]

HEALING_OFF = {"image": "web:v1", "port": 5000, "healing": {"mode": "Off"}}
"""Without healing the status shows the app only, and no remediation."""

GOLDEN = Path(__file__).parent / "golden" / "messages.yaml"
UNREMARKABLE = ("Reconciled ChildrenApplied", "Paused NotPaused")
"""Conditions with these reasons are left out of the golden file."""

golden_messages: dict[str, list[Json]] = parse_yaml(GOLDEN.read_text())
_evaluations: list[Json] = []
"""The wording of each evaluation of the running test."""


@pytest.fixture
def compare_wording(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compare the wording of every evaluation of a test with the golden file."""
    _evaluations.clear()
    yield
    scenario = request.node.nodeid.partition("::")[2]
    if os.environ.get("REFRESH") and _evaluations:
        golden_messages[scenario] = list(_evaluations)
        GOLDEN.write_text(
            yaml.safe_dump(dict(sorted(golden_messages.items())), sort_keys=False, width=1000)
        )
    assert golden_messages.get(scenario, []) == _evaluations


def evaluate_scenario(*objects: Json, **more: Any) -> Evaluation:  # noqa: ANN401 - as evaluate_app
    """Evaluate the app, and keep the wording for the comparison with the golden file."""
    evaluation = evaluate_app(*objects, **more)
    conditions = [
        f"{condition.type} {condition.reason}: {condition.message}"
        for condition in evaluation.status.conditions
    ]
    wording: Json = {
        "phase": str(evaluation.status.phase),
        "conditions": [line for line in conditions if not line.startswith(UNREMARKABLE)],
        "events": [f"{event.type} {event.reason}: {event.message}" for event in evaluation.events],
    }
    _evaluations.append(wording)
    return evaluation


def summarize(*objects: Json, **more: Any) -> tuple[str, str, str]:  # noqa: ANN401 - as evaluate_app
    """Phase, reason and ready pods, as in the columns of kubectl."""
    return summarize_with_message(*objects, **more)[:3]


def summarize_with_message(
    *objects: Json,
    **more: Any,  # noqa: ANN401 - as evaluate_app
) -> tuple[str, str, str, str]:
    """Phase, reason, ready pods and message, for a test whose parameter is the message."""
    evaluation = evaluate_scenario(*objects, **{"spec": HEALING_OFF, **more})
    ready = next(c for c in evaluation.status.conditions if c.type == "Ready")
    assert (ready.status == "True") == (evaluation.status.phase == "Ready")
    assert ready.message == evaluation.status.message
    return (
        str(evaluation.status.phase),
        ready.reason,
        evaluation.status.ready or "",
        ready.message,
    )


def make_ready_pod(name: str, **more: Any) -> Json:  # noqa: ANN401 - as pod
    """A ready pod."""
    return pod(name, running(), **more)
