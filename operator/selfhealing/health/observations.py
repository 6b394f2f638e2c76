"""What was observed of pods beside their status: answers to probes, warnings, lost readiness."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from selfhealing.cache.event_views import PodWarning, ProbeFailure
from selfhealing.cache.probes import AnswerKind, ProbeAnswer, ProbeView
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import ContainerView, PodView

EVENT_TIME_TOLERANCE: Final = timedelta(seconds=1)
"""Times are whole seconds: a failure may seem up to a second earlier than the start."""

_ANSWERS: Final[Mapping[AnswerKind, str]] = {
    AnswerKind.STATUS: " answers {status}",
    AnswerKind.REFUSED: ": connection refused: nothing listens on {port}",
    AnswerKind.TIMEOUT: ": no answer within {timeout}s",
    AnswerKind.UNREACHABLE: ": the pod cannot be reached",
    AnswerKind.PLAIN_HTTP: ": the app speaks HTTP, not HTTPS",
    AnswerKind.NOT_HTTP: ": what answers does not speak HTTP",
    AnswerKind.CLOSED: ": the connection is closed without an answer",
    AnswerKind.NOT_SERVING: " answers NOT_SERVING",
    AnswerKind.NO_HEALTH_SERVICE: ": the app has no gRPC health service",
    AnswerKind.OTHER: " fails",
}

_DEFINITE_ANSWERS: Final = frozenset(
    {AnswerKind.PLAIN_HTTP, AnswerKind.NOT_HTTP, AnswerKind.NO_HEALTH_SERVICE}
)
"""Answers that no app gives only because it still starts."""

_CLIENT_ERRORS: Final = range(400, 500)
"""HTTP codes that say that the request is wrong. An app that still starts gives 503, or none."""


@dataclass(frozen=True, slots=True)
class FailingProbe:
    """A probe that fails, and what it got last.

    Attributes:
        probe: the probe.
        answer: the last answer.
        count: how often it has failed, as far as is known.
        at: when it last failed.
    """

    probe: ProbeView
    answer: ProbeAnswer
    count: int
    at: datetime

    @property
    def is_definite(self) -> bool:
        """Whether the answer shows a fault that waiting does not end."""
        if self.probe.handler.startswith("exec"):
            return False
        return self.answer.kind in _DEFINITE_ANSWERS or self.answer.status in _CLIENT_ERRORS

    def describe(self) -> str:
        """Describe it: ``readiness GET :5000/readyz answers 404``."""
        probe, kind = self.probe, self.answer.kind
        if probe.handler.startswith("exec") and kind is not AnswerKind.TIMEOUT:
            kind = AnswerKind.OTHER  # what a command prints may look like any answer
        answer = _ANSWERS[kind].format(
            status=self.answer.status, port=probe.port, timeout=probe.timeout_seconds
        )
        return f"{probe.describe()}{answer}"


class Observations:
    """Finds what was observed of one pod or container."""

    def __init__(self, snapshot: AppSnapshot | None = None) -> None:
        """Take the observations of a snapshot; none without one."""
        self._failures: dict[tuple[str, str], list[ProbeFailure]] = {}
        self._warnings: dict[str, list[PodWarning]] = {}
        self._ready_losses: Mapping[str, tuple[datetime, ...]] = {}
        self._ready_templates: frozenset[str] = frozenset()
        if snapshot is None:
            return
        for failure in snapshot.probe_failures:
            self._failures.setdefault((failure.pod_uid, failure.container), []).append(failure)
        for warning in snapshot.pod_warnings:
            self._warnings.setdefault(warning.pod_uid, []).append(warning)
        self._ready_losses = snapshot.ready_losses
        self._ready_templates = frozenset(pod.template_hash for pod in snapshot.pods if pod.ready)

    def find_failing_probe(
        self, pod: PodView, container: ContainerView, kinds: Iterable[str], since: datetime | None
    ) -> FailingProbe | None:
        """Find the probe of one of these kinds that failed last, at ``since`` or later."""
        failures = [
            (failure.at, failure.probe, failure)
            for failure in self._failures.get((pod.uid, container.name), ())
            if failure.probe in kinds
            and (since is None or failure.at >= since - EVENT_TIME_TOLERANCE)
        ]
        if not failures:
            return None
        _, kind, last = max(failures, key=lambda entry: entry[:2])
        probe = container.find_probe(kind)
        if probe is None:
            return None
        count = sum(failure.count for _, each, failure in failures if each == kind)
        return FailingProbe(probe, last.answer, count, last.at)

    def find_warning(self, pod: PodView, reasons: Iterable[str]) -> PodWarning | None:
        """Find the latest warning about a pod of one of these reasons."""
        found = [
            warning for warning in self._warnings.get(pod.uid, ()) if warning.reason in reasons
        ]
        return max(found, key=lambda warning: (warning.at, warning.reason), default=None)

    def find_ready_losses(self, pod: PodView) -> tuple[datetime, ...]:
        """Return when a pod stopped being ready without a restart, the latest times."""
        return self._ready_losses.get(pod.uid, ())

    def has_ready_sibling(self, pod: PodView) -> bool:
        """Whether a pod of the same template is ready: then the template is known to start."""
        return pod.template_hash in self._ready_templates
