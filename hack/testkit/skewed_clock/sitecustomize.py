"""Shifts the wall clock of a Python process: Python imports this from PYTHONPATH at its start.

CLOCK_SKEWS holds seconds, separated by commas. The clock is shifted by one after the other, for
CLOCK_PERIOD seconds each, so it also jumps. The monotonic clock stays as it is, as on a node whose
clock is set.
"""

import os
import time

_real_time = time.time
_skews = [float(skew) for skew in os.environ["CLOCK_SKEWS"].split(",")]
_period = float(os.environ.get("CLOCK_PERIOD", "5"))


def _skewed_time() -> float:
    """Return the Unix time of a clock that is wrong."""
    return _real_time() + _skews[int(time.monotonic() / _period) % len(_skews)]


time.time = _skewed_time
