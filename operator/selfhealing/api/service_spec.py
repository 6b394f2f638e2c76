"""The type of `spec.service`."""

from typing import Annotated, Literal

from pydantic import Field

from selfhealing.api import limits, port_rules
from selfhealing.api.base import Json, KubernetesType, SchemaKeywords, SpecModel
from selfhealing.api.spec_types import CORE, Annotations, ChildLabels, NodePort, Port

SERVICE = f"{CORE}.ServiceSpec"


class ServiceSpec(SpecModel):
    """The Service in front of the pods. It exists if there is a port to expose."""

    rules = port_rules.SERVICE_RULES

    enabled: bool = True
    """False: no Service."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    """From where it can be reached: the cluster, any node's address, or a load balancer."""

    port: Port = 80
    """The port of the Service whose target is the app's `port`."""

    node_port: NodePort | None = None
    """The port on every node, for NodePort and LoadBalancer; by default Kubernetes chooses it."""

    headless: bool = False
    """True: no address of its own; its DNS name has the addresses of all pods, with their ports."""

    publish_not_ready_addresses: bool = False
    """True: also pods that are not ready get requests; for peers that find each other by DNS."""

    session_affinity: Literal["None", "ClientIP"] = "None"
    """ClientIP: a client always reaches the same pod."""

    session_affinity_config: Annotated[
        Json | None, KubernetesType(SERVICE, "sessionAffinityConfig")
    ] = None
    """How long a client reaches the same pod."""

    external_traffic_policy: Literal["Cluster", "Local"] | None = None
    """Local: a node sends requests from outside to its own pods only, and keeps their source IP."""

    internal_traffic_policy: Literal["Cluster", "Local"] = "Cluster"
    """Local: requests of a pod reach only pods of the same node, or none."""

    traffic_distribution: Literal["PreferClose", "PreferSameZone", "PreferSameNode"] | None = None
    """Which pods are preferred while they are ready."""

    ip_families: Annotated[
        list[Literal["IPv4", "IPv6"]],
        Field(max_length=2),
        SchemaKeywords({"x-kubernetes-list-type": "set"}),
    ] = Field(default_factory=list)
    """The IP families, the main one first; by default that of the cluster."""

    ip_family_policy: Literal["SingleStack", "PreferDualStack", "RequireDualStack"] | None = None
    """Whether the Service has an address of each IP family."""

    load_balancer_class: Annotated[str, SchemaKeywords(limits.qualified_name)] | None = None
    """The load balancer implementation, if it is not that of the cluster."""

    load_balancer_source_ranges: Annotated[
        list[Annotated[str, Field(max_length=43), port_rules.IS_CIDR]], Field(max_length=64)
    ] = Field(default_factory=list)
    """The networks whose clients the load balancer admits."""

    allocate_load_balancer_node_ports: bool | None = None
    """False: no node ports, for a load balancer that reaches the pods without them."""

    labels: ChildLabels = Field(default_factory=dict)
    """Labels of the Service beside those of the operator."""

    annotations: Annotated[Annotations, port_rules.NO_SOURCE_RANGES_ANNOTATION] = Field(
        default_factory=dict
    )
    """Annotations of the Service, with which cloud load balancers are configured."""
