"""The CEL rules of the spec about access to the app from outside."""

from typing import Final

from selfhealing.api.base import Rule
from selfhealing.api.duration import DURATION_PATTERN
from selfhealing.api.names import PORT_NAME
from selfhealing.api.port_rules import HAS_NUMBER_OF_ITS_OWN


def _absolute_path(field: str, type_field: str, free_type: str, advice: str) -> Rule:
    """Return the rule for a path that is compared as a prefix or exactly.

    As validateHTTPIngressPath in pkg/apis/networking/validation, with the characters of a path by
    RFC 3986, which Gateway API asks for, too.
    """
    path = f"self.{field}"
    return Rule(
        cel=f"(has(self.{type_field}) && self.{type_field} == '{free_type}') || !has({path})"
        f' || ({path}.matches(r"^/([-A-Za-z0-9/._~!$&\'()*+,;=:@]|%[0-9a-fA-F]{{2}})*$")'
        f" && !{path}.matches('//|/[.][.]?(/|$)|%2[fF]'))",
        message=f"write an absolute path without //, /./, /../ and %2F, such as /shop; {advice}",
        field_path=f".{field}",
    )


INGRESS_PATH: Final = _absolute_path(
    "path",
    "pathType",
    "ImplementationSpecific",
    "a pattern of your ingress controller needs pathType: ImplementationSpecific",
)
ROUTE_PATH: Final = _absolute_path(
    "value",
    "type",
    "RegularExpression",
    "a regular expression needs type: RegularExpression",
)

ONE_INGRESS_CLASS: Final = Rule(
    cel="!has(self.className) || !has(self.annotations)"
    " || !('kubernetes.io/ingress.class' in self.annotations)",
    message="className and the annotation kubernetes.io/ingress.class say the same:"
    " remove the annotation",
    field_path=".annotations",
    reason="FieldValueForbidden",
)

PEER_RULES: Final = (
    Rule(
        cel="has(self.cidr) != (has(self.app) || has(self.podLabels)"
        " || has(self.__namespace__) || has(self.namespaceLabels))",
        message="write either pods (app or podLabels, with namespace or namespaceLabels where they"
        " are in another one), or a cidr",
    ),
    Rule(
        cel="!has(self.app) || !has(self.podLabels)",
        message="app and podLabels exclude each other: app is the name of a SelfHealingApp",
        field_path=".podLabels",
        reason="FieldValueForbidden",
    ),
    Rule(
        cel="!has(self.__namespace__) || !has(self.namespaceLabels)",
        message="namespace and namespaceLabels exclude each other: keep one of them",
        field_path=".namespaceLabels",
        reason="FieldValueForbidden",
    ),
    Rule(
        cel="!has(self.except) || (has(self.cidr) && (!isCIDR(self.cidr)"
        " || self.except.all(part, !isCIDR(part) || (cidr(self.cidr).containsCIDR(part)"
        " && cidr(part).prefixLength() > cidr(self.cidr).prefixLength()))))",
        message="except names smaller ranges within cidr",
        field_path=".except",
    ),
)
"""The rules of one peer, as ValidateNetworkPolicyPeer in pkg/apis/networking/validation."""


def _policy_admits(peer: str, fields: tuple[str, ...], who: str, namespace: str) -> Rule:
    """Return the rule that a policy admits who must reach an app that has one of the fields."""
    asked_for = " || ".join(f"has(self.{field})" for field in fields)
    return Rule(
        cel=f"!({asked_for}) || !has(self.networkPolicy) || has(self.networkPolicy.{peer})",
        message=f"networkPolicy would keep out {who}: write networkPolicy.{peer}, such as"
        f" {{namespace: {namespace}}}",
        field_path=".networkPolicy",
        reason="FieldValueRequired",
    )


_SAME_GATEWAY: Final = (
    "a.name == b.name && (has(a.__namespace__) ? a.__namespace__ : '')"
    " == (has(b.__namespace__) ? b.__namespace__ : '')"
)

DISTINCT_LISTENERS: Final = Rule(
    cel="self.all(a, self.filter(b, "
    f"{_SAME_GATEWAY}).size() == 1 || (has(a.sectionName) && self.exists_one(b, {_SAME_GATEWAY}"
    " && has(b.sectionName) && b.sectionName == a.sectionName)))",
    message="of a Gateway that is named more than once, write another sectionName, which is a"
    " listener, each time",
)
"""The rules on ParentRefs in apis/v1/shared_types.go of Gateway API."""

