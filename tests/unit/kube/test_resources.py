"""The table of the operator's rights, and the client that refuses other calls."""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from kubernetes.aio.client import Configuration

from selfhealing.api.config_refs import ConfigWatch
from selfhealing.kube.client import Client, Selection
from selfhealing.kube.resources import (
    APPS,
    CHILDREN,
    CLUSTER_SCOPED,
    CONFIG_FIELD_SELECTORS,
    CONFIG_MAPS,
    CONFIG_SOURCES,
    CONTROLLER_REVISIONS,
    CUSTOM_RESOURCE_DEFINITIONS,
    EVENT_SERIES,
    EVENTS,
    LEASES,
    NAMESPACE_SCOPED,
    NAMESPACES,
    NODES,
    POD_METRICS,
    PODS,
    Resource,
    namespace_scoped_resources,
)

BASE_RESOURCES = (*NAMESPACE_SCOPED, *CLUSTER_SCOPED, LEASES)
ALL_RESOURCES = (*namespace_scoped_resources("all"), *CLUSTER_SCOPED, LEASES)
"""All resources, with those of the setting ``config_watch``."""
BODY = {"metadata": {"namespace": "shop", "name": "web"}}

Call = Callable[[Client, Resource], Coroutine[Any, Any, object]]


class RequestSent(Exception):  # noqa: N818 - no error: the request would have gone out
    """Raised instead of sending a request."""


@pytest.mark.parametrize(
    ("resource", "where", "path"),
    [
        (APPS, (), "/apis/selfhealing.dev/v1alpha1/selfhealingapps"),
        (
            APPS,
            ("shop", "web", "status"),
            "/apis/selfhealing.dev/v1alpha1/namespaces/shop/selfhealingapps/web/status",
        ),
        (PODS, (), "/api/v1/pods"),
        (PODS, (None,), "/api/v1/pods"),
        (PODS, ("shop",), "/api/v1/namespaces/shop/pods"),
        (PODS, ("shop", "web-1", "resize"), "/api/v1/namespaces/shop/pods/web-1/resize"),
        (POD_METRICS, ("shop",), "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods"),
        (
            CONTROLLER_REVISIONS,
            ("shop", "web-1"),
            "/apis/apps/v1/namespaces/shop/controllerrevisions/web-1",
        ),
        (NODES, (None,), "/api/v1/nodes"),
        (PODS, ("shop", "web-1", "log"), "/api/v1/namespaces/shop/pods/web-1/log"),
        (CONFIG_MAPS, ("shop", "web"), "/api/v1/namespaces/shop/configmaps/web"),
        (CHILDREN["Deployment"], ("shop", "web"), "/apis/apps/v1/namespaces/shop/deployments/web"),
        (CHILDREN["Service"], ("shop", "web"), "/api/v1/namespaces/shop/services/web"),
        (
            CHILDREN["HorizontalPodAutoscaler"],
            ("shop",),
            "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers",
        ),
        (
            CHILDREN["PodDisruptionBudget"],
            ("shop",),
            "/apis/policy/v1/namespaces/shop/poddisruptionbudgets",
        ),
        (EVENTS, ("shop",), "/api/v1/namespaces/shop/events"),
        (EVENT_SERIES, ("shop",), "/apis/events.k8s.io/v1/namespaces/shop/events"),
        (LEASES, ("ops", "me"), "/apis/coordination.k8s.io/v1/namespaces/ops/leases/me"),
        (NAMESPACES, ("shop", "shop"), "/api/v1/namespaces/shop"),
        (
            CUSTOM_RESOURCE_DEFINITIONS,
            (),
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        ),
    ],
)
def test_the_path_is_the_api_server_s(
    resource: Resource, where: tuple[str, ...], path: str
) -> None:
    """The core group has another root; cluster-scoped kinds have no namespace in the path."""
    assert path == resource.path(*where)


