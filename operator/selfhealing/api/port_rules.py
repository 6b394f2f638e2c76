"""The CEL rules of ports and of the Service."""

from typing import Final

from selfhealing.api.base import Rule
from selfhealing.api.names import PORT_NAME

_PROBES: Final = ("liveness", "readiness", "startup")

_PORTS: Final = "has(self.ports) && self.ports"
_IS_ENABLED: Final = "(!has({0}.service) || !has({0}.service.enabled) || {0}.service.enabled)"
_HAS_SERVICE_PORT: Final = "(has({0}.port) || (has({0}.ports) && {0}.ports.exists(p, p.expose)))"
_SERVICE_PORT: Final = "(has({0}.servicePort) ? {0}.servicePort : {0}.port)"
"""CEL: the number of a port in the Service."""

_SERVICE_PORT_NAME: Final = "(has({0}.servicePortName) ? {0}.servicePortName : {0}.name)"
"""CEL: the name of a port in the Service."""

SERVICE_NEEDS_PORT: Final = Rule(
    cel=f"!has(self.service) || !{_IS_ENABLED.format('self')}"
    f" || {_HAS_SERVICE_PORT.format('self')}",
    message="a Service needs the port that the app listens on: write port, or remove service",
    field_path=".port",
    reason="FieldValueRequired",
)

SERVICE_FIELDS_OF_EXPOSED_PORT: Final = Rule(
    cel="self.expose || !(has(self.servicePort) || has(self.servicePortName)"
    " || has(self.nodePort) || has(self.appProtocol))",
    message="a port with expose: false is not in the Service:"
    " remove servicePort, servicePortName, nodePort and appProtocol, or expose",
    field_path=".expose",
)

ONE_PORT_WITH_A_NAME: Final = Rule(
    cel=f"!has(self.port) || !({_PORTS}.exists(p, p.name == '{PORT_NAME}'))",
    message=f"{PORT_NAME} is the name of port: give the other one another name,"
    " or remove port and write all under ports",
    field_path=".ports",
    reason="FieldValueForbidden",
)

HAS_NUMBER_OF_ITS_OWN: Final = (
    "(!(has(self.port) && self.port == p.port && p.protocol == 'TCP')"
    " && self.ports.exists_one(q, q.port == p.port && q.protocol == p.protocol))"
)
"""CEL: no other port has the number and protocol of the port ``p``."""

SHARED_PORT_IS_OF_THE_SERVICE: Final = Rule(
    cel="!has(self.ports) || self.ports.all(p, (p.expose && !has(p.hostPort))"
    f" || {HAS_NUMBER_OF_ITS_OWN})",
    message="two ports have the same number and protocol, which only ports of the Service can:"
    " remove one of them, or expose: false and hostPort",
    field_path=".ports",
)

ONE_SERVICE_PORT_WITH_A_NUMBER: Final = Rule(
    cel=f"!has(self.ports) || !{_IS_ENABLED.format('self')} || self.ports.all(p, !p.expose"
    " || (!(has(self.port) && p.protocol == 'TCP' && "
    f"{_SERVICE_PORT.format('p')}"
    " == (has(self.service) && has(self.service.port) ? self.service.port : 80))"
    " && self.ports.exists_one(q, q.expose && q.protocol == p.protocol"
    f" && {_SERVICE_PORT.format('q')} == {_SERVICE_PORT.format('p')})))",
    message="two ports of the Service have the same number and protocol (that of port is"
    " service.port, 80 if not given): write another servicePort, or expose: false",
    field_path=".ports",
)

ONE_SERVICE_PORT_WITH_A_NAME: Final = Rule(
    cel=f"!has(self.ports) || !{_IS_ENABLED.format('self')} || self.ports.all(p,"
    f" !has(p.servicePortName) || (!(has(self.port) && p.servicePortName == '{PORT_NAME}')"
    " && self.ports.exists_one(q, q.expose"
    f" && {_SERVICE_PORT_NAME.format('q')} == p.servicePortName)))",
    message="two ports of the Service have the same name (that of port is http): write another"
    " servicePortName",
    field_path=".ports",
)

NODE_PORTS_NEED_TYPE: Final = Rule(
    cel=f"!({_PORTS}.exists(p, has(p.nodePort))) || (has(self.service) && has(self.service.type)"
    " && self.service.type in ['NodePort', 'LoadBalancer'])",
    message="nodePort needs service.type: NodePort or LoadBalancer",
    field_path=".ports",
    reason="FieldValueForbidden",
)

NODE_PORT_NEEDS_PORT: Final = Rule(
    cel="!has(self.service) || !has(self.service.nodePort) || has(self.port)",
    message="service.nodePort is that of port, which is not given: write nodePort under ports",
    field_path=".service",
    reason="FieldValueForbidden",
)

