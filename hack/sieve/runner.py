"""Tells a story once, with a fault or without, and compares what it ends with."""

import logging
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hack.sieve.change_counter import ChangeCounter
from hack.sieve.end_state import list_differences, read_end_state
from hack.sieve.results import Result
from hack.sieve.stories import APP, STORIES, Stage, Story
from hack.testkit.errors import ToolError
from hack.testkit.fake_kubelet import FakeKubelet
from hack.testkit.fault_points import KILLS, Fault, Point, list_faults
from hack.testkit.fault_proxy import FaultProxy, run_fault_proxy
from hack.testkit.forked_operator import ForkedOperator, run_forked_operator
from hack.testkit.kube_client import Json, KubeClient, temporary_namespace
from hack.testkit.namespace import KIND, AppNamespace
from hack.testkit.wait import eventually

logger = logging.getLogger(__name__)

SETTLE_SECONDS = 2.0
"""What a story ends with has lasted so long."""
STUCK_SECONDS = 20.0
"""A disturbed story that has ended differently, and does not change for so long, stays so: this is
longer than the operator needs to list everything again."""
SETTLE_TIMEOUT = 60
"""Seconds until a story has settled."""
POLL_SECONDS = 0.5

RELIST_SECONDS = 5
"""How often the operator lists everything to find missed deletions; its default is 300 s."""

MAX_LISTED_DIFFERENCES = 12

SETTINGS: Mapping[str, str] = {
    "SELFHEALING_METRICS_PORT": "0",
    "SELFHEALING_RELIST_INTERVAL": str(RELIST_SECONDS),
    "SELFHEALING_WORKERS": "4",
}

LOGGED_BUGS = ("internal error", "could not handle an event")
"""What the operator logs of an error of its own."""


@dataclass(frozen=True)
class Reference:
    """A story as it goes undisturbed."""

    points: list[Point]
    watched: set[str]
    end_state: Json
    counts: Mapping[str, int]

    def list_faults(self, story: str) -> list[Fault]:
        """Return every fault that the story is told with."""
        return list_faults(self.points, self.watched, kills_only=STORIES[story].has_standby)


@dataclass(frozen=True)
class Telling:
    """A story that is being told."""

    story: Story
    stage: Stage
    proxy: FaultProxy
    operator: ForkedOperator
    logs: Sequence[Path]


