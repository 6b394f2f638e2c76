"""Renders the HTTPRoute of Gateway API."""

from typing import Any

from selfhealing.api.access_spec import RoutePathSpec
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.render.meta import Owner, build_metadata, omit_empty, omit_none
from selfhealing.render.service import find_service_port


def build_route(owner: Owner, spec: SelfHealingAppSpec) -> dict[str, Any] | None:
    """Return the gateway.networking.k8s.io/v1 HTTPRoute of an app.

    None without one, or without a Service.
    """
    route = spec.route
    port = find_service_port(spec, route.port) if route is not None else None
    if route is None or port is None:
        return None
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": build_metadata(owner, route.annotations, route.labels),
        "spec": {
            "parentRefs": [
                {
                    "name": parent.name,
                    **omit_none(namespace=parent.namespace, sectionName=parent.section_name),
                }
                for parent in route.parent_refs
            ],
            **omit_empty(hostnames=list(route.hostnames)),
            "rules": [
                {
                    "matches": [
                        {"path": {"type": path.type, "value": path.value}}
                        for path in route.paths or [RoutePathSpec()]
                    ],
                    "backendRefs": [{"name": owner.name, "port": port["port"]}],
                }
            ],
        },
    }
