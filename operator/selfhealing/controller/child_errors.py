"""Errors that keep a child from being applied, with advice, as the status shows them."""

from collections.abc import Sequence
from typing import Final

from selfhealing.api import names
from selfhealing.api.linear_regex import compile_pattern
from selfhealing.api.names import WORKLOAD_KINDS
from selfhealing.api.text import join_first
from selfhealing.apply.foreign_fields import MAX_SHOWN_PATHS
from selfhealing.apply.rate_limit import MAX_CORRECTIONS, WINDOW_SECONDS
from selfhealing.apply.result import NOT_INSTALLED, SyncError, SyncErrorReason
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import AppKey, ChildView
from selfhealing.controller.optional_kinds import POLL_INTERVAL
from selfhealing.kube.errors import (
    ApiError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    ResponseTooLargeError,
    is_webhook_failure,
)
from selfhealing.kube.resources import CHILDREN, OPTIONAL_CHILDREN
from selfhealing.status.sections import join_words

_INVALID_VALUE: Final = compile_pattern(r"(?s): Invalid value: .*(: field is immutable)")
"""The value of an immutable field in an error: a pod template has thousands of characters."""


def terminating_error(kind: str, snapshot: AppSnapshot) -> SyncError:
    """A child that has to be created is still being deleted."""
    terminating_pods = (
        [pod.name for pod in snapshot.pods if pod.deleting] if kind in WORKLOAD_KINDS else []
    )
    more = f" and {len(terminating_pods) - 1} more" if len(terminating_pods) > 1 else ""
    detail = f": waiting for {terminating_pods[0]}{more} to stop" if terminating_pods else ""
    return SyncError(
        SyncErrorReason.CHILD_TERMINATING, f"the old {kind} is still being deleted{detail}"
    )


def not_installed_error(kind: str) -> SyncError:
    """The cluster does not serve an optional kind."""
    return SyncError(
        NOT_INSTALLED[kind],
        f"this cluster has no {CHILDREN[kind].api_version} {kind}: install it, or remove that part "
        f"of the spec; it is checked every {POLL_INTERVAL:.0f} s, and the app runs without it",
    )


def adoption_pending_error(kind: str, key: AppKey) -> SyncError:
    """An object is taken over as soon as its callers lose nothing by it."""
    return SyncError(
        SyncErrorReason.ADOPTION_PENDING,
        f"the {kind} {key.name} is taken over when all pods of this resource are ready; until then"
        " it stays as it is",
    )


def name_conflict_error(key: AppKey, live: ChildView, *, is_fixed: bool = False) -> SyncError:
    """An object with another owner, or none, has the name of a child.

    Args:
        key: the app.
        live: the object.
        is_fixed: it is a Deployment with another selector, which is immutable.
    """
    kind = live.kind
    if live.owner_uid:
        advice = "it belongs to another controller: rename one of the two"
    elif is_fixed:
        advice = (
            "its selector is another one and can never change: rename one of the two, or delete "
            "the Deployment alone, whose pods go on serving: "
            f"kubectl -n {key.namespace} delete deployment/{key.name} --cascade=orphan"
        )
    else:
        advice = (
            f"rename one of the two, delete the {kind}, or let it be taken over: "
            f"kubectl -n {key.namespace} annotate {kind.lower()}/{key.name} "
            f"{names.ANNOTATION_ADOPT}=true"
        )
    return SyncError(
        SyncErrorReason.NAME_CONFLICT,
        f"there is a {kind} {key.name} that this resource did not make; {advice}",
    )


_TOO_LARGE: Final = (
    "the {0} has more fields than the operator reads: remove what others have added to it; its "
    "metadata.managedFields names them"
)


def contested_error(opponents: Sequence[str]) -> SyncError:
    """Somebody else changes the children again and again."""
    who = join_words(list(opponents)) or "something else"
    keep = "keep" if len(opponents) > 1 else "keeps"
    return SyncError(
        SyncErrorReason.CONTESTED,
        f"{who} {keep} changing the children ({MAX_CORRECTIONS} corrections in "
        f"{WINDOW_SECONDS:.0f} s): let one of the two write these fields, see metadata."
        "managedFields of the children; the operator goes on at that rate",
    )


def stored_differently_error(kind: str, paths: Sequence[str]) -> SyncError:
    """The API server has stored a child with other values than were applied."""
    shown = join_first(paths, MAX_SHOWN_PATHS)
    return SyncError(
        SyncErrorReason.STORED_DIFFERENTLY,
        f"the {kind} is stored with other values than the spec asks for: {shown}; an admission "
        "webhook or policy changes them, or the cluster has a feature gate off",
    )


def sync_error(kind: str, error: ApiError) -> SyncError:
    """Turn an answer of the API server to a write of a child into an error of the status."""
    text = f"{kind}: {error.message}"
    if isinstance(error, InvalidError):
        if "field is immutable" in error.message:
            text = _INVALID_VALUE.sub(r"\1", text) + (
                " - Kubernetes cannot change that field in place: delete the "
                f"{kind} and it is recreated"
            )
        return SyncError(SyncErrorReason.INVALID_SPEC, text)
    if isinstance(error, ForbiddenError):
        return SyncError(_forbidden_reason(error), text)
    if isinstance(error, NotFoundError):
        # The answer has a reason for a missing object, and none for a kind that is not served.
        if not error.reason and kind in {resource.kind for resource in OPTIONAL_CHILDREN}:
            return not_installed_error(kind)
        return SyncError(SyncErrorReason.NAMESPACE_TERMINATING, text)
    if isinstance(error, ResponseTooLargeError):
        return SyncError(SyncErrorReason.CHILD_TOO_LARGE, _TOO_LARGE.format(kind))
    is_refused_by_webhook = is_webhook_failure(error)
    return SyncError(
        SyncErrorReason.WEBHOOK_FAILED if is_refused_by_webhook else SyncErrorReason.CONFLICT, text
    )


def _forbidden_reason(error: ForbiddenError) -> SyncErrorReason:
    if "exceeded quota" in error.message:
        return SyncErrorReason.QUOTA_EXCEEDED
    if "being terminated" in error.message:
        return SyncErrorReason.NAMESPACE_TERMINATING
    return SyncErrorReason.FORBIDDEN