class Stopwatch:
    """How long each stage of a telling took.

    Attributes:
        seconds: by the name of a stage, in their order.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.monotonic()

    def stop(self, stage: str) -> None:
        """End a stage; the next one begins."""
        now = time.monotonic()
        self.seconds[stage] = now - self._since
        self._since = now


@contextmanager
def begin(name: str) -> Iterator[Telling]:
    """Prepare a story: a namespace, a proxy, an operator, and what was there before."""
    story, kube = STORIES[name], KubeClient()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sieve-")))
        space = AppNamespace(kube, stack.enter_context(temporary_namespace(kube, f"sieve-{name}")))
        stage = Stage(space, FakeKubelet(kube, space.name))
        proxy = stack.enter_context(run_fault_proxy(folder))
        settings = {**SETTINGS, **story.settings, **election_settings(space.name, story)}
        logs = [folder / "operator.log"]
        operator = stack.enter_context(
            run_forked_operator(
                [space.name], logs[0], kubeconfig=proxy.kubeconfig, settings=settings
            )
        )
        stack.callback(operator.kill)  # a cut off one takes long to stop
        story.prepare(stage)
        if story.has_standby:  # started now, so that the first one leads
            logs.append(folder / "standby.log")
            standby = run_forked_operator([space.name], logs[1], settings=settings)
            stack.callback(stack.enter_context(standby).kill)
        yield Telling(story, stage, proxy, operator, logs)


def election_settings(namespace: str, story: Story) -> Mapping[str, str]:
    """Return the settings of operators of which one leads."""
    if not story.has_standby:
        return {}
    return {
        "SELFHEALING_LEADER_ELECTION": "on",
        "SELFHEALING_LEASE_NAMESPACE": namespace,
        "SELFHEALING_LEASE_DURATION": "12",  # a standby acts well before STUCK_SECONDS
        "SELFHEALING_LEASE_RENEW": "2",
    }


def record_reference(name: str) -> Reference:
    """Tell a story undisturbed.

    Raises:
        AssertionError: it does not come to its end.
    """
    with begin(name) as telling:
        space, proxy = telling.stage.space, telling.proxy
        with ChangeCounter(space) as counter:
            proxy.place_faults()
            telling.story.act(telling.stage)
            end_state = wait_until_settled(space)
            return Reference(
                proxy.points.points, proxy.points.watched, end_state, counter.read_counts()
            )


def wait_until_settled(space: AppNamespace, expected: Json | None = None) -> Json:
    """Return the end state when it has not changed for SETTLE_SECONDS.

    While it is not the ``expected`` one it has more time, STUCK_SECONDS.

    Raises:
        AssertionError: it goes on changing.
    """
    last, since = read_end_state(space), time.monotonic()

    def probe() -> bool:
        nonlocal last, since
        found = read_end_state(space)
        if found != last:
            last, since = found, time.monotonic()
        is_wrong = expected is not None and found != expected
        return time.monotonic() - since > (STUCK_SECONDS if is_wrong else SETTLE_SECONDS)

    eventually(probe, timeout=SETTLE_TIMEOUT, poll=POLL_SECONDS, description="it has settled")
    return last


def run_with_faults(name: str, faults: Sequence[Fault], reference: Reference) -> list[Result]:
    """Tell a story with faults; what goes wrong becomes a difference of each of them.

    Of several faults, at most one is at a point after which the operator is killed.
    """
    clock = Stopwatch()
    differences: list[str] = []
    placed: set[Fault] = set()
    try:
        with begin(name) as telling:
            clock.stop("prepare")
            with (
                ChangeCounter(telling.stage.space) as counter,
                kill_when_reached(telling, faults),
            ):
                telling.proxy.place_faults(*faults)
                differences += tell_disturbed(telling, reference, counter, clock)
            placed |= telling.proxy.points.placed
            differences += find_logged_bugs(telling.logs)
    except (AssertionError, ToolError, RuntimeError, OSError) as error:
        differences.append(f"{type(error).__name__}: {error}")
    clock.stop("end")
    seconds = {stage: round(each / len(faults), 1) for stage, each in clock.seconds.items()}
    return [
        Result(name, str(fault), seconds, fault in placed, tuple(differences)) for fault in faults
    ]


def tell_disturbed(
    telling: Telling, reference: Reference, counter: ChangeCounter, clock: Stopwatch
) -> list[str]:
    """Tell a story and return how its end differs from the reference."""
    space = telling.stage.space
    differences = []
    try:
        telling.story.act(telling.stage)
        clock.stop("tell")
        wait_until_settled(space, reference.end_state)
    except AssertionError as error:
        differences.append(str(error).splitlines()[0][:300])
    differences += list_differences(reference.end_state, read_end_state(space))
    differences += list_differences(dict(reference.counts), counter.read_counts())
    clock.stop("settle")
    return [*differences[:MAX_LISTED_DIFFERENCES], *(list_messages(space) if differences else ())]


def list_messages(space: AppNamespace) -> list[str]:
    """Return what the operator says about the app: its messages are not compared."""
    app = space.kube.find(KIND, space.name, APP) or {}
    conditions = app.get("status", {}).get("conditions", ())
    return [f"says {each['type']}: {each['message']}"[:400] for each in conditions]


@contextmanager
def kill_when_reached(telling: Telling, faults: Sequence[Fault]) -> Iterator[None]:
    """Kill the operator at its fault during the block and, without a standby, start it again."""
    if not any(fault.kind in KILLS for fault in faults):
        yield
        return
    reached, ended = telling.proxy.points.reached, threading.Event()

    def kill_and_start() -> None:
        while not reached.wait(0.2):
            if ended.is_set():
                return
        telling.operator.kill()
        if not telling.story.has_standby:
            telling.proxy.stall_requests(stall=False)
            telling.operator.start(wait_for_sync=False)

    killer = threading.Thread(target=kill_and_start, name="killer")
    killer.start()
    try:
        yield
    finally:
        ended.set()
        killer.join()


def find_logged_bugs(logs: Sequence[Path]) -> list[str]:
    """Return the lines in which the operator tells of an error of its own."""
    return [
        f"logged: {line[:300]}"
        for log in logs
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
        if any(words in line for words in LOGGED_BUGS)
    ]
