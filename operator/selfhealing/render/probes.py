"""Probe settings: the user's probe in full, with the app's port where none is named."""

from collections.abc import Mapping
from typing import Any

PORT_HANDLERS = ("httpGet", "tcpSocket", "grpc")
"""The probe handlers of core/v1 that need a port."""


def build_probe(probe: Mapping[str, Any], port: int | None) -> dict[str, Any]:
    """Return the core/v1 Probe for ``probe``; a handler without a port asks ``port``.

    Nothing else is added: what the user did not give is left to Kubernetes' own defaults, and an
    explicit 0 is kept.
    """
    result = dict(probe)
    for handler in PORT_HANDLERS:
        if handler in result and "port" not in result[handler] and port is not None:
            result[handler] = {**result[handler], "port": port}
    return result
