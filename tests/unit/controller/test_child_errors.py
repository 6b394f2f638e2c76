"""What the status says of a child that the API server refuses."""

import pytest

from selfhealing.apply.result import SyncErrorReason
from selfhealing.controller.child_errors import sync_error
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
