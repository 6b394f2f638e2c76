"""From facts to decisions: what has to be done so that what is becomes what is wanted.

Decisions are values. ``runtime`` carries them out; nothing here writes, reads a clock or waits.
"""
