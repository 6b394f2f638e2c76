"""One app as the lab's reader sees it: a node's port, and a shell in its pod."""

from collections.abc import Callable
from dataclasses import dataclass

import requests
import yaml

from hack.testkit.kube_client import ROOT, Json, checked, kubectl
from hack.testkit.namespace import Space
from hack.testkit.wait import eventually

EXAMPLES = ROOT / "examples"
READY_LIMIT = 90
PORT = 5000


@dataclass(frozen=True)
class LabApp:
    """A running app of the demo image."""

    space: Space
    name: str

    def ready(self, limit: float = READY_LIMIT) -> Json:
        """Wait until the app is Ready with all the pods that stay; its status.

        A status is written a moment after the pods have changed.
        """
        self.space.is_(self.name, "Ready", limit)
        return eventually(self._counted, timeout=limit, says="the status counts the pods")

    def _counted(self) -> Json:
        status = self.status()
        live = [p for p in self.pods() if p["status"]["phase"] not in {"Failed", "Succeeded"}]
        assert (status["phase"], status["replicas"]) == ("Ready", len(live)), status
        return status

    def status(self) -> Json:
        """The app's status."""
        return self.space.status(self.name)

    def pods(self) -> list[Json]:
        """Its pods that stay."""
        found = self.space.pods(self.name)
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def has(self, as_many: Callable[[int], bool], limit: float) -> None:
        """Wait until the number of pods that stay is as wanted."""
        eventually(lambda: as_many(len(self.pods())), timeout=limit, says="the number of pods")

    def pod(self) -> Json:
        """Its only pod."""
        (pod,) = self.pods()
        return pod

    def restarts(self) -> int:
        """Restarts of its pods' containers, as ``kubectl get pods`` shows them."""
        return sum(
            entry["restartCount"]
            for pod in self.pods()
            for entry in pod["status"].get("containerStatuses", ())
        )

    def get(self, path: str) -> requests.Response | None:
        """Send a request through the Service's node port; None when nobody answers."""
        endpoint = self.status()["endpoint"]
        with requests.Session() as session:
            session.trust_env = False
            try:
                return session.get(endpoint + path, timeout=5)
            except requests.ConnectionError:
                return None

    def answers(self, path: str, code: int = 200) -> Json:
        """Wait until the app answers through its Service with ``code``; the answer."""

        def probe() -> requests.Response:
            answer = self.get(path)
            assert answer is not None, "connection refused"
            assert answer.status_code == code, answer.text
            return answer

        body: Json = eventually(probe, timeout=30, says=f"{path} answers {code}").json()
        return body

    def ask_pod(self, pod: str, path: str) -> Json:
        """Ask one pod itself, past its Service, through the API server."""
        kube = self.space.kube
        url = kube.url("Pod", self.space.name, f"{pod}:{PORT}", f"proxy{path}")
        return checked(kube.http.session.get(url, timeout=10))

    def inside(self, pod: str, *command: str) -> str:
        """Run a command in a pod's container."""
        return kubectl("-n", self.space.name, "exec", pod, "--", *command)

    def served(self) -> set[str]:
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


def example(file: str) -> list[Json]:
    """The objects of an example."""
    text = (EXAMPLES / file).read_text()
    return [found for found in yaml.safe_load_all(text) if found]
