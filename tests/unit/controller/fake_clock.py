"""A clock for what is given one as a function."""


class FakeClock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        """Begin at an arbitrary time."""
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now
