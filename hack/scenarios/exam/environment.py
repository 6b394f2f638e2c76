"""One half of a row: a namespace with an app, with healing or without, and what is done to it."""

import json
import shlex
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests

from hack.scenarios.common.cluster_state import PodRow
from hack.scenarios.common.errors import ScenarioError
from hack.scenarios.common.sampler import Sampler
from hack.scenarios.common.scenario import ScenarioContext
from hack.scenarios.exam.metrics import EXECUTED_OUTCOMES
from hack.testkit.errors import ApiServerUnreachableError
from hack.testkit.kube_client import JSON_PATCH, STRATEGIC_PATCH, KubeClient, Patch
from hack.testkit.operator_process import OperatorProcess, run_operator

Json = dict[str, Any]

SCENARIO_NAME: Final = "exam"
"""The beginning of the namespaces, their label and the lock."""

APP_NAME: Final = "shop"
IMAGE: Final = "localhost/selfhealing-demo:dev"
PORT: Final = 5000

METRICS_TIMEOUT: Final = 180
"""Seconds until an autoscaler gets metrics; the first takes two scrapes."""

POLL_INTERVAL: Final = 1.0
"""Seconds between two looks at a row."""

SOMEBODY: Final = "kubectl-edit"
"""The field manager of an edit by hand."""

_APP_PATH = f"/apis/selfhealing.dev/v1alpha1/namespaces/{{ns}}/selfhealingapps/{APP_NAME}"

HEALING_SCALE: Final = 0.2
"""Default factor of all times of healing (``--healing-scale``): a minute becomes 12 seconds."""

