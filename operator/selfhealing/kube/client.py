"""The API client: the calls that the operator makes, with plain dicts.

The official client (``kubernetes.aio``) provides transport, TLS and credentials. Its models are not
used, because the children are plain dicts and the models take more CPU than the requests
(docs/adr/0005-api-client.md). Only this module turns responses into the errors of ``errors``.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, Self
from urllib.parse import urlencode
from urllib.request import getproxies_environment

import aiohttp
import orjson
from kubernetes.aio.client import ApiClient, Configuration

from selfhealing import __version__
from selfhealing.api import names
from selfhealing.api.text import clean_line
from selfhealing.kube.errors import (
    ApiError,
    DisruptionBudgetError,
    NotFoundError,
    UnavailableError,
    error_from_status,
)
from selfhealing.kube.metrics import API_REQUESTS
from selfhealing.kube.resources import PODS, Resource

APPLY_PATCH: Final = "application/apply-patch+yaml; charset=utf-8"
"""Server-side apply. The parameter keeps the official client from encoding the body (encode_yaml);
the API server ignores it (ServeHTTP of a patch, k8s.io/apiserver)."""
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH: Final = "application/strategic-merge-patch+json"
"""Lists are merged by item name: a patch of one container keeps the others."""
JSON_PATCH: Final = "application/json-patch+json"
METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
PAGE_SIZE: Final = 500
"""Objects in one page of a list."""

Json = dict[str, Any]


class Client:
    """Calls to the API server; use as an async context manager."""

    def __init__(self, configuration: Configuration, timeout: float, connections: int) -> None:
        """Create a client; no request is sent yet.

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
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._api_client.close()  # type: ignore[no-untyped-call]

    async def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """Read one object; None if it does not exist."""
        try:
            return await self._request_json("get", resource, resource.path(namespace, name))
        except NotFoundError:
            return None

    def list_metadata(
        self, resource: Resource, namespace: str | None, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Json]:
        """Read the metadata of all objects of a kind, in pages.

        Args:
            resource: the kind.
            namespace: where; None for everywhere.
            labels: a label selector; empty for all.
            fields: a field selector; empty for all.
        """
        return self._list_items(resource, namespace, labels, METADATA_LIST, fields)

    def list_objects(
        self, resource: Resource, namespace: str | None, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Json]:
        """Read all objects of a kind as a whole, in pages.

        Args:
            resource: the kind.
            namespace: where; None for everywhere.
            labels: a label selector; empty for all.
            fields: a field selector; empty for all.
        """
        return self._list_items(resource, namespace, labels, "application/json", fields)

    async def read_log(  # noqa: PLR0913 - what the API server has to be told of a log
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        previous: bool,
        lines: int,
        limit_bytes: int,
    ) -> str:
        """Read the last lines of a container's log.

        Args:
            namespace: the pod's namespace.
            pod: the pod's name.
            container: the container's name.
            previous: read the log of the container before its last restart.
            lines: the number of lines, counted from the end of the log.
            limit_bytes: the maximum size; the API server cuts the end of these lines.
        """
        query = {
            "container": container,
            "previous": str(previous).lower(),
            "tailLines": str(lines),
            "limitBytes": str(limit_bytes),
        }
        data = await self._send_request(
            "get",
            PODS,
            PODS.path(namespace, pod, "log"),
            subresource="log",
            accept="*/*",
            query=query,
        )
        return data.decode(errors="replace")

    async def _list_items(
        self,
        resource: Resource,
        namespace: str | None,
        labels: str,
        accept: str,
        fields: str = "",
    ) -> AsyncIterator[Json]:
        query = {"limit": str(PAGE_SIZE)} | ({"labelSelector": labels} if labels else {})
        query |= {"fieldSelector": fields} if fields else {}
        while True:
            page = await self._request_json(
                "list", resource, resource.path(namespace), query=query, accept=accept
            )
            for item in page["items"] or ():
                yield item
            token = page["metadata"].get("continue")
            if not token:
                return
            query["continue"] = token

    async def apply(self, resource: Resource, body: Json, field_manager: str) -> Json:
        """Apply a manifest on the server's side, with force; return the live object.

        Args:
            resource: the kind.
            body: the manifest.
            field_manager: the manager that owns the manifest's fields from then on.
        """
        meta = body["metadata"]
        return await self._request_json(
            "patch",
            resource,
            resource.path(meta["namespace"], meta["name"]),
            body=encode_yaml(body),
            content_type=APPLY_PATCH,
            query={"fieldManager": field_manager, "force": "true"},
        )

    async def merge_patch(
        self, resource: Resource, namespace: str, name: str, patch: Json, subresource: str = ""
    ) -> Json:
        """Merge a patch into an object or its subresource; return the live object."""
        return await self._request_json(
            "patch",
            resource,
            resource.path(namespace, name, subresource),
            subresource=subresource,
            body=patch,
            content_type=MERGE_PATCH,
            query={"fieldManager": names.FIELD_MANAGER},
        )

    async def json_patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        operations: Sequence[Json],
        field_manager: str,
    ) -> Json:
        """Apply a JSON patch (RFC 6902), all operations or none; return the live object."""
        return await self._request_json(
            "patch",
            resource,
            resource.path(namespace, name),
            body=operations,
            content_type=JSON_PATCH,
            query={"fieldManager": field_manager},
        )

    async def create(self, resource: Resource, body: Json) -> Json:
        """Create an object, or a review, which is answered and not stored."""
        path = resource.path(body["metadata"]["namespace"] if resource.namespaced else None)
        return await self._request_json("create", resource, path, body=body)

    async def replace(self, resource: Resource, body: Json) -> Json:
        """Replace an object.

        Raises:
            ConflictError: the object no longer has the resource version in ``body``.
        """
        meta = body["metadata"]
        path = resource.path(meta["namespace"], meta["name"])
        return await self._request_json("update", resource, path, body=body)

    async def delete(
        self, resource: Resource, namespace: str, name: str, uid: str, *, foreground: bool = False
    ) -> Json | None:
        """Delete an object, if its UID is ``uid``. A missing object is no error.

        Args:
            resource: the kind.
            namespace: the object's namespace.
            name: the object's name.
            uid: the object's UID.
            foreground: delete the object only after its dependents, such as its pods.

        Returns:
            The object, if its deletion is pending; None if it is gone.

        Raises:
            ConflictError: the object has another UID.
        """
        policy = "Foreground" if foreground else "Background"
        body = {"preconditions": {"uid": uid}, "propagationPolicy": policy}
        try:
            raw = await self._request_json(
                "delete", resource, resource.path(namespace, name), body=body
            )
        except NotFoundError:
            return None
        return raw if "deletionTimestamp" in raw.get("metadata", ()) else None

    async def evict_pod(self, namespace: str, pod: str, uid: str, resource_version: int) -> bool:
        """Evict a pod, if it has not changed since ``resource_version``.

        Returns:
            True if the pod is evicted or does not exist; False if a PodDisruptionBudget forbids it.

        Raises:
            ConflictError: the pod has changed, or has another UID.
        """
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"namespace": namespace, "name": pod},
            "deleteOptions": {
                "preconditions": {"uid": uid, "resourceVersion": str(resource_version)}
            },
        }
        path = PODS.path(namespace, pod, "eviction")
        try:
            await self._request_json("create", PODS, path, subresource="eviction", body=body)
        except NotFoundError:
            return True
        except DisruptionBudgetError:
            return False
        return True

    async def resize_pod(self, namespace: str, pod: str, patch: Json) -> Json:
        """Change the resources of a running pod; return the live pod.

        The kubelet applies the change later, and only if the node has room.
        """
        return await self._request_json(
            "patch",
            PODS,
            PODS.path(namespace, pod, "resize"),
            subresource="resize",
            body=patch,
            content_type=STRATEGIC_MERGE_PATCH,
            query={"fieldManager": names.FIELD_MANAGER},
        )

    async def _request_json(
        self,
        verb: str,
        resource: Resource,
        path: str,
        **options: Any,  # noqa: ANN401 - as _send
    ) -> Json:
        """Send a request and parse the JSON response."""
        result: Json = orjson.loads(await self._send_request(verb, resource, path, **options))
        return result

    async def _send_request(  # noqa: PLR0913 - the parts of one HTTP request
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
    ) -> bytes:
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
        try:
            response = await self._api_client.rest_client.request(  # type: ignore[no-untyped-call]
                _HTTP_METHODS[verb], url, headers=headers, body=body, _request_timeout=self._timeout
            )
            data: bytes = await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            API_REQUESTS.labels(verb, resource.kind, "none").inc()
            raise UnavailableError(
                0, "NoAnswer", f"no response from the API server: {type(error).__name__} {error}"
            ) from error
        API_REQUESTS.labels(verb, resource.kind, str(response.status)).inc()
        if response.status >= _FIRST_ERROR_STATUS:
            raise _parse_error(response.status, data)
        return data


def encode_yaml(body: Json) -> bytes:
    """Serialise a manifest to YAML in UTF-8.

    It is JSON, with the characters escaped that YAML 1.1 does not allow or takes for line ends.
    Escaped surrogates, as the standard library writes them for an emoji, are no YAML.
    """
    return orjson.dumps(body).decode().translate(_YAML_ESCAPES).encode()


_YAML_ESCAPES: Final = {
    code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF)
}
"""YAML 1.1, sections 4.1.1 (printable characters) and 4.1.4 (line breaks)."""
_HTTP_METHODS: Final = {
    "get": "GET",
    "list": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
}
_FIRST_ERROR_STATUS: Final = 400


def _parse_error(status: int, data: bytes) -> ApiError:
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:  # a proxy's page instead of Kubernetes' Status
        body = {}
    if not isinstance(body, dict):
        body = {}
    message = clean_line(body.get("message") or data[:256].decode(errors="replace"))
    causes = [c.get("reason", "") for c in (body.get("details") or {}).get("causes") or ()]
    return error_from_status(status, body.get("reason", ""), message, causes)
