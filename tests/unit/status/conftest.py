"""The wording of scenarios is compared where a module asks for it."""

from tests.unit.status.phase_scenarios import compare_wording

__all__ = ["compare_wording"]
