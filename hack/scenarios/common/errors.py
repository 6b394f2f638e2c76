"""What ends a show early."""


class ScenarioError(Exception):
    """Something did not happen, or cannot be done here; the message is for people."""


class UnreachableError(ScenarioError):
    """The API server did not answer; it may, if asked again."""
