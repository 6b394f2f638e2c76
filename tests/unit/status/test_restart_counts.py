"""The counted restarts, against a model of kubelets, Events and operators."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import orjson
import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from selfhealing.api.status import RestartsStatus
from selfhealing.status import restarts
from tests.unit import builders
from tests.unit.examples import scale_examples
from tests.unit.snapshots import Json, build_snapshot

PODS = 2
CONTAINERS = ("app", "proxy")
KILLED = 137
SPECIFIC_REASONS = {"LivenessProbe", "OOMKilled"}
"""Reasons that also explain the next SIGKILL of a container that has no Event."""


@dataclass
class ContainerEnd:
    """One termination of a container, and whether a probe was the cause."""

    started: int
    finished: int
    reason: str
    killed_at: int | None = None
    event_seen: bool = False

    @property
    def expected_reason(self) -> str:
        """The reason that can be known from the status and the Events."""
        probe = self.event_seen and self.killed_at is not None and self.reason != "OOMKilled"
        return "LivenessProbe" if probe else self.reason

    def json(self) -> Json:
        """The termination in the pod's status."""
        return builders.termination(
            KILLED if self.killed_at else 1,
            self.reason,
            started=self.started,
            finished=self.finished,
        )


@dataclass
class Container:
    """A container as its kubelet knows it, and what the operator has counted of it."""

    started: int
    count: int = 0
    last: ContainerEnd | None = None
    is_waiting: bool = False
    counted: int = 0
    counted_end: ContainerEnd | None = None
    counted_reason: str = ""

    def json(self, name: str) -> Json:
        """The container in the pod's status."""
        last = self.last.json() if self.last else None
        if self.is_waiting and last is not None:
            return builders.crash_loop(self.count, last, name=name)
        return builders.running(self.started, name=name, restarts=self.count, last=last)


@dataclass
class Kubelet:
    """All pods of the app."""

    clock: int = 1
    pod_count: int = 0
    pods: dict[str, dict[str, Container]] = field(default_factory=dict)

    def pass_time(self, seconds: int) -> int:
        """Let time pass; returns the new time."""
        self.clock += seconds
        return self.clock

    def json(self) -> list[Json]:
        """The pods as the API server has them."""
        return [
            builders.pod(pod, *(c.json(name) for name, c in containers.items()))
            for pod, containers in self.pods.items()
        ]


