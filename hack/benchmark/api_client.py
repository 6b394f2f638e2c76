"""The benchmark's asynchronous Kubernetes client, on aiohttp.

The tests and the other tools use ``hack.testkit.kube_client``. The benchmark does not: the raw loop
beside the operator needs many requests at the same time, and what the client costs is part of what
is measured. Paths, content types and errors are those of the common client.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Self

import aiohttp
import orjson

from hack.testkit.errors import ApiError
from hack.testkit.kube_client import APPLY_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Json, object_path
from selfhealing.kube.credentials import load_configuration

METADATA_LIST_TYPE = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
FIELD_MANAGER = "selfhealing-bench"
MAX_LINE_BYTES = 2**22


class AsyncKubeClient:
    """A session with the API server; an async context manager."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self.broken_watches = 0

    async def __aenter__(self) -> Self:
        """Open the session, with the credentials of the kubeconfig."""
        configuration = await load_configuration()
        trust = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if configuration.cert_file:
            trust.load_cert_chain(configuration.cert_file, configuration.key_file)
        token = await configuration.get_api_key_with_prefix("BearerToken")
        self._session = aiohttp.ClientSession(
            base_url=configuration.host,
            connector=aiohttp.TCPConnector(limit=0, ssl=trust),
            headers={"Authorization": token} if token else {},
            timeout=aiohttp.ClientTimeout(total=60),
            read_bufsize=MAX_LINE_BYTES,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()

    async def send_request(
        self,
        method: str,
        request_path: str,
        body: Json | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        """Send a request and return the body of its response.

        Raises:
            ApiError: the API server refused the request.
        """
        assert self._session is not None  # noqa: S101 - used outside `async with`
        data = None if body is None else orjson.dumps(body)
        async with self._session.request(
            method, request_path, data=data, params=query or {}, headers=headers or {}
        ) as response:
            content = await response.read()
        if response.status >= 400:
            text = content[:600].decode(errors="replace")
            raise ApiError(f"{method} {request_path}: {response.status} {text}", response.status)
        found: Json = orjson.loads(content)
        return found

    async def apply(self, body: Json) -> Json:
        """Apply an object by server-side apply."""
        meta = body["metadata"]
        return await self.send_request(
            "PATCH",
            object_path(body["kind"], meta.get("namespace"), meta["name"]),
            body,
            {"fieldManager": FIELD_MANAGER, "force": "true"},
            {"Content-Type": APPLY_PATCH},
        )

    async def patch_status(self, kind: str, namespace: str, name: str, status: Json) -> Json:
        """Patch the status of an object as a kubelet does."""
        status_path = object_path(kind, namespace, name, "status")
        return await self.send_request(
            "PATCH", status_path, {"status": status}, headers={"Content-Type": STRATEGIC_PATCH}
        )

    async def merge_status(self, kind: str, namespace: str, name: str, status: Json) -> Json:
        """Merge fields into the status of a custom resource."""
        status_path = object_path(kind, namespace, name, "status")
        return await self.send_request(
            "PATCH", status_path, {"status": status}, headers={"Content-Type": MERGE_PATCH}
        )

    async def list(self, kind: str, namespace: str | None, *, metadata: bool = False) -> Json:
        """List all objects; return the list object."""
        headers = {"Accept": METADATA_LIST_TYPE} if metadata else {}
        return await self.send_request("GET", object_path(kind, namespace), headers=headers)

    async def count(self, kind: str, namespace: str) -> int:
        """Count objects; the response has at most one of them."""
        query = {"limit": "1"}
        page = await self.send_request(
            "GET", object_path(kind, namespace), query=query, headers={"Accept": METADATA_LIST_TYPE}
        )
        return len(page["items"] or ()) + int(page["metadata"].get("remainingItemCount", 0))

    async def is_namespace_gone(self, namespace: str) -> bool:
        """Return whether a namespace no longer exists."""
        try:
            await self.send_request("GET", object_path("Namespace", None, namespace))
        except ApiError as error:
            return error.status == 404
        return False

    async def watch(self, kind: str, namespace: str) -> AsyncIterator[Json]:
        """Watch all objects without end: first the existing ones, then the changes.

        A broken watch is started again, which yields the existing objects again.
        """
        while True:
            try:
                async for event in self._watch(kind, namespace):
                    yield event
            except (aiohttp.ClientError, ApiError, TimeoutError):
                self.broken_watches += 1
            await asyncio.sleep(0.2)

    async def _watch(self, kind: str, namespace: str) -> AsyncIterator[Json]:
        assert self._session is not None  # noqa: S101 - as in call
        query = {"watch": "true", "resourceVersion": "0", "timeoutSeconds": "3600"}
        async with self._session.get(
            object_path(kind, namespace), params=query, timeout=aiohttp.ClientTimeout(total=None)
        ) as response:
            if response.status >= 400:
                raise ApiError(f"watch {kind}: {response.status} {await response.text()}")
            async for line in response.content:
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(f"watch {kind}: {event['object'].get('message')}")
                yield event
