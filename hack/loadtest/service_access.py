"""The way to a Service from outside the cluster.

A node port, where the Service has one and a node can be reached. Else the API server, which passes
each request on to a replica of its choice: slower, but it spreads requests, as a port-forward (to
one pod) would not. ``kubectl proxy`` brings the credentials; it listens on 127.0.0.1 only.
"""

import contextlib
import re
import select
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hack.localcluster.subprocesses import parent_death_command
from hack.scenarios.common.errors import ScenarioError
from hack.scenarios.common.kube_client import KubectlClient
from hack.scenarios.demo.http_access import NodePortAccess

_PROXY_START_TIMEOUT = 15
_MAX_ATTEMPTS = 4
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


@dataclass(frozen=True)
class ServiceEndpoint:
    """An address that leads to the Service, without a slash at its end, and what kind it is."""

    url: str
    access_kind: str


@contextlib.contextmanager
def open_service(kube: KubectlClient, name: str) -> Iterator[ServiceEndpoint]:
    """Find the way, and keep it open.

    Raises:
        ShowError: there is no such Service, or it has no port.
    """
    service = kube.get(f"/api/v1/namespaces/{{ns}}/services/{name}")
    if service is None:
        raise ScenarioError(
            f"there is no Service {name} in namespace {kube.namespace}: apply the app first,"
            " or name another with APP=name NAMESPACE=name"
        )
    nodes = kube.get("/api/v1/nodes") or {}
    for endpoint in list_node_port_urls(service, nodes):
        if _is_reachable(endpoint):
            yield ServiceEndpoint(endpoint, "node port")
            return
    with _run_kubectl_proxy(kube) as address:
        path = (
            f"/api/v1/namespaces/{kube.namespace}/services/http:{name}:{first_port(service)}/proxy"
        )
        yield ServiceEndpoint(
            address + path, "the API server, which costs time: compare only with itself"
        )


def list_node_port_urls(service: dict[str, Any], nodes: dict[str, Any]) -> list[str]:
    """List where a Service's first port is at real, ready nodes; empty where it has no node port.

    The control plane comes first: a worker may be drained or killed meanwhile.

    Raises:
        ShowError: the Service has no port.
    """
    number = _first_port_entry(service).get("nodePort")
    if not number:
        return []
    urls = []
    for node in sorted(nodes.get("items", ()), key=_is_worker):
        is_ready = any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in node["status"].get("conditions", ())
        )
        is_fake = "kwok.x-k8s.io/node" in node["metadata"].get("annotations", {})
        for address in node["status"].get("addresses", ()):
            if is_ready and not is_fake and address["type"] == "InternalIP":
                host = address["address"]
                urls.append(
                    f"http://[{host}]:{number}" if ":" in host else f"http://{host}:{number}"
                )
    return urls[:_MAX_ATTEMPTS]


def _is_worker(node: dict[str, Any]) -> bool:
    return _CONTROL_PLANE not in node["metadata"].get("labels", {})


def first_port(service: dict[str, Any]) -> int:
    """Return the Service's first port.

    Raises:
        ShowError: it has none.
    """
    return int(_first_port_entry(service)["port"])


def _first_port_entry(service: dict[str, Any]) -> dict[str, Any]:
    ports = service["spec"].get("ports") or ()
    if not ports:
        raise ScenarioError(f"the Service {service['metadata']['name']} has no port")
    found: dict[str, Any] = ports[0]
    return found


def _is_reachable(endpoint: str) -> bool:
    """Tell whether anybody answers; kube-proxy's rules may come a moment after the Service."""
    access = NodePortAccess(endpoint)
    for attempt in range(_MAX_ATTEMPTS):
        if access.get("/").status_code:
            return True
        time.sleep(0.5 * attempt)
    return False


@contextlib.contextmanager
def _run_kubectl_proxy(kube: KubectlClient) -> Iterator[str]:
    """Run ``kubectl proxy``; the address at which it listens."""
    command = [*parent_death_command(), *kube.command, "proxy", "--port=0", "--address=127.0.0.1"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        assert process.stdout is not None  # noqa: S101  it was asked for
        ready, _, _ = select.select([process.stdout], [], [], _PROXY_START_TIMEOUT)
        line = process.stdout.readline().decode(errors="replace") if ready else ""
        match = re.search(r"(127\.0\.0\.1:\d+)", line)
        if match is None:
            raise ScenarioError(
                f"`kubectl proxy` does not start: {line.strip() or 'it says nothing'}"
            )
        yield f"http://{match[1]}"
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
        if process.stdout is not None:
            process.stdout.close()
