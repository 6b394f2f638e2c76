"""Crashes and stale views of the operator, exhaustively: ``make sieve``.

Each story is told once undisturbed, and once more for each write and each watch event of the
operator, with one fault there. What it ends with, and how many objects were created and deleted,
must be the same (docs/crash-consistency.md).
"""
