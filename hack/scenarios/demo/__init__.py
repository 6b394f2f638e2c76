"""``make demo``: a SelfHealingApp on a real cluster, made ill and healed before one's eyes.

``story`` is what happens, step by step; ``stage`` plays it and checks every step; how it is looked
at and shown is in ``theatre``. Nothing here knows the operator's code: it sees what a user sees.
"""