@pytest.mark.parametrize(
    ("resource", "api_version"),
    [(PODS, "v1"), (LEASES, "coordination.k8s.io/v1"), (APPS, "selfhealing.dev/v1alpha1")],
)
def test_the_api_version_has_no_group_for_the_core(resource: Resource, api_version: str) -> None:
    """It is the apiVersion of manifests."""
    assert api_version == resource.api_version


def test_a_subresource_is_allowed_on_its_own() -> None:
    """The right to patch the status does not include the object, nor vice versa."""
    assert APPS.allows("patch", "status")
    assert not APPS.allows("patch")
    assert not APPS.allows("get", "status")
    assert not APPS.allows("patch", "scale")
    assert APPS.allows("get")


def test_the_operator_asks_for_little() -> None:
    """No wildcard, pods only in a dry run, no write to Secrets, apps or cluster-scoped kinds."""
    writing = {"create", "update", "patch", "delete", "deletecollection"}

    assert not any(
        "*" in resource.verbs | {resource.plural, resource.group} for resource in BASE_RESOURCES
    )
    assert "secrets" not in {resource.plural for resource in BASE_RESOURCES}
    assert all(not writing & resource.verbs for resource in (APPS, EVENTS, *CLUSTER_SCOPED))
    assert {"create", "patch", "delete"} == writing & PODS.verbs
    assert {"status": {"patch"}, "finalizers": {"update"}} == dict(APPS.subresources)
    assert {"eviction": {"create"}, "resize": {"patch"}, "log": {"get"}} == PODS.subresources
    assert not any(
        resource.subresources for resource in BASE_RESOURCES if resource not in (APPS, PODS)
    )
    assert all(resource.namespaced for resource in (*NAMESPACE_SCOPED, LEASES))
    assert not any(resource.namespaced for resource in CLUSTER_SCOPED)


@pytest.mark.parametrize(
    ("watch", "maps", "secrets"),
    [
        ("all", {"create", "get", "patch", "delete", "list", "watch"}, {"get", "list", "watch"}),
        ("configmaps", {"create", "get", "patch", "delete", "list", "watch"}, set()),
        ("off", {"create", "get", "patch", "delete"}, set()),
    ],
)
def test_what_is_not_watched_may_not_be_read(
    watch: ConfigWatch, maps: set[str], secrets: set[str]
) -> None:
    """Secrets are never written; the other rows of the table do not change."""
    verbs_by_plural = {
        resource.plural: resource.verbs for resource in namespace_scoped_resources(watch)
    }

    assert maps == verbs_by_plural.pop("configmaps")
    assert secrets == verbs_by_plural.pop("secrets", frozenset())
    assert {r.plural for r in NAMESPACE_SCOPED} - {"configmaps"} == set(verbs_by_plural)
    assert len(NAMESPACE_SCOPED) + (watch == "all") == len(namespace_scoped_resources(watch))
    assert {r.kind for r in CONFIG_SOURCES[watch]} <= CONFIG_FIELD_SELECTORS.keys()


def test_the_children_are_found_by_their_kind() -> None:
    """All children have the verbs for an apply: create and patch."""
    assert [
        "Deployment",
        "Job",
        "Service",
        "ServiceAccount",
        "Ingress",
        "NetworkPolicy",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "VerticalPodAutoscaler",
        "HTTPRoute",
        "PodMonitor",
    ] == list(CHILDREN)
    assert all(kind == child.kind for kind, child in CHILDREN.items())
    assert all({"create", "patch"} <= child.verbs for child in CHILDREN.values())


async def _list_metadata(client: Client, resource: Resource) -> object:
    return [item async for item in client.list_metadata(resource, "shop")]


async def _list_objects(client: Client, resource: Resource) -> object:
    return [item async for item in client.list_objects(resource, "shop")]


async def _list_pages(client: Client, resource: Resource) -> object:
    return [page async for page in client.list_pages(Selection(resource), "shop")]


async def _watch(client: Client, resource: Resource) -> object:
    return [event async for event in client.watch(Selection(resource), "shop", "1")]


