"""The types of parts of the spec: metadata, ServiceAccount and ports of the pods."""

from typing import Annotated, Literal

from pydantic import Field

from selfhealing.api import limits, pod_rules, port_rules
from selfhealing.api.base import SchemaKeywords, SpecModel
from selfhealing.api.spec_types import Annotations, ChildLabels, NodePort, Port


class PodMetadataSpec(SpecModel):
    """Labels and annotations of the pods, for other controllers and for selectors of others."""

    labels: ChildLabels = Field(default_factory=dict)
    """Labels beside those of the operator, of which `app` and `app.kubernetes.io/name`, `instance`
    and `part-of` may be given another value than the app's name."""

    annotations: Annotated[Annotations, pod_rules.NO_OBSOLETE_POD_ANNOTATIONS] = Field(
        default_factory=dict
    )
    """Annotations, with which injectors and scrapers are configured."""


class ServiceAccountSpec(SpecModel):
    """A ServiceAccount of the app's own, for an identity in the cloud or rights of its own."""

    rules = (pod_rules.ANNOTATIONS_NEED_CREATE,)

    create: bool = False
    """True: a ServiceAccount with the app's name, whose token is not mounted by default."""

    annotations: Annotations = Field(default_factory=dict)
    """Annotations of the ServiceAccount, by which clouds give it an identity."""


class PortSpec(SpecModel):
    """A port of the app's container, and of the Service."""

    rules = (port_rules.SERVICE_FIELDS_OF_EXPOSED_PORT,)

    name: Annotated[str, SchemaKeywords(limits.port_name)]
    """The name, which probes and the Service use."""

    port: Port
    """The port that the app listens on."""

    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    """The protocol."""

    app_protocol: Annotated[str, SchemaKeywords(limits.qualified_name)] | None = None
    """What is spoken there, for meshes and gateways: such as kubernetes.io/h2c."""

    expose: bool = True
    """False: not in the Service; for a port that only scrapers or probes read."""

    service_port: Port | None = None
    """The port of the Service; `port` if not given."""

    service_port_name: Annotated[str, SchemaKeywords(limits.dns_label)] | None = None
    """The name of the port of the Service; `name` if not given."""

    node_port: NodePort | None = None
    """The port on every node, for NodePort and LoadBalancer; by default Kubernetes chooses it."""

    host_port: Port | None = None
    """The port on the node of each pod, which only one pod of the node can have."""
