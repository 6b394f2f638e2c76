"""The SelfHealingApp operator: runs an app, remediates its failures and reports its status.

docs/architecture.md describes the packages; pyproject.toml has the contracts for their imports.
"""

__version__ = "0.1.0"
