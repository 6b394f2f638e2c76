"""SelfHealingApp: an operator that runs an app, keeps it right and says truthfully how it is.

The rooms of the house and what each may know are in docs/architecture.md; the order of imports is
``api < render, observe < heal < status < runtime < cli``.
"""

__version__ = "0.1.0"