class RestartCounting(RuleBasedStateMachine):
    """Events in a cluster, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.kubelet = Kubelet()
        self.status: Json = {}
        self.total = 0
        self.by_reason: Counter[str] = Counter()
        self.mail: list[tuple[str, str, ContainerEnd]] = []
        self.events: list[Json] = []
        self.past: list[list[Json]] = []

    def draw_container(self, data: st.DataObject) -> tuple[str, str, Container]:
        """One of the containers."""
        pod = data.draw(st.sampled_from(sorted(self.kubelet.pods)))
        name = data.draw(st.sampled_from(CONTAINERS))
        return pod, name, self.kubelet.pods[pod][name]

    @initialize()
    def first_pod(self) -> None:
        """Create the first pod."""
        self.pod_appears()

    @precondition(lambda self: len(self.kubelet.pods) < PODS)
    @rule()
    def pod_appears(self) -> None:
        """A new pod, always with a new name."""
        self.kubelet.pod_count += 1
        now = self.kubelet.pass_time(1)
        pod = f"web-abc-{self.kubelet.pod_count}"
        self.kubelet.pods[pod] = {name: Container(now) for name in CONTAINERS}

    @precondition(lambda self: self.kubelet.pods)
    @rule(data=st.data())
    def pod_is_deleted(self, data: st.DataObject) -> None:
        """A pod is deleted, with the restarts that were not counted."""
        pod = data.draw(st.sampled_from(sorted(self.kubelet.pods)))
        del self.kubelet.pods[pod]
        self.past.clear()  # an older snapshot would still have it

    @precondition(lambda self: self.kubelet.pods)
    @rule(data=st.data())
    def pod_departs(self, data: st.DataObject) -> None:
        """A pod is deleted after its last state was seen; it may be counted more than once."""
        name = data.draw(st.sampled_from(sorted(self.kubelet.pods)))
        gone = [thing for thing in self.kubelet.json() if thing["metadata"]["name"] == name]
        for container in self.kubelet.pods.pop(name).values():
            self.expect_count(container)
        for containers in self.kubelet.pods.values():
            for container in containers.values():
                self.expect_count(container)
        self.past.clear()
        for _ in range(data.draw(st.integers(1, 2))):
            self.count(self.kubelet.json(), gone)

    @precondition(lambda self: self.kubelet.pods)
    @rule(
        data=st.data(),
        reason=st.sampled_from(["Error", "Completed", "OOMKilled"]),
        starts=st.booleans(),
        counts=st.booleans(),
    )
    def container_ends(
        self, data: st.DataObject, reason: str, *, starts: bool, counts: bool
    ) -> None:
        """A container terminates; its restart count changes only when it starts again."""
        _, _, container = self.draw_container(data)
        if not container.is_waiting:
            now = self.kubelet.pass_time(data.draw(st.integers(3, 700)))
            container.last = ContainerEnd(container.started, now, reason)
            self.follow_end(container, starts=starts, counts=counts)

    @precondition(lambda self: self.kubelet.pods)
    @rule(
        data=st.data(),
        reason=st.sampled_from(["Error", "Error", "OOMKilled"]),
        event=st.sampled_from(["early", "late", "late", "never"]),
        starts=st.booleans(),
        counts=st.booleans(),
    )
    def probe_kills(
        self, data: st.DataObject, reason: str, event: str, *, starts: bool, counts: bool
    ) -> None:
        """A probe has a container killed; the Event comes early, late or never."""
        pod, name, container = self.draw_container(data)
        if container.is_waiting:
            return
        killed = self.kubelet.pass_time(data.draw(st.integers(3, 60)))
        now = self.kubelet.pass_time(data.draw(st.integers(0, 30)))
        container.last = ContainerEnd(container.started, now, reason, killed)
        if event == "late":
            self.mail.append((pod, name, container.last))
        elif event == "early":
            self.deliver(pod, name, container.last)
        self.follow_end(container, starts=starts, counts=counts)

    def follow_end(self, container: Container, *, starts: bool, counts: bool) -> None:
        """What may follow a termination."""
        container.is_waiting = True
        if starts:
            self.start(container, 1)
        if counts:
            self.operator_counts()

    def start(self, container: Container, pause: int) -> None:
        """Start a container again, which increases the kubelet's count."""
        container.started = self.kubelet.pass_time(pause)
        container.is_waiting = False
        container.count += 1

    @precondition(lambda self: self.mail)
    @rule(counts=st.booleans())
    def event_comes_late(self, *, counts: bool) -> None:
        """The oldest delayed Event arrives."""
        self.deliver(*self.mail.pop(0))
        if counts:
            self.operator_counts()

    def deliver(self, pod: str, name: str, end: ContainerEnd) -> None:
        """Deliver an Event; of each container the newest kill is kept."""
        assert end.killed_at is not None
        self.events.append(builders.probe_kill_event(pod, end.killed_at, name=name))
        end.event_seen = True

    @precondition(lambda self: self.kubelet.pods)
    @rule(data=st.data())
    def container_starts(self, data: st.DataObject) -> None:
        """A waiting container is started."""
        _, _, container = self.draw_container(data)
        if container.is_waiting:
            self.start(container, data.draw(st.integers(1, 300)))

    @precondition(lambda self: self.kubelet.pods)
    @rule(data=st.data())
    def kubelet_loses_counts(self, data: st.DataObject) -> None:
        """A node comes back without its state: the container runs as if for the first time.

        An older snapshot would look newer than that, so none is used afterwards.
        """
        self.past.clear()
        _, _, container = self.draw_container(data)
        container.started = self.kubelet.pass_time(5)
        container.is_waiting = False
        container.count = 0
        container.last = None

    @rule()
    def operator_counts(self) -> None:
        """The operator counts and writes its status."""
        for containers in self.kubelet.pods.values():
            for container in containers.values():
                self.expect_count(container)
        self.past.append(self.kubelet.json())
        self.count(self.past[-1])

    @rule(counts=st.booleans())
    def operator_restarts(self, *, counts: bool) -> None:
        """A new process has the status and the listed pods, but no Events."""
        self.events = []
        for containers in self.kubelet.pods.values():
            for container in containers.values():
                if container.last is not None:
                    container.last.event_seen = False
        if counts:
            self.operator_counts()

    @precondition(lambda self: self.past)
    @rule(data=st.data())
    def operator_reads_stale_cache(self, data: st.DataObject) -> None:
        """A snapshot that is older than the status, of existing pods, adds nothing."""
        old = data.draw(st.sampled_from(self.past))
        current = {pod["metadata"]["name"]: pod for pod in self.past[-1]}
        stale = {pod["metadata"]["name"]: pod for pod in old}
        status, total = self.status, self.read().total
        self.count([stale.get(name, pod) for name, pod in current.items()])

        assert total == self.read().total

        self.count(self.past[-1])

        assert total == self.read().total

        self.status = status  # the model does not have the Events of the meantime

    def expect_count(self, container: Container) -> None:
        """Count one container with complete knowledge."""
        news = container.count - container.counted
        if news < 0:
            news = min(container.count, 1)
        if news and container.last is not None:
            # A container that waits again has its next termination already.
            self.by_reason["Unknown"] += news - 1
            container.counted_end = container.last
            again = (
                container.last.killed_at is not None and container.last.expected_reason == "Error"
            )
            if not again or container.counted_reason not in SPECIFIC_REASONS:
                container.counted_reason = container.last.expected_reason
            self.by_reason[container.counted_reason] += 1
        elif container.counted_end is not None and container.counted_end is container.last:
            truth = container.last.expected_reason
            if truth == "LivenessProbe" != container.counted_reason:
                self.by_reason[container.counted_reason] -= 1
                self.by_reason[truth] += 1
                container.counted_reason = truth
        self.total += news
        container.counted = container.count
        if not container.count:
            container.counted_end = None

    def count(self, pods: list[Json], deleted: Sequence[Json] = ()) -> None:
        """Count as the operator does, with a status that was read from JSON."""
        seen = build_snapshot(*pods, *deleted, *self.events)
        deleted_uids = {thing["metadata"]["uid"] for thing in deleted}
        seen = replace(
            seen,
            pods=tuple(pod for pod in seen.pods if pod.uid not in deleted_uids),
            deleted_pods=tuple(pod for pod in seen.pods if pod.uid in deleted_uids),
        )
        known = restarts.collect_termination_causes(self.read(), seen)
        counted, _ = restarts.count_restarts(self.read(), seen, known)
        self.status = orjson.loads(
            orjson.dumps(counted.model_dump(mode="json", by_alias=True, exclude_none=True))
        )
        again, news = restarts.count_restarts(
            self.read(), seen, restarts.collect_termination_causes(self.read(), seen)
        )

        assert () == news
        assert counted == again

    def read(self) -> RestartsStatus:
        """The stored status.restarts."""
        return RestartsStatus.model_validate(self.status, by_alias=True, by_name=False)

    @invariant()
    def every_restart_is_counted_once(self) -> None:
        """The total and the reasons are those of the model."""
        found = self.read()

        assert self.total == found.total
        assert +self.by_reason == Counter(found.by_reason)
        assert len(found.counted) <= (PODS + self.kubelet.pod_count) * len(CONTAINERS)


