"""Manifests to import, and what becomes of them."""

from typing import Any

from selfhealing.importer.run import ImportResult, import_app

Json = dict[str, Any]

WEB = {"app": "web"}


def deployment(*containers: Json, name: str = "web", **pod: Any) -> Json:  # noqa: ANN401 - any JSON value
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": WEB},
            "template": {
                "metadata": {"labels": WEB},
                "spec": {"containers": list(containers) or [container()], **pod},
            },
        },
    }


def container(name: str = "web", **fields: Any) -> Json:  # noqa: ANN401 - any JSON value
    return {"name": name, "image": "registry.example.com/web:v1", **fields}


def child(kind: str, version: str, name: str = "web", **spec: Any) -> Json:  # noqa: ANN401 - any JSON value
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def service(*ports: Json, name: str = "web", **spec: Any) -> Json:  # noqa: ANN401 - any JSON value
    return child("Service", "v1", name, selector=WEB, ports=list(ports), **spec)


def ingress(*paths: Json, name: str = "web", **spec: Any) -> Json:  # noqa: ANN401 - any JSON value
    rules = [{"host": "web.example.com", "http": {"paths": list(paths)}}]
    return child("Ingress", "networking.k8s.io/v1", name, rules=rules, **spec)


def backend(service_name: str, path: str = "/", **port: Any) -> Json:  # noqa: ANN401 - any JSON value
    target = {"service": {"name": service_name, "port": port}}
    return {"path": path, "pathType": "Prefix", "backend": target}


def gaps(result: ImportResult) -> dict[str, str]:
    both = (*result.differences, *result.unsaid)
    return {each.path: each.reason for each in both if not each.is_replaced}


def spec_of(*objects: Json) -> Json:
    result = import_app(objects)
    assert gaps(result) == {}
    return dict(result.app["spec"])


IMAGE = {"image": "registry.example.com/web:v1"}
PORT_8080: Json = {"ports": [{"containerPort": 8080}]}