ONE_PORT_WITH_A_NODE_PORT: Final = Rule(
    cel="!has(self.ports) || self.ports.all(p, !has(p.nodePort)"
    " || (!(p.protocol == 'TCP' && has(self.service) && has(self.service.nodePort)"
    " && self.service.nodePort == p.nodePort)"
    " && self.ports.exists_one(q, has(q.nodePort) && q.nodePort == p.nodePort"
    " && q.protocol == p.protocol)))",
    message="two ports have the same nodePort and protocol: write another one",
    field_path=".ports",
)

ONE_PORT_WITH_A_HOST_PORT: Final = Rule(
    cel="!has(self.ports) || self.ports.all(p, !has(p.hostPort)"
    " || self.ports.exists_one(q, has(q.hostPort) && q.hostPort == p.hostPort"
    " && q.protocol == p.protocol))",
    message="two ports have the same hostPort and protocol: write another one",
    field_path=".ports",
)

_HAS_HOST_NETWORK: Final = "has(self.hostNetwork) && self.hostNetwork"

HOST_PORT_IS_PORT_IN_HOST_NETWORK: Final = Rule(
    cel=f"!({_HAS_HOST_NETWORK}) || !has(self.ports)"
    " || self.ports.all(p, !has(p.hostPort) || p.hostPort == p.port)",
    message="with hostNetwork every port is one of the node: remove hostPort",
    field_path=".ports",
)

HOST_NETWORK_SHARES_PORTS: Final = Rule(
    cel=f"!({_HAS_HOST_NETWORK}) || !has(self.sidecars) || self.sidecars.all(c, !has(c.ports)"
    " || c.ports.all(s,"
    " !(has(self.port) && self.port == s.containerPort && s.protocol == 'TCP')"
    f" && !({_PORTS}.exists(p, p.port == s.containerPort && p.protocol == s.protocol))"
    " && self.sidecars.exists_one(d, has(d.ports)"
    " && d.ports.exists(t, t.containerPort == s.containerPort && t.protocol == s.protocol))))",
    message="with hostNetwork every port is one of the node, and two containers have the same one:"
    " give each its own",
    field_path=".sidecars",
)

_PORT_HANDLERS: Final = ("httpGet", "tcpSocket", "grpc")


def _probe_needs_port(probe: str) -> Rule:
    """Return the rule that a probe without a port needs the app's port."""
    probe_path = f"self.probes.{probe}"
    no_handler_without_port = " && ".join(
        f"!(has({probe_path}.{h}) && !has({probe_path}.{h}.port))" for h in _PORT_HANDLERS
    )
    return Rule(
        cel=f"has(self.port) || !has(self.probes) || !has({probe_path})"
        f" || ({no_handler_without_port})",
        message=f"probes.{probe} has no port: write port (the app's) beside image,"
        f" or one in probes.{probe}",
        field_path=f".probes.{probe}",
        reason="FieldValueRequired",
    )


def _named_probe_port_exists(probe: str) -> Rule:
    """Return the rule that the name of a port in a probe is that of a port of the app."""
    probe_path = f"self.probes.{probe}"
    all_known = " && ".join(
        f"(!has({probe_path}.{h}) || !has({probe_path}.{h}.port)"
        f" || type({probe_path}.{h}.port) == int"
        f" || (has(self.port) && {probe_path}.{h}.port == '{PORT_NAME}')"
        f" || ({_PORTS}.exists(p, p.name == {probe_path}.{h}.port && {HAS_NUMBER_OF_ITS_OWN})))"
        for h in ("httpGet", "tcpSocket")
    )
    return Rule(
        cel=f"!has(self.probes) || !has({probe_path}) || ({all_known})",
        message=f"probes.{probe} names a port that the app does not have: write a number,"
        f" {PORT_NAME} (that is port), or the name of one of ports whose number no other has",
        field_path=f".probes.{probe}",
    )


_IS_HEADLESS: Final = "(has({0}.service) && has({0}.service.headless) && {0}.service.headless)"

HEADLESS_STAYS: Final = Rule(
    # Kubernetes: spec.clusterIPs may not change once set.
    cel=" || ".join(
        (
            *(
                f"!({_IS_ENABLED.format(spec)} && {_HAS_SERVICE_PORT.format(spec)})"
                for spec in ("self", "oldSelf")
            ),
            f"{_IS_HEADLESS.format('self')} == {_IS_HEADLESS.format('oldSelf')}",
        )
    ),
    message="a Service cannot become headless or stop being so: first write service.enabled: false,"
    " which deletes it, and then the other value with enabled: true",
    field_path=".service",
)

