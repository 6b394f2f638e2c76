"""``make drill``: real faults on a real cluster, once without healing and once with it.

``faults`` is the list of what can be tried, each a small entry; ``deeds`` are the hands that do it;
``play`` puts an app there (``site``), sends it requests, strikes and waits, and ``course`` keeps
what is seen meanwhile; ``measure`` says from that how long it took and what was done (pure),
``verdict`` whether that is what was expected (pure); ``report`` tells of it in a table, in JSON and
on a page.
"""
