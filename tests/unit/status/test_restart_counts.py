"""The ledger of restarts against a model of kubelets, Events and operators that come and go."""

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
from tests.unit.snapshots import Json, facts

PODS = 2
CONTAINERS = ("app", "proxy")
KILLED = 137
PRECEDENTS = {"LivenessProbe", "OOMKilled"}
"""Reasons that explain another SIGKILL of the same container, of which nobody says anything."""


@dataclass
class End:
    """How one life of a container ended, and whether a probe was the cause."""

    started: int
    finished: int
    reason: str
    killed_at: int | None = None
    event_seen: bool = False

    @property
    def truth(self) -> str:
        """The reason as far as anybody can know it."""
        probe = self.event_seen and self.killed_at is not None and self.reason != "OOMKilled"
        return "LivenessProbe" if probe else self.reason

    def json(self) -> Json:
        """The end as a pod shows it."""
        return builders.ended(
            KILLED if self.killed_at else 1,
            self.reason,
            started=self.started,
            finished=self.finished,
        )


@dataclass
class Container:
    """A container as its kubelet knows it, and what an observer has seen of it."""

    started: int
    count: int = 0
    last: End | None = None
    waits: bool = False
    seen: int = 0
    seen_end: End | None = None
    seen_reason: str = ""

    def json(self, name: str) -> Json:
        """The container as its pod shows it."""
        last = self.last.json() if self.last else None
        if self.waits and last is not None:
            return builders.crash_loop(self.count, last, name=name)
        return builders.running(self.started, name=name, restarts=self.count, last=last)


@dataclass
class Kubelet:
    """All pods of the app."""

    clock: int = 1
    born: int = 0
    pods: dict[str, dict[str, Container]] = field(default_factory=dict)

    def pass_time(self, seconds: int) -> int:
        """Let time pass; returns the time that it is then."""
        self.clock += seconds
        return self.clock

    def json(self) -> list[Json]:
        """What the API server shows of the pods."""
        return [
            builders.pod(pod, *(c.json(name) for name, c in containers.items()))
            for pod, containers in self.pods.items()
        ]


