"""Compares observed with desired state and returns what to do with each child. Pure."""
