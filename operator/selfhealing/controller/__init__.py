"""The only room with I/O: kopf's handlers, the queue, the API client, election, metrics, settings.

A reconcile takes a key, asks the store for Facts, runs the pure rooms and writes what differs. It
is level-triggered: what it does depends on what is, never on which event came.
"""
