"""Formats and redacts what was seen before an action. Pure."""
