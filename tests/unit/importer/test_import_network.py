"""What becomes of Services, Ingresses and ports."""

import pytest

from selfhealing.importer.run import import_app
from tests.unit.importer.manifests import (
    IMAGE,
    PORT_8080,
    WEB,
    Json,
    backend,
    container,
    deployment,
    gaps,
    ingress,
    service,
    spec_of,
)


def test_ports_with_names_and_numbers_of_their_own() -> None:
    ports = [{"name": "api", "containerPort": 9000}, {"name": "metrics", "containerPort": 9100}]
    objects = (
        deployment(container(ports=ports)),
        service({"name": "api", "port": 443, "targetPort": "api", "appProtocol": "h2c"}),
    )

    assert spec_of(*objects)["ports"] == [
        {"name": "api", "port": 9000, "servicePort": 443, "appProtocol": "h2c"},
        {"name": "metrics", "port": 9100, "expose": False},
    ]


def test_two_ports_of_the_service_lead_to_one_of_the_pods() -> None:
    objects = (
        deployment(container(**PORT_8080)),
        service(
            {"name": "http", "port": 80, "targetPort": 8080},
            {"name": "https", "port": 443, "targetPort": 8080},
        ),
    )

    spec = spec_of(*objects)

    assert (spec["port"], spec["ports"]) == (
        8080,
        [{"name": "https", "port": 8080, "servicePort": 443}],
    )


def test_a_port_of_dns_has_two_protocols() -> None:
    ports = [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53}]
    objects = (
        deployment(container(ports=ports)),
        service(
            {"name": "dns", "port": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "port": 53},
        ),
    )

    assert spec_of(*objects)["ports"] == [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53},
    ]


def test_probes_keep_the_name_of_a_port_that_the_service_calls_otherwise() -> None:
    probe = {"httpGet": {"path": "/ok", "port": "old"}}
    hook = {"preStop": {"httpGet": {"path": "/stop", "port": "old"}}}
    own = [{"name": "old", "containerPort": 9000}]
    spec = spec_of(
        deployment(container(ports=own, livenessProbe=probe, lifecycle=hook)),
        service({"name": "new", "port": 9000}),
    )

    assert spec["probes"]["liveness"] == probe
    assert spec["lifecycle"] == hook


def test_the_container_behind_the_service_becomes_the_app() -> None:
    proxy = container("proxy", ports=[{"name": "https", "containerPort": 8443}])
    spec = spec_of(
        deployment(container("helper"), proxy), service({"port": 443, "targetPort": "https"})
    )

    assert [each["name"] for each in spec["sidecars"]] == ["helper"]


def test_an_ingress() -> None:
    spec = spec_of(
        deployment(container(**PORT_8080)),
        service({"name": "http", "port": 80, "targetPort": 8080}),
        ingress(
            backend("web", name="http"),
            ingressClassName="nginx",
            tls=[{"hosts": ["web.example.com"], "secretName": "web-tls"}],
        ),
    )

    assert spec["ingress"] == {
        "className": "nginx",
        "hosts": [{"host": "web.example.com"}],
        "tls": [{"secretName": "web-tls"}],
    }


def test_an_ingress_to_another_port_by_its_number() -> None:
    ports = [{"containerPort": 8080}, {"name": "admin", "containerPort": 9000}]
    spec = spec_of(
        deployment(container(ports=ports)),
        service({"name": "http", "port": 80, "targetPort": 8080}, {"name": "admin", "port": 9000}),
        ingress(backend("web", "/admin", number=9000)),
    )

    assert spec["ingress"] == {
        "port": "admin",
        "hosts": [{"host": "web.example.com", "paths": [{"path": "/admin"}]}],
    }


def test_an_app_with_the_name_of_its_service() -> None:
    """That is the name by which its callers find it."""
    port = {"port": 80, "targetPort": 8080}
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "web-v1"},
    }
    objects = [
        deployment(container(**PORT_8080), name="web-v1", serviceAccountName="web-v1"),
        service(port, name="web-v1"),
        service(port, name="shop"),
        account,
    ]

    result = import_app(objects, app_name="shop")

    assert result.app["metadata"]["name"] == "shop"
    assert result.app["spec"]["serviceAccountName"] == "web-v1"
    assert [] == [path for path in gaps(result) if "metadata.name" in path]
    assert "it still selects the pods" in gaps(result)["Service web-v1"]
    names = {each.path: each.rendered for each in result.differences if each.is_replaced}
    assert names["Deployment.metadata.name"] == "shop"


def test_a_service_that_leads_to_no_port_is_named() -> None:
    result = import_app([deployment(), service({"port": 80, "targetPort": "none"})])

    assert gaps(result) == {"Service": "none of its ports leads to a port of the pods"}


def test_a_second_service_needs_another_selector() -> None:
    """It selects by a label that the operator sets."""
    port = {"port": 80, "targetPort": 8080}
    managed = {"app.kubernetes.io/managed-by": "helm"}
    shop = deployment(container(**PORT_8080), name="shop")
    shop["spec"]["template"]["metadata"]["labels"] = WEB | managed
    second = service(port)
    second["spec"]["selector"] = managed
    result = import_app([shop, service(port, name="shop"), second])

    assert "write selfhealing.dev/app: shop as its selector" in gaps(result)["Service web"]


