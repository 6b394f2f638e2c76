"""Overlays of probes and lifecycle hooks."""

from typing import Final

from selfhealing.api import limits
from selfhealing.api.base import Rule
from selfhealing.api.left_out_fields import LEFT_OUT_FIELDS
from selfhealing.api.limits import exactly_one_field, max_items, one_of
from selfhealing.crdgen.overlays.meta import CORE
from selfhealing.crdgen.schema.overlay import Overlay

NON_NEGATIVE: Final = {"minimum": 0}

LIVENESS_OR_STARTUP_PROBE: Final = Overlay(
    rules=(
        Rule(
            cel="!has(self.successThreshold) || self.successThreshold <= 1",
            message="only a readiness probe has a successThreshold above 1: remove it",
            field_path=".successThreshold",
        ),
    )
)
"""The rules for liveness and startup probes."""

READINESS_PROBE: Final = Overlay(
    rules=(
        Rule(
            cel="!has(self.terminationGracePeriodSeconds)",
            message="a readiness probe stops no container: write terminationGracePeriodSeconds"
            " in the liveness probe, or for the whole pod",
            field_path=".terminationGracePeriodSeconds",
            reason="FieldValueForbidden",
        ),
    )
)
"""The rules for readiness probes."""

OVERLAYS: Final = {
    f"{CORE}.Probe": Overlay(
        fields={
            "initialDelaySeconds": NON_NEGATIVE,
            "periodSeconds": NON_NEGATIVE,
            "timeoutSeconds": NON_NEGATIVE,
            "successThreshold": NON_NEGATIVE,
            "failureThreshold": NON_NEGATIVE,
            "terminationGracePeriodSeconds": {"minimum": 1},
        },
        rules=(
            exactly_one_field(
                ("exec", "grpc", "httpGet", "tcpSocket"),
                "a probe has exactly one handler: write one of httpGet, tcpSocket, grpc, exec",
            ),
        ),
    ),
    f"{CORE}.ExecAction": Overlay(
        require=("command",), fields={"command": max_items(128, minItems=1)}
    ),
    f"{CORE}.HTTPGetAction": Overlay(
        fields={
            "port": limits.port_or_name,
            "scheme": one_of("HTTP", "HTTPS"),
            "httpHeaders": max_items(32),
        }
    ),
    f"{CORE}.HTTPHeader": Overlay(
        fields={"name": {"pattern": "^[-A-Za-z0-9]+$", "maxLength": 256}}
    ),
    f"{CORE}.TCPSocketAction": Overlay(fields={"port": limits.port_or_name}),
    f"{CORE}.GRPCAction": Overlay(fields={"port": limits.port}),
    f"{CORE}.SleepAction": Overlay(fields={"seconds": {"minimum": 1, "maximum": 2**31 - 1}}),
    f"{CORE}.LifecycleHandler": Overlay(
        drop=LEFT_OUT_FIELDS["LifecycleHandler"],
        rules=(
            exactly_one_field(
                ("exec", "httpGet", "sleep"),
                "a hook has exactly one handler: write one of exec, httpGet, sleep",
            ),
        ),
    ),
    f"{CORE}.Lifecycle": Overlay(
        drop=LEFT_OUT_FIELDS["Lifecycle"],
    ),
}

VARIANTS: Final = {
    "app": Overlay(
        fields={
            "httpGet": Overlay(optional=("port",)),
            "tcpSocket": Overlay(optional=("port",)),
            "grpc": Overlay(optional=("port",)),
        }
    ),
}
"""In the probes of the app's container, a handler without a port uses `spec.port`."""
