"""``make drill``: faults on a real cluster, each once without healing and once with it.

``faults`` lists the faults; ``fault_injectors`` inject them. ``experiment`` is one run of a fault:
it deploys the app (``environment``), sends requests, injects the fault and waits for recovery;
``run_state`` keeps what is observed. ``metrics`` computes recovery time and actions from it (pure),
``evaluation`` compares them with what is expected (pure), ``report`` writes a table, JSON and a
page. ``scenarios`` is the set for the common runner.
"""