PORT_RULES: Final = (
    SERVICE_NEEDS_PORT,
    ONE_PORT_WITH_A_NAME,
    SHARED_PORT_IS_OF_THE_SERVICE,
    ONE_SERVICE_PORT_WITH_A_NUMBER,
    ONE_SERVICE_PORT_WITH_A_NAME,
    NODE_PORTS_NEED_TYPE,
    NODE_PORT_NEEDS_PORT,
    ONE_PORT_WITH_A_NODE_PORT,
    ONE_PORT_WITH_A_HOST_PORT,
    HOST_PORT_IS_PORT_IN_HOST_NETWORK,
    HOST_NETWORK_SHARES_PORTS,
    *(_probe_needs_port(probe) for probe in _PROBES),
    *(_named_probe_port_exists(probe) for probe in _PROBES),
    HEADLESS_STAYS,
)
"""The rules of the whole spec about its ports."""

IS_CIDR: Final = Rule(cel="isCIDR(self)", message="write a network, such as 10.0.0.0/8")

NO_SOURCE_RANGES_ANNOTATION: Final = Rule(
    cel="!('service.beta.kubernetes.io/load-balancer-source-ranges' in self)",
    message="instead of the annotation of source ranges write loadBalancerSourceRanges",
    reason="FieldValueForbidden",
)


def _needs_load_balancer(field: str) -> Rule:
    """Return the rule that a field is only for a Service of type LoadBalancer."""
    return Rule(
        cel=f"!has(self.{field}) || (has(self.type) && self.type == 'LoadBalancer')",
        message=f"{field} needs type: LoadBalancer",
        field_path=f".{field}",
        reason="FieldValueForbidden",
    )


_IS_BALANCED: Final = "({0}.type == 'LoadBalancer' && {0}.enabled)"

SERVICE_RULES: Final = (
    Rule(
        cel="!has(self.nodePort) || (has(self.type) && self.type in ['NodePort', 'LoadBalancer'])",
        message="nodePort needs type: NodePort or LoadBalancer",
        field_path=".nodePort",
        reason="FieldValueForbidden",
    ),
    Rule(
        cel="!self.headless || self.type == 'ClusterIP'",
        message="a headless Service has no address that a node or a load balancer could lead to:"
        " write type: ClusterIP, or remove headless",
        field_path=".headless",
    ),
    Rule(
        cel="!has(self.sessionAffinityConfig) || self.sessionAffinity == 'ClientIP'",
        message="sessionAffinityConfig needs sessionAffinity: ClientIP",
        field_path=".sessionAffinityConfig",
        reason="FieldValueForbidden",
    ),
    Rule(
        cel="!has(self.externalTrafficPolicy) || self.type in ['NodePort', 'LoadBalancer']",
        message="externalTrafficPolicy needs type: NodePort or LoadBalancer",
        field_path=".externalTrafficPolicy",
        reason="FieldValueForbidden",
    ),
    Rule(
        cel="!has(self.ipFamilies) || self.ipFamilies.size() == 0 || (has(self.ipFamilyPolicy)"
        " && self.ipFamilyPolicy in ['PreferDualStack', 'RequireDualStack']"
        " ? self.ipFamilies.size() == 2 : self.ipFamilies.size() == 1)",
        message="PreferDualStack and RequireDualStack have both ipFamilies or leave them to the"
        " cluster; else there is one",
        field_path=".ipFamilies",
    ),
    *(
        _needs_load_balancer(field)
        for field in (
            "loadBalancerClass",
            "loadBalancerSourceRanges",
            "allocateLoadBalancerNodePorts",
        )
    ),
    Rule(
        cel=f"!{_IS_BALANCED.format('self')} || !{_IS_BALANCED.format('oldSelf')}"
        " || (has(self.loadBalancerClass) == has(oldSelf.loadBalancerClass)"
        " && (!has(self.loadBalancerClass)"
        " || self.loadBalancerClass == oldSelf.loadBalancerClass))",
        message="the class of a load balancer cannot change: first write enabled: false, which"
        " deletes the Service, and then the other class with enabled: true",
        field_path=".loadBalancerClass",
    ),
    Rule(
        cel="!self.enabled || !oldSelf.enabled || !has(self.ipFamilies) || !has(oldSelf.ipFamilies)"
        " || self.ipFamilies.size() == 0 || oldSelf.ipFamilies.size() == 0"
        " || self.ipFamilies[0] == oldSelf.ipFamilies[0]",
        message="the main IP family of a Service cannot change: first write enabled: false, which"
        " deletes the Service, and then the other family with enabled: true",
        field_path=".ipFamilies",
    ),
)
"""The rules of the Service that read several of its fields."""
