"""What the status says of a child that the API server refuses."""

import pytest

from selfhealing.apply.result import SyncErrorReason
from selfhealing.controller.child_errors import (
    contested_error,
    stored_differently_error,
    sync_error,
)
from selfhealing.kube.errors import error_from_status

WEBHOOK = 'Internal error occurred: failed calling webhook "a.example.com": no endpoints'


@pytest.mark.parametrize(
    ("status", "text", "reason"),
    [
        (500, WEBHOOK, SyncErrorReason.WEBHOOK_FAILED),
        (422, "a: Invalid value: 1", SyncErrorReason.INVALID_SPEC),
        (403, "exceeded quota: q", SyncErrorReason.QUOTA_EXCEEDED),
        (403, "because it is being terminated", SyncErrorReason.NAMESPACE_TERMINATING),
        (403, "RBAC", SyncErrorReason.FORBIDDEN),
        (404, "namespaces not found", SyncErrorReason.NAMESPACE_TERMINATING),
        (409, "the object has been modified", SyncErrorReason.CONFLICT),
    ],
)
def test_reason_and_message(status: int, text: str, reason: SyncErrorReason) -> None:
    error = sync_error("Service", error_from_status(status, "", text))

    assert (reason, f"Service: {text}") == (error.reason, error.message)


@pytest.mark.parametrize(
    ("opponents", "who"),
    [
        ((), "something else keeps"),
        (("kubectl-edit",), "kubectl-edit keeps"),
        (("helm", "the HorizontalPodAutoscaler b"), "helm and the HorizontalPodAutoscaler b keep"),
    ],
)
def test_a_quarrel_names_the_other_side(opponents: tuple[str, ...], who: str) -> None:
    error = contested_error(opponents)

    assert (SyncErrorReason.CONTESTED, f"{who} changing the children") == (
        error.reason,
        error.message[: len(who) + 22],
    )


def test_what_is_stored_differently_is_named() -> None:
    error = stored_differently_error("Service", ["a", "b", "c", "d", "e"])

    assert "the Service is stored with other values than the spec asks for: a, b, c and 2 more" in (
        error.message
    )
    assert "asks for: a;" in stored_differently_error("Service", ["a"]).message
