"""One run of a fault: deploys the app, sends requests, injects the fault and waits for recovery.

Every wait has a timeout. What the fault broke is restored, however the run ends.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from subprocess import SubprocessError
from typing import Final

from hack.scenarios.chaos import environment as chaos_environment, fault_injectors, metrics
from hack.scenarios.chaos.environment import APP_NAME, Environment
from hack.scenarios.chaos.evaluation import describe_run
from hack.scenarios.chaos.faults import Fault
from hack.scenarios.chaos.metrics import FaultRun
from hack.scenarios.chaos.run_state import LEAD_SECONDS, RunState
from hack.scenarios.common import namespace
from hack.scenarios.common.request_stream import RequestStream, send_requests
from hack.scenarios.common.sampler import Sampler
from hack.scenarios.common.scenario import ScenarioContext
from hack.scenarios.common.timeline import MarkKind, build_timeline
from hack.testkit.errors import ApiServerUnreachableError, ToolError
from hack.testkit.service_access import open_service

SCENARIO_NAME: Final = "drill"
"""The name of the namespace, of its label and of the lock."""

REQUEST_USERS: Final = 2
REQUEST_PAUSE: Final = 0.25
REQUEST_TIMEOUT: Final = 2.0
"""The request stream: at most eight requests per second; one that takes two seconds has failed."""

RECOVERY_WINDOW: Final = 15.0
"""Seconds without a failed request after which the app has recovered; longer than a late crash."""

SECOND_FAULT_DELAY: Final = 10.0
"""Seconds from the fault to the second fault, where no action of healing triggers it."""

_SAMPLE_INTERVAL = 0.5
_FAST_POLL_INTERVAL = 0.03
_READY_TIMEOUT = 120
_STABLE_TIMEOUT = 90
_STEADY_STATE_TIMEOUT = 60
_OUTCOME_TIMEOUT = 90


_RUN_ERRORS = (ToolError, AssertionError, LookupError, RuntimeError, OSError, SubprocessError)
"""Errors that end a run of a fault, but not the whole command."""


class Experiment:
    """One run of a fault, without healing or with it."""

    def __init__(self, fault: Fault, context: ScenarioContext, *, is_healing_enabled: bool) -> None:
        """Prepare the run.

        Args:
            fault: the fault to inject.
            context: the cluster and the console.
            is_healing_enabled: whether the app has ``healing.mode: Auto``; else ``Off``.
        """
        self._fault = fault
        self._context = context
        self._is_healing_enabled = is_healing_enabled

    def run(self, logs: Path, expected_seconds: int = 0) -> FaultRun:
        """Run it in a new namespace, which is deleted afterwards.

        Args:
            logs: the beginning of the paths of the operators' logs.
            expected_seconds: how long the run takes.
        """
        fault, context = self._fault, self._context
        healing = "with" if self._is_healing_enabled else "without"
        context.begin_step(f"{fault.name}, {healing} healing", expected_seconds)
        try:
            namespace.create_namespace(context.kube, SCENARIO_NAME)
            result = self._run(logs)
        except _RUN_ERRORS as error:
            result = FaultRun(
                self._is_healing_enabled,
                fault.timeout,
                build_timeline((), (), 0.0),
                error=str(error),
            )
            context.explain(f"FAILED: {error}")
        with suppress(ToolError):
            # If this fails, the next run deletes it and reports why it cannot.
            namespace.delete_namespace(context.kube)
        context.progress.waiting_for = ""
        if not result.error:
            context.end_step(describe_run(result))
        return result

    def _run(self, logs: Path) -> FaultRun:
        context = self._context
        with ExitStack() as stack:
            sampler = stack.enter_context(
                Sampler(context.kube, context.show_snapshot, interval=_SAMPLE_INTERVAL)
            )
            environment = Environment(context, self._is_healing_enabled, sampler)
            count = self._fault.operator_count
            environment.operators = chaos_environment.start_operators(
                stack, context.kube.namespace, count, logs
            )
            self._deploy_app(environment)
            endpoint = stack.enter_context(open_service(context.kube, APP_NAME))
            url = f"{endpoint.url}/"
            responses = stack.enter_context(
                send_requests(
                    url, users=REQUEST_USERS, pause=REQUEST_PAUSE, timeout=REQUEST_TIMEOUT
                )
            )
            state = RunState(self._fault, sampler, responses)
            try:
                self._wait_for_steady_state(responses)
                state.injected_at = state.now
                self._fault.inject(environment)
                state.add_mark(state.injected_at, self._fault.description, MarkKind.FAULT)
                self._wait_for_recovery(environment, state)
            finally:
                self._run_cleanups(environment, state)
            self._wait_for_outcomes(state)
            return state.build_result(healing=self._is_healing_enabled)

    # -- before the fault -------------------------------------------------------------------------

    def _deploy_app(self, environment: Environment) -> None:
        """Create the app and wait until it is ready and, with healing, has a stable revision."""
        fault, sampler = self._fault, environment.sampler
        environment.apply(
            chaos_environment.build_manifest(self._is_healing_enabled, fault.spec, fault.healing)
        )
        self._wait_until(
            "the app is ready", lambda: sampler.latest_snapshot.is_ready, _READY_TIMEOUT
        )
        if "autoscaling" in fault.spec:
            description = "the autoscaler gets metrics"
            self._wait_until(
                description,
                lambda: fault_injectors.has_autoscaler_metrics(environment),
                chaos_environment.METRICS_TIMEOUT,
            )
        if self._is_healing_enabled:
            self._wait_until(
                "the revision is stable",
                lambda: metrics.get_healing_status(sampler.latest_snapshot).get("stableRevision"),
                _STABLE_TIMEOUT,
            )

    def _wait_for_steady_state(self, responses: RequestStream) -> None:
        """Wait until no request has failed for LEAD_SECONDS."""
        began = time.monotonic()

        def is_steady() -> bool:
            start = time.monotonic() - LEAD_SECONDS
            recent = responses.responses_since(start)
            return start >= began and bool(recent) and all(each.pod for each in recent)

        self._wait_until("all requests are answered", is_steady, _STEADY_STATE_TIMEOUT)

    # -- the fault --------------------------------------------------------------------------------

    def _wait_for_recovery(self, environment: Environment, state: RunState) -> None:
        """Wait until the app is fully serving again or the fault's timeout is over."""
        end = state.injected_at + self._fault.timeout
        while True:
            self._inject_further_faults(environment, state)
            self._print_messages(state)
            self._context.progress.waiting_for = f"it is served in full: {state.progress_text}"
            since = state.recovered_since
            if (
                since is None
                or since > end
                or (self._fault.second_fault and not state.second_fault_done)
            ):
                if state.now >= end:
                    state.requests_end = end
                    return
            elif state.sampler.samples[-1].at - since >= RECOVERY_WINDOW:
                state.requests_end, state.recovered_after = since, since - state.injected_at
                state.add_mark(since, "served in full again", MarkKind.RECOVERED)
                return
            time.sleep(
                _FAST_POLL_INTERVAL
                if self._needs_fast_polling(state)
                else chaos_environment.POLL_INTERVAL
            )

    def _inject_further_faults(self, environment: Environment, state: RunState) -> None:
        """Inject the repeated fault, and the second fault once an action has been executed."""
        if self._fault.inject_repeatedly:
            with suppress(ApiServerUnreachableError):
                self._fault.inject_repeatedly(environment)
        if self._fault.second_fault is None or state.second_fault_done:
            return
        # The app itself is asked, again and again: what is seen twice a second is seen too late.
        elapsed = state.now - state.injected_at
        if (
            environment.has_executed_action()
            if self._is_healing_enabled
            else elapsed >= SECOND_FAULT_DELAY
        ):
            state.second_fault_done = True
            description, inject = self._fault.second_fault
            state.add_mark(state.now, description, MarkKind.FAULT)
            inject(environment)

    def _needs_fast_polling(self, state: RunState) -> bool:
        """Whether the second fault must follow the first action at once."""
        return (
            self._is_healing_enabled
            and self._fault.second_fault is not None
            and not state.second_fault_done
        )

    def _print_messages(self, state: RunState) -> None:
        for text in state.collect_messages():
            self._context.explain(text)

    # -- after the fault --------------------------------------------------------------------------

    def _run_cleanups(self, environment: Environment, state: RunState) -> None:
        if not environment.has_cleanups:
            return
        self._context.progress.waiting_for = "what was broken is put right"
        state.add_mark(state.now, self._context.progress.waiting_for)
        environment.run_cleanups()

    def _wait_for_outcomes(self, state: RunState) -> None:
        """Wait until no action is pending; a timeout is no error, the report shows the state."""

        def has_no_pending_action() -> bool:
            self._print_messages(state)
            return not state.has_pending_action

        with suppress(ToolError):
            self._wait_until(
                "it is known whether that has helped", has_no_pending_action, _OUTCOME_TIMEOUT
            )

    def _wait_until(
        self, description: str, condition: Callable[[], object], timeout: float
    ) -> None:
        self._context.wait_until(
            description, condition, timeout, expected_errors=chaos_environment.TRANSIENT_ERRORS
        )
