"""HTTP access to an app's Service from outside the cluster.

``open_service`` finds a base URL: a node port, where the Service has one and a node can be reached,
else ``kubectl proxy``. The proxy forwards each request to a pod of the API server's choice: it is
slower, but unlike a port-forward, which goes to one pod, it spreads the requests.

``NodePortAccess`` and ``ServiceProxyAccess`` send single requests and know the command that a user
would type for them.
"""

import contextlib
import re
import select
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import requests

from hack.localcluster.subprocesses import parent_death_command
from hack.testkit.errors import ToolError
from hack.testkit.kube_client import Json, KubeClient
from hack.testkit.wait import wait_until

_REQUEST_TIMEOUT = 3
_REACHABLE_TIMEOUT = 3
"""Seconds until a node port must answer; kube-proxy's rules come a moment after the Service."""

_PROXY_START_TIMEOUT = 15
_MAX_NODES = 4
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An HTTP response; ``status_code`` is 0 without one, and ``error`` says why."""

    status_code: int
    body: Json
    error: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether the status code is 200."""
        return self.status_code == 200

    def __str__(self) -> str:
        """Return the status code and the message, or the error."""
        if not self.status_code:
            return self.error
        return (
            f"{self.status_code} {self.body.get('message') or self.body.get('status', '')}".strip()
        )


class NodePortAccess:
    """Requests to a node's address and the node port of a Service."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._session = requests.Session()
        self._session.trust_env = False  # a node is in the local network, not behind a proxy

    def format_command(self, path: str) -> str:
        """Return what a user would type to request ``path``."""
        return f"curl {self.endpoint}{path}"

    def get(self, path: str) -> HttpResponse:
        """Request ``path`` on a connection of its own, as curl does."""
        try:
            response = self._session.get(
                self.endpoint + path, timeout=_REQUEST_TIMEOUT, headers={"Connection": "close"}
            )
        except requests.Timeout:
            return HttpResponse(0, {}, "nobody answers")
        except requests.RequestException:
            return HttpResponse(0, {}, "connection refused")
        return _parse_response(response)


class ServiceProxyAccess:
    """Requests through the API server's Service proxy, where no node can be reached."""

    def __init__(self, kube: KubeClient, service: str) -> None:
        self._kube = kube
        self._path = f"/api/v1/namespaces/{kube.namespace}/services/{service}:http/proxy"

    def format_command(self, path: str) -> str:
        """Return what a user would type to request ``path``."""
        return f"kubectl get --raw {self._path}{path}"

    def get(self, path: str) -> HttpResponse:
        """Request ``path``."""
        response = self._kube.get_response(self._path + path)
        if response.status_code == requests.codes.unavailable:
            return HttpResponse(0, {}, "the Service has no endpoints")
        return _parse_response(response)


HttpAccess = NodePortAccess | ServiceProxyAccess


def _parse_response(response: requests.Response) -> HttpResponse:
    try:
        body = response.json()
    except ValueError:
        body = {"message": response.text[:80]}
    return HttpResponse(response.status_code, body if isinstance(body, dict) else {})


@dataclass(frozen=True)
class ServiceEndpoint:
    """A base URL of a Service, without a slash at its end, and the kind of access for people."""

    url: str
    access_kind: str


@contextlib.contextmanager
def open_service(kube: KubeClient, name: str) -> Iterator[ServiceEndpoint]:
    """Find a base URL of a Service and keep it open during the block.

    Raises:
        ToolError: there is no such Service, or it has no port.
    """
    service = kube.find("Service", kube.namespace, name)
    if service is None:
        raise ToolError(
            f"there is no Service {name} in namespace {kube.namespace}: apply the app first,"
            " or name another with APP=name NAMESPACE=name"
        )
    for endpoint in list_node_port_urls(service, kube.list("Node", None)):
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


def list_node_port_urls(service: Json, nodes: list[Json]) -> list[str]:
    """List the URLs of a Service's first port at ready nodes that are not fake.

    The list is empty without a node port. The control plane comes first: a worker may be drained
    or killed meanwhile.

    Raises:
        ToolError: the Service has no port.
    """
    number = _first_port_entry(service).get("nodePort")
    if not number:
        return []
    urls = []
    for node in sorted(nodes, key=_is_worker):
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
    return urls[:_MAX_NODES]


def _is_worker(node: Json) -> bool:
    return _CONTROL_PLANE not in node["metadata"].get("labels", {})


def first_port(service: Json) -> int:
    """Return the Service's first port.

    Raises:
        ToolError: it has none.
    """
    return int(_first_port_entry(service)["port"])


def _first_port_entry(service: Json) -> Json:
    ports = service["spec"].get("ports") or ()
    if not ports:
        raise ToolError(f"the Service {service['metadata']['name']} has no port")
    found: Json = ports[0]
    return found


def _is_reachable(endpoint: str) -> bool:
    access = NodePortAccess(endpoint)
    try:
        wait_until(
            f"{endpoint} answers",
            lambda: access.get("/").status_code,
            _REACHABLE_TIMEOUT,
            interval=0.5,
        )
    except ToolError:
        return False
    return True


@contextlib.contextmanager
def _run_kubectl_proxy(kube: KubeClient) -> Iterator[str]:
    """Run ``kubectl proxy`` during the block; the value is its address."""
    command = [
        *parent_death_command(),
        *kube.kubectl.command,
        "proxy",
        "--port=0",
        "--address=127.0.0.1",
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], _PROXY_START_TIMEOUT)
        line = process.stdout.readline().decode(errors="replace") if ready else ""
        match = re.search(r"(127\.0\.0\.1:\d+)", line)
        if match is None:
            raise ToolError(f"`kubectl proxy` does not start: {line.strip() or 'it says nothing'}")
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
