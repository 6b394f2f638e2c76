"""The API client: the calls that the operator makes, with plain dicts.

The models of the official client are not used, because the children are plain dicts and the models
take more CPU than the requests (docs/adr/0005-api-client.md). ``transport`` sends the requests.
"""

import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple, Self

import aiohttp
from kubernetes.aio.client import Configuration

from selfhealing.api import names
from selfhealing.kube.errors import DisruptionBudgetError, NotFoundError, ResponseTooLargeError
from selfhealing.kube.json_fields import read_page_of_one
from selfhealing.kube.json_lines import split_lines
from selfhealing.kube.paging import MAX_RESPONSE_BYTES, PageLimit
from selfhealing.kube.resources import PODS, Resource
from selfhealing.kube.responses import (
    CONNECTION_ERRORS,
    parse_json,
    parse_watch_event,
    unavailable_error,
)
from selfhealing.kube.server_clock import ServerClock
from selfhealing.kube.transport import Transport
from selfhealing.kube.yaml_body import encode_yaml

logger = logging.getLogger(__name__)

APPLY_PATCH: Final = "application/apply-patch+yaml; charset=utf-8"
"""Server-side apply. The parameter keeps the official client from encoding the body (encode_yaml);
the API server ignores it (ServeHTTP of a patch, k8s.io/apiserver)."""
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH: Final = "application/strategic-merge-patch+json"
"""Lists are merged by item name: a patch of one container keeps the others."""
JSON_PATCH: Final = "application/json-patch+json"
METADATA: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

