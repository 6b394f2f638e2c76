"""Decides what is done about a diagnosis, within the limits that the spec sets. Pure."""