RestartCounting.TestCase.settings = settings(
    max_examples=scale_examples(60), stateful_step_count=40, deadline=None, print_blob=True
)
TestRestartCounting = RestartCounting.TestCase


class FullRestartCounting(RuleBasedStateMachine):
    """More containers than entries: some restarts are missed, none is counted twice."""

    LIMIT = 3

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(restarts, "MAX_COUNTED", self.LIMIT)
        self.clock = 1
        self.pod_count = 0
        self.pods: dict[str, tuple[int, int]] = {}
        self.actual_restarts = 0
        self.status = RestartsStatus()

    def teardown(self) -> None:
        """Restore the number of entries."""
        self.patch.undo()

    @rule(restarts=st.integers(0, 3))
    def pod_appears(self, restarts: int) -> None:
        """A pod whose container has restarted before it is first seen."""
        self.clock += 5
        self.pod_count += 1
        self.pods[f"web-abc-{self.pod_count}"] = (restarts, self.clock)
        self.actual_restarts += restarts

    @precondition(lambda self: self.pods)
    @rule(data=st.data())
    def container_restarts(self, data: st.DataObject) -> None:
        """One more restart of one container."""
        pod = data.draw(st.sampled_from(sorted(self.pods)))
        self.clock += data.draw(st.integers(1, 100))
        self.pods[pod] = (self.pods[pod][0] + 1, self.clock)
        self.actual_restarts += 1

    @precondition(lambda self: self.pods)
    @rule(data=st.data())
    def pod_is_deleted(self, data: st.DataObject) -> None:
        """A pod is deleted, and its entry becomes free."""
        del self.pods[data.draw(st.sampled_from(sorted(self.pods)))]

    @rule()
    def operator_counts(self) -> None:
        """The total never decreases and never exceeds the actual number."""
        before = self.status.total
        self.count()

        assert before <= self.status.total <= self.actual_restarts

        total = self.status.total
        self.count()

        assert total == self.status.total
        assert total == sum(self.status.by_reason.values())
        assert len(self.status.counted) <= self.LIMIT

    def count(self) -> None:
        """Count."""
        pods = [
            builders.pod(
                name,
                builders.running(
                    end + 1,
                    restarts=count,
                    last=builders.termination(started=end - 1, finished=end),
                ),
            )
            for name, (count, end) in self.pods.items()
        ]
        seen = build_snapshot(*pods)
        self.status, _ = restarts.count_restarts(
            self.status, seen, restarts.collect_termination_causes(self.status, seen)
        )


FullRestartCounting.TestCase.settings = settings(
    max_examples=scale_examples(60), stateful_step_count=30, deadline=None, print_blob=True
)
TestFullRestartCounting = FullRestartCounting.TestCase
