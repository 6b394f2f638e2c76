"""How many examples the properties try."""

import os

FACTOR = float(os.environ.get("TEST_EXAMPLES", "1"))
"""Below 1 in `make check`, 1 in `make test`, many in `make test-nightly`."""


def scale_examples(count: int) -> int:
    """The number of examples for a property that tries ``count`` in `make test`."""
    return max(1, round(count * FACTOR))
