"""Errors of the tools whose message is for people."""


class ToolError(Exception):
    """A tool cannot go on; the message says why and, where possible, what to do."""


class ApiError(ToolError):
    """The API server refused a request; ``status`` is the HTTP status code, 0 if unknown."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class ApiServerUnreachableError(ApiError):
    """The API server did not answer; a retry may succeed."""
