"""The first status that is written after an upgrade replaces the names of the version before."""

from typing import Any

from selfhealing.api.spec import parse_spec
from selfhealing.api.status import read_status
from selfhealing.api.status_migration import RENAMED_ACTION_FIELDS, RENAMED_FIELDS
from selfhealing.render.overrides import template_revision
from selfhealing.render.pod import build_pod_template
from tests.unit.api.test_status_migration import EXPECTED, RECORDED
from tests.unit.builders import APP, IMAGE, deployment, pod, running
from tests.unit.controller.test_evaluate import apply_merge_patch
from tests.unit.snapshots import evaluate_app, status_json

Json = dict[str, Any]


HEALING = {
    "cooldown": "1m",
    "window": "2h",
    "budget": 5,
    "memory": {"max": "256Mi"},
    "scalingFallback": {"replicas": 4},
}
"""What allows all that was recorded."""


def evaluate_and_store(stored: Json, spec: Json) -> Json:
    """Evaluate an app with a stored status; return the status as its patch leaves it."""
    pods = [pod(f"web-abc-{number}", running()) for number in (1, 2, 3)]
    evaluation = evaluate_app(deployment(3), *pods, previous_status=stored, spec=spec, now=100)
    patched: Json = apply_merge_patch(stored, evaluation.patch)
    assert status_json(evaluation) == patched
    return patched


def test_the_patch_removes_the_old_names_and_keeps_every_value() -> None:
    """The app is paused, so that nothing but the names changes."""
    spec = {"image": IMAGE, "replicas": 3, "healing": HEALING, "paused": True}
    patched = evaluate_and_store(RECORDED, spec)

    assert EXPECTED == read_status(patched).healing
    assert not RENAMED_FIELDS.keys() & patched["healing"].keys()
    assert not any(RENAMED_ACTION_FIELDS.keys() & a.keys() for a in patched["healing"]["history"])


def test_the_patch_names_the_old_fields_as_null() -> None:
    """The API server keeps unknown fields, so the operator has to remove them."""
    patch = evaluate_app(
        previous_status=RECORDED, spec={"image": IMAGE, "replicas": 3, "paused": True}
    ).patch

    assert dict.fromkeys(RENAMED_FIELDS) == {
        name: patch["healing"][name] for name in RENAMED_FIELDS
    }


def test_remediation_continues_where_the_version_before_stopped() -> None:
    """The action in progress is evaluated, and no budget, cooldown or revision is lost."""
    spec = {
        "image": IMAGE,
        "replicas": 3,
        "healing": HEALING,
    }
    desired = template_revision(build_pod_template(APP, parse_spec(spec)))
    stored = {**RECORDED, "healing": {**RECORDED["healing"], "template": desired}}
    stored["healing"]["failedTemplate"] = desired

    found = read_status(evaluate_and_store(stored, spec)).healing

    assert found is not None
    assert EXPECTED.history[1:] == found.history[1:]
    assert (8, "InProgress") == (found.history[0].id, found.history[0].outcome)
    assert EXPECTED.next_id == found.next_id
    assert EXPECTED.stable_revision == found.stable_revision
    assert EXPECTED.stable_image == found.stable_image
    assert desired == found.failed_revision
    assert EXPECTED.desired_since == found.desired_since
    assert EXPECTED.memory_limits == found.memory_limits
    assert EXPECTED.excluded_node == found.excluded_node
    assert EXPECTED.budget_reset_time == found.budget_reset_time
    assert EXPECTED.observed_resume == found.observed_resume
    assert EXPECTED.quarantine == found.quarantine
    assert 1 == found.budget_left  # of 5: actions 8, 7, 6 and 4 count
