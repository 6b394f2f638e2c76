"""The types of the parts of the spec about access: from outside, and between pods."""

from typing import Annotated, Literal

from pydantic import Field

from selfhealing.api import access_rules as rule, limits
from selfhealing.api.base import Json, KubernetesType, SchemaKeywords, SpecModel
from selfhealing.api.duration import Duration
from selfhealing.api.port_rules import IS_CIDR
from selfhealing.api.spec_types import (
    Annotations,
    ChildLabels,
    DnsName,
    Labels,
    ObjectName,
    PortName,
)

POLICY_RULE = "io.k8s.api.networking.v1.NetworkPolicyIngressRule"

Cidr = Annotated[str, Field(max_length=43), IS_CIDR]
AppName = Annotated[str, SchemaKeywords(limits.dns_label)]


class IngressPathSpec(SpecModel):
    """Requests that lead to the app, by their path."""

    rules = (rule.INGRESS_PATH,)

    path: Annotated[str, SchemaKeywords(limits.absolute_path)] = "/"
    """The path."""

    path_type: Literal["Prefix", "Exact", "ImplementationSpecific"] = "Prefix"
    """How it is compared: the path and all below it, exactly, or as the controller does it."""


class IngressHostSpec(SpecModel):
    """A host name with the paths that lead to the app."""

    host: DnsName | None = None
    """The host name, or a wildcard such as *.example.com; without it, any host."""

    paths: Annotated[list[IngressPathSpec], Field(max_length=16)] = Field(default_factory=list)
    """The paths; without them, all."""


class IngressTlsSpec(SpecModel):
    """A certificate, and for which hosts it is used."""

    secret_name: ObjectName | None = None
    """The Secret with the certificate; without it, the default of the ingress controller."""

    hosts: Annotated[list[DnsName], Field(max_length=32)] = Field(default_factory=list)
    """The host names; without them, all that the Ingress names."""


class IngressSpec(SpecModel):
    """An Ingress, which leads requests from outside of the cluster to the Service."""

    rules = (rule.ONE_INGRESS_CLASS,)

    class_name: ObjectName | None = None
    """The IngressClass; without it, the cluster's default."""

    port: PortName | None = None
    """The name of a port of the Service; without it, `port`, else the first one of TCP."""

    hosts: Annotated[list[IngressHostSpec], Field(min_length=1, max_length=32)]
    """The hosts and paths that lead to the app."""

    tls: Annotated[list[IngressTlsSpec], Field(max_length=16)] = Field(default_factory=list)
    """Certificates; without them, plain HTTP."""

    labels: ChildLabels = Field(default_factory=dict)
    """Labels of the Ingress."""

    annotations: Annotations = Field(default_factory=dict)
    """Annotations of the Ingress, with which ingress controllers are configured."""


class RouteParentSpec(SpecModel):
    """A Gateway, and one of its listeners."""

    name: ObjectName
    """The name of the Gateway."""

    namespace: AppName | None = None
    """Its namespace; without it, that of the app."""

    section_name: ObjectName | None = None
    """The listener; without it, all that fit."""


class RoutePathSpec(SpecModel):
    """Requests that lead to the app, by their path."""

    rules = (rule.ROUTE_PATH,)

    type: Literal["PathPrefix", "Exact", "RegularExpression"] = "PathPrefix"
    """How the path is compared; not every gateway knows regular expressions."""

    value: Annotated[str, Field(min_length=1, max_length=1024)] = "/"
    """The path."""


class RouteSpec(SpecModel):
    """An HTTPRoute of Gateway API, which leads requests from Gateways to the Service."""

    parent_refs: Annotated[
        list[RouteParentSpec], Field(min_length=1, max_length=8), rule.DISTINCT_LISTENERS
    ]
    """The Gateways."""

    port: PortName | None = None
    """The name of a port of the Service; without it, `port`, else the first one of TCP."""

    hostnames: Annotated[list[DnsName], Field(max_length=16)] = Field(default_factory=list)
    """The host names; without them, those of the Gateways' listeners."""

    paths: Annotated[list[RoutePathSpec], Field(max_length=16)] = Field(default_factory=list)
    """The paths; without them, all."""

    labels: ChildLabels = Field(default_factory=dict)
    """Labels of the HTTPRoute."""

    annotations: Annotations = Field(default_factory=dict)
    """Annotations of the HTTPRoute."""


class NetworkPeerSpec(SpecModel):
    """Pods, or addresses, at the other end of a connection."""

    rules = rule.PEER_RULES

    app: AppName | None = None
    """The pods of this SelfHealingApp."""

    pod_labels: Labels | None = None
    """The pods with these labels; without them and app, all pods of the namespace."""

    namespace: AppName | None = None
    """The namespace of these pods; without it and namespaceLabels, that of the app."""

    namespace_labels: Labels | None = None
    """All namespaces with these labels; {} means all."""

    cidr: Cidr | None = None
    """A range of addresses, for what is no pod."""

    except_: Annotated[list[Cidr], Field(max_length=16)] = Field(
        default_factory=list, alias="except"
    )
    """Parts of the range that do not belong to it."""


class AllowedPeerSpec(NetworkPeerSpec):
    """A peer, and the ports that are open to it or that it is called at."""

    ports: Annotated[list[Json], KubernetesType(POLICY_RULE, "ports")] = Field(default_factory=list)
    """The ports of whoever is called; without them, all."""


AllowedPeers = Annotated[list[AllowedPeerSpec], Field(max_length=32)]


class NetworkPolicySpec(SpecModel):
    """A NetworkPolicy. The kubelet's probes and, from the pods, DNS are always possible."""

    allow_from: AllowedPeers | None = None
    """Who may call the pods. Without it, all pods of the namespace; [] means nobody."""

    ingress_controller: NetworkPeerSpec | None = None
    """The pods of the ingress controller or gateway, which may call the pods, too."""

    monitoring: NetworkPeerSpec | None = None
    """The pods of Prometheus, which may call the pods, too."""

    allow_to: AllowedPeers | None = None
    """Whom the pods may call, besides DNS. Without it, everybody; [] means nobody."""


class MonitoringSpec(SpecModel):
    """How Prometheus finds the metrics of the pods."""

    rules = (rule.SCRAPE_TIMEOUT, rule.SCRAPE_BY_ANNOTATIONS)

    mode: Literal["PodMonitor", "Annotations"] = "PodMonitor"
    """PodMonitor: an object of the Prometheus operator. Annotations: prometheus.io/* on the pods.

    A change from or to Annotations is a new version of the pods.
    """

    port: PortName | None = None
    """The name of the port, also of a sidecar; without it, the app's `port`."""

    path: Annotated[str, SchemaKeywords(limits.absolute_path)] = "/metrics"
    """The path of the metrics."""

    interval: Duration | None = None
    """How often they are read; without it, as Prometheus is configured."""

    scrape_timeout: Duration | None = None
    """How long one reading may last; at most the interval."""

    labels: ChildLabels | None = None
    """Labels of the PodMonitor, by which a Prometheus selects it."""
