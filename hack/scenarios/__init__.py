"""Scenarios on a real cluster: the demo, the lab and the exam of faults."""
