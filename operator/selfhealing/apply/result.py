"""What became of a reconcile: what was written, and what stands in the way."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from selfhealing.apply.child_diff import ChildAction


class SyncErrorReason(StrEnum):
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


USER_ACTION_REQUIRED: Final = frozenset(
    {SyncErrorReason.INVALID_SPEC, SyncErrorReason.NAME_CONFLICT}
)
"""Obstacles that stay until somebody edits something."""


NON_BLOCKING: Final = frozenset({SyncErrorReason.NOT_INSTALLED})
"""Obstacles that take nothing from the app itself: nobody is to be woken for them."""

TRANSIENT: Final = frozenset(
    {
        SyncErrorReason.NAMESPACE_TERMINATING,
        SyncErrorReason.UNAVAILABLE,
        SyncErrorReason.CONFLICT,
        SyncErrorReason.CHILD_TERMINATING,
    }
)
"""Obstacles that go away by themselves."""


@dataclass(frozen=True, slots=True)
class SyncError:
    """One obstacle, with a message that says what to do."""

    reason: SyncErrorReason
    message: str


@dataclass(frozen=True, slots=True)
class ChildChange:
    """A child that was written: Need.CREATE, UPDATE, CORRECT or ADOPT; None for a removal."""

    kind: str
    action: ChildAction | None


@dataclass(frozen=True, slots=True)
class SyncResult:
    """Everything that one reconcile did and met. Empty means all children were right already.

    ``healing``: something stood in place of the spec.
    """

    changes: tuple[ChildChange, ...] = ()
    errors: tuple[SyncError, ...] = ()
    has_overrides: bool = False