class Machine(RuleBasedStateMachine):
    """What happens in a cluster, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.kubelet = Kubelet()
        self.status: Json = {}
        self.total = 0
        self.by_reason: Counter[str] = Counter()
        self.mail: list[tuple[str, str, End]] = []
        self.events: list[Json] = []
        self.past: list[list[Json]] = []

    def chosen(self, data: st.DataObject) -> tuple[str, str, Container]:
        """One of the containers."""
        pod = data.draw(st.sampled_from(sorted(self.kubelet.pods)))
        name = data.draw(st.sampled_from(CONTAINERS))
        return pod, name, self.kubelet.pods[pod][name]

    @initialize()
    def first_pod(self) -> None:
        """An app has a pod."""
        self.pod_appears()

    @precondition(lambda self: len(self.kubelet.pods) < PODS)
    @rule()
    def pod_appears(self) -> None:
        """A new pod, always by a new name."""
        self.kubelet.born += 1
        now = self.kubelet.pass_time(1)
        pod = f"web-abc-{self.kubelet.born}"
        self.kubelet.pods[pod] = {name: Container(now) for name in CONTAINERS}

    @precondition(lambda self: self.kubelet.pods)
    @rule(data=st.data())
    def pod_is_deleted(self, data: st.DataObject) -> None:
        """A pod goes, and takes with it what nobody has counted."""
        pod = data.draw(st.sampled_from(sorted(self.kubelet.pods)))
        del self.kubelet.pods[pod]
        self.past.clear()  # a view of before would show it alive

    @precondition(lambda self: self.kubelet.pods)
    @rule(data=st.data())
    def pod_departs(self, data: st.DataObject) -> None:
        """A pod goes, and its last state is seen; the status may be written more than once."""
        name = data.draw(st.sampled_from(sorted(self.kubelet.pods)))
        gone = [thing for thing in self.kubelet.json() if thing["metadata"]["name"] == name]
        for container in self.kubelet.pods.pop(name).values():
            self.expect(container)
        for containers in self.kubelet.pods.values():
            for container in containers.values():
                self.expect(container)
        self.past.clear()
        for _ in range(data.draw(st.integers(1, 2))):
            self.look(self.kubelet.json(), gone)

    @precondition(lambda self: self.kubelet.pods)
    @rule(
        data=st.data(),
        reason=st.sampled_from(["Error", "Completed", "OOMKilled"]),
        starts=st.booleans(),
        looks=st.booleans(),
    )
    def container_ends(
        self, data: st.DataObject, reason: str, *, starts: bool, looks: bool
    ) -> None:
        """A container ends; the count says so only when it starts again."""
        _, _, container = self.chosen(data)
        if not container.waits:
            now = self.kubelet.pass_time(data.draw(st.integers(3, 700)))
            container.last = End(container.started, now, reason)
            self.go_on(container, starts=starts, looks=looks)

    @precondition(lambda self: self.kubelet.pods)
    @rule(
        data=st.data(),
        reason=st.sampled_from(["Error", "Error", "OOMKilled"]),
        mail=st.sampled_from(["early", "late", "late", "never"]),
        starts=st.booleans(),
        looks=st.booleans(),
    )
    def probe_kills(
        self, data: st.DataObject, reason: str, mail: str, *, starts: bool, looks: bool
    ) -> None:
        """A probe costs a container its life; the Event of it comes early, late or never."""
        pod, name, container = self.chosen(data)
        if container.waits:
            return
        killed = self.kubelet.pass_time(data.draw(st.integers(3, 60)))
        now = self.kubelet.pass_time(data.draw(st.integers(0, 30)))
        container.last = End(container.started, now, reason, killed)
        if mail == "late":
            self.mail.append((pod, name, container.last))
        elif mail == "early":
            self.deliver(pod, name, container.last)
        self.go_on(container, starts=starts, looks=looks)

    def go_on(self, container: Container, *, starts: bool, looks: bool) -> None:
        """What may follow an end."""
        container.waits = True
        if starts:
            self.start(container, 1)
        if looks:
            self.operator_looks()

    def start(self, container: Container, pause: int) -> None:
        """Start a container again: now the kubelet counts."""
        container.started = self.kubelet.pass_time(pause)
        container.waits = False
        container.count += 1

    @precondition(lambda self: self.mail)
    @rule(looks=st.booleans())
    def event_comes_late(self, *, looks: bool) -> None:
        """The oldest Event on its way arrives."""
        self.deliver(*self.mail.pop(0))
        if looks:
            self.operator_looks()

    def deliver(self, pod: str, name: str, end: End) -> None:
        """Let an Event be seen; a container's newest kill is the one that is kept."""
        assert end.killed_at is not None
        self.events.append(builders.killing(pod, end.killed_at, name=name))
        end.event_seen = True

    @precondition(lambda self: self.kubelet.pods)
    @rule(data=st.data())
    def container_starts(self, data: st.DataObject) -> None:
        """A container that waits is started."""
        _, _, container = self.chosen(data)
        if container.waits:
            self.start(container, data.draw(st.integers(1, 300)))

    @precondition(lambda self: self.kubelet.pods)
    @rule(data=st.data())
    def kubelet_forgets(self, data: st.DataObject) -> None:
        """A node came back without its memory: the container runs as if for the first time.

        A view from before that could not be told from news, so none comes any more.
        """
        self.past.clear()
        _, _, container = self.chosen(data)
        container.started = self.kubelet.pass_time(5)
        container.waits = False
        container.count = 0
        container.last = None

    @rule()
    def operator_looks(self) -> None:
        """The operator counts and writes its status."""
        for containers in self.kubelet.pods.values():
            for container in containers.values():
                self.expect(container)
        self.past.append(self.kubelet.json())
        self.look(self.past[-1])

    @rule(looks=st.booleans())
    def operator_restarts(self, *, looks: bool) -> None:
        """A new process knows the status and what the API server still lists, Events or not."""
        self.events = []
        for containers in self.kubelet.pods.values():
            for container in containers.values():
                if container.last is not None:
                    container.last.event_seen = False
        if looks:
            self.operator_looks()

    @precondition(lambda self: self.past)
    @rule(data=st.data())
    def operator_sees_the_past(self, data: st.DataObject) -> None:
        """A view that is older than the status, of pods that still exist, adds nothing."""
        old = data.draw(st.sampled_from(self.past))
        current = {pod["metadata"]["name"]: pod for pod in self.past[-1]}
        stale = {pod["metadata"]["name"]: pod for pod in old}
        status, total = self.status, self.read().total
        self.look([stale.get(name, pod) for name, pod in current.items()])

        assert total == self.read().total

        self.look(self.past[-1])

        assert total == self.read().total

        self.status = status  # the model knows nothing of Events that came meanwhile

    def expect(self, container: Container) -> None:
        """Keep the books of one container, knowing everything."""
        news = container.count - container.seen
        if news < 0:
            news = min(container.count, 1)
        if news and container.last is not None:
            # A container that waits again shows its next end already.
            self.by_reason["Unknown"] += news - 1
            container.seen_end = container.last
            again = container.last.killed_at is not None and container.last.truth == "Error"
            if not again or container.seen_reason not in PRECEDENTS:
                container.seen_reason = container.last.truth
            self.by_reason[container.seen_reason] += 1
        elif container.seen_end is not None and container.seen_end is container.last:
            truth = container.last.truth
            if truth == "LivenessProbe" != container.seen_reason:
                self.by_reason[container.seen_reason] -= 1
                self.by_reason[truth] += 1
                container.seen_reason = truth
        self.total += news
        container.seen = container.count
        if not container.count:
            container.seen_end = None

    def look(self, pods: list[Json], departed: Sequence[Json] = ()) -> None:
        """Count as the operator does, with a status that was read from JSON."""
        seen = facts(*pods, *departed, *self.events)
        gone = {thing["metadata"]["uid"] for thing in departed}
        seen = replace(
            seen,
            pods=tuple(pod for pod in seen.pods if pod.uid not in gone),
            departed=tuple(pod for pod in seen.pods if pod.uid in gone),
        )
        known = restarts.causes(self.read(), seen)
        counted, _ = restarts.account(self.read(), seen, known)
        self.status = orjson.loads(
            orjson.dumps(counted.model_dump(mode="json", by_alias=True, exclude_none=True))
        )
        again, news = restarts.account(self.read(), seen, restarts.causes(self.read(), seen))

        assert () == news
        assert counted == again

    def read(self) -> RestartsStatus:
        """The block of the status as the next look finds it."""
        return RestartsStatus.model_validate(self.status, by_alias=True, by_name=False)

    @invariant()
    def every_restart_is_counted_once(self) -> None:
        """The total and its parts are what the model knows."""
        found = self.read()

        assert self.total == found.total
        assert +self.by_reason == Counter(found.by_reason)
        assert len(found.counted) <= (PODS + self.kubelet.born) * len(CONTAINERS)


