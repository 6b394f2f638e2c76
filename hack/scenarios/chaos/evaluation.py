"""Compares the runs of a fault with what is expected of it, and describes a run. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from hack.scenarios.chaos.faults import ExpectedResult, Fault
from hack.scenarios.chaos.metrics import FaultRun
from hack.scenarios.common.scenario import ScenarioResult


@dataclass(frozen=True, slots=True)
class FaultResult(ScenarioResult):
    """How a fault went.

    Attributes:
        fault: the fault.
        runs: without healing and with it; empty if the fault was left out.
    """

    passed_text = "as expected"

    fault: Fault
    runs: tuple[FaultRun, ...] = ()

    @property
    def name(self) -> str:
        """The name of the fault."""
        return self.fault.name

    @property
    def title(self) -> str:
        """The title of the fault."""
        return self.fault.title


def evaluate_runs(fault: Fault, unhealed: FaultRun, healed: FaultRun) -> FaultResult:
    """Compare the two runs of a fault with what is expected of it."""
    failures = (
        *_deviations_without_healing(unhealed),
        *_deviations_with_healing(fault.expected, healed),
    )
    return FaultResult(fault, (unhealed, healed), failures=failures)


def describe_run(run: FaultRun) -> str:
    """Describe a run in one sentence."""
    if run.error:
        return run.error
    recovery = "served again after " if run.recovered_after is not None else ""
    actions = ", ".join(map(str, run.actions)) or "nothing was done"
    requests = f"{run.requests_failed} of {run.requests_sent} requests failed"
    return f"{recovery}{run.recovery_text}; {requests}; {actions}; ended as {run.final_state}"


def _deviations_without_healing(run: FaultRun) -> Iterator[str]:
    if run.error:
        yield f"without healing it could not be run: {run.error}"
        return
    if run.actions:
        yield f"healing is off, but there was {_list_actions(run)}"
    if run.recovered_after is not None:
        yield (
            f"without healing it was served again after {run.recovery_text}: "
            "the fault proves nothing"
        )


def _deviations_with_healing(expected: ExpectedResult, run: FaultRun) -> Iterator[str]:
    if run.error:
        yield f"with healing it could not be run: {run.error}"
        return
    if expected.diagnosis not in run.diagnoses:
        diagnoses = ", ".join(run.diagnoses) or "nothing"
        yield f"{expected.diagnosis} was to be diagnosed, but it was {diagnoses}"
    if (run.recovered_after is not None) is not expected.is_recovered:
        expectation = f"again within {run.timeout} s" if expected.is_recovered else "no more"
        yield f"it was to be served {expectation}, but that was {run.recovery_text}"
    yield from _action_deviations(expected, run)
    if run.phase != expected.phase:
        yield f"it was to end as {expected.phase}, but it is {run.final_state}: {run.message}"


def _action_deviations(expected: ExpectedResult, run: FaultRun) -> Iterator[str]:
    executed = tuple(
        remediation for remediation, _ in groupby(run.executed_actions, lambda act: act.remediation)
    )
    if executed != expected.remediations:
        expected_text = ", ".join(expected.remediations) or "nothing"
        yield f"{expected_text} was to be done, but it was {_list_actions(run)}"
    elif len(run.executed_actions) > max(expected.max_actions, len(expected.remediations)):
        yield (
            f"{expected.max_actions} action at the most was to be taken, "
            f"but there was {_list_actions(run)}"
        )
    elif run.executed_actions and run.executed_actions[-1].outcome != "Succeeded":
        yield f"the last action was to help, but it is {run.executed_actions[-1]}"


def _list_actions(run: FaultRun) -> str:
    return ", ".join(map(str, run.actions)) or "nothing"
