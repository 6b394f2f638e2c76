"""Overlays of the NetworkPolicy: the ports of a rule."""

from typing import Final

from selfhealing.api import limits
from selfhealing.api.base import Rule
from selfhealing.api.limits import max_items, one_of
from selfhealing.crdgen.schema.overlay import Overlay

NETWORKING: Final = "io.k8s.api.networking.v1"

OVERLAYS: Final = {
    f"{NETWORKING}.NetworkPolicyIngressRule": Overlay(fields={"ports": max_items(16)}),
    f"{NETWORKING}.NetworkPolicyPort": Overlay(
        fields={
            "port": limits.port_or_name,
            "protocol": one_of("TCP", "UDP", "SCTP"),
            "endPort": limits.port,
        },
        rules=(
            Rule(
                cel="!has(self.endPort) || (has(self.port) && type(self.port) == int"
                " && self.endPort >= self.port)",
                message="endPort ends a range that begins with port: write a number in port that"
                " is not above endPort",
                field_path=".endPort",
            ),
        ),
    ),
}
