"""What ends a show early."""


class ShowError(Exception):
    """Something did not happen, or cannot be done here; the message is for people."""


class UnreachableError(ShowError):
    """The API server did not answer; it may, if asked again."""
