"""Formats and redacts the state of the pods before an action. Pure."""
