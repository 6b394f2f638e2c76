"""A request and its response, apart from the connection that they come through."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

JSON_TYPE: Final = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request.

    Attributes:
        path: the path, without the query.
        query: the fields of the query.
        headers: the headers that are looked at, by their names in lower case.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response.

    Attributes:
        is_kept: a browser may keep it, and asks whether it is still right.
    """

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    is_kept: bool = False


def json_response(value: Any, status: int = 200) -> Response:  # noqa: ANN401 - any JSON value
    """Return a response with a JSON value."""
    return Response(status, orjson.dumps(value))


def error_response(status: int, message: str) -> Response:
    """Return a response that says what is wrong."""
    return json_response({"error": message}, status)