WATCH_SECONDS: Final = (300, 600)
"""The API server ends a watch after a random time between these, as client-go asks it to."""
WATCH_SILENCE: Final = 90.0
"""Seconds without a byte after which a watch is dead: bookmarks come once a minute."""
WATCH_SECONDS_WITHOUT_BOOKMARKS: Final = (45, 75)
"""The same as WATCH_SECONDS for a watch that may be silent until its end."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Selection:
    """The objects of a kind that are listed and watched.

    Attributes:
        resource: the kind.
        labels: a label selector; empty for all.
        fields: a field selector; empty for all.
        metadata_only: the API server sends nothing but the metadata of each object.
        has_bookmarks: the API server sends bookmarks in a watch. It sends none for Events, for
            which it has no watch cache.
    """

    resource: Resource
    labels: str = ""
    fields: str = ""
    metadata_only: bool = False
    has_bookmarks: bool = True

    @property
    def query(self) -> Json:
        """The selectors as query parameters."""
        selectors = {"labelSelector": self.labels, "fieldSelector": self.fields}
        return {name: value for name, value in selectors.items() if value}


class Page(NamedTuple):
    """A page of a list, and the resource version from which a watch continues the list."""

    items: list[Json]
    resource_version: str


class Client:
    """Calls to the API server; use as an async context manager."""

    def __init__(self, configuration: Configuration, timeout: float, connections: int) -> None:
        """Create a client; no request is sent yet.

        Args:
            configuration: the server's address and the credentials.
            timeout: seconds that one request may take.
            connections: the maximum number of concurrent requests.
        """
        self._transport = Transport(configuration, timeout, connections)

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._transport.close()

    @property
    def server_clock(self) -> ServerClock:
        """The API server's time, as its responses tell it."""
        return self._transport.server_clock

    async def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """Read one object; None if it does not exist."""
        try:
            return await self._transport.request_json(
                "get", resource, resource.path(namespace, name)
            )
        except NotFoundError:
            return None

    async def get_metadata(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """Read the metadata of one object; None if it does not exist."""
        try:
            return await self._transport.request_json(
                "get", resource, resource.path(namespace, name), accept=METADATA
            )
        except NotFoundError:
            return None

    async def is_discovered(self, resource: Resource) -> bool:
        """Whether the discovery of the API server names a kind.

        A new kind is served up to some seconds before it is.
        """
        request = partial(self._transport.request_json, "get", resource)
        try:
            groups = await request("/apis")
            if resource.group not in {each["name"] for each in groups["groups"]}:
                return False
            found = await request(f"/apis/{resource.api_version}")
        except NotFoundError:
            return False
        return resource.plural in {each["name"] for each in found["resources"]}

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
        return self._list_items(Selection(resource, labels, fields, metadata_only=True), namespace)

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
        return self._list_items(Selection(resource, labels, fields), namespace)

    async def list_pages(
        self, selection: Selection, namespace: str | None
    ) -> AsyncGenerator[Page, None]:
        """Read the selected objects, in pages that are small in bytes (see ``kube.paging``).

        Args:
            selection: the objects.
            namespace: where; None for everywhere.

        Raises:
            ExpiredError: the list took so long that it has to begin again.
        """
        resource = selection.resource
        accept = METADATA_LIST if selection.metadata_only else "application/json"
        query = selection.query
        page_limit = PageLimit()
        while True:
            try:
                data = await self._transport.send_request(
                    "list",
                    resource,
                    resource.path(namespace),
                    query=query | {"limit": str(page_limit.limit)},
                    accept=accept,
                    max_bytes=page_limit.max_bytes,
                )
            except ResponseTooLargeError:
                if not page_limit.shrink():
                    raise
                continue
            try:
                content = parse_json(data, page_limit.max_fields)
            except ResponseTooLargeError as error:
                if page_limit.shrink():
                    continue
                logger.warning("skipped a %s of a list: %s", resource.kind, error)
                content = read_page_of_one(data)
            page_limit.on_page(len(data))
            del data
            token = content["metadata"].get("continue")
            yield Page(content["items"] or [], content["metadata"].get("resourceVersion", ""))
            del content  # else it would stay in memory beside the next page
            if not token:
                return
            query["continue"] = token

    async def watch(
        self, selection: Selection, namespace: str | None, resource_version: str
    ) -> AsyncGenerator[Json, None]:
        """Yield the watch events, bookmarks included, until the API server ends the watch.

        Args:
            selection: the objects.
            namespace: where; None for everywhere.
            resource_version: the changes after this version are reported.

        Raises:
            ExpiredError: the version is too old: the objects have to be listed again.
            UnavailableError: the connection is broken, or silent for WATCH_SILENCE.
        """
        resource = selection.resource
        duration = WATCH_SECONDS if selection.has_bookmarks else WATCH_SECONDS_WITHOUT_BOOKMARKS
        query = selection.query | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(random.randint(*duration)),  # noqa: S311 - jitter
        }
        response = await self._transport.open_response(
            "watch",
            resource,
            resource.path(namespace),
            query=query,
            accept=METADATA if selection.metadata_only else "application/json",
            timeout=aiohttp.ClientTimeout(
                sock_connect=self._transport.timeout.total, sock_read=WATCH_SILENCE
            ),
        )
        chunks = response.response.content.iter_any()
        try:
            async for line in split_lines(chunks, MAX_RESPONSE_BYTES):
                try:
                    event = parse_watch_event(line)
                except ResponseTooLargeError as error:  # another watch would send it again
                    logger.warning("skipped a change of a %s: %s", resource.kind, error)
                    continue
                yield event
                del event  # the next one may be hours away
        except CONNECTION_ERRORS as error:
            raise unavailable_error(error) from error
        finally:
            response.response.close()

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
        data = await self._transport.send_request(
            "get",
            PODS,
            PODS.path(namespace, pod, "log"),
            subresource="log",
            accept="*/*",
            query=query,
        )
        return data.decode(errors="replace")

    async def _list_items(self, selection: Selection, namespace: str | None) -> AsyncIterator[Json]:
        async for page in self.list_pages(selection, namespace):
            for item in page.items:
                yield item

    async def apply(self, resource: Resource, body: Json, field_manager: str) -> Json:
        """Apply a manifest on the server's side, with force; return the live object.

        Args:
            resource: the kind.
            body: the manifest.
            field_manager: the manager that owns the manifest's fields from then on.
        """
        meta = body["metadata"]
        return await self._transport.request_json(
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
        return await self._transport.request_json(
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
        return await self._transport.request_json(
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
        return await self._transport.request_json("create", resource, path, body=body)

    async def try_create_pod(self, body: Json) -> None:
        """Have a pod admitted and validated like one that is created, without creating it.

        It is the only way in which the operator creates pods, and an admission policy refuses it
        any other.

        Raises:
            ApiError: the pod would be refused, or nobody can tell.
        """
        path = PODS.path(body["metadata"]["namespace"])
        query = {"dryRun": "All"}
        await self._transport.request_json("create", PODS, path, body=body, query=query)

    async def replace(self, resource: Resource, body: Json) -> Json:
        """Replace an object.

        Raises:
            ConflictError: the object no longer has the resource version in ``body``.
        """
        meta = body["metadata"]
        path = resource.path(meta["namespace"], meta["name"])
        return await self._transport.request_json("update", resource, path, body=body)

    async def delete(  # noqa: PLR0913 - what an object is deleted by
        self,
        resource: Resource,
        namespace: str,
        name: str,
        uid: str,
        *,
        resource_version: str = "",
        foreground: bool = False,
    ) -> Json | None:
        """Delete an object, if its UID is ``uid``. A missing object is no error.

        Args:
            resource: the kind.
            namespace: the object's namespace.
            name: the object's name.
            uid: the object's UID.
            resource_version: the version that the object must still have; empty for any.
            foreground: delete the object only after its dependents, such as its pods.

        Returns:
            The object, if its deletion is pending; None if it is gone.

        Raises:
            ConflictError: the object has another UID or resource version.
        """
        policy = "Foreground" if foreground else "Background"
        preconditions = {"uid": uid}
        if resource_version:
            preconditions["resourceVersion"] = resource_version
        body = {"preconditions": preconditions, "propagationPolicy": policy}
        try:
            raw = await self._transport.request_json(
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
            await self._transport.request_json(
                "create", PODS, path, subresource="eviction", body=body
            )
        except NotFoundError:
            return True
        except DisruptionBudgetError:
            return False
        return True

    async def resize_pod(
        self, namespace: str, pod: str, patch: Json, *, dry_run: bool = False
    ) -> Json:
        """Change the resources of a running pod; return the live pod.

        The kubelet applies the change later, and only if the node has room. A dry run is admitted
        or refused in the same way, and changes nothing.
        """
        return await self._transport.request_json(
            "patch",
            PODS,
            PODS.path(namespace, pod, "resize"),
            subresource="resize",
            body=patch,
            content_type=STRATEGIC_MERGE_PATCH,
            query={
                "fieldManager": names.FIELD_MANAGER,
                **({"dryRun": "All"} if dry_run else {}),
            },
        )
