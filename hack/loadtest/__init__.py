"""``make load``: requests to an app through its Service, and statistics of the responses.

vegeta sends the requests (docs/adr/0014-load.md).
"""
