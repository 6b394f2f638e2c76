"""The HTTPRoute of Gateway API: from one Gateway to listeners, host names and paths."""

from typing import Any

from selfhealing.api.spec import parse_spec
from selfhealing.kube.resources import CHILDREN, OPTIONAL_CHILDREN
from selfhealing.render import Owner, build_children
from selfhealing.render.route import build_route

OWNER = Owner(namespace="shop", name="web", uid="uid-of-web")


def render_route(service: Any = None, **route: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return the HTTPRoute of an app with a port."""
    spec = {"image": "web:v1", "port": 8080, "route": route}
    built = build_route(OWNER, parse_spec({**spec, **({"service": service} if service else {})}))
    assert built is not None
    return built


def test_an_app_without_it_has_none() -> None:
    """A port alone makes no route."""
    children = build_children(OWNER, parse_spec({"image": "web:v1", "port": 80}))

    assert "HTTPRoute" not in {child["kind"] for child in children}


def test_one_gateway_is_plain() -> None:
    """All requests that its listeners take lead to the port of the Service."""
    assert {
        "parentRefs": [{"name": "public"}],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [{"name": "web", "port": 80}],
            }
        ],
    } == render_route(parentRefs=[{"name": "public"}])["spec"]


def test_listeners_host_names_paths_and_metadata() -> None:
    """The labels of all children stay, and the port is the Service's."""
    parents = [
        {"name": "public", "namespace": "gateways", "sectionName": "http"},
        {"name": "public", "namespace": "gateways", "sectionName": "https"},
    ]
    built = render_route(
        service={"port": 8000},
        parentRefs=parents,
        hostnames=["a.example.com"],
        paths=[{"value": "/api"}, {"type": "Exact", "value": "/x"}],
        labels={"team": "blue"},
        annotations={"example.com/a": "b"},
    )
    [rule] = built["spec"]["rules"]

    assert parents == built["spec"]["parentRefs"]
    assert ["a.example.com"] == built["spec"]["hostnames"]
    assert [("PathPrefix", "/api"), ("Exact", "/x")] == [
        (match["path"]["type"], match["path"]["value"]) for match in rule["matches"]
    ]
    assert [{"name": "web", "port": 8000}] == rule["backendRefs"]
    assert {"team": "blue", "app": "web"}.items() <= built["metadata"]["labels"].items()
    assert {"example.com/a": "b"} == built["metadata"]["annotations"]


def test_another_port_of_the_service() -> None:
    """By its number in the Service; without a Service nothing can be led to it."""
    spec = {
        "image": "web:v1",
        "ports": [
            {"name": "admin", "port": 9000},
            {"name": "web", "port": 8080, "servicePort": 80},
        ],
        "route": {"parentRefs": [{"name": "public"}], "port": "web"},
    }
    built = build_route(OWNER, parse_spec(spec))

    assert built is not None
    assert [{"name": "web", "port": 80}] == built["spec"]["rules"][0]["backendRefs"]
    assert build_route(OWNER, parse_spec({**spec, "service": {"enabled": False}})) is None


def test_a_cluster_may_not_serve_it() -> None:
    """It is listed while an app asks for it, and not watched."""
    assert CHILDREN["HTTPRoute"] in OPTIONAL_CHILDREN
