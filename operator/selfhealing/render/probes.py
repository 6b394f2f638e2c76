"""Renders probes: the probe of the spec, with the app's port as the default."""

from collections.abc import Mapping
from typing import Any

PORT_HANDLERS = ("httpGet", "tcpSocket", "grpc")
"""The probe handlers of core/v1 that need a port."""


def build_probe(probe: Mapping[str, Any], port: int | None) -> dict[str, Any]:
    """Return the core/v1 Probe for a probe of the spec; a handler without a port uses ``port``.

    Nothing else is added: Kubernetes fills in its defaults.
    """
    result = dict(probe)
    for handler in PORT_HANDLERS:
        if handler in result and "port" not in result[handler] and port is not None:
            result[handler] = {**result[handler], "port": port}
    return result
