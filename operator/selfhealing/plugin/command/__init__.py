"""The commands of ``kubectl selfheal``.

Each is imported only when it is called, so that all of them start fast.
"""
