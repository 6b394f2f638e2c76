"""What can be wrong with a page, and with what it says."""


class PageError(Exception):
    """A page cannot be read or filled in; the message names the page and the line."""


class StepError(Exception):
    """A step did not go as its page says; the message is for people."""
