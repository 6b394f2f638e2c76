"""The place of a drill: its namespace, its app, the operators that serve it."""

import json
import shlex
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests

from hack.scenarios.chaos.metrics import CARRIED_OUT
from hack.scenarios.common.cluster_state import Pod
from hack.scenarios.common.console import Screen
from hack.scenarios.common.errors import ShowError, UnreachableError
from hack.scenarios.common.kube_client import Kube
from hack.scenarios.common.sampler import Watch
from hack.testkit.operator_process import OperatorProcess, running

Json = dict[str, Any]

APP: Final = "shop"
IMAGE: Final = "localhost/selfhealing-demo:dev"
PORT: Final = 5000

METRICS_LIMIT: Final = 180
"""Seconds until an autoscaler gets metrics; the first takes two scrapes."""

POLL: Final = 0.4
"""Seconds between two looks at what is waited for."""

_PATH = f"/apis/selfhealing.dev/v1alpha1/namespaces/{{ns}}/selfhealingapps/{APP}"

SCALE: Final = 0.2
"""What all times of healing are multiplied by: a minute becomes 12 seconds."""

SPEC: Final[Json] = {
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
"""The app of every drill."""

HEALING: Final[Json] = {"rollback": {"probation": "1m"}}
"""How it is to be healed: as by default, but a version proves itself in a minute."""

LEASE: Final[dict[str, str]] = {
    "SELFHEALING_LEADER_ELECTION": "on",
    "SELFHEALING_LEASE_DURATION": "4",
    "SELFHEALING_LEASE_RENEW": "0.5",
}
"""Settings of operators of which one leads; the other takes over after four seconds."""


@dataclass
class Site:
    """A namespace with an app in it.

    Attributes:
        kube: the way to it.
        screen: what is done is shown there.
        healing: whether the app is to be healed.
        watch: what is seen of it.
        operators: the processes that serve it.
        owes: whether something is broken outside of the namespace, and must be put right again.
    """

    kube: Kube
    screen: Screen
    healing: bool
    watch: Watch
    operators: list[OperatorProcess] = field(default_factory=list)
    owes: bool = False
    _amends: ExitStack = field(default_factory=ExitStack)

    def apply(self, body: Json) -> None:
        """Have an object there."""
        self.kubectl("apply --server-side -f -", stdin=json.dumps(body))

    def owe(self, broken: AbstractContextManager[object]) -> None:
        """Break something that is put right again when the drill ends, however it ends."""
        self.owes = True
        self._amends.enter_context(broken)

    def amend(self) -> None:
        """Put right what was broken."""
        self._amends.close()
        self.owes = False

    def kubectl(self, arguments: str, *, stdin: str | None = None, seconds: float = 60) -> None:
        """Type a kubectl command."""
        said = self.kube.kubectl(arguments, stdin=stdin, seconds=seconds)
        self.screen.typed(self.kube.shown(arguments), said)

    def update(self, **spec: Any) -> None:  # noqa: ANN401 - fields of the spec
        """Change the app's spec as a user would."""
        patch = shlex.quote(json.dumps({"spec": spec}))
        self.kubectl(f"patch sha/{APP} --type=merge -p {patch}")

    def pods(self) -> tuple[Pod, ...]:
        """The app's pods that stay, as they were seen last."""
        return self.watch.last.staying

    def ready_pod(self) -> Pod:
        """One of its pods that is ready.

        Raises:
            ShowError: there is none.
        """
        for pod in self.pods():
            if pod.is_ready:
                return pod
        raise ShowError("no pod of the app is ready")

    def ask(self, pod: Pod, path: str) -> bool:
        """Ask one pod itself, past its Service, through the API server; whether it answers."""
        where = f"/api/v1/namespaces/{{ns}}/pods/{pod.name}:{PORT}/proxy{path}"
        return self.kube.ask(where).ok

    def acts(self) -> bool:
        """Whether the operator has begun to do something, as the app itself says now."""
        found = self.kube.read(_PATH) or {}
        history = found.get("status", {}).get("healing", {}).get("history", ())
        return any(action["outcome"] in CARRIED_OUT for action in history)

    def leader(self) -> OperatorProcess:
        """The operator that leads.

        Raises:
            ShowError: none does.
        """
        for operator in self.operators:
            try:
                if operator.alive() and operator.metric("selfhealing_leader") == 1:
                    return operator
            except requests.RequestException:
                continue
        raise ShowError("no operator leads")


def manifest(healing: bool, spec: Json, policy: Json) -> Json:  # noqa: FBT001 - a value of the drill
    """The app of a drill."""
    mode = {"mode": "Auto" if healing else "Off"}
    fields = {**SPEC, **spec, "healing": {**HEALING, **policy, **mode}}
    return {
        "apiVersion": "selfhealing.dev/v1alpha1",
        "kind": "SelfHealingApp",
        "metadata": {"name": APP},
        "spec": {key: value for key, value in fields.items() if value is not None},
    }


def operators(stack: ExitStack, namespace: str, count: int, logs: Path) -> list[OperatorProcess]:
    """Start operators from the checkout that serve the namespace; they end with ``stack``.

    Raises:
        AssertionError: one does not start.
    """
    settings = {"SELFHEALING_HEALING_SCALE": str(SCALE)}
    if count > 1:
        settings |= {**LEASE, "SELFHEALING_LEASE_NAMESPACE": namespace}
    logs.parent.mkdir(parents=True, exist_ok=True)
    found = []
    for number in range(1, count + 1):
        log = logs.with_name(f"{logs.name}-{number}.log" if count > 1 else f"{logs.name}.log")
        log.unlink(missing_ok=True)
        found.append(stack.enter_context(running([namespace], log, settings=settings)))
    return found


def until(what: str, true: Callable[[], object], limit: float) -> None:
    """Wait until something is true; an API server that is away means "not yet".

    Raises:
        ShowError: it did not become true within ``limit`` seconds.
    """
    deadline = time.monotonic() + limit
    while True:
        began, why = time.monotonic(), ""
        try:
            if true():
                return
        except (AssertionError, LookupError, UnreachableError, requests.RequestException) as error:
            why = f": {error}"
        if began >= deadline:
            raise ShowError(f"it did not happen within {limit:.0f} s that {what}{why}")
        time.sleep(POLL)
