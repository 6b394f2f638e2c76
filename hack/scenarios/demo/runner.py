"""Plays the steps of the story: types commands, waits for what must happen, keeps the time."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from hack.scenarios.common.cluster_state import ClusterSnapshot, read_cluster_state
from hack.scenarios.common.console import Progress, ScenarioConsole
from hack.scenarios.common.errors import ScenarioError
from hack.testkit.errors import ToolError
from hack.testkit.kube_client import KubeClient
from hack.testkit.service_access import (
    HttpAccess,
    HttpResponse,
    NodePortAccess,
    ServiceProxyAccess,
)
from hack.testkit.wait import wait_until

POLL_INTERVAL = 0.4
"""Seconds between two looks at the cluster."""

APP_NAME = "scaling-demo"
"""The app of the story."""

NODE_PORT_TIMEOUT = 10
"""Seconds until a node port must answer; kube-proxy's rules come a moment after a ready pod."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what it shows, how many seconds it takes as a rule, and how it goes.

    ``play`` returns what was seen, in one sentence.
    """

    title: str
    expected_seconds: int
    run: Callable[["DemoRunner"], str]


class DemoRunner:
    """The cluster and the screen, as the steps of the story see them."""

    def __init__(
        self,
        kube: KubeClient,
        console: ScenarioConsole,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.kube = kube
        self._console = console
        self._clock = clock
        self._access: HttpAccess | None = None
        self._progress = self._new_progress(())
        self.snapshot = ClusterSnapshot()

    def run_steps(self, steps: tuple[Step, ...]) -> float:
        """Play the steps one after the other; returns the seconds that it took.

        Raises:
            ShowError: a step did not go as it must; the message says which and why.
        """
        self._progress = progress = self._new_progress(steps)
        for number, step in enumerate(steps, 1):
            progress.number, progress.title = number, step.title
            progress.step_started, progress.step_expected = self._clock(), step.expected_seconds
            self._console.begin_step(progress)
            try:
                summary = step.run(self)
            except ToolError as error:
                raise ScenarioError(f"step {number}, {step.title!r}: {error}") from error
            progress.waiting_for = ""
            self._console.end_step(progress, summary)
        return self._clock() - progress.started

    def _new_progress(self, steps: tuple[Step, ...]) -> Progress:
        return Progress(
            started=self._clock(),
            expected=sum(step.expected_seconds for step in steps),
            count=len(steps),
            shown_command=self.kube.format_command("get selfhealingapps"),
        )

    def explain(self, text: str) -> None:
        """Explain something."""
        self._console.print_note(text)

    def run_kubectl(self, arguments: str) -> None:
        """Type a kubectl command."""
        self._console.print_command(
            self.kube.format_command(arguments), self.kube.run_kubectl(arguments)
        )

    def send_request(self, path: str) -> HttpResponse:
        """Send the app a request through its Service, where everybody can see it."""
        access = self.find_access()
        response = access.get(path)
        self._console.print_command(access.format_command(path), str(response))
        return response

    def send_silently(self, path: str) -> HttpResponse:
        """Send the app a request through its Service without showing it."""
        return self.find_access().get(path)

    def find_access(self) -> HttpAccess:
        """The way in: the node port, or the API server where nodes cannot be reached from here."""
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
        """Look at the cluster until something is true, and show it meanwhile.

        Raises:
            ShowError: it did not become true within ``limit`` seconds.
        """
        self._progress.waiting_for = description

        def is_true() -> bool:
            self.snapshot = read_cluster_state(self.kube, APP_NAME)
            self._console.show_snapshot(self.snapshot, self._progress)
            return condition(self.snapshot)

        wait_until(description, is_true, timeout, interval=POLL_INTERVAL, clock=self._clock)
        return self.snapshot
