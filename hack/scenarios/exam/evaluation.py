"""Compares the two halves of a row with what is expected of it, and counts the bars. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hack.scenarios.common.scenario import ScenarioResult
from hack.scenarios.exam.fault import Expected, Fault
from hack.scenarios.exam.metrics import ActionRecord, DiagnosisRecord, FaultRun

MIN_HEALED_SHARE: Final = 0.9
"""The bar: the share of the healable rows that must be healed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultResult(ScenarioResult):
    """How a row went.

    Attributes:
        fault: the row.
        runs: without healing and with it; empty if the row was left out; with healing alone in the
            tests.
        attempt: how often the row was run with this source.
        seconds: how long it took.
    """

    passed_text = "as expected"

    fault: Fault
    runs: tuple[FaultRun, ...] = ()
    attempt: int = 1
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """The name of the row."""
        return self.fault.name

    @property
    def title(self) -> str:
        """The title of the fault."""
        return self.fault.title

    @property
    def healed_run(self) -> FaultRun | None:
        """The half with healing, if it could be run."""
        return next((run for run in self.runs if run.is_healing_enabled and not run.error), None)

    @property
    def is_named(self) -> bool:
        """Whether the diagnosis oracle is content: the fault was named with its true cause."""
        run = self.healed_run
        return run is not None and is_named(self.fault.expected, run)

    @property
    def is_healed(self) -> bool:
        """Whether the mitigation oracle is content with the half with healing."""
        run = self.healed_run
        return run is not None and run.is_healthy

    @property
    def wrong_actions(self) -> tuple[ActionRecord, ...]:
        """The executed actions, of either half, that are not right for the fault."""
        return tuple(
            act for run in self.runs for act in find_wrong_actions(self.fault.expected, run)
        )

    @property
    def lost_requests(self) -> int:
        """The requests that an action has cost although a good pod served all the time."""
        return count_lost_requests(self.fault.expected, self.runs)


@dataclass(frozen=True, slots=True)
class Bars:
    """The counts over all rows that were run, and whether they are good enough.

    Attributes:
        run: number of rows that were run.
        to_name: number of rows in which something must be named, and ``named`` of them.
        healable: number of rows that can be healed, and ``healed`` of them.
        wrong_actions: number of wrong actions.
        lost_requests: number of requests that actions have cost.
    """

    run: int
    to_name: int
    named: int
    healable: int
    healed: int
    wrong_actions: int
    lost_requests: int

    @property
    def are_reached(self) -> bool:
        """Whether all is named, enough is healed, and nothing is harmed."""
        return (
            self.named == self.to_name
            and self.healed >= MIN_HEALED_SHARE * self.healable
            and not self.wrong_actions
            and not self.lost_requests
        )

    def __str__(self) -> str:
        """Return the counts in one line."""
        return (
            f"{self.named} of {self.to_name} named with the true cause, {self.healed} of"
            f" {self.healable} healed, {self.wrong_actions} wrong actions,"
            f" {self.lost_requests} requests lost to an action"
        )


def count_bars(results: Sequence[FaultResult]) -> Bars:
    """Count over the rows that were run."""
    ran = [result for result in results if result.runs]
    to_name = [result for result in ran if result.fault.expected.names_something]
    healable = [result for result in ran if result.fault.expected.is_healable]
    return Bars(
        run=len(ran),
        to_name=len(to_name),
        named=sum(result.is_named for result in to_name),
        healable=len(healable),
        healed=sum(result.is_healed for result in healable),
        wrong_actions=sum(len(result.wrong_actions) for result in ran),
        lost_requests=sum(result.lost_requests for result in ran),
    )


def evaluate_runs(
    fault: Fault, runs: tuple[FaultRun, ...], *, attempt: int = 1, seconds: float = 0.0
) -> FaultResult:
    """Compare the halves of a row with what is expected of it."""
    failures = [
        failure
        for run in runs
        for failure in (
            _deviations_with_healing(fault.expected, run)
            if run.is_healing_enabled
            else _deviations_without_healing(fault.expected, run)
        )
    ]
    if lost := count_lost_requests(fault.expected, runs):
        failures.append(f"{lost} requests were lost to an action")
    return FaultResult(
        fault=fault, runs=runs, failures=tuple(failures), attempt=attempt, seconds=round(seconds, 1)
    )


def is_named(expected: Expected, run: FaultRun) -> bool:
    """Whether a diagnosis, or an Event, has named the fault with its true cause."""
    if expected.event:
        return any(event.reason == expected.event for event in run.events)
    return any(_is_true(expected, found) for found in run.diagnoses)


def _is_true(expected: Expected, found: DiagnosisRecord) -> bool:
    return found.type in expected.types and found.cause in expected.causes


def find_wrong_actions(expected: Expected, run: FaultRun) -> tuple[ActionRecord, ...]:
    """Return the executed actions that are not right for the fault; without healing, all."""
    right = expected.remediations if run.is_healing_enabled else ()
    return tuple(act for act in run.executed_actions if act.remediation not in right)


def count_lost_requests(expected: Expected, runs: Sequence[FaultRun]) -> int:
    """Count the requests that an action has cost although a good pod served all the time.

    What failed beside it, without healing, is not the action's: on a busy machine, a few do.
    """
    if not expected.is_served:
        return 0
    lost = sum(run.requests_lost for run in runs if run.is_healing_enabled)
    failed_beside = sum(run.requests_failed for run in runs if not run.is_healing_enabled)
    return max(0, lost - failed_beside)


def describe_run(run: FaultRun) -> str:
    """Describe a half in one sentence."""
    if run.error:
        return run.error
    recovery = "served in full again after " if run.recovered_after is not None else "served: "
    actions = ", ".join(map(str, run.actions)) or "nothing was done"
    requests = f"{run.requests_failed} of {run.requests_sent} requests failed"
    return f"{recovery}{run.recovery_text}; {requests}; {actions}; ended as {run.final_state}"


def _deviations_without_healing(expected: Expected, run: FaultRun) -> Iterator[str]:
    if run.error:
        yield f"without healing it could not be run: {run.error}"
        return
    if run.actions:
        yield f"healing is off, but there was {_list_actions(run.actions)}"
    if expected.needs_action and run.is_healthy and not expected.recovers_unhealed:
        yield "without healing it became healthy too: the fault proves nothing"


def _deviations_with_healing(expected: Expected, run: FaultRun) -> Iterator[str]:
    if run.error:
        yield f"with healing it could not be run: {run.error}"
        return
    if expected.names_something and not is_named(expected, run):
        yield (
            f"{_describe_expectation(expected)} was to be named, but it was"
            f" {', '.join(map(str, run.diagnoses)) or 'nothing'}"
        )
    if expected.is_healable and run.problems:
        yield f"it was to be healthy, but {'; '.join(run.problems)}"
    if run.is_undone_in_vain:
        yield f"the cause is gone, but {'; '.join(run.problems) or 'the version is barred'}"
    if wrong := find_wrong_actions(expected, run):
        yield f"{_list_actions(wrong)} was wrong"
    if expected.needs_action and not run.executed_actions:
        yield f"{' or '.join(expected.remediations)} was to be done, but nothing was"


def _describe_expectation(expected: Expected) -> str:
    if expected.event:
        return f"an Event {expected.event}"
    return f"{' or '.join(expected.types)} with the cause {' or '.join(expected.causes)}"


def _list_actions(actions: Sequence[ActionRecord]) -> str:
    return ", ".join(map(str, actions))
