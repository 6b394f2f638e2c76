"""``make exam``: a list of faults on a real cluster, each with healing and beside it without.

``faults`` is the table of the rows (``fault`` says what a row is; the modules ``*_faults`` have
them; ``edits``, ``fault_injectors`` and ``surroundings`` inject them). ``experiment`` is one row:
it deploys the app twice (``environment``), sends requests, injects the fault and observes;
``run_state`` keeps what is observed. ``oracle`` and ``metrics`` judge and measure it (pure),
``evaluation`` compares it with what is expected and counts the bars (pure). ``lanes`` runs rows
side by side, ``results_store`` keeps their results, ``report`` and ``docs`` write them.
``scenarios`` is the set for the common runner; ``make drill`` is a part of it.
"""
