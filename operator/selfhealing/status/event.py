"""One thing that is told: what becomes a Kubernetes Event and a log line."""

from dataclasses import dataclass
from typing import Final, Literal

MAX_NOTE_BYTES: Final = 1024
"""The longest note that events.k8s.io/v1 takes, in bytes."""


@dataclass(frozen=True, slots=True)
class Event:
    """One Event: ``type`` Normal or Warning, a CamelCase reason, a sentence."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str

    def truncate(self) -> "Event":
        """The same, no longer than an Event may be."""
        message = self.message.encode()[:MAX_NOTE_BYTES].decode(errors="ignore")
        return Event(self.type, self.reason, message)