CLIENT_METHODS: dict[str, tuple[str, Call]] = {
    "get": ("get", lambda client, resource: client.get(resource, "shop", "web")),
    "get_metadata": (
        "get",
        lambda client, resource: client.get_metadata(resource, "shop", "web"),
    ),
    "is_discovered": ("get", lambda client, resource: client.is_discovered(resource)),
    "list_metadata": ("list", _list_metadata),
    "list_objects": ("list", _list_objects),
    "list_pages": ("list", _list_pages),
    "watch": ("watch", _watch),
    "create": ("create", lambda client, resource: client.create(resource, BODY)),
    "replace": ("update", lambda client, resource: client.replace(resource, BODY)),
    "apply": ("patch", lambda client, resource: client.apply(resource, BODY, "me")),
    "merge_patch": (
        "patch",
        lambda client, resource: client.merge_patch(resource, "shop", "web", {}),
    ),
    "json_patch": (
        "patch",
        lambda client, resource: client.json_patch(resource, "shop", "web", [], "me"),
    ),
    "delete": ("delete", lambda client, resource: client.delete(resource, "shop", "web", "uid")),
}
"""The client's methods, with the API server's verb of each."""

POD_METHODS: dict[str, tuple[str, str, Callable[[Client], Coroutine[Any, Any, object]]]] = {
    "read_log": (
        "get",
        "log",
        lambda client: client.read_log(
            "shop", "web-1", "app", previous=True, lines=1, limit_bytes=1
        ),
    ),
    "evict_pod": ("create", "eviction", lambda client: client.evict_pod("shop", "web-1", "uid", 1)),
    "try_create_pod": (
        "create",
        "",
        lambda client: client.try_create_pod({"metadata": {"namespace": "shop"}}),
    ),
    "resize_pod": ("patch", "resize", lambda client: client.resize_pod("shop", "web-1", {})),
}
"""The methods for pods only, with verb and subresource of each."""


def build_client(monkeypatch: pytest.MonkeyPatch) -> Client:
    """Return a client that raises RequestSent instead of sending."""

    async def send(*_: object, **__: object) -> None:
        raise RequestSent

    client = Client(Configuration(host="http://server.invalid"), timeout=1, connections=1)
    monkeypatch.setattr(client._transport._api_client.rest_client, "request", send)  # noqa: SLF001 - the edge
    return client


def test_the_table_of_these_tests_is_complete() -> None:
    """A new method of the client needs a row in the tables above."""
    methods = inspect.getmembers(Client, inspect.isfunction)

    assert {*CLIENT_METHODS, *POD_METHODS} == {
        name for name, _ in methods if not name.startswith("_")
    }


@pytest.mark.parametrize("resource", ALL_RESOURCES, ids=lambda resource: resource.path()[1:])
@pytest.mark.parametrize("method", CLIENT_METHODS)
async def test_the_client_sends_what_the_table_allows_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, resource: Resource, method: str
) -> None:
    """A refusal names the table, from which the RBAC rules are generated."""
    verb, call = CLIENT_METHODS[method]
    async with build_client(monkeypatch) as client:
        if verb in resource.verbs:
            with pytest.raises(RequestSent):
                await call(client, resource)
        else:
            with pytest.raises(PermissionError, match=r"kube/resources\.py") as error:
                await call(client, resource)

            assert str(error.value).startswith(f"{verb} on {resource.plural}/ is not in ")


@pytest.mark.parametrize("method", POD_METHODS)
async def test_what_is_for_pods_only_is_in_the_table_too(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """The rows of these methods have the subresource."""
    verb, subresource, call = POD_METHODS[method]

    assert PODS.allows(verb, subresource)

    async with build_client(monkeypatch) as client:
        with pytest.raises(RequestSent):
            await call(client)


async def test_the_client_checks_subresources(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table allows a patch of the status, and none of the scale."""
    async with build_client(monkeypatch) as client:
        with pytest.raises(RequestSent):
            await client.merge_patch(APPS, "shop", "web", {}, "status")
        with pytest.raises(PermissionError, match="patch on selfhealingapps/scale"):
            await client.merge_patch(APPS, "shop", "web", {}, "scale")
