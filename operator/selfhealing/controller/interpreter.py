"""Settings of Python for a process with many long-lived objects, and for deeply nested JSON.

By default 700 new objects start a collection, and every hundredth collection visits all objects: a
fifth of the operator's CPU while hundreds of apps converge. Objects of the imports never become
garbage, and nearly all others are freed by their reference counts, without a collection.
"""

import gc
import sys
from typing import Final

GC_THRESHOLDS: Final = (20_000, 10, 10)
"""New objects before a collection of generation 0; collections before the next generation."""

RECURSION_LIMIT: Final = 25_000
"""Levels of calls. The API server accepts JSON of 10,000 levels (sigs.k8s.io/json), for example in
metadata.managedFields, and the parsers, also kopf's, must read what it stores."""


def configure_interpreter() -> None:
    """Configure the process before kopf's first list."""
    sys.setrecursionlimit(RECURSION_LIMIT)
    _tune_gc()


def _tune_gc() -> None:
    """Exclude all present objects from collections, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
