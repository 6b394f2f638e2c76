"""``make demo``: an app is created, fails, scales and is deleted, and the operator responds.

``scenarios`` has the steps; ``session`` has what they share.
"""
