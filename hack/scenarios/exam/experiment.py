"""One row of the exam: the same fault with healing and, beside it, without.

A half is a namespace with the app. Both halves go through the same steps at the same times: the app
is deployed and proved, requests are sent, the fault is injected, and both are observed until the
oracles have spoken. One operator serves both; in one of them ``healing.mode`` is ``Off``. Every
wait has a timeout. What the fault broke is restored, however the row ends.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import SubprocessError
from typing import Final

from hack.scenarios.common import namespace
from hack.scenarios.common.request_stream import RequestStream, send_requests
from hack.scenarios.common.sampler import Sampler
from hack.scenarios.common.scenario import ScenarioContext
from hack.scenarios.common.timeline import MarkKind, build_timeline
from hack.scenarios.exam import environment as exam_environment, fault_injectors, metrics, oracle
from hack.scenarios.exam.environment import APP_NAME, HEALING_SCALE, SCENARIO_NAME, Environment
from hack.scenarios.exam.fault import Fault
from hack.scenarios.exam.metrics import FaultRun
from hack.scenarios.exam.run_state import LEAD_SECONDS, RunState
from hack.testkit.errors import ApiError, ApiServerUnreachableError, ToolError
from hack.testkit.service_access import open_service

REQUEST_USERS: Final = 2
REQUEST_PAUSE: Final = 0.4
REQUEST_TIMEOUT: Final = 4.0
"""The request stream: five requests per second; one that takes four seconds has failed."""

_SAMPLE_INTERVAL = 1.0
_FAST_POLL_INTERVAL = 0.05
_READY_TIMEOUT = 150
_STABLE_TIMEOUT = 120
_STEADY_STATE_TIMEOUT = 60
_OUTCOME_TIMEOUT = 60
_UNDONE_TIMEOUT = 120

RUN_ERRORS: Final = (ToolError, AssertionError, LookupError, RuntimeError, OSError, SubprocessError)
"""Errors that end a row, but not the whole exam."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of a row.

    Attributes:
        scale: the factor of all times of healing.
        hold_seconds: how long the app must stay healthy.
    """

    scale: float = HEALING_SCALE
    hold_seconds: float = oracle.HOLD_SECONDS

    def first_look(self, fault: Fault) -> float:
        """Return the seconds from the fault until the first look of the mitigation oracle."""
        return fault.due_after(self.scale) + oracle.SETTLE_SECONDS * self.scale

    def length(self, fault: Fault) -> float:
        """Return the seconds from the fault until the end of the observation."""
        hold = self.hold_seconds if fault.expected.is_healable else 0.0
        return self.first_look(fault) + hold


@dataclass(slots=True)
class _Half:
    """One half while it runs."""

    environment: Environment
    state: RunState


class Experiment:
    """One row."""

    def __init__(
        self,
        fault: Fault,
        contexts: Mapping[bool, ScenarioContext],
        timing: Timing,
        stop: threading.Event | None = None,
    ) -> None:
        """Prepare the row.

        Args:
            fault: the fault.
            contexts: the cluster and the console of each half, by whether healing is on, that with
                healing first; the namespaces are those of their clients.
            timing: its times.
            stop: is set when the row must end.
        """
        self._fault = fault
        self._contexts = contexts
        self._timing = timing
        self._stop = stop or threading.Event()

    def run(self, logs: Path) -> tuple[FaultRun, ...]:
        """Run it in new namespaces, which are deleted afterwards.

        Args:
            logs: the beginning of the paths of the operators' logs.

        Returns:
            A run for each half, that without healing first.
        """
        try:
            for context in self._contexts.values():
                namespace.create_namespace(context.kube, SCENARIO_NAME)
            return self._run(logs)
        except RUN_ERRORS as error:
            failed = (self._build_failed(healing, str(error)) for healing in self._contexts)
            return tuple(failed)[::-1]
        finally:
            for context in self._contexts.values():
                # If this fails, the next run deletes them and reports why it cannot.
                with suppress(ToolError):
                    namespace.begin_deletion(context.kube, f"{context.kube.namespace}-x")
                    namespace.begin_deletion(context.kube)

    def _build_failed(self, healing: bool, error: str) -> FaultRun:  # noqa: FBT001 - a key
        length = round(self._timing.length(self._fault))
        return FaultRun(healing, length, build_timeline((), (), 0.0), error=error)

    def _run(self, logs: Path) -> tuple[FaultRun, ...]:
        with ExitStack() as stack:
            environments = [
                Environment(
                    context,
                    healing,
                    stack.enter_context(
                        Sampler(context.kube, context.show_snapshot, interval=_SAMPLE_INTERVAL)
                    ),
                    stop=self._stop,
                )
                for healing, context in self._contexts.items()
            ]
            self._deploy(environments, stack, logs)
            halves = [_Half(each, self._open_half(each, stack)) for each in environments]
            try:
                for half in halves:
                    self._wait_for_steady_state(half)
                self._inject(halves)
                self._observe(halves)
            finally:
                self._run_cleanups(halves)
            for half in halves:
                if half.environment.is_healing_enabled:
                    self._wait_until_undone(half)
                self._wait_for_outcomes(half)
            return tuple(
                half.state.build_result(healing=half.environment.is_healing_enabled)
                for half in reversed(halves)
            )

    # -- before the fault -------------------------------------------------------------------------

    def _deploy(self, environments: Sequence[Environment], stack: ExitStack, logs: Path) -> None:
        """Create the apps and wait until they are ready and have a stable revision."""
        fault = self._fault
        for environment in environments:
            spec = {**fault.spec, **(fault.prepare(environment) if fault.prepare else {})}
            environment.apply(
                exam_environment.build_manifest(
                    environment.namespace,
                    spec,
                    fault.healing,
                    healing=environment.is_healing_enabled,
                )
            )
        operators = exam_environment.start_operators(
            stack,
            [environment.namespace for environment in environments],
            fault.operator_count,
            logs,
            self._timing.scale,
        )
        for environment in environments:
            environment.operators = operators
            self._wait_until_deployed(environment)

    def _wait_until_deployed(self, environment: Environment) -> None:
        sampler = environment.sampler
        environment.wait_until(
            "the app is ready", lambda: sampler.latest_snapshot.is_ready, _READY_TIMEOUT
        )
        if "autoscaling" in self._fault.spec:
            environment.wait_until(
                "the autoscaler gets metrics",
                lambda: fault_injectors.has_autoscaler_metrics(environment),
                exam_environment.METRICS_TIMEOUT,
            )
        if environment.is_healing_enabled:
            environment.wait_until(
                "the revision is stable",
                lambda: metrics.get_healing_status(sampler.latest_snapshot).get("stableRevision"),
                _STABLE_TIMEOUT * max(1.0, self._timing.scale / HEALING_SCALE),
            )

    def _open_half(self, environment: Environment, stack: ExitStack) -> RunState:
        """Find the Service and begin to send requests."""
        endpoint = stack.enter_context(open_service(environment.kube, APP_NAME))
        stream = stack.enter_context(
            send_requests(
                f"{endpoint.url}/",
                users=REQUEST_USERS,
                pause=REQUEST_PAUSE,
                timeout=REQUEST_TIMEOUT,
            )
        )
        length = self._timing.length(self._fault)
        return RunState(self._fault, environment.sampler, stream, length)

    def _wait_for_steady_state(self, half: _Half) -> None:
        """Wait until no request has failed for LEAD_SECONDS."""
        stream: RequestStream = half.state.stream
        began = time.monotonic()

        def is_steady() -> bool:
            start = time.monotonic() - LEAD_SECONDS
            recent = stream.responses_since(start)
            return start >= began and bool(recent) and all(each.pod for each in recent)

        half.environment.wait_until("all requests are answered", is_steady, _STEADY_STATE_TIMEOUT)
        half.state.baseline = len(half.environment.list_pods())

    # -- the fault --------------------------------------------------------------------------------

    def _inject(self, halves: Sequence[_Half]) -> None:
        for half in halves:
            half.state.injected_at = half.state.now
            self._fault.inject(half.environment)
            half.state.add_mark(half.state.injected_at, self._fault.title, MarkKind.FAULT)

    def _observe(self, halves: Sequence[_Half]) -> None:
        """Observe both halves until the oracles have spoken."""
        first_look = self._timing.first_look(self._fault)
        second_fault = self._fault.second_fault
        while True:
            for half in halves:
                half.environment.require_going_on()
                if self._fault.inject_repeatedly:
                    with suppress(ApiServerUnreachableError):
                        self._fault.inject_repeatedly(half.environment)
                if second_fault and self._is_second_fault_due(half):
                    half.state.add_mark(half.state.now, second_fault[0], MarkKind.FAULT)
                    second_fault[1](half.environment)
                    second_fault = None
                for text in half.state.collect_messages():
                    half.environment.context.explain(text)
                since_fault = half.state.now - half.state.injected_at
                if (since_fault >= first_look or half.state.is_over) and not half.state.problems:
                    self._look(half)
            if all(half.state.is_over for half in halves):
                break
            # The app itself is asked for its action: the sampler would see it too late.
            time.sleep(_FAST_POLL_INTERVAL if second_fault else exam_environment.POLL_INTERVAL)
        for half in halves:
            self._conclude(half)

    def _is_second_fault_due(self, half: _Half) -> bool:
        """Whether the half with healing has executed its first action."""
        return half.environment.is_healing_enabled and half.environment.has_executed_action()

    def _look(self, half: _Half) -> None:
        """Let the mitigation oracle look once; an API server that is away for a moment is none."""
        kube = half.environment.kube
        with suppress(ApiServerUnreachableError):
            pods = kube.list("Pod", kube.namespace, f"selfhealing.dev/app={APP_NAME}")
            deployment = kube.find("Deployment", kube.namespace, APP_NAME)
            found = tuple(oracle.find_problems(pods, deployment, half.state.baseline))
            expected = self._fault.expected
            if expected.check and not found:
                found = tuple(expected.check(half.environment))
            half.state.problems = found

    @staticmethod
    def _conclude(half: _Half) -> None:
        """Note the time of recovery and until when requests count."""
        state = half.state
        since = state.recovered_since
        state.requests_end = state.now
        if since is not None and not state.problems:
            state.recovered_after = since - state.injected_at
            state.add_mark(since, "served in full again", MarkKind.RECOVERED)

    # -- after the fault --------------------------------------------------------------------------

    @staticmethod
    def _run_cleanups(halves: Sequence[_Half]) -> None:
        """Restore what the fault broke; a failure of one half does not keep the other broken."""
        with ExitStack() as stack:
            for half in halves:
                half.environment.stop = threading.Event()  # what is broken is put right in any case
                if half.environment.has_cleanups:
                    half.state.add_mark(half.state.now, "what was broken is put right")
                    stack.callback(half.environment.run_cleanups)

    def _wait_until_undone(self, half: _Half) -> None:
        """Let the app become healthy after its cause is gone, where that must be."""
        if not self._fault.expected.recovers_when_undone:
            return

        def is_healthy() -> bool:
            self._look(half)
            status = metrics.get_healing_status(half.state.sampler.latest_snapshot)
            return not half.state.problems and not status.get("failedRevision")

        half.state.is_undone_in_vain = True
        with suppress(ToolError):
            half.environment.wait_until("the app is healthy again", is_healthy, _UNDONE_TIMEOUT)
            half.state.is_undone_in_vain = False

    @staticmethod
    def _wait_for_outcomes(half: _Half) -> None:
        """Wait until no action is pending; a timeout is no error, the report shows the state."""

        def has_no_pending_action() -> bool:
            return not half.state.has_pending_action

        with suppress(ToolError, ApiError):
            half.environment.wait_until(
                "the outcome is known", has_no_pending_action, _OUTCOME_TIMEOUT
            )
        for text in half.state.collect_messages():
            half.environment.context.explain(text)
