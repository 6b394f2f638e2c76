"""What the steps of the demo share: the state of the app, and HTTP access to it."""

from collections.abc import Callable

from hack.scenarios.common.cluster_state import ClusterSnapshot, read_cluster_state
from hack.scenarios.common.scenario import ScenarioContext
from hack.testkit.errors import ToolError
from hack.testkit.kube_client import KubeClient
from hack.testkit.service_access import HttpAccess, HttpResponse, NodePortAccess, ServiceProxyAccess

APP_NAME = "scaling-demo"

NODE_PORT_TIMEOUT = 10
"""Seconds until a node port must answer; kube-proxy's rules come a moment after a ready pod."""


class DemoSession:
    """The app of the demo from the first step to the last.

    Attributes:
        snapshot: the state of the cluster that was read last.
    """

    def __init__(self) -> None:
        self.snapshot = ClusterSnapshot()
        self._access: HttpAccess | None = None
        self._context: ScenarioContext | None = None

    def enter_step(self, context: ScenarioContext) -> None:
        """Use the cluster and the console of the step that begins."""
        self._context = context

    @property
    def context(self) -> ScenarioContext:
        """The context of the current step."""
        assert self._context is not None  # noqa: S101 - used before the first step
        return self._context

    @property
    def kube(self) -> KubeClient:
        """The API server; its namespace is that of the app."""
        return self.context.kube

    def explain(self, text: str) -> None:
        """Show a text."""
        self.context.explain(text)

    def run_kubectl(self, arguments: str) -> None:
        """Run a kubectl command and show it with its output."""
        self.context.run_kubectl(arguments)

    def send_request(self, path: str) -> HttpResponse:
        """Send a request to the app through its Service and show it with the response."""
        access = self.find_access()
        response = access.get(path)
        self.context.console.print_command(access.format_command(path), str(response))
        return response

    def send_silently(self, path: str) -> HttpResponse:
        """Send a request to the app through its Service without showing it."""
        return self.find_access().get(path)

    def find_access(self) -> HttpAccess:
        """Return access by the node port, or by the API server where nodes cannot be reached."""
        if self._access is None:
            endpoint = str(self.snapshot.status.get("endpoint", ""))
            node_port = NodePortAccess(endpoint)
            try:
                self.wait_until(
                    f"{endpoint} answers", lambda _: node_port.get("/").is_ok, NODE_PORT_TIMEOUT
                )
                self._access = node_port
            except ToolError:
                self._access = ServiceProxyAccess(self.kube, APP_NAME)
        return self._access

    def wait_until(
        self, description: str, condition: Callable[[ClusterSnapshot], bool], timeout: float
    ) -> ClusterSnapshot:
        """Read and show the state of the cluster until a condition is true; return that state.

        Raises:
            ToolError: it is not true within ``timeout`` seconds.
        """

        def is_true() -> bool:
            self.snapshot = read_cluster_state(self.kube, APP_NAME)
            self.context.show_snapshot(self.snapshot)
            return condition(self.snapshot)

        self.context.wait_until(description, is_true, timeout)
        return self.snapshot
