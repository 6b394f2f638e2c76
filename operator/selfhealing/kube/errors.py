"""The errors of the API client. ``responses`` translates HTTP statuses into them.

ApiError
├── NotFoundError          404: the object or its kind does not exist
├── ConflictError          409: the object has changed meanwhile, or the name is taken
├── InvalidError           400, 422: the object is invalid until it is changed
├── ForbiddenError         401, 403: refused by RBAC, a quota or an admission policy
├── DisruptionBudgetError  429, 403 with the cause DisruptionBudget: the eviction is refused now
├── AppDeletedError        not from the API server: the app of a child was deleted meanwhile
├── ExpiredError           410: the resource version or the page token is too old: list again
├── ResponseTooLargeError  not from the API server: the response is larger than is read
└── UnavailableError       429, 5xx, no response: a later request may succeed
"""

from collections.abc import Collection
from typing import Final

import orjson

from selfhealing.api.text import clean_line

MAX_MESSAGE: Final = 4096
"""The most characters of an error's message: an admission webhook may write any text."""


class ApiError(Exception):
    """The API server refused a request.

    Attributes:
        status: the HTTP status; 0 without a response.
        reason: Kubernetes' reason, such as "AlreadyExists"; may be empty.
        message: the API server's message.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}" if status else message)
        self.status = status
        self.reason = reason
        self.message = message


class NotFoundError(ApiError):
    """The object or its kind does not exist."""


class ConflictError(ApiError):
    """The object has changed meanwhile, or the name is taken."""


class InvalidError(ApiError):
    """The object is invalid until it is changed."""


class ForbiddenError(ApiError):
    """RBAC, a quota or an admission policy refuses the request."""


class DisruptionBudgetError(ApiError):
    """A PodDisruptionBudget does not allow the eviction now."""


class AppDeletedError(ApiError):
    """The app was deleted while one of its children was being created."""


class ExpiredError(ApiError):
    """The resource version of a watch, or the token of a list's next page, is too old."""


class ResponseTooLargeError(ApiError):
    """A response is larger than the operator reads; nothing of it is used."""


class UnavailableError(ApiError):
    """The API server is overloaded, restarting or unreachable; a later request may succeed."""


_ERROR_BY_STATUS: dict[int, type[ApiError]] = {
    400: InvalidError,
    401: ForbiddenError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: ExpiredError,
    422: InvalidError,
    429: UnavailableError,
}
_FIRST_SERVER_ERROR = 500
_FORBIDDEN: Final = 403
_WEBHOOK_FAILED: Final = 500
_WEBHOOK_FAILED_TEXT: Final = "failed calling webhook"
"""NewInternalError in the dispatchers of k8s.io/apiserver/pkg/admission/plugin/webhook."""


DISRUPTION_BUDGET_CAUSE: Final = "DisruptionBudget"
"""The cause by which a refused eviction differs from an overloaded API server, both with 429."""


def error_from_status(
    status: int, reason: str, message: str, causes: Collection[str] = ()
) -> ApiError:
    """Return the error for an HTTP status and the causes in the response."""
    if DISRUPTION_BUDGET_CAUSE in causes:
        return DisruptionBudgetError(status, reason, message)
    error_type = (
        UnavailableError
        if status >= _FIRST_SERVER_ERROR
        else _ERROR_BY_STATUS.get(status, ApiError)
    )
    return error_type(status, reason, message)


def parse_error(status: int, data: bytes | bytearray) -> ApiError:
    """Return the error for the body of a response with an HTTP status of 400 or more."""
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:  # a proxy's page instead of Kubernetes' Status
        body = {}
    if not isinstance(body, dict):
        body = {}
    message = clean_line(body.get("message") or data[:256].decode(errors="replace"))
    causes = [c.get("reason", "") for c in (body.get("details") or {}).get("causes") or ()]
    return error_from_status(status, body.get("reason", ""), message[:MAX_MESSAGE], causes)


def is_outage(error: ApiError) -> bool:
    """Whether the API server cannot serve any request now, so that waiting helps.

    A status of 500 is excluded: usually a failing webhook for this kind, possibly permanent.
    """
    return isinstance(error, UnavailableError) and error.status != _WEBHOOK_FAILED


def is_right_missing(error: ApiError) -> bool:
    """Whether RBAC refuses a request, rather than a quota or an admission policy.

    The text is that of forbiddenMessage in k8s.io/apiserver/pkg/endpoints/handlers/responsewriters.
    """
    refusal = error.message.partition(" is forbidden: ")[2]
    return (
        isinstance(error, ForbiddenError)
        and refusal.startswith('User "')
        and '" cannot ' in refusal
    )


def is_refusal(error: ApiError) -> bool:
    """Whether a request is refused with 403, by RBAC or anything else; 401 is a bad token."""
    return isinstance(error, ForbiddenError) and error.status == _FORBIDDEN


def is_webhook_failure(error: ApiError) -> bool:
    """Whether an admission webhook that must be asked does not answer; the message names it."""
    return error.status == _WEBHOOK_FAILED and _WEBHOOK_FAILED_TEXT in error.message
