"""A simulated cluster that knows the truth, and the worlds in which the operator is judged.

The real operator code runs against a simulated API server. Every world is carried out twice, with
healing Off and with healing on, and an oracle compares the two (`docs/worlds.md`).
"""
