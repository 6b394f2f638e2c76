"""The result of writing an app's children: the changes, and the errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from selfhealing.apply.child_diff import ChildAction


class SyncErrorReason(StrEnum):
    """Why the children differ from the spec: the reasons of the condition Reconciled."""

    INVALID_SPEC = "InvalidSpec"
    NAME_CONFLICT = "NameConflict"
    FORBIDDEN = "Forbidden"
    QUOTA_EXCEEDED = "QuotaExceeded"
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    WEBHOOK_FAILED = "WebhookFailed"
    CONFLICT = "Conflict"
    CHILD_TERMINATING = "ChildTerminating"
    CHILD_TOO_LARGE = "ChildTooLarge"
    CONTESTED = "Contested"
    ADOPTION_PENDING = "AdoptionPending"
    STORED_DIFFERENTLY = "StoredDifferently"
    VPA_NOT_INSTALLED = "VerticalPodAutoscalerNotInstalled"
    HTTP_ROUTE_NOT_INSTALLED = "HTTPRouteNotInstalled"
    POD_MONITOR_NOT_INSTALLED = "PodMonitorNotInstalled"


USER_ACTION_REQUIRED: Final = frozenset(
    {
        SyncErrorReason.INVALID_SPEC,
        SyncErrorReason.NAME_CONFLICT,
        SyncErrorReason.CHILD_TOO_LARGE,
    }
)
"""Errors that stay until a user edits the app or another object."""


NOT_INSTALLED: Final[Mapping[str, SyncErrorReason]] = {
    "VerticalPodAutoscaler": SyncErrorReason.VPA_NOT_INSTALLED,
    "HTTPRoute": SyncErrorReason.HTTP_ROUTE_NOT_INSTALLED,
    "PodMonitor": SyncErrorReason.POD_MONITOR_NOT_INSTALLED,
}
"""By kind that a cluster may not serve, the reason while it does not."""

NON_BLOCKING: Final = frozenset(
    {
        *NOT_INSTALLED.values(),
        SyncErrorReason.ADOPTION_PENDING,
        SyncErrorReason.STORED_DIFFERENTLY,
    }
)
"""Errors that do not impair the app itself: they raise no alert."""

TRANSIENT: Final = frozenset(
    {
        SyncErrorReason.NAMESPACE_TERMINATING,
        SyncErrorReason.CONFLICT,
        SyncErrorReason.CHILD_TERMINATING,
        SyncErrorReason.ADOPTION_PENDING,
    }
)
"""Errors that resolve themselves."""


@dataclass(frozen=True, slots=True)
class SyncError:
    """An error of a reconcile, with a message that says what to do."""

    reason: SyncErrorReason
    message: str


@dataclass(frozen=True, slots=True)
class ChildChange:
    """A write of a child.

    Attributes:
        kind: the kind of the child.
        action: what was written; None if the child was deleted because it is not wanted.
        managers: who had changed it: field managers, and autoscalers by name.
        is_correction: the operator had written the same before, so somebody else has changed it.
        is_stored: the API server has stored what was written.
    """

    kind: str
    action: ChildAction | None
    managers: tuple[str, ...] = ()
    is_correction: bool = False
    is_stored: bool = True


@dataclass(frozen=True, slots=True)
class SyncResult:
    """The changes and errors of one reconcile; both are empty if every child was up to date.

    Attributes:
        changes: the children that were written.
        errors: why children differ from the spec.
        has_overrides: whether a remediation's overrides replaced parts of the spec.
    """

    changes: tuple[ChildChange, ...] = ()
    errors: tuple[SyncError, ...] = ()
    has_overrides: bool = False
