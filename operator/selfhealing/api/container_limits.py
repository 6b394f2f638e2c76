"""Names the limits of containers that may be raised."""

from enum import StrEnum
from typing import NamedTuple


class LimitedResource(StrEnum):
    """A resource whose limit may be raised, by its name in a container's `resources`."""

    CPU = "cpu"
    MEMORY = "memory"

    @property
    def label(self) -> str:
        """How a sentence names it."""
        return "CPU" if self is LimitedResource.CPU else "memory"


class LimitKey(NamedTuple):
    """The limit of one container for one resource."""

    container: str
    resource: LimitedResource