def test_a_service_of_two_deployments_is_kept() -> None:
    """Of a canary: as the app's own it would lead to one of them alone."""
    port = {"port": 80, "targetPort": 8080}
    both = [deployment(container(**PORT_8080), name=f"web-{version}") for version in ("v1", "v2")]
    result = import_app([*both, service(port)], "web-v1")

    assert gaps(result) == {
        "Service web": "it leads to the pods of other Deployments, too: keep it: it still selects"
        " the pods"
    }
    assert result.app["spec"]["service"] == {"enabled": False}
    assert result.app["spec"]["podMetadata"] == {"labels": WEB}


@pytest.mark.parametrize(
    ("of_pod", "of_service", "expected"),
    [
        (None, "http", {"port": 8080}),
        ("http", "http", {"port": 8080}),
        ("http", None, {"port": 8080}),
        ("web", None, {"ports": [{"name": "web", "port": 8080, "servicePort": 80}]}),
        (None, "web", {"ports": [{"name": "web", "port": 8080, "servicePort": 80}]}),
        (
            "web",
            "http",
            {
                "ports": [
                    {"name": "web", "port": 8080, "servicePort": 80, "servicePortName": "http"}
                ]
            },
        ),
        (
            None,
            "8080",
            {
                "ports": [
                    {
                        "name": "p80-8080",
                        "port": 8080,
                        "servicePort": 80,
                        "servicePortName": "8080",
                    }
                ]
            },
        ),
        (
            "web",
            "tcp-of-the-service-monitor",
            {
                "ports": [
                    {
                        "name": "web",
                        "port": 8080,
                        "servicePort": 80,
                        "servicePortName": "tcp-of-the-service-monitor",
                    }
                ]
            },
        ),
    ],
)
def test_the_names_of_a_port(of_pod: str | None, of_service: str | None, expected: Json) -> None:
    """One for the pods and one for the Service, which may be longer or a number."""
    port: Json = {"containerPort": 8080, **({"name": of_pod} if of_pod else {})}
    own: Json = {"port": 80, "targetPort": 8080, **({"name": of_service} if of_service else {})}

    assert IMAGE | expected == spec_of(deployment(container(ports=[port])), service(own))


def test_node_ports_are_kept() -> None:
    spec = spec_of(
        deployment(container(**PORT_8080)),
        service({"port": 80, "targetPort": 8080, "nodePort": 30080}, type="NodePort"),
    )

    assert spec["service"] == {"type": "NodePort", "nodePort": 30080}


def test_a_headless_service_from_the_cluster() -> None:
    found = service({"port": 8080}, clusterIP="None", clusterIPs=["None"], ipFamilies=["IPv4"])
    found["metadata"]["uid"] = "u"

    assert spec_of(deployment(container(**PORT_8080)), found)["service"] == {"headless": True}


def test_an_ingress_with_a_default_backend_is_kept() -> None:
    own = ingress(backend("web", number=80), defaultBackend={"service": {"name": "web"}})
    result = import_app([deployment(container(**PORT_8080)), service({"port": 80}), own])

    assert list(gaps(result)) == ["Ingress web"]


def test_an_ingress_to_a_port_that_the_service_does_not_have() -> None:
    result = import_app(
        [
            deployment(container(**PORT_8080)),
            service({"name": "a", "port": 80, "targetPort": 8080}),
            ingress(backend("web", name="b")),
        ]
    )

    assert [path.rpartition(".")[2] for path in gaps(result)] == ["name"]


def test_an_ingress_to_the_second_of_three_ports() -> None:
    ports = [{"name": name, "port": number} for name, number in (("a", 1), ("b", 2), ("c", 3))]
    spec = spec_of(deployment(), service(*ports), ingress(backend("web", number=2)))

    assert spec["ingress"]["port"] == "b"


def test_a_port_that_is_not_in_the_service() -> None:
    """``port`` is always in the Service; so it stands under ``ports``."""
    ports = [{"containerPort": 9000}, {"name": "grpc", "containerPort": 9001}]
    spec = spec_of(deployment(container(ports=ports)), service({"name": "grpc", "port": 9001}))

    assert spec["ports"] == [
        {"name": "grpc", "port": 9001},
        {"name": "port-9000", "port": 9000, "expose": False},
    ]


def test_two_ports_of_one_name() -> None:
    """A name of the Service's port may be that of another port of the container."""
    other = {"name": "a", "containerPort": 2}
    own = service({"name": "a", "port": 80, "targetPort": 1})

    def find_names(first: Json) -> list[tuple[str, str | None]]:
        spec = spec_of(deployment(container(ports=[first, other])), own)
        return [(port["name"], port.get("servicePortName")) for port in spec["ports"]]

    assert find_names({"name": "b", "containerPort": 1}) == [("b", "a"), ("a", None)]
    assert find_names({"containerPort": 1}) == [("p80-1", "a"), ("a", None)]
    twice = [{"name": "a", "containerPort": number} for number in (1, 2)]  # Kubernetes refuses it
    spec = import_app([deployment(container(ports=twice))]).app["spec"]
    assert (spec["port"], [port["name"] for port in spec["ports"]]) == (2, ["a"])


def test_an_ingress_to_a_port_that_leads_nowhere() -> None:
    ports = [{"name": "a", "port": 1, "targetPort": "none"}, {"name": "b", "port": 2}]
    result = import_app([deployment(), service(*ports), ingress(backend("web", name="a"))])

    assert {path.partition(".")[0] for path in gaps(result)} == {"Service", "Ingress"}
