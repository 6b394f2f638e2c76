"""The types that several parts of the spec have in common."""

from typing import Annotated, Final

from pydantic import Field

from selfhealing.api import cel_rules as cel, limits, pod_rules
from selfhealing.api.base import Int32, SchemaKeywords

CORE: Final = "io.k8s.api.core.v1"
CONTAINER: Final = f"{CORE}.Container"
POD: Final = f"{CORE}.PodSpec"

Port = Annotated[Int32, Field(ge=1, le=65535)]
NodePort = Annotated[Int32, Field(ge=30000, le=32767)]
CommandWords = Annotated[list[str], Field(max_length=256)]
Labels = Annotated[
    dict[str, Annotated[str, SchemaKeywords(limits.label_value)]],
    Field(max_length=32),
    limits.LABEL_KEYS_RULE,
]
ChildLabels = Annotated[Labels, pod_rules.NO_OPERATOR_LABELS]
"""Labels of the pods or of a child beside those of the operator."""

Annotations = Annotated[
    dict[str, Annotated[str, Field(max_length=4096)]],
    Field(max_length=50),
    limits.LABEL_KEYS_RULE,
    cel.NO_OPERATOR_ANNOTATIONS,
]
ObjectName = Annotated[str, SchemaKeywords(limits.dns_subdomain)]
PortName = Annotated[str, SchemaKeywords(limits.port_name)]
DnsName = Annotated[str, SchemaKeywords(limits.dns_name), cel.NO_IP_ADDRESS]
"""A DNS name, or a wildcard such as *.example.com."""
