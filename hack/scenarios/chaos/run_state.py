"""How a half of a drill goes: the moments, what has been seen until now, what it all came to."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from hack.scenarios.chaos import metrics
from hack.scenarios.chaos.faults import Fault
from hack.scenarios.chaos.metrics import Act, Half
from hack.scenarios.common.request_stream import Sent, Stream, each_second
from hack.scenarios.common.sampler import Watch
from hack.scenarios.common.timeline import Kind, Mark, timeline

LEAD: Final = 5.0
"""Seconds before the fault that are drawn, and in which no request may fail."""


@dataclass(slots=True)
class Course:
    """The course of a half; all moments are by the watch's clock.

    Attributes:
        fault: what is broken.
        watch: what is seen of the app.
        stream: the requests.
        struck: when it was broken.
        over: until when requests count.
        after: how long it took until it was served in full again; None as long as it is not.
        later: whether what belongs into the middle of healing has been done.
    """

    fault: Fault
    watch: Watch
    stream: Stream
    struck: float = 0.0
    over: float = 0.0
    after: float | None = None
    later: bool = False
    _marks: list[Mark] = field(default_factory=list)
    _told: set[tuple[int, str]] = field(default_factory=set)

    @property
    def now(self) -> float:
        """The moment."""
        return self.watch.seconds

    @property
    def acts(self) -> tuple[Act, ...]:
        """What the operator has done since the fault."""
        return metrics.acts(self.watch.samples, self.struck)

    @property
    def well_since(self) -> float | None:
        """Since when the app has been served in full."""
        samples, pods = self.watch.samples, self.fault.pods
        return metrics.well_since(samples, self._failed, self.struck, pods)

    @property
    def unknown(self) -> bool:
        """Whether it is not known yet what became of an action."""
        return any(act.outcome in metrics.WAITING for act in self.acts)

    @property
    def standing(self) -> str:
        """How it stands, for a screen."""
        requests, staying = self._sent, self.watch.last.staying
        parts = [
            f"{sum(pod.is_ready for pod in staying)} of {self.fault.pods} pods ready",
            f"{sum(not each.pod for each in requests)} of {len(requests)} requests failed",
            *map(str, self.acts[-1:]),
        ]
        return ", ".join(parts)

    def mark(self, at: float, text: str, kind: Kind = Kind.TYPED) -> None:
        """Note something that was done."""
        self._marks.append(Mark(at, text, kind))

    def news(self) -> Iterator[str]:
        """What the operator has done, or what is known of it, that was not told yet."""
        for act in self.acts:
            if (act.id, act.outcome) not in self._told:
                known = any(number == act.id for number, _ in self._told)
                self._told.add((act.id, act.outcome))
                yield str(act) if known else f"{act}: {act.message or act.diagnosis}"

    def half(self, *, healing: bool) -> Half:
        """What it came to."""
        samples, now = self.watch.samples, self.watch.last
        done = metrics.acts(samples, self.struck)
        marks = sorted((*metrics.marks(done), *self._marks), key=lambda mark: mark.at)
        start = max(0.0, self.struck - LEAD)
        hits = each_second(at - start for at in self._failed if at > start)
        cut, moved = metrics.cut(samples, start), metrics.moved(marks, -start)
        return Half(
            healing=healing,
            limit=self.fault.limit,
            line=timeline(cut, moved, self.now - start, hits),
            after=self.after,
            sent=sum(each.at - self.watch.began <= self.over for each in self._sent),
            failed=sum(self.struck < at <= self.over for at in self._failed),
            acts=metrics.since(done, self.struck),
            diagnoses=metrics.diagnoses(samples, self.struck),
            phase=now.phase,
            reason=metrics.reason(now),
            message=str(now.status.get("message", "")),
            events=tuple(event for event in now.events if event.about == "SelfHealingApp"),
        )

    @property
    def _sent(self) -> tuple[Sent, ...]:
        return self.stream.since(self.watch.began + self.struck)

    @property
    def _failed(self) -> list[float]:
        return [each.at - self.watch.began for each in self.stream.since(0) if not each.pod]
