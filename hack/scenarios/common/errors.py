"""The error of a scenario."""

from hack.testkit.errors import ToolError


class ScenarioError(ToolError):
    """Something that a scenario expects did not happen; the message says what."""
