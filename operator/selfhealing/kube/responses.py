"""Reads the responses of the API server, and turns failures into the errors of ``errors``."""

import json
from contextlib import suppress
from typing import Any, Final

import aiohttp
import orjson
from kubernetes.aio.client.rest import RESTResponse

from selfhealing.kube.errors import (
    ResponseTooLargeError,
    UnavailableError,
    error_from_status,
)
from selfhealing.kube.json_fields import MAX_FIELDS, has_more_fields, read_event_identity

Json = dict[str, Any]

FIRST_ERROR_STATUS: Final = 400
CONNECTION_ERRORS: Final = (TimeoutError, aiohttp.ClientError, OSError)
"""What the transport raises without a response, or within one."""


async def read_body(response: RESTResponse, request: str, max_bytes: int) -> bytearray:
    """Read a response as a whole, if it has no more than ``max_bytes``."""
    body = bytearray()
    try:
        async for chunk in response.response.content.iter_any():
            body += chunk
            if len(body) > max_bytes:
                response.response.close()
                raise ResponseTooLargeError(
                    0,
                    "ResponseTooLarge",
                    f"{request}: the response has more than {max_bytes} bytes",
                )
    except CONNECTION_ERRORS as error:
        raise unavailable_error(error) from error
    return body


def parse_json(data: bytes | bytearray, max_fields: int = MAX_FIELDS) -> Any:  # noqa: ANN401 - JSON
    """Parse the body of a response, or a line of a watch.

    Raises:
        ResponseTooLargeError: it has more than ``max_fields`` fields, or is nested so deeply that
            this version of Python cannot read it.
        UnavailableError: it is no JSON: something between the operator and the API server has
            answered, or cut the response.
    """
    if has_more_fields(data, max_fields):
        message = f"the response has more than {max_fields} fields"
        raise ResponseTooLargeError(0, "ResponseTooLarge", message)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        try:
            with suppress(ValueError):  # orjson ends at 1024 levels
                return json.loads(data)
        except RecursionError:
            message = "the response is nested too deeply"
            raise ResponseTooLargeError(0, "ResponseTooLarge", message) from error
        text = data[:64].decode(errors="replace")
        raise UnavailableError(0, "NoJson", f"the response is no JSON: {text!r}") from error


def parse_watch_event(line: bytes) -> Json:
    """Parse a line of a watch; of an object with too many fields only the identity.

    Raises:
        ApiError: it is an error, such as ExpiredError, or no watch event.
        ResponseTooLargeError: it has too many fields, and not even the identity can be read.
    """
    try:
        event = parse_json(line)
    except ResponseTooLargeError:
        if (event := read_event_identity(line)) is None:
            raise
    try:
        kind, target = event["type"], event["object"]
        if kind == "ERROR":
            raise error_from_status(
                target.get("code", 0), target.get("reason", ""), target.get("message", "")
            )
        target["metadata"].items()
    except (AttributeError, KeyError, TypeError) as error:
        text = line[:64].decode(errors="replace")
        raise UnavailableError(0, "NoEvent", f"no watch event: {text!r}") from error
    return {"type": kind, "object": target}


def unavailable_error(error: Exception) -> UnavailableError:
    """Return the error for a request without a response, or with one that broke off."""
    return UnavailableError(
        0, "NoAnswer", f"no response from the API server: {type(error).__name__} {error}"
    )
