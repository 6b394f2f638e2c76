"""What the API server may answer instead of what was asked: one tree, made at one edge.

ApiError
├── NotFoundError        404: the object, or its kind, is not there
├── ConflictError        409: somebody was faster, or the name is taken
├── InvalidError         400, 422: the object is wrong and stays wrong until it is changed
├── ForbiddenError       401, 403: not allowed (RBAC, quota, an admission policy)
├── BudgetError          429, 403 with the cause DisruptionBudget: a pod may not be evicted now
├── GoneError            our own finding: the app was deleted before the watch said so
└── UnavailableError     429, 5xx, no answer: try again later
"""

from collections.abc import Collection
from typing import Final


class ApiError(Exception):
    """The API server refused a request.

    Attributes:
        status: the HTTP status, 0 when there was no answer.
        reason: Kubernetes' reason, such as "AlreadyExists"; may be empty.
        message: the server's own words.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}" if status else message)
        self.status = status
        self.reason = reason
        self.message = message


class NotFoundError(ApiError):
    """The object, or its kind, is not there."""


class ConflictError(ApiError):
    """Somebody was faster, or the name is taken."""


class InvalidError(ApiError):
    """The object is wrong and stays wrong until it is changed."""


class ForbiddenError(ApiError):
    """Not allowed: by RBAC, a quota or an admission policy."""


class DisruptionBudgetError(ApiError):
    """A PodDisruptionBudget does not allow the eviction now; it may later."""


class AppDeletedError(ApiError):
    """The app that a child was to be made for is gone."""


class UnavailableError(ApiError):
    """Overloaded, restarting or out of reach: the same request may succeed later."""


_ERROR_BY_STATUS: dict[int, type[ApiError]] = {
    400: InvalidError,
    401: ForbiddenError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    422: InvalidError,
    429: UnavailableError,
}
_FIRST_SERVER_ERROR = 500
_WEBHOOK_FAILED: Final = 500


DISRUPTION_BUDGET_CAUSE: Final = "DisruptionBudget"
"""The cause that tells the refusal of a budget from that of a server with too much to do."""


def error_from_status(
    status: int, reason: str, message: str, causes: Collection[str] = ()
) -> ApiError:
    """The error of the tree that stands for an HTTP status, and for the causes in the answer."""
    if DISRUPTION_BUDGET_CAUSE in causes:
        return DisruptionBudgetError(status, reason, message)
    error_type = (
        UnavailableError
        if status >= _FIRST_SERVER_ERROR
        else _ERROR_BY_STATUS.get(status, ApiError)
    )
    return error_type(status, reason, message)


def is_outage(error: ApiError) -> bool:
    """Whether the API server cannot answer anything now; then it is waited for.

    What it answers with 500 is mostly a webhook that fails, for this kind of object, perhaps for
    ever.
    """
    return isinstance(error, UnavailableError) and error.status != _WEBHOOK_FAILED