Machine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, print_blob=True
)
TestLedger = Machine.TestCase


class CrowdedMachine(RuleBasedStateMachine):
    """More containers restart than the ledger has room for: some are missed, none counted twice."""

    LIMIT = 3

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(restarts, "MAX_COUNTED", self.LIMIT)
        self.clock = 1
        self.born = 0
        self.pods: dict[str, tuple[int, int]] = {}
        self.happened = 0
        self.status = RestartsStatus()

    def teardown(self) -> None:
        """Give the ledger its size back."""
        self.patch.undo()

    @rule(restarts=st.integers(0, 3))
    def pod_appears(self, restarts: int) -> None:
        """A pod whose container has already restarted when it is first seen."""
        self.clock += 5
        self.born += 1
        self.pods[f"web-abc-{self.born}"] = (restarts, self.clock)
        self.happened += restarts

    @precondition(lambda self: self.pods)
    @rule(data=st.data())
    def container_restarts(self, data: st.DataObject) -> None:
        """One more restart of one container."""
        pod = data.draw(st.sampled_from(sorted(self.pods)))
        self.clock += data.draw(st.integers(1, 100))
        self.pods[pod] = (self.pods[pod][0] + 1, self.clock)
        self.happened += 1

    @precondition(lambda self: self.pods)
    @rule(data=st.data())
    def pod_is_deleted(self, data: st.DataObject) -> None:
        """A pod goes and leaves room in the ledger."""
        del self.pods[data.draw(st.sampled_from(sorted(self.pods)))]

    @rule()
    def operator_looks(self) -> None:
        """The total never falls and never exceeds what happened."""
        before = self.status.total
        self.look()

        assert before <= self.status.total <= self.happened

        total = self.status.total
        self.look()

        assert total == self.status.total
        assert total == sum(self.status.by_reason.values())
        assert len(self.status.counted) <= self.LIMIT

    def look(self) -> None:
        """Count."""
        pods = [
            builders.pod(
                name,
                builders.running(
                    end + 1, restarts=count, last=builders.ended(started=end - 1, finished=end)
                ),
            )
            for name, (count, end) in self.pods.items()
        ]
        seen = facts(*pods)
        self.status, _ = restarts.account(self.status, seen, restarts.causes(self.status, seen))


CrowdedMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, print_blob=True
)
TestCrowdedLedger = CrowdedMachine.TestCase
