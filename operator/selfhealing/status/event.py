"""An Event about an app, which becomes a Kubernetes Event and a log line."""

from dataclasses import dataclass
from typing import Final, Literal

MAX_NOTE_BYTES: Final = 1024
"""The longest note that events.k8s.io/v1 allows, in bytes."""


@dataclass(frozen=True, slots=True)
class Event:
    """One Event: ``type`` Normal or Warning, a CamelCase ``reason``, a sentence as ``message``."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str

    def truncate(self) -> "Event":
        """Cut the message to MAX_NOTE_BYTES."""
        message = self.message.encode()[:MAX_NOTE_BYTES].decode(errors="ignore")
        return Event(self.type, self.reason, message)
