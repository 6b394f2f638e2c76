import pytest

from selfhealing.api.healing_status import HealingStatus

RECORD = HealingStatus(mode="Auto", budget_left=3)


def test_a_copy_refuses_a_field_that_the_model_has_not() -> None:
    """A misspelt name would silently change nothing."""
    with pytest.raises(TypeError, match="HealingStatus has no field colour, modes"):
        RECORD.model_copy(update={"modes": "Auto", "colour": "red"})


def test_a_copy_has_the_changed_fields() -> None:
    assert RECORD.model_copy(update={"quarantined": True}).quarantined
