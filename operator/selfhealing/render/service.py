"""Renders the Service."""

from collections import Counter
from typing import Any

from selfhealing.api import names
from selfhealing.api.service_spec import ServiceSpec
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.render.meta import Owner, build_metadata, omit_empty, omit_none, selector


def build_service(owner: Owner, spec: SelfHealingAppSpec) -> dict[str, Any] | None:
    """Return the core/v1 Service of an app; None without a port to expose, or if it is disabled."""
    service = spec.service or ServiceSpec()
    ports = service_ports(spec)
    if not ports:
        return None
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": build_metadata(owner, service.annotations, service.labels),
        "spec": {
            "type": service.type,
            "selector": selector(owner.name),
            **({"clusterIP": "None"} if service.headless else {}),
            # Kubernetes' defaults. They decide who gets requests, so a change of them is drift.
            "internalTrafficPolicy": service.internal_traffic_policy,
            "publishNotReadyAddresses": service.publish_not_ready_addresses,
            "sessionAffinity": service.session_affinity,
            "ports": ports,
            **omit_none(
                sessionAffinityConfig=service.session_affinity_config,
                externalTrafficPolicy=service.external_traffic_policy,
                trafficDistribution=service.traffic_distribution,
                ipFamilyPolicy=service.ip_family_policy,
                loadBalancerClass=service.load_balancer_class,
                allocateLoadBalancerNodePorts=service.allocate_load_balancer_node_ports,
            ),
            **omit_empty(
                ipFamilies=list(service.ip_families),
                loadBalancerSourceRanges=list(service.load_balancer_source_ranges),
            ),
        },
    }


def find_service_port(spec: SelfHealingAppSpec, name: str | None) -> dict[str, Any] | None:
    """Return the port of the Service to a port of the app; None if there is none.

    Args:
        spec: the app's spec.
        name: the name of the port of the app; None for the first one of TCP.
    """
    names_in_service = {port.name: port.service_port_name or port.name for port in spec.ports}
    wanted = None if name is None else names_in_service.get(name, name)
    return next(
        (
            port
            for port in service_ports(spec)
            if (port["protocol"] == "TCP" if wanted is None else port["name"] == wanted)
        ),
        None,
    )


def service_ports(spec: SelfHealingAppSpec) -> list[dict[str, Any]]:
    """Return the ports of the Service; empty without a Service.

    A headless Service leads to the pods themselves, so it has their ports.
    """
    service = spec.service or ServiceSpec()
    if not service.enabled:
        return []
    main = (
        []
        if spec.port is None
        else [
            {
                "name": names.PORT_NAME,
                "port": spec.port if service.headless else service.port,
                "protocol": "TCP",
                "targetPort": names.PORT_NAME,
                **omit_none(nodePort=service.node_port),
            }
        ]
    )
    numbers = Counter((port.port, port.protocol) for port in spec.ports)
    if spec.port is not None:
        numbers[spec.port, "TCP"] += 1
    shared = {number for number, count in numbers.items() if count > 1}
    others = (
        {
            "name": port.service_port_name or port.name,
            "port": port.port if service.headless else port.service_port or port.port,
            "protocol": port.protocol,
            # Of two with one number the container has only the first.
            "targetPort": port.port if (port.port, port.protocol) in shared else port.name,
            **omit_none(appProtocol=port.app_protocol, nodePort=port.node_port),
        }
        for port in spec.ports
        if port.expose
    )
    return [*main, *others]
