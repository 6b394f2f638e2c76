"""Settings of the process, which has many long-lived objects, and reads large and nested JSON.

By default 700 new objects start a collection, and every hundredth collection visits all objects: a
fifth of the operator's CPU while hundreds of apps converge. Objects of the imports never become
garbage, and nearly all others are freed by their reference counts, without a collection.
"""

import ctypes
import gc
import logging
import sys
from contextlib import suppress
from typing import Final

logger = logging.getLogger(__name__)

PYTHON_VERSION: Final = (3, 11)
"""The Python of the images, and of the tests. Later ones bound the recursion of C code, such as the
JSON parser, whatever sys.setrecursionlimit says: 3.12 at 1,500 levels, 3.13 below 10,000. And 3.12
keeps every interned text for ever (CPython issue 113993)."""

GC_THRESHOLDS: Final = (20_000, 10, 10)
"""New objects before a collection of generation 0; collections before the next generation."""

RECURSION_LIMIT: Final = 25_000
"""Levels of calls. The API server accepts JSON of 10,000 levels (sigs.k8s.io/json), for example in
metadata.managedFields, and the parsers, also kopf's, must read what it stores."""

M_MMAP_THRESHOLD: Final = -3
"""The parameter's number in malloc.h of glibc."""

MMAP_THRESHOLD_BYTES: Final = 128 * 1024
"""Blocks of this size go back to the system when they are freed: the first value of glibc, which
raises it to the size of each such block, up to 32 MiB, unless it is set (mallopt(3)). Then small
objects keep it from giving back what a list of large ones took: with 130 apps of 1.25 MiB the
operator stayed at 290 MiB, with this value it goes back to 98 MiB."""


def configure_interpreter() -> None:
    """Configure the process before kopf's first list."""
    if sys.version_info[:2] > PYTHON_VERSION:
        logger.warning(
            "this is Python %d.%d: very deep JSON in an object can stop the operator; where others "
            "may write objects run it with Python %d.%d, as its image does",
            *sys.version_info[:2],
            *PYTHON_VERSION,
        )
    sys.setrecursionlimit(RECURSION_LIMIT)
    _tune_gc()
    _tune_malloc()


def _tune_gc() -> None:
    """Exclude all present objects from collections, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def _tune_malloc() -> None:
    """Give large blocks back to the system; where the C library is another one, nothing is done."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)
