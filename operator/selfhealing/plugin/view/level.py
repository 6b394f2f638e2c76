"""How good or bad what is shown is. It imports no models: texts and their printer start fast."""

from enum import StrEnum


class Level(StrEnum):
    """How good or bad something is; a printer gives each a sign and a colour."""

    OK = "ok"
    BUSY = "busy"
    """It changes, and nothing is wrong with that."""
    WARNING = "warning"
    FAILED = "failed"
    NEUTRAL = "neutral"
