"""The state of one half of a row: its times, its marks, and the result so far."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from hack.scenarios.common.request_stream import RequestStream, Response, count_per_second
from hack.scenarios.common.sampler import Sampler
from hack.scenarios.common.timeline import Mark, MarkKind, build_timeline
from hack.scenarios.exam import metrics
from hack.scenarios.exam.fault import Fault
from hack.scenarios.exam.metrics import ActionRecord, FaultRun

LEAD_SECONDS: Final = 5.0
"""Seconds before the fault that the timeline shows and in which no request may fail."""


@dataclass(slots=True)
class RunState:
    """The observations of a half; all times are on the sampler's clock.

    Attributes:
        fault: the fault.
        sampler: the samples.
        stream: the requests.
        timeout: seconds from the fault until the end of the observation.
        baseline: the number of pods before the fault.
        injected_at: when the fault was injected.
        requests_end: until when requests count.
        recovered_after: seconds until the app was fully serving; None before that.
        problems: what the mitigation oracle has found since its first look.
        is_undone_in_vain: whether the app was not healthy again after the cause was gone.
    """

    fault: Fault
    sampler: Sampler
    stream: RequestStream
    timeout: float
    baseline: int = 0
    injected_at: float = 0.0
    requests_end: float = 0.0
    recovered_after: float | None = None
    problems: tuple[str, ...] = ()
    is_undone_in_vain: bool = False
    _marks: list[Mark] = field(default_factory=list)
    _reported: set[str] = field(default_factory=set)

    @property
    def now(self) -> float:
        """The current time."""
        return self.sampler.elapsed

    @property
    def is_over(self) -> bool:
        """Whether the observation is over."""
        return self.now - self.injected_at >= self.timeout

    @property
    def actions(self) -> tuple[ActionRecord, ...]:
        """The actions since the fault."""
        return metrics.collect_actions(self.sampler.samples, self.injected_at)

    @property
    def recovered_since(self) -> float | None:
        """Since when the app has been fully serving; None if it is not."""
        samples, pods = self.sampler.samples, self.fault.desired_pods
        return metrics.find_recovery(samples, self._failure_times, self.injected_at, pods)

    @property
    def has_pending_action(self) -> bool:
        """Whether the outcome of an action will change."""
        return any(act.outcome in metrics.PENDING_OUTCOMES for act in self.actions)

    def add_mark(self, at: float, text: str, kind: MarkKind = MarkKind.COMMAND) -> None:
        """Add a mark to the timeline."""
        self._marks.append(Mark(at, text, kind))

    def collect_messages(self) -> Iterator[str]:
        """Yield the diagnoses, the actions and the outcomes that were not yielded before."""
        for found in metrics.collect_diagnoses(self.sampler.samples, self.injected_at):
            if str(found) not in self._reported:
                self._reported.add(str(found))
                yield f"{found}: {found.message}"
        for act in self.actions:
            if (text := f"{act.id} {act}") not in self._reported:
                self._reported.add(text)
                yield f"{act}: {act.message or act.diagnosis}"

    def build_result(self, *, healing: bool) -> FaultRun:
        """Return the result of the run."""
        samples, snapshot = self.sampler.samples, self.sampler.latest_snapshot
        actions = metrics.collect_actions(samples, self.injected_at)
        marks = sorted(
            (*metrics.build_action_marks(actions), *self._marks), key=lambda mark: mark.at
        )
        start = max(0.0, self.injected_at - LEAD_SECONDS)
        failures_per_second = count_per_second(
            at - start for at in self._failure_times if at > start
        )
        samples_from_start, shifted_marks = (
            metrics.clip_samples(samples, start),
            metrics.shift_marks(marks, -start),
        )
        return FaultRun(
            is_healing_enabled=healing,
            timeout=round(self.timeout),
            timeline=build_timeline(
                samples_from_start, shifted_marks, self.now - start, failures_per_second
            ),
            recovered_after=self.recovered_after,
            requests_sent=sum(
                each.at - self.sampler.started_at <= self.requests_end
                for each in self._responses_after_fault
            ),
            requests_failed=sum(
                self.injected_at < at <= self.requests_end for at in self._failure_times
            ),
            requests_lost=metrics.count_lost_requests(samples, self._failure_times, actions),
            problems=self.problems,
            is_undone_in_vain=self.is_undone_in_vain,
            actions=metrics.shift_actions(actions, self.injected_at),
            diagnoses=metrics.shift_diagnoses(
                metrics.collect_diagnoses(samples, self.injected_at), self.injected_at
            ),
            phase=snapshot.phase,
            reason=metrics.get_ready_reason(snapshot),
            message=str(snapshot.status.get("message", "")),
            events=tuple(
                event for event in snapshot.events if event.involved_kind == "SelfHealingApp"
            ),
        )

    @property
    def _responses_after_fault(self) -> tuple[Response, ...]:
        return self.stream.responses_since(self.sampler.started_at + self.injected_at)

    @property
    def _failure_times(self) -> list[float]:
        return [
            each.at - self.sampler.started_at
            for each in self.stream.responses_since(0)
            if not each.pod
        ]
