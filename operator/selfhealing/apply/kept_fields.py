"""Keeps what a live child has in two places where the operator's own value would do harm."""

from collections.abc import Mapping
from typing import Any

import orjson

from selfhealing.api.names import JOB
from selfhealing.cache.views import ChildView

Json = Mapping[str, Any]

_SERVICE_LINKS = "enableServiceLinks"


def keep_live_fields(live: ChildView | None, desired: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest with which a live child is compared, and which is applied to it."""
    if live is None or not live.manifest_json:
        return desired
    if desired["kind"] == "Service" and live.adopt:
        return _keep_missing_port_name(live, desired)
    if desired["kind"] == JOB:
        return _keep_service_links(live, desired)
    return desired


def _keep_missing_port_name(live: ChildView, desired: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest of a Service whose only port has no name if the adopted one has none.

    kube-proxy knows a port by its name (ServicePortName, pkg/proxy/types.go of Kubernetes 1.36): to
    give it one leaves the Service without endpoints until the EndpointSlices follow.
    """
    found = orjson.loads(live.manifest_json)["spec"].get("ports") or []
    ports = desired["spec"]["ports"]
    if len(found) != 1 or len(ports) != 1 or found[0].get("name"):
        return desired
    if (found[0].get("port"), found[0].get("protocol", "TCP")) != (
        ports[0]["port"],
        ports[0]["protocol"],
    ):
        return desired
    unnamed = {key: value for key, value in ports[0].items() if key != "name"}
    return {**desired, "spec": {**desired["spec"], "ports": [unnamed]}}


def _keep_service_links(live: ChildView, desired: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest of a Job without ``enableServiceLinks: false`` if the live one has links.

    The template of a Job is immutable, and an earlier version of the operator did not set
    the field. Another run, for which the spec sets it, replaces the Job and is not applied to it.
    """
    template = desired["spec"]["template"]
    live_template: Json = orjson.loads(live.manifest_json)["spec"].get("template") or {}
    live_pod = live_template.get("spec") or {}
    if template["spec"].get(_SERVICE_LINKS) is not False or live_pod.get(_SERVICE_LINKS) is False:
        return desired
    pod = {key: value for key, value in template["spec"].items() if key != _SERVICE_LINKS}
    spec = {**desired["spec"], "template": {**template, "spec": pod}}
    return {**desired, "spec": spec}
