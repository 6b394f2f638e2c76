"""Each HTTP status of the API server becomes one error."""

import pytest
from hypothesis import given, strategies as st

from selfhealing.kube.errors import (
    ApiError,
    AppDeletedError,
    ConflictError,
    DisruptionBudgetError,
    ExpiredError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UnavailableError,
    error_from_status,
    is_outage,
    is_right_missing,
    is_webhook_failure,
)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidError),
        (401, ForbiddenError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (405, ApiError),
        (409, ConflictError),
        (410, ExpiredError),
        (413, ApiError),
        (415, ApiError),
        (422, InvalidError),
        (429, UnavailableError),
        (500, UnavailableError),
        (502, UnavailableError),
        (503, UnavailableError),
        (504, UnavailableError),
    ],
)
def test_each_status_has_its_error(status: int, kind: type[ApiError]) -> None:
    """The class is exact, not a subclass."""
    assert kind is type(error_from_status(status, "Reason", "words"))


@pytest.mark.parametrize("status", [403, 429])
def test_the_refusal_of_a_budget_is_detected_by_its_cause(status: int) -> None:
    """Without the cause a 429 means an overloaded server, and a 403 a missing right."""
    causes = ["FieldValueInvalid", "DisruptionBudget"]

    assert DisruptionBudgetError is type(
        error_from_status(status, "TooManyRequests", "words", causes)
    )
    assert DisruptionBudgetError is not type(
        error_from_status(status, "TooManyRequests", "words", causes[:1])
    )


@given(st.integers(400, 599), st.text(), st.text())
def test_the_server_s_message_is_kept(status: int, reason: str, message: str) -> None:
    """Status, reason and message are available for the app's status and the log."""
    error = error_from_status(status, reason, message)

    assert (status, reason, message) == (error.status, error.reason, error.message)
    assert f"{status} {reason}: {message}" == str(error)


@given(st.integers(500, 599))
def test_what_the_server_could_not_do_may_be_tried_again(status: int) -> None:
    """A status of 5xx says nothing about the object."""
    assert isinstance(error_from_status(status, "", ""), UnavailableError)


def test_without_a_response_the_text_has_no_status() -> None:
    """The text of the error has no status."""
    assert "no answer" == str(UnavailableError(0, "NoAnswer", "no answer"))


@pytest.mark.parametrize(
    "kind",
    [
        DisruptionBudgetError,
        ConflictError,
        ForbiddenError,
        AppDeletedError,
        InvalidError,
        NotFoundError,
        UnavailableError,
    ],
)
def test_all_are_api_errors_and_none_is_another(kind: type[ApiError]) -> None:
    """All derive from ApiError, and none from another of them."""
    assert (ApiError,) == kind.__bases__
    assert [] == kind.__subclasses__()


@pytest.mark.parametrize(
    ("status", "outage"),
    [(0, True), (429, True), (503, True), (504, True), (500, False), (403, False), (409, False)],
)
def test_outage(status: int, *, outage: bool) -> None:
    """A failing webhook or an error that a user must fix is no outage."""
    error = (
        error_from_status(status, "", "words")
        if status
        else UnavailableError(0, "NoAnswer", "words")
    )

    assert outage is is_outage(error)


@pytest.mark.parametrize(
    ("status", "text", "failed"),
    [
        (500, 'Internal error occurred: failed calling webhook "a.example.com": timeout', True),
        (500, "Internal error occurred: etcdserver: no leader", False),
        (503, 'failed calling webhook "a.example.com"', False),
        (403, 'admission webhook "a.example.com" denied the request', False),
    ],
)
def test_webhook_failure(status: int, text: str, *, failed: bool) -> None:
    """A webhook that does not answer; one that refuses has answered."""
    assert failed is is_webhook_failure(error_from_status(status, "InternalError", text))


@pytest.mark.parametrize(
    ("status", "text", "missing"),
    [
        (
            403,
            'deployments.apps "web" is forbidden: User "x" cannot patch resource "deployments"',
            True,
        ),
        (403, 'pods is forbidden: User "x" cannot list resource "pods" in API group ""', True),
        (403, 'configmaps "web" is forbidden: exceeded quota: count, requested: ...', False),
        (403, "ValidatingAdmissionPolicy 'x' denied request: User \"y\" cannot do so", False),
        (403, 'events "web.1" is forbidden: unable to create new content in namespace shop', False),
        (422, 'x is forbidden: User "x" cannot list resource "pods"', False),
    ],
)
def test_missing_right(status: int, text: str, *, missing: bool) -> None:
    """RBAC refuses for lack of a right; a quota or a policy of a team says nothing about rights."""
    assert missing is is_right_missing(error_from_status(status, "Forbidden", text))
