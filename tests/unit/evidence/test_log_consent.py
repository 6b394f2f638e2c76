"""Who decides on log lines in the evidence; the whole table is in test_evidence_store."""

import pytest

from selfhealing.evidence.log_consent import find_log_refusal


@pytest.mark.parametrize("wanted", [True, None])
def test_unknown_labels_refuse(wanted: bool | None) -> None:  # noqa: FBT001 - the field of the spec
    """The namespace might forbid them."""
    assert "cannot be read" in str(find_log_refusal(wanted, None))


def test_a_refusal_names_its_reason() -> None:
    """A person knows what to change."""
    assert "selfhealing.dev/evidence-logs" in str(
        find_log_refusal(True, {"selfhealing.dev/evidence-logs": "false"})
    )
    assert "spec.healing.evidence.logs" in str(find_log_refusal(None, {}))
