"""The base of the errors of the plugin, whose messages are for the person who runs it."""


class PluginError(Exception):
    """What was asked for cannot be done; the message says why, and what to write instead."""
