"""The Service and the ports of an app."""

from typing import Any

import pytest

from selfhealing.api.spec import parse_spec
from selfhealing.render.meta import Owner
from selfhealing.render.pod import build_pod_template
from selfhealing.render.service import build_service, find_service_port

Json = dict[str, Any]

OWNER = Owner(namespace="shop", name="web", uid="uid-of-web")
METRICS: Json = {"name": "metrics", "port": 9090, "expose": False}
DNS: Json = {"name": "dns", "port": 5353, "protocol": "UDP", "servicePort": 53}


def render_service(**fields: Any) -> Json:  # noqa: ANN401 - fields of the spec
    """The Service of an app; empty without one."""
    return build_service(OWNER, parse_spec({"image": "web:1", **fields})) or {}


def test_a_port_with_another_name_in_the_service() -> None:
    """Callers know it by that; the app and its Ingress by the name of the port."""
    ports = [{"name": "api", "port": 8080, "servicePortName": "https-api-of-the-shop"}]
    fields: Json = {"ports": ports, "ingress": {"port": "api", "hosts": [{}]}}

    (port,) = render_service(**fields)["spec"]["ports"]

    assert (port["name"], port["targetPort"]) == ("https-api-of-the-shop", "api")
    assert [("api", 8080)] == [
        (port["name"], port["containerPort"]) for port in render_container_ports(**fields)
    ]
    found = find_service_port(parse_spec({"image": "web:1", **fields}), "api")
    assert found == port


def render_container_ports(**fields: Any) -> list[Json]:  # noqa: ANN401 - fields of the spec
    """The ports of the app's container."""
    template = build_pod_template("web", parse_spec({"image": "web:1", **fields}))
    ports: list[Json] = template["spec"]["containers"][0].get("ports", [])
    return ports


def test_a_port_more() -> None:
    """Both have a name, by which the Service finds them; what is not exposed is not in it."""
    fields: Json = {"port": 8080, "ports": [DNS, METRICS]}

    assert [
        {"name": "http", "containerPort": 8080, "protocol": "TCP"},
        {"name": "dns", "containerPort": 5353, "protocol": "UDP"},
        {"name": "metrics", "containerPort": 9090, "protocol": "TCP"},
    ] == render_container_ports(**fields)
    assert [
        {"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"},
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": "dns"},
    ] == render_service(**fields)["spec"]["ports"]


def test_two_ports_of_the_service_that_lead_to_one() -> None:
    """A container has a port once; the Service leads there by its number."""
    https: Json = {"name": "https", "port": 8080, "servicePort": 443}
    tls: Json = {"name": "tls", "port": 9090}
    alias: Json = {"name": "alias", "port": 9090, "servicePort": 9091}
    fields: Json = {"port": 8080, "ports": [https, tls, alias]}

    assert [("http", 8080), ("tls", 9090)] == [
        (port["name"], port["containerPort"]) for port in render_container_ports(**fields)
    ]
    assert [
        ("http", 80, "http"),
        ("https", 443, 8080),
        ("tls", 9090, 9090),
        ("alias", 9091, 9090),
    ] == [
        (port["name"], port["port"], port["targetPort"])
        for port in render_service(**fields)["spec"]["ports"]
    ]


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, []),
        ({"ports": [METRICS]}, []),
        ({"ports": [DNS]}, ["dns"]),
        ({"port": 80, "ports": [DNS]}, ["http", "dns"]),
        ({"ports": [DNS], "service": {"enabled": False}}, []),
    ],
)
def test_it_exists_with_a_port_to_expose(fields: Json, names: list[str]) -> None:
    """A Service without a port is none."""
    ports = render_service(**fields).get("spec", {}).get("ports", [])

    assert names == [port["name"] for port in ports]


def test_a_headless_one_has_the_ports_of_the_pods() -> None:
    """Its clients reach the pods themselves, on which nothing listens on the Service's ports."""
    spec = render_service(port=8080, ports=[DNS], service={"headless": True})["spec"]

    assert "None" == spec["clusterIP"]
    assert [8080, 5353] == [port["port"] for port in spec["ports"]]


def test_its_labels_are_added_to_those_of_all_children() -> None:
    """The label of the selector stays whatever the spec says."""
    labels = {"tier": "front", "selfhealing.dev/app": "other"}
    found = render_service(port=80, service={"labels": labels})["metadata"]["labels"]

    assert ("front", "web", "web") == (found["tier"], found["app"], found["selfhealing.dev/app"])
