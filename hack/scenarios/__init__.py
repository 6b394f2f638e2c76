"""Scenarios on a real cluster: the demo, the lab and the chaos drills."""