POLICY_ADMITS_NODE_PORT: Final = Rule(
    cel="!has(self.networkPolicy) || !((has(self.service) && has(self.service.type)"
    " && self.service.type != 'ClusterIP')"
    " || (has(self.ports) && self.ports.exists(port, has(port.hostPort))))"
    " || (has(self.networkPolicy.allowFrom)"
    " && self.networkPolicy.allowFrom.exists(peer, has(peer.cidr)))"
    " || (has(self.networkPolicy.ingressController)"
    " && has(self.networkPolicy.ingressController.cidr))",
    message="networkPolicy would keep out who comes through a NodePort, LoadBalancer or hostPort:"
    " add their addresses to networkPolicy.allowFrom, such as cidr: 0.0.0.0/0",
    field_path=".networkPolicy",
    reason="FieldValueRequired",
)

SCRAPE_TIMEOUT: Final = Rule(
    # An invalid duration is refused by the rule of its own field.
    cel="!has(self.scrapeTimeout) || (has(self.interval) && ([self.interval, self.scrapeTimeout]"
    f".exists(t, t == '' || !t.matches('{DURATION_PATTERN}'))"
    " || duration(self.scrapeTimeout) <= duration(self.interval)))",
    message="scrapeTimeout needs an interval that is not shorter: write interval",
    field_path=".scrapeTimeout",
)

SCRAPE_BY_ANNOTATIONS: Final = Rule(
    cel="!has(self.mode) || self.mode != 'Annotations'"
    " || !(has(self.interval) || has(self.scrapeTimeout) || has(self.labels))",
    message="with mode: Annotations Prometheus itself says how often it asks: remove interval,"
    " scrapeTimeout and labels",
    field_path=".mode",
)

_HAS_NAMED_PORT: Final = (
    "(has(self.{0}) && self.{0}.exists(c, has(c.ports)"
    " && c.ports.exists(p, has(p.name) && p.name == self.monitoring.port)))"
)

MONITORING_NEEDS_PORT: Final = Rule(
    cel="!has(self.monitoring) || (has(self.port)"
    f" && (!has(self.monitoring.port) || self.monitoring.port == '{PORT_NAME}'))"
    " || (has(self.monitoring.port)"
    " && ((has(self.ports) && self.ports.exists(p, p.name == self.monitoring.port"
    f" && {HAS_NUMBER_OF_ITS_OWN}))"
    f" || {_HAS_NAMED_PORT.format('sidecars')} || {_HAS_NAMED_PORT.format('initContainers')}))",
    message="monitoring needs the port at which the metrics are: write port (the app's), or in"
    " monitoring.port the name of a port of the app or of a sidecar",
    field_path=".monitoring",
)

NO_POLICY_IN_HOST_NETWORK: Final = Rule(
    cel="!has(self.networkPolicy) || !has(self.hostNetwork) || !self.hostNetwork",
    message="no NetworkPolicy applies to pods in the network of their node: remove networkPolicy"
    " or hostNetwork",
    field_path=".networkPolicy",
    reason="FieldValueForbidden",
)
"""Kubernetes documentation, Network Policies: the behaviour for hostNetwork pods is undefined, and
most plugins ignore them."""


def _needs_service(field: str, child: str) -> Rule:
    """Return the rule that a field whose child leads to the Service names a port of it."""
    port = f"self.{field}.port"
    exposed = "has(self.ports) && self.ports.exists(p, p.expose && p.protocol == 'TCP'"
    return Rule(
        cel=f"!has(self.{field}) || ((!has(self.service) || !has(self.service.enabled)"
        " || self.service.enabled)"
        f" && (has({port}) ? ({port} == '{PORT_NAME}' && has(self.port))"
        f" || ({exposed} && p.name == {port})) : has(self.port) || ({exposed}))))",
        message=f"{child} leads to a port of the app's Service: write port, or under ports one of"
        f" TCP whose name is in {field}.port, if that is given; without expose: false and"
        f" service.enabled: false; or remove {field}",
        field_path=f".{field}",
        reason="FieldValueForbidden",
    )


ACCESS_RULES: Final = (
    _needs_service("ingress", "an Ingress"),
    _needs_service("route", "an HTTPRoute"),
    _policy_admits(
        "ingressController",
        ("ingress", "route"),
        "the ingress controller or gateway",
        "ingress-nginx",
    ),
    NO_POLICY_IN_HOST_NETWORK,
    POLICY_ADMITS_NODE_PORT,
    _policy_admits("monitoring", ("monitoring",), "Prometheus", "monitoring"),
    MONITORING_NEEDS_PORT,
)
"""The rules of the whole spec about access from outside."""
