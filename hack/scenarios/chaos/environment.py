"""The environment of an experiment: a namespace, an app in it, and the operators that serve it."""

import json
import shlex
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests

from hack.scenarios.chaos.metrics import EXECUTED_OUTCOMES
from hack.scenarios.common.cluster_state import PodRow
from hack.scenarios.common.errors import ScenarioError
from hack.scenarios.common.sampler import Sampler
from hack.scenarios.common.scenario import ScenarioContext
from hack.testkit.errors import ApiServerUnreachableError
from hack.testkit.kube_client import KubeClient
from hack.testkit.operator_process import OperatorProcess, run_operator

Json = dict[str, Any]

APP_NAME: Final = "shop"
IMAGE: Final = "localhost/selfhealing-demo:dev"
PORT: Final = 5000

METRICS_TIMEOUT: Final = 180
"""Seconds until an autoscaler gets metrics; the first takes two scrapes."""

POLL_INTERVAL: Final = 0.4
"""Seconds between two checks for recovery."""

_APP_PATH = f"/apis/selfhealing.dev/v1alpha1/namespaces/{{ns}}/selfhealingapps/{APP_NAME}"

HEALING_SCALE: Final = 0.2
"""Factor of all times of healing (``--healing-scale``): a minute becomes 12 seconds."""

APP_SPEC: Final[Json] = {
    "image": IMAGE,
    "imagePullPolicy": "IfNotPresent",
    "port": PORT,
    "replicas": 2,
    "service": {"type": "NodePort"},
    "probes": {
        "liveness": {"httpGet": {"path": "/health"}, "periodSeconds": 5},
        "readiness": {"httpGet": {"path": "/ready"}, "periodSeconds": 1},
    },
    "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
}
"""The spec of the app of every fault."""

HEALING_SPEC: Final[Json] = {"rollback": {"probation": "1m"}}
"""The healing spec of the app: the defaults, but a revision is stable after a minute."""

LEADER_ELECTION_SETTINGS: Final[dict[str, str]] = {
    "SELFHEALING_LEADER_ELECTION": "on",
    "SELFHEALING_LEASE_DURATION": "4",
    "SELFHEALING_LEASE_RENEW": "0.5",
}
"""Settings of several operators: another one leads four seconds after the leader was killed."""


TRANSIENT_ERRORS: Final = (
    AssertionError,
    LookupError,
    ApiServerUnreachableError,
    requests.RequestException,
)
"""Errors of a condition that mean "not yet": incomplete data and a missing API server."""


@dataclass
class Environment:
    """A namespace with an app.

    Attributes:
        context: the cluster and the console.
        is_healing_enabled: whether healing is on for the app.
        sampler: the samples of the namespace.
        operators: the operator processes that serve the namespace.
        has_cleanups: whether something outside of the namespace is broken and must be restored.
    """

    context: ScenarioContext
    is_healing_enabled: bool
    sampler: Sampler
    operators: list[OperatorProcess] = field(default_factory=list)
    has_cleanups: bool = False
    _cleanups: ExitStack = field(default_factory=ExitStack)

    def apply(self, body: Json) -> None:
        """Apply an object by server-side apply."""
        self.context.run_kubectl("apply --server-side -f -", stdin=json.dumps(body))

    def add_cleanup(self, fault: AbstractContextManager[object]) -> None:
        """Enter a context manager that breaks something and restores it on exit."""
        self.has_cleanups = True
        self._cleanups.enter_context(fault)

    def run_cleanups(self) -> None:
        """Restore what was broken, the latest first."""
        self._cleanups.close()
        self.has_cleanups = False

    @property
    def kube(self) -> KubeClient:
        """The API server."""
        return self.context.kube

    def wait_until(self, description: str, condition: Callable[[], object], timeout: float) -> None:
        """Wait until a condition is true.

        Raises:
            ToolError: it is not true within ``timeout`` seconds.
        """
        self.context.wait_until(description, condition, timeout, expected_errors=TRANSIENT_ERRORS)

    def print_command(self, command: str) -> None:
        """Show a command that is not a kubectl command."""
        self.context.console.print_command(command, "")

    def update_spec(self, **spec: Any) -> None:  # noqa: ANN401 - fields of the spec
        """Patch fields of the app's spec, as a user would."""
        patch = shlex.quote(json.dumps({"spec": spec}))
        self.context.run_kubectl(f"patch sha/{APP_NAME} --type=merge -p {patch}")

    def list_pods(self) -> tuple[PodRow, ...]:
        """Return the pods of the latest snapshot that are not terminating."""
        return self.sampler.latest_snapshot.remaining_pods

    def find_ready_pod(self) -> PodRow:
        """Return a ready pod.

        Raises:
            ScenarioError: no pod is ready.
        """
        for pod in self.list_pods():
            if pod.is_ready:
                return pod
        raise ScenarioError("no pod of the app is ready")

    def request_from_pod(self, pod: PodRow, path: str) -> bool:
        """Send a request to one pod through the API server; return whether it succeeded."""
        path_to_pod = f"/api/v1/namespaces/{{ns}}/pods/{pod.name}:{PORT}/proxy{path}"
        return self.kube.get_response(path_to_pod).ok

    def has_executed_action(self) -> bool:
        """Read the app's status and return whether the operator has executed an action."""
        app = self.kube.get_path(_APP_PATH) or {}
        history = app.get("status", {}).get("healing", {}).get("history", ())
        return any(action["outcome"] in EXECUTED_OUTCOMES for action in history)

    def find_leader(self) -> OperatorProcess:
        """Return the operator that leads.

        Raises:
            ScenarioError: none leads.
        """
        for operator in self.operators:
            try:
                if operator.is_running() and operator.read_metric("selfhealing_leader") == 1:
                    return operator
            except requests.RequestException:
                continue
        raise ScenarioError("no operator leads")


def build_manifest(is_healing_enabled: bool, spec: Json, healing_spec: Json) -> Json:  # noqa: FBT001 - a value of the drill
    """Return the SelfHealingApp of an experiment."""
    mode = {"mode": "Auto" if is_healing_enabled else "Off"}
    fields = {**APP_SPEC, **spec, "healing": {**HEALING_SPEC, **healing_spec, **mode}}
    return {
        "apiVersion": "selfhealing.dev/v1alpha1",
        "kind": "SelfHealingApp",
        "metadata": {"name": APP_NAME},
        "spec": {key: value for key, value in fields.items() if value is not None},
    }


def start_operators(
    stack: ExitStack, namespace: str, count: int, logs: Path
) -> list[OperatorProcess]:
    """Start operators that serve the namespace; they are stopped with ``stack``.

    Raises:
        AssertionError: one does not fill its caches in time.
    """
    settings = {"SELFHEALING_HEALING_SCALE": str(HEALING_SCALE)}
    if count > 1:
        settings |= {**LEADER_ELECTION_SETTINGS, "SELFHEALING_LEASE_NAMESPACE": namespace}
    logs.parent.mkdir(parents=True, exist_ok=True)
    processes = []
    for number in range(1, count + 1):
        log = logs.with_name(f"{logs.name}-{number}.log" if count > 1 else f"{logs.name}.log")
        log.unlink(missing_ok=True)
        processes.append(stack.enter_context(run_operator([namespace], log, settings=settings)))
    return processes
