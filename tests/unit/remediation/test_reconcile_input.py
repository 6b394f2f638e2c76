"""The stored record that a reconcile goes by: this process's own, and within the spec."""

from typing import Any

import orjson
import pytest

from selfhealing.api.spec import parse_spec
from selfhealing.cache.parse import app_view
from selfhealing.remediation.findings import FindingReason
from selfhealing.remediation.reconcile_input import (
    AnyInput,
    build_invalid_spec_input,
    build_reconcile_input,
)
from tests.unit import builders
from tests.unit.snapshots import build_snapshot

Json = dict[str, Any]
OWN: Json = {"mode": "Auto", "budgetLeft": 3, "stableRevision": "abc"}
FORGED: Json = {**OWN, "quarantined": True}
SPEC: Json = {"image": builders.IMAGE, "port": 5000}


def build_inputs(stored: Json, written: Json | None, *, is_valid: bool) -> AnyInput:
    """The input of an app with this record, when the process has written the other one."""
    app = builders.app(SPEC, {"phase": "Ready", "healing": stored})
    snapshot = build_snapshot(app)
    assert app_view(app).status == snapshot.app.status
    if not is_valid:
        return build_invalid_spec_input(snapshot.app, "no", written)
    return build_reconcile_input(
        snapshot, parse_spec(SPEC), builders.at(100), written_record=written
    )


@pytest.mark.parametrize("is_valid", [True, False])
def test_another_record_than_was_written(*, is_valid: bool) -> None:
    """Somebody else has written it: the own one counts, and that is told."""
    inputs = build_inputs(FORGED, OWN, is_valid=is_valid)

    assert inputs.previous_status.healing is not None
    assert not inputs.previous_status.healing.quarantined
    assert "abc" == inputs.previous_status.healing.stable_revision
    assert "Ready" == inputs.previous_status.phase
    assert FORGED == inputs.stored_status["healing"]
    [finding] = inputs.findings
    assert FindingReason.RECORD_REJECTED is finding.reason
    assert finding.message.endswith("are ignored: what somebody else has written")


@pytest.mark.parametrize("is_valid", [True, False])
@pytest.mark.parametrize("written", [None, FORGED])
def test_the_record_that_was_written(written: Json | None, *, is_valid: bool) -> None:
    """It counts as it is; so does any before the first write of a process."""
    inputs = build_inputs(FORGED, written, is_valid=is_valid)

    assert () == inputs.findings
    assert inputs.previous_status.healing is not None
    assert inputs.previous_status.healing.quarantined


@pytest.mark.parametrize("is_valid", [True, False])
def test_a_default_of_a_newer_crd(*, is_valid: bool) -> None:
    """A CRD that is upgraded before the operator completes what is stored: nobody wrote that."""
    stored = {**OWN, "newField": "", "memoryInTemplate": False}

    inputs = build_inputs(stored, OWN, is_valid=is_valid)

    assert () == inputs.findings
    assert stored == inputs.stored_status["healing"]


def test_a_record_that_the_spec_does_not_allow() -> None:
    """The parts are named in one finding."""
    inputs = build_inputs(
        {**OWN, "memoryLimit": "64Gi", "excludedNode": "a b"}, None, is_valid=True
    )

    (finding,) = inputs.findings
    ignored = "memoryLimits (not above the limits in the spec), excludedNode"
    assert f"parts of status.healing are ignored: {ignored}" == finding.message
    assert orjson.dumps(inputs.stored_status)
