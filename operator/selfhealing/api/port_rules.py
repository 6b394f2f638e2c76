"""The CEL rules of ports and of the Service."""

from typing import Final

from selfhealing.api.base import Rule
from selfhealing.api.names import PORT_NAME

_PROBES: Final = ("liveness", "readiness", "startup")

SERVICE_NEEDS_PORT: Final = Rule(
    cel="!has(self.service) || has(self.port)"
    " || (has(self.service.enabled) && !self.service.enabled)",
    message="a Service needs the port that the app listens on: write port, or remove service",
    field_path=".port",
    reason="FieldValueRequired",
)

NODE_PORT_NEEDS_TYPE: Final = Rule(
    cel="!has(self.nodePort) || (has(self.type) && self.type in ['NodePort', 'LoadBalancer'])",
    message="nodePort needs type: NodePort or LoadBalancer",
    field_path=".nodePort",
    reason="FieldValueForbidden",
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


def _named_probe_port_needs_port(probe: str) -> Rule:
    """Return the rule that a probe with the name of the app's port needs that port."""
    probe_path = f"self.probes.{probe}"
    no_named_port = " && ".join(
        f"!(has({probe_path}.{h}) && has({probe_path}.{h}.port)"
        f" && type({probe_path}.{h}.port) == string)"
        for h in ("httpGet", "tcpSocket")
    )
    return Rule(
        cel=f"has(self.port) || !has(self.probes) || !has({probe_path}) || ({no_named_port})",
        message=f"probes.{probe} uses the port {PORT_NAME}, which is the app's:"
        " write port beside image",
        field_path=f".probes.{probe}",
        reason="FieldValueRequired",
    )


PORT_RULES: Final = (
    SERVICE_NEEDS_PORT,
    *(_probe_needs_port(probe) for probe in _PROBES),
    *(_named_probe_port_needs_port(probe) for probe in _PROBES),
)
"""The rules of the whole spec about its ports."""
