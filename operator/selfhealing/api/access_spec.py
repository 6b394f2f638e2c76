"""The types of the parts of the spec about access to the app from outside."""

from typing import Annotated, Literal

from pydantic import Field

from selfhealing.api import access_rules as rule, limits
from selfhealing.api.base import SchemaKeywords, SpecModel
from selfhealing.api.spec_types import Annotations, ChildLabels, DnsName, ObjectName, PortName


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
