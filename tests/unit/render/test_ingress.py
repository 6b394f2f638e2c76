"""The Ingress: from one host to paths, certificates and labels."""

from typing import Any

from selfhealing.api.spec import parse_spec
from selfhealing.kube.resources import CHILDREN, WATCHED_CHILDREN
from selfhealing.render import Owner, build_children
from selfhealing.render.ingress import build_ingress

OWNER = Owner(namespace="shop", name="web", uid="uid-of-web")
BACKEND = {"service": {"name": "web", "port": {"number": 80}}}


def render_ingress(**ingress: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of the spec
    """Return the Ingress of an app with a port."""
    built = build_ingress(OWNER, parse_spec({"image": "web:v1", "port": 80, "ingress": ingress}))
    assert built is not None
    return built


def test_an_app_without_it_has_none() -> None:
    """A port makes a Service, and nothing that leads to it from outside."""
    children = build_children(OWNER, parse_spec({"image": "web:v1", "port": 80}))

    assert "Ingress" not in {child["kind"] for child in children}


def test_one_host_is_plain() -> None:
    """All paths of the host lead to the app, with the cluster's default class."""
    assert {
        "rules": [
            {
                "host": "shop.example.com",
                "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]},
            }
        ]
    } == render_ingress(hosts=[{"host": "shop.example.com"}])["spec"]


def test_any_host() -> None:
    """Without a host the rule holds for all of them, and a certificate names none."""
    spec = render_ingress(hosts=[{}], tls=[{"secretName": "cert"}])["spec"]

    assert "host" not in spec["rules"][0]
    assert [{"secretName": "cert"}] == spec["tls"]


def test_a_certificate_is_for_all_named_hosts_or_for_some() -> None:
    """Also the default certificate of the ingress controller."""
    hosts = [{"host": "a.example.com"}, {"host": "*.b.example.com"}]
    tls = [{"secretName": "cert", "hosts": ["a.example.com"]}, {}]

    assert [
        {"secretName": "cert", "hosts": ["a.example.com"]},
        {"hosts": ["a.example.com", "*.b.example.com"]},
    ] == render_ingress(hosts=hosts, tls=tls)["spec"]["tls"]


def test_class_paths_labels_and_annotations() -> None:
    """The labels of all children stay."""
    built = render_ingress(
        className="nginx",
        hosts=[{"paths": [{"path": "/api"}, {"path": "/x", "pathType": "Exact"}]}],
        labels={"team": "blue"},
        annotations={"example.com/limit": "8m"},
    )

    assert "nginx" == built["spec"]["ingressClassName"]
    assert [("/api", "Prefix"), ("/x", "Exact")] == [
        (path["path"], path["pathType"]) for path in built["spec"]["rules"][0]["http"]["paths"]
    ]
    assert {"team": "blue", "selfhealing.dev/app": "web"}.items() <= built["metadata"][
        "labels"
    ].items()
    assert {"example.com/limit": "8m"} == built["metadata"]["annotations"]


def test_another_port_of_the_service() -> None:
    """One that is named, or the first of TCP; without a Service nothing can be led to it."""
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "admin", "port": 9000},
        {"name": "web", "port": 8080},
    ]

    def find_backend(**more: Any) -> Any:  # noqa: ANN401 - JSON
        spec = {"image": "web:v1", "ports": ports, "ingress": {"hosts": [{}]}, **more}
        built = build_ingress(OWNER, parse_spec(spec))
        return (
            built["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"]["number"]
            if built
            else None
        )

    assert 9000 == find_backend()
    assert 8080 == find_backend(ingress={"port": "web", "hosts": [{}]})
    assert 80 == find_backend(port=3000)
    assert find_backend(service={"enabled": False}) is None
    assert find_backend(ingress={"port": "other", "hosts": [{}]}) is None


def test_the_operator_watches_it() -> None:
    """Every cluster serves the kind."""
    assert CHILDREN["Ingress"] in WATCHED_CHILDREN
