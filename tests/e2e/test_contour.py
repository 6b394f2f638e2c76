"""Requests from outside of the cluster, through a real Ingress controller and a real Gateway.

Needs the add-on: ``make cluster ADDONS=contour``; without it these tests are skipped.
"""

from collections.abc import Iterator

import pytest
import requests

from hack.testkit.kube_client import Json, KubeClient
from hack.testkit.namespace import AppNamespace
from hack.testkit.service_access import list_node_port_urls
from hack.testkit.wait import eventually

DEMO = "localhost/selfhealing-demo:dev"
CONTROLLER = "projectcontour"
START_LIMIT = 90
"""Seconds until an app runs and the proxy knows it."""

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture(scope="module")
def proxy(kube: KubeClient) -> str:
    """The URL of the proxy at a port of a node."""
    service = kube.find("Service", CONTROLLER, "envoy")
    if service is None:
        pytest.skip("Contour does not run: make cluster ADDONS=contour")
    return list_node_port_urls(service, kube.list("Node", None))[0]


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """A client of its own: a node is in the local network, not behind a proxy."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


ACCESS: dict[str, tuple[str, Json]] = {
    "IngressReady": (
        "ingress",
        {"className": "contour", "hosts": [{"host": "shop.example.com"}]},
    ),
    "RouteAccepted": (
        "route",
        {
            "parentRefs": [{"name": "public", "namespace": CONTROLLER}],
            "hostnames": ["shop.example.org"],
            "paths": [{"value": "/ready"}],
        },
    ),
}
"""By the condition that tells of it, a field of the spec with the access."""


@pytest.mark.parametrize("condition", ACCESS)
def test_a_request_from_outside(
    space: AppNamespace, name: str, proxy: str, session: requests.Session, condition: str
) -> None:
    """It reaches the app by its host name, and no longer when the spec asks for no access."""
    field, access = ACCESS[condition]
    [host] = access.get("hostnames") or [access["hosts"][0]["host"]]

    # On a kept connection Envoy goes by the routes of the time when it was opened.
    headers = {"Host": host, "Connection": "close"}

    def request(path: str) -> int:
        """Return the status code; 0 without an answer, as Envoy closes a port without hosts."""
        try:
            response = session.get(proxy + path, headers=headers, timeout=5)
        except requests.ConnectionError:
            return 0
        return response.status_code

    space.create_app(
        name,
        image=DEMO,
        imagePullPolicy="IfNotPresent",
        port=5000,
        probes={"readiness": {"httpGet": {"path": "/ready"}, "periodSeconds": 2}},
        **{field: access},
    )

    eventually(lambda: request("/ready") == requests.codes.ok, timeout=START_LIMIT)
    eventually(lambda: space.get_condition(name, condition)["status"] == "True")
    if condition == "RouteAccepted":
        assert request("/health") == requests.codes.not_found

    space.patch_spec(name, **{field: None})
    eventually(lambda: request("/ready") in {requests.codes.not_found, 0})
    eventually(lambda: not space.get_condition(name, condition))
