"""Builds what people read: the status, its conditions, and the Events. Pure."""
