"""Every answer of the API server becomes one error of one tree."""

import pytest
from hypothesis import given, strategies as st

from selfhealing.kube.errors import (
    ApiError,
    AppDeletedError,
    ConflictError,
    DisruptionBudgetError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UnavailableError,
    error_from_status,
    is_outage,
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
        (410, ApiError),
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
    """Exactly that one, not one below it."""
    assert kind is type(error_from_status(status, "Reason", "words"))


@pytest.mark.parametrize("status", [403, 429])
def test_the_refusal_of_a_budget_is_told_by_its_cause(status: int) -> None:
    """A 429 alone says that the server has too much to do, a 403 alone that a right is missing."""
    causes = ["FieldValueInvalid", "DisruptionBudget"]

    assert DisruptionBudgetError is type(
        error_from_status(status, "TooManyRequests", "words", causes)
    )
    assert DisruptionBudgetError is not type(
        error_from_status(status, "TooManyRequests", "words", causes[:1])
    )


@given(st.integers(400, 599), st.text(), st.text())
def test_the_server_s_words_are_kept(status: int, reason: str, message: str) -> None:
    """The whole answer is there for a status message and for the log."""
    error = error_from_status(status, reason, message)

    assert (status, reason, message) == (error.status, error.reason, error.message)
    assert f"{status} {reason}: {message}" == str(error)


@given(st.integers(500, 599))
def test_what_the_server_could_not_do_may_be_tried_again(status: int) -> None:
    """No fault of the server's is held against the object."""
    assert isinstance(error_from_status(status, "", ""), UnavailableError)


def test_without_an_answer_only_the_words_are_told() -> None:
    """There is no status to name."""
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
    """One except clause takes them all; each has no child that it would take by mistake."""
    assert (ApiError,) == kind.__bases__
    assert [] == kind.__subclasses__()


@pytest.mark.parametrize(
    ("status", "outage"),
    [(0, True), (429, True), (503, True), (504, True), (500, False), (403, False), (409, False)],
)
def test_who_waits_for_the_server(status: int, *, outage: bool) -> None:
    """Whom a webhook refuses, or people have to help, would wait for ever."""
    error = (
        error_from_status(status, "", "words")
        if status
        else UnavailableError(0, "NoAnswer", "words")
    )

    assert outage is is_outage(error)
