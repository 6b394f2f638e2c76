"""The faults of the worlds: how each begins and ends, its true cause, and what heals it.

The rows are those of the public fault lists (AIOpsLab, ITBench, SREGym, Chaos Mesh, LitmusChaos),
as far as an API server shows them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hack.worlds.shapes import Shape
from hack.worlds.simulation import Simulation

NEW_VERSION: Final = frozenset({"NewVersion"})
ENVIRONMENT: Final = frozenset({"Environment"})
NODE: Final = frozenset({"Node", "Environment"})
POD: Final = frozenset({"Pod"})
FOREIGN: Final = frozenset({"ForeignEdit", "NewVersion"})


class FaultKind(StrEnum):
    """What a fault is a fault of."""

    VERSION = "version"
    """The spec asks for a version that is bad; it ends when a person asks for another."""
    CONFIGURATION = "configuration"
    ENVIRONMENT = "environment"
    NODE = "node"
    POD = "pod"
    FOREIGN = "foreign"
    """Somebody has edited the Deployment."""
    NUISANCE = "nuisance"
    """No fault at all: something ordinary that must not be taken for one."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A fault in a world.

    Attributes:
        fault: the fault.
        at: when it begins.
        until: when it ends; None for never.
        version: the number of the version that it brings.
        pick: which pod or node it is about: a number, modulo how many there are.
    """

    fault: "Fault"
    at: float
    until: float | None
    version: int
    pick: int = 0

    @property
    def image(self) -> str:
        """The image of its version."""
        return f"web:{self.version}"


Act = Callable[[Simulation, Placement], None]


def _always(_: Shape) -> bool:
    return True


def _do_nothing(_: Simulation, __: Placement) -> None:
    return


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the table.

    Attributes:
        name: the name.
        kind: what it is a fault of.
        causes: the causes that are right.
        inject: begins it.
        undo: ends it, other than by another version.
        healed_by: the remediations that are right; empty if the API has none.
        tried_by: the remediations that may be tried, although they need not help.
        fits: whether an app can have it.
        durations: how long it may last, in seconds; empty if it never ends by itself.
        weight: how often it is drawn.
        releases: it begins with the rollout of a version.
        best: seconds from the onset until it is healed at best, without the start of a pod.
        onset: seconds from the start of a pod until it shows the fault again and again.
    """

    name: str
    kind: FaultKind
    causes: frozenset[str]
    inject: Act
    undo: Act = _do_nothing
    healed_by: frozenset[str] = frozenset()
    fits: Callable[[Shape], bool] = _always
    durations: tuple[float, ...] = ()
    tried_by: frozenset[str] = frozenset()
    weight: int = 10
    releases: bool = False
    onset: float = 0.0
    best: float = 45.0

    @property
    def is_healable(self) -> bool:
        """Whether an action can heal it."""
        return bool(self.healed_by)
