"""One app as the lab's reader sees it: a node's port, and a shell in its pod."""

from collections.abc import Callable
from dataclasses import dataclass

import requests

from hack.testkit.kube_client import ROOT, Json, require_success, run_kubectl
from hack.testkit.namespace import AppNamespace
from hack.testkit.wait import eventually
from hack.testkit.yaml_text import parse_yaml_documents

EXAMPLES = ROOT / "examples"
READY_TIMEOUT = 90
PORT = 5000


@dataclass(frozen=True)
class AppClient:
    """A running app of the demo image."""

    space: AppNamespace
    name: str

    def wait_until_ready(self, timeout: float = READY_TIMEOUT) -> Json:
        """Wait until the app is Ready with all the pods that stay; its status.

        A status is written a moment after the pods have changed.
        """
        self.space.wait_for_phase(self.name, "Ready", timeout)
        return eventually(
            self._read_consistent_status, timeout=timeout, description="the status counts the pods"
        )

    def _read_consistent_status(self) -> Json:
        status = self.get_status()
        live = [p for p in self.list_pods() if p["status"]["phase"] not in {"Failed", "Succeeded"}]
        assert (status["phase"], status["replicas"]) == ("Ready", len(live)), status
        return status

    def get_status(self) -> Json:
        """The app's status."""
        return self.space.get_status(self.name)

    def list_pods(self) -> list[Json]:
        """Its pods that stay."""
        found = self.space.list_pods(self.name)
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def wait_for_pod_count(self, condition: Callable[[int], bool], timeout: float) -> None:
        """Wait until the number of pods that stay is as wanted."""
        eventually(
            lambda: condition(len(self.list_pods())),
            timeout=timeout,
            description="the number of pods",
        )

    def get_only_pod(self) -> Json:
        """Its only pod."""
        (pod,) = self.list_pods()
        return pod

    def count_restarts(self) -> int:
        """Restarts of its pods' containers, as ``kubectl get pods`` shows them."""
        return sum(
            entry["restartCount"]
            for pod in self.list_pods()
            for entry in pod["status"].get("containerStatuses", ())
        )

    def get(self, path: str) -> requests.Response | None:
        """Send a request through the Service's node port; None when nobody answers."""
        endpoint = self.get_status()["endpoint"]
        with requests.Session() as session:
            session.trust_env = False
            try:
                return session.get(endpoint + path, timeout=5)
            except requests.ConnectionError:
                return None

    def wait_for_response(self, path: str, code: int = 200) -> Json:
        """Wait until the app answers through its Service with ``code``; the answer."""

        def probe() -> requests.Response:
            answer = self.get(path)
            assert answer is not None, "connection refused"
            assert answer.status_code == code, answer.text
            return answer

        body: Json = eventually(probe, timeout=30, description=f"{path} answers {code}").json()
        return body

    def request_from_pod(self, pod: str, path: str) -> Json:
        """Ask one pod itself, past its Service, through the API server."""
        kube = self.space.kube
        url = kube.url("Pod", self.space.name, f"{pod}:{PORT}", f"proxy{path}")
        return require_success(kube.http.session.get(url, timeout=10))

    def exec_in_pod(self, pod: str, *command: str) -> str:
        """Run a command in a pod's container."""
        return run_kubectl("-n", self.space.name, "exec", pod, "--", *command)

    def list_endpoint_pods(self) -> set[str]:
        """The pods that the Service sends requests to."""
        slices = self.space.kube.list(
            "EndpointSlice", self.space.name, f"kubernetes.io/service-name={self.name}"
        )
        return {
            endpoint["targetRef"]["name"]
            for found in slices
            for endpoint in found.get("endpoints") or ()
            if endpoint["conditions"].get("ready")
        }


def load_example(file: str) -> list[Json]:
    """The objects of an example."""
    text = (EXAMPLES / file).read_text()
    return [found for found in parse_yaml_documents(text) if found]