PROGRESS_DEADLINE: Final = 60
"""``progressDeadlineSeconds`` of the app."""

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
    "resources": {"requests": {"cpu": "20m", "memory": "24Mi"}},
    "lifecycle": {"preStop": {"sleep": {"seconds": 2}}},
    "terminationGracePeriodSeconds": 5,
    "rollout": {"progressDeadlineSeconds": PROGRESS_DEADLINE},
}
"""The spec of the app of every row. It waits before it stops, as an app should that loses no
request when its pod is replaced."""

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
        facts: what ``Fault.prepare`` or the injector has found out, by name.
        has_cleanups: whether something outside of the namespace is broken and must be restored.
        stop: is set when the row must end.
    """

    context: ScenarioContext
    is_healing_enabled: bool
    sampler: Sampler
    operators: list[OperatorProcess] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    has_cleanups: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    _cleanups: ExitStack = field(default_factory=ExitStack)

    @property
    def kube(self) -> KubeClient:
        """The API server."""
        return self.context.kube

    @property
    def namespace(self) -> str:
        """The namespace."""
        return self.kube.namespace

    @property
    def helper_namespace(self) -> str:
        """The namespace of what the app uses: a registry, a database."""
        return f"{self.namespace}-x"

    def apply(self, body: Json) -> None:
        """Apply an object by server-side apply; without a namespace, in that of the app."""
        meta = {"namespace": self.namespace, **body["metadata"]}
        self.kube.apply({**body, "metadata": meta})

    def add_cleanup(self, fault: AbstractContextManager[object]) -> None:
        """Enter a context manager that breaks something and restores it on exit."""
        self.has_cleanups = True
        self._cleanups.enter_context(fault)

    def break_cluster(self, fault: AbstractContextManager[object]) -> None:
        """As ``add_cleanup``, for what both halves share: only that with healing breaks it."""
        if self.is_healing_enabled:
            self.add_cleanup(fault)

    def run_cleanups(self) -> None:
        """Restore what was broken, the latest first."""
        self._cleanups.close()
        self.has_cleanups = False

    def wait_until(self, description: str, condition: Callable[[], object], timeout: float) -> None:
        """Wait until a condition is true.

        Raises:
            ToolError: it is not true within ``timeout`` seconds, or the row must end.
        """

        def check() -> object:
            self.require_going_on()
            return condition()

        self.context.wait_until(description, check, timeout, expected_errors=TRANSIENT_ERRORS)

    def require_going_on(self) -> None:
        """Check that the row need not end.

        Raises:
            ScenarioError: it must.
        """
        if self.stop.is_set():
            raise ScenarioError("the exam was stopped")

    def print_command(self, command: str) -> None:
        """Show a command that is not a kubectl command."""
        self.context.console.print_command(command, "")

    def update_spec(self, **spec: Any) -> None:  # noqa: ANN401 - fields of the spec
        """Patch fields of the app's spec, as a user would."""
        patch = json.dumps({"spec": spec})
        self.print_command(f"kubectl patch sha/{APP_NAME} --type=merge -p {shlex.quote(patch)}")
        self.kube.merge_patch("SelfHealingApp", self.namespace, APP_NAME, {"spec": spec})

    def edit_child(self, kind: str, patch: Patch, name: str = APP_NAME) -> None:
        """Patch a child by hand; a dict is a strategic merge patch, a list a JSON patch."""
        form = JSON_PATCH if isinstance(patch, list) else STRATEGIC_PATCH
        text = shlex.quote(json.dumps(patch))
        self.print_command(f"kubectl patch {kind.lower()}/{name} -p {text}")
        self.kube.patch(kind, self.namespace, name, patch, form=form, manager=SOMEBODY)

    def edit_pod_spec(self, pod_spec: Json) -> None:
        """Merge fields into the pod template of the Deployment, as ``kubectl patch`` does."""
        self.edit_child("Deployment", {"spec": {"template": {"spec": pod_spec}}})

    def edit_container(self, **container: Any) -> None:  # noqa: ANN401 - fields of a container
        """Merge fields into the app's container of the Deployment."""
        self.edit_pod_spec({"containers": [{"name": "app", **container}]})

    def list_pods(self) -> tuple[PodRow, ...]:
        """Return the pods of the latest snapshot that are not terminating."""
        pods = self.sampler.latest_snapshot.remaining_pods
        return tuple(pod for pod in pods if pod.name.startswith(f"{APP_NAME}-"))

    def find_ready_pod(self) -> PodRow:
        """Return a ready pod.

        Raises:
            ScenarioError: no pod is ready.
        """
        for pod in self.list_pods():
            if pod.is_ready:
                return pod
        raise ScenarioError("no pod of the app is ready")

    def delete_pod(self, pod: PodRow) -> None:
        """Delete a pod, as a user would."""
        self.print_command(f"kubectl delete pod {pod.name}")
        self.kube.delete("Pod", self.namespace, pod.name)

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


def build_manifest(namespace: str, spec: Json, healing_spec: Json, *, healing: bool) -> Json:
    """Return the SelfHealingApp of a half."""
    mode = {"mode": "Auto" if healing else "Off"}
    fields = {**APP_SPEC, **spec, "healing": {**HEALING_SPEC, **healing_spec, **mode}}
    return {
        "apiVersion": "selfhealing.dev/v1alpha1",
        "kind": "SelfHealingApp",
        "metadata": {"name": APP_NAME, "namespace": namespace},
        "spec": {key: value for key, value in fields.items() if value is not None},
    }


def start_operators(
    stack: ExitStack, namespaces: list[str], count: int, logs: Path, scale: float
) -> list[OperatorProcess]:
    """Start operators that serve the namespaces; they are stopped with ``stack``.

    Raises:
        AssertionError: one does not fill its caches in time.
    """
    settings = {"SELFHEALING_HEALING_SCALE": str(scale)}
    if count > 1:
        settings |= {**LEADER_ELECTION_SETTINGS, "SELFHEALING_LEASE_NAMESPACE": namespaces[0]}
    logs.parent.mkdir(parents=True, exist_ok=True)
    processes = []
    for number in range(1, count + 1):
        log = logs.with_name(f"{logs.name}-{number}.log" if count > 1 else f"{logs.name}.log")
        log.unlink(missing_ok=True)
        processes.append(stack.enter_context(run_operator(namespaces, log, settings=settings)))
    return processes
