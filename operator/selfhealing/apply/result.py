"""What became of a reconcile: what was written, and what stands in the way."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from selfhealing.apply.child_diff import Need


class Obstacle(StrEnum):
    """Why the children are not as the spec says: the reasons of the condition Reconciled."""

    INVALID_SPEC = "InvalidSpec"
    NAME_CONFLICT = "NameConflict"
    FORBIDDEN = "Forbidden"
    QUOTA_EXCEEDED = "QuotaExceeded"
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    UNAVAILABLE = "APIUnavailable"
    CONFLICT = "Conflict"
    CHILD_TERMINATING = "ChildTerminating"
    CONTESTED = "Contested"
    NOT_INSTALLED = "VerticalPodAutoscalerNotInstalled"


NEEDS_PEOPLE: Final = frozenset({Obstacle.INVALID_SPEC, Obstacle.NAME_CONFLICT})
"""Obstacles that stay until somebody edits something."""


HARMLESS: Final = frozenset({Obstacle.NOT_INSTALLED})
"""Obstacles that take nothing from the app itself: nobody is to be woken for them."""

PASSING: Final = frozenset(
    {
        Obstacle.NAMESPACE_TERMINATING,
        Obstacle.UNAVAILABLE,
        Obstacle.CONFLICT,
        Obstacle.CHILD_TERMINATING,
    }
)
"""Obstacles that go away by themselves."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One obstacle, with a message that says what to do."""

    obstacle: Obstacle
    message: str


@dataclass(frozen=True, slots=True)
class Change:
    """A child that was written: Need.CREATE, UPDATE, CORRECT or ADOPT; None for a removal."""

    kind: str
    need: Need | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that one reconcile did and met. Empty means all children were right already.

    ``healing``: something stood in place of the spec.
    """

    changes: tuple[Change, ...] = ()
    problems: tuple[Problem, ...] = ()
    healing: bool = False
