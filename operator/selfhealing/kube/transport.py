"""The transport of the API client: sends one request, reads its response and counts it.

The official client (``kubernetes.aio``) provides connections, TLS and credentials. ``responses``
turns responses into the errors of ``errors``.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode
from urllib.request import getproxies_environment

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.client.rest import RESTResponse

from selfhealing import __version__
from selfhealing.api import names
from selfhealing.kube.errors import is_right_missing, parse_error
from selfhealing.kube.metrics import API_REQUESTS, MISSING_RIGHTS
from selfhealing.kube.paging import MAX_RESPONSE_BYTES
from selfhealing.kube.resources import Resource
from selfhealing.kube.responses import (
    CONNECTION_ERRORS,
    FIRST_ERROR_STATUS,
    parse_json,
    read_body,
    unavailable_error,
)
from selfhealing.kube.server_clock import ServerClock

Json = dict[str, Any]


class Transport:
    """Sends requests to the API server.

    Attributes:
        server_clock: the API server's time, as its responses tell it.
        timeout: the time that one request may take.
    """

    def __init__(self, configuration: Configuration, timeout: float, connections: int) -> None:
        """Create a transport; no request is sent yet.

        Args:
            configuration: the server's address and the credentials.
            timeout: seconds that one request may take.
            connections: the maximum number of concurrent requests.
        """
        configuration.connection_pool_maxsize = connections
        # With trust_env aiohttp reads ~/.netrc for every request, a third of a request's CPU time.
        configuration.client_session_kwargs = {"trust_env": bool(getproxies_environment())}
        self._api_client = ApiClient(configuration)
        self._api_client.user_agent = f"{names.FIELD_MANAGER}/{__version__}"
        self.timeout = aiohttp.ClientTimeout(total=timeout)
        self.server_clock = ServerClock()

    async def close(self) -> None:
        """Close the connections."""
        await self._api_client.close()  # type: ignore[no-untyped-call]

    async def request_json(
        self,
        verb: str,
        resource: Resource,
        path: str,
        **options: Any,  # noqa: ANN401 - as send_request
    ) -> Json:
        """Send a request and parse the JSON response."""
        result: Json = parse_json(await self.send_request(verb, resource, path, **options))
        return result

    async def send_request(
        self,
        verb: str,
        resource: Resource,
        path: str,
        *,
        max_bytes: int = MAX_RESPONSE_BYTES,
        **options: Any,  # noqa: ANN401 - as open_response
    ) -> bytearray:
        """Send a request and read the response.

        Raises:
            ResponseTooLargeError: the response has more than ``max_bytes``.
        """
        response = await self.open_response(verb, resource, path, **options)
        return await read_body(response, f"{verb} {path}", max_bytes)

    async def open_response(  # noqa: PLR0913 - the parts of one HTTP request
        self,
        verb: str,
        resource: Resource,
        path: str,
        *,
        subresource: str = "",
        body: Json | Sequence[Json] | bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        query: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout | None = None,  # noqa: ASYNC109 - of the transport
    ) -> RESTResponse:
        """Send a request; return the response, of which the body is not read yet."""
        if not resource.allows(verb, subresource):
            raise PermissionError(
                f"{verb} on {resource.plural}/{subresource} is not in kube/resources.py, "
                "from which the RBAC rules are generated: add it there"
            )
        url = self._api_client.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        headers = {
            **self._api_client.default_headers,
            "Accept": accept,
            "Content-Type": content_type,
        }
        await self._api_client.update_params_for_auth(
            headers, None, ["BearerToken"], path, verb, None
        )
        sent_at = self.server_clock.start_request()
        try:
            # Also of a watch the API server sends the headers at once.
            async with asyncio.timeout(self.timeout.total):
                response: RESTResponse = await self._api_client.rest_client.request(  # type: ignore[no-untyped-call]
                    _HTTP_METHODS[verb],
                    url,
                    headers=headers,
                    body=body,
                    _request_timeout=timeout or self.timeout,
                )
        except CONNECTION_ERRORS as error:
            API_REQUESTS.labels(verb, resource.kind, "none").inc()
            raise unavailable_error(error) from error
        API_REQUESTS.labels(verb, resource.kind, str(response.status)).inc()
        if response.status >= FIRST_ERROR_STATUS:
            data = await read_body(response, f"{verb} {path}", MAX_RESPONSE_BYTES)
            refusal = parse_error(response.status, data)
            if is_right_missing(refusal):
                MISSING_RIGHTS.labels(verb, resource.kind).inc()
            raise refusal
        self.server_clock.observe(response.headers.get("Date"), sent_at)
        return response


_HTTP_METHODS: Final = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
}
