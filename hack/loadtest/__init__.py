"""``make load``: requests to an app through its Service, and how they were answered.

vegeta sends them (docs/decisions/0014-load.md); here is what it is told, the way in, and the count.
"""
