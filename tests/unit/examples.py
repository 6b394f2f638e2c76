"""How many examples the properties try."""

import os

FACTOR = float(os.environ.get("TEST_EXAMPLES", "1"))
"""Few in `make test`, where nobody shall wait for them; many in `make test-nightly`."""


def scale_examples(count: int) -> int:
    """The number of examples for a property that tries ``count`` in `make test`."""
    return round(count * FACTOR)
