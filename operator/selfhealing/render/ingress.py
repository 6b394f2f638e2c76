"""Renders the Ingress."""

from typing import Any

from selfhealing.api.access_spec import IngressHostSpec, IngressPathSpec, IngressSpec
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.render.meta import Owner, build_metadata, omit_empty, omit_none
from selfhealing.render.service import find_service_port


def build_ingress(owner: Owner, spec: SelfHealingAppSpec) -> dict[str, Any] | None:
    """Return the networking.k8s.io/v1 Ingress of an app; None without one, or without a Service."""
    ingress = spec.ingress
    port = find_service_port(spec, ingress.port) if ingress is not None else None
    if ingress is None or port is None:
        return None
    # By its number: the only port of a Service that was taken over may have no name.
    backend = {"service": {"name": owner.name, "port": {"number": port["port"]}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": build_metadata(owner, ingress.annotations, ingress.labels),
        "spec": {
            **omit_none(ingressClassName=ingress.class_name),
            **omit_empty(tls=_tls(ingress)),
            "rules": [_rule(host, backend) for host in ingress.hosts],
        },
    }


def _tls(ingress: IngressSpec) -> list[dict[str, Any]]:
    named_hosts = [host.host for host in ingress.hosts if host.host is not None]
    return [
        {
            **omit_empty(hosts=list(tls.hosts) or named_hosts),
            **omit_none(secretName=tls.secret_name),
        }
        for tls in ingress.tls
    ]


def _rule(host: IngressHostSpec, backend: dict[str, Any]) -> dict[str, Any]:
    return {
        **omit_none(host=host.host),
        "http": {
            "paths": [
                {"path": path.path, "pathType": path.path_type, "backend": backend}
                for path in host.paths or [IngressPathSpec()]
            ]
        },
    }
