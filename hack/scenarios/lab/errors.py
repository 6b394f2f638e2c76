"""Errors of the pages of the lab."""


class PageError(Exception):
    """A page cannot be read or filled in; the message names the page and the line."""


class StepError(Exception):
    """A step did not go as its page says; the message is for people."""
