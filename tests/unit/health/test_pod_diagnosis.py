"""What a pod shows: what may be acted upon, and what has not lasted long enough."""

from datetime import timedelta

import pytest

from selfhealing.cache.parse import kill_view, pod_view
from selfhealing.health.deadlines import Alarm
from selfhealing.health.pod_diagnosis import CRASHES, IllnessType, Symptom, Thresholds, symptom
from selfhealing.health.pod_problems import ailment
from selfhealing.health.termination_causes import Causes, ContainerKey, Remembered
from tests.unit.builders import (
    at,
    crash_loop,
    ended,
    evicted,
    iso,
    killing,
    pod,
    running,
    terminated,
    unschedulable,
    waiting,
)
from tests.unit.snapshots import Json

DEADLINE = timedelta(minutes=10)
THRESHOLDS = Thresholds(timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=5), DEADLINE)
HOUR = 3600
PULL = "ImagePullBackOff"
OOM = ended(137, "OOMKilled")


def shown(thing: Json, now: float = 100, causes: Causes | None = None) -> Symptom | None:
    """What one pod shows."""
    view, why = pod_view(thing), causes or Causes()
    found = ailment(view, why, Alarm(at(now)), DEADLINE)
    return symptom(view, found, why, Alarm(at(now)), THRESHOLDS)


def kind(thing: Json, now: float = 100, causes: Causes | None = None) -> IllnessType | None:
    """The type of what one pod shows."""
    found = shown(thing, now, causes)
    return found.type if found else None


def lived(seconds: float, end: float = 100, code: int = 1, reason: str = "") -> Json:
    """The end of a container's life of so many seconds."""
    return ended(code, reason, started=end - seconds, finished=end)


class TestNothing:
    """What is no illness, or not yet."""

    @pytest.mark.parametrize(
        "thing",
        [
            pod("web-abc-1", running()),
            pod("web-abc-1", running(ready=False)),
            pod("web-abc-1"),
            evicted("web-abc-1"),
            pod("web-abc-1", terminated(ended(0)), phase="Succeeded"),
        ],
        ids=["well", "starts", "new", "evicted", "done"],
    )
    def test_well_or_gone(self, thing: Json) -> None:
        """A pod that is well, starts, or will not run again."""
        assert None is shown(thing)

    @pytest.mark.parametrize(
        "status",
        [
            terminated(lived(5)),
            running(99, restarts=1, last=lived(5, 98)),
            crash_loop(1, lived(5)),
            running(99, restarts=2, last=lived(5, 98)),
            crash_loop(2, lived(5)),
            terminated(OOM),
            crash_loop(1, OOM),
            terminated(lived(5, code=0)),
        ],
        ids=[
            "the first crash",
            "back after the first crash",
            "the second crash",
            "back after the second crash",
            "the third crash",
            "the first kill for memory",
            "the second kill for memory, not yet restarted",
            "it ended by itself",
        ],
    )
    def test_the_first_crashes(self, status: Json) -> None:
        """The kubelet's restart is the first remedy, and often enough."""
        assert None is shown(pod("web-abc-1", status))

    @pytest.mark.parametrize(
        "status",
        [
            terminated(lived(7 * 24 * HOUR, 8 * 24 * HOUR), restarts=9),
            running(8 * 24 * HOUR, restarts=9, last=lived(HOUR, 8 * 24 * HOUR)),
            running(HOUR, restarts=9, last=lived(5, HOUR)),
            running(HOUR, restarts=9),
            running(HOUR, restarts=9, last=ended(started=None)),
            running(HOUR, restarts=9, last=ended(finished=None)),
        ],
        ids=[
            "a crash a week",
            "back after a crash a week",
            "a loop that is over",
            "nobody knows the end",
            "nobody knows the start of the last life",
            "nobody knows the end of the last life",
        ],
    )
    def test_many_restarts_are_no_loop(self, status: Json) -> None:
        """A number that has grown over weeks says nothing about now."""
        assert None is shown(pod("web-abc-1", status), now=8 * 24 * HOUR)

    def test_the_first_crash_beside_an_old_loop(self) -> None:
        """The restarts of one container are not those of another."""
        long_ago = running(HOUR, name="proxy", restarts=50, last=lived(5, HOUR))

        assert None is shown(pod("web-abc-1", terminated(lived(5)), long_ago), now=9 * HOUR)
        assert None is shown(pod("web-abc-1", terminated(OOM), long_ago), now=9 * HOUR)


class TestLoops:
    """A container that ends again and again."""

    @pytest.mark.parametrize(
        "status",
        [
            crash_loop(3, lived(5)),
            terminated(lived(5), restarts=3),
            running(98, restarts=3, last=lived(5, 97)),
            running(98, restarts=3, ready=False, last=lived(5, 97)),
            crash_loop(9, lived(2 * HOUR)),
            waiting("CrashLoopBackOff", restarts=3),
            crash_loop(3, lived(5, code=0)),
        ],
        ids=[
            "waits",
            "has just ended",
            "runs and is ready",
            "runs and is not ready",
            "the kubelet itself says so",
            "nobody knows how it ends",
            "ends by itself",
        ],
    )
    def test_whatever_it_shows_just_now(self, status: Json) -> None:
        """A loop looks different at each look, and is one and the same."""
        assert IllnessType.CRASH_LOOPING is kind(pod("web-abc-1", status))

    @pytest.mark.parametrize("ready", [True, False])
    @pytest.mark.parametrize(
        ("life", "since", "ill"),
        [(1, 11, True), (1, 13, False), (90, 189, True), (90, 191, False), (599, 1000, True)],
    )
    def test_a_flapping_pod(self, life: float, since: float, ready: bool, ill: bool) -> None:  # noqa: FBT001 - a table's columns
        """Ready between crashes, or not yet ready again: it must live for twice as long first."""
        now = 10_000
        start = now - since
        back = running(start, ready=ready, restarts=CRASHES, last=lived(life, start - 1))
        found = kind(pod("web-abc-1", back, since=start), now)

        assert ill == (found is IllnessType.CRASH_LOOPING)

    def test_a_life_of_ten_minutes_is_no_flap(self) -> None:
        """The kubelet, too, forgets what was before."""
        assert None is kind(pod("web-abc-1", running(101, restarts=9, last=lived(600))), 110)

    def test_the_words(self) -> None:
        """Those of the ailment, or how the last life ended."""
        flapping = pod("web-abc-1", running(101, restarts=4, last=lived(90)))

        assert "has restarted 4 times, last after 1 min 30 s" == getattr(
            shown(flapping, 110), "message", ""
        )
        assert "keeps crashing, exit code 1" == getattr(
            shown(pod("web-abc-1", crash_loop(3, lived(5)))), "message", ""
        )

    def test_an_init_container(self) -> None:
        """It keeps the app from starting just as well."""
        looping = crash_loop(3, lived(5), name="migrate")

        assert IllnessType.CRASH_LOOPING is kind(
            pod("web-abc-1", waiting("PodInitializing"), init=[looping])
        )

    @pytest.mark.parametrize("probe", ["liveness", "startup"])
    @pytest.mark.parametrize(
        "status",
        [crash_loop(3, lived(30, code=137)), running(101, restarts=3, last=lived(90, code=137))],
        ids=["waits", "flaps"],
    )
    def test_the_kubelet_kills_it(self, probe: str, status: Json) -> None:
        """A probe that fails is another illness than a crash."""
        kill = kill_view(killing("web-abc-1", 99, probe=probe))
        assert kill is not None

        assert IllnessType.LIVENESS_KILLED is kind(pod("web-abc-1", status), 110, Causes([kill]))

    def test_the_event_is_gone(self) -> None:
        """What was found out about the last end is remembered."""
        key = ContainerKey("uid-of-web-abc-1", "app")
        causes = Causes((), {key: Remembered(at(10), "LivenessProbe")})
        status = crash_loop(3, lived(30, code=137))

        assert IllnessType.LIVENESS_KILLED is kind(pod("web-abc-1", status), causes=causes)


class TestMemory:
    """A container that is killed for want of memory."""

    @pytest.mark.parametrize(
        "status",
        [
            running(98, restarts=2, last=lived(5, 97, 137, "OOMKilled")),
            crash_loop(2, lived(5, 99, 137, "OOMKilled")),
            terminated(lived(5, 99, 137, "OOMKilled"), restarts=2),
            running(99, restarts=3, last=lived(90, 98, 137, "OOMKilled")),
        ],
        ids=["is back", "waits", "has just been killed", "flaps slowly"],
    )
    def test_again_and_again(self, status: Json) -> None:
        """Told sooner than another crash: what helps against it is known."""
        assert IllnessType.OOM_KILLED is kind(pod("web-abc-1", status))

    def test_killed_without_a_word(self) -> None:
        """SIGKILL alone may come from anybody."""
        assert IllnessType.CRASH_LOOPING is kind(
            pod("web-abc-1", crash_loop(3, lived(5, code=137)))
        )

    def test_containerd_learns_of_it_later(self) -> None:
        """One that was out of memory before, and was killed again, is so again."""
        causes = Causes(
            (), {ContainerKey("uid-of-web-abc-1", "app"): Remembered(at(10), "OOMKilled")}
        )
        status = crash_loop(3, lived(5, code=137))

        assert IllnessType.OOM_KILLED is kind(pod("web-abc-1", status), causes=causes)


class TestStarts:
    """A pod that does not come to run."""

    @pytest.mark.parametrize(
        ("reason", "expected"),
        [
            (PULL, IllnessType.IMAGE_PULL_FAILING),
            ("ErrImagePull", IllnessType.IMAGE_PULL_FAILING),
            ("RegistryUnavailable", IllnessType.IMAGE_PULL_FAILING),
            ("InvalidImageName", IllnessType.IMAGE_PULL_FAILING),
            ("ErrImageNeverPull", IllnessType.IMAGE_PULL_FAILING),
            ("ImageInspectError", IllnessType.IMAGE_PULL_FAILING),
            ("CreateContainerConfigError", IllnessType.CONFIG_ERROR),
            ("CreateContainerError", IllnessType.CONFIG_ERROR),
            ("RunContainerError", IllnessType.START_FAILING),
            ("PreStartHookError", IllnessType.START_FAILING),
        ],
    )
    def test_patience(self, reason: str, expected: IllnessType) -> None:
        """What fails for a moment only is left alone: for a minute."""
        thing = pod("web-abc-1", waiting(reason))

        assert None is shown(thing, 59)
        assert expected is kind(thing, 60)

    def test_nobody_knows_since_when(self) -> None:
        """Then it is never long enough."""
        assert None is shown(pod("web-abc-1", waiting(PULL), created=None))

    @pytest.mark.parametrize(
        "status",
        [
            waiting(PULL, restarts=1, last=lived(1000, 5000)),
            waiting("CreateContainerConfigError", restarts=1, last=lived(1000, 5000)),
        ],
    )
    def test_an_old_pod_that_starts_again(self, status: Json) -> None:
        """The patience begins when it ran last, not when the pod was made."""
        assert None is shown(pod("web-abc-1", status), 5059)
        assert kind(pod("web-abc-1", status), 5060) is not None

    def test_after_a_long_init(self) -> None:
        """So it does when another container has just done its work."""
        done = terminated(ended(0, started=0, finished=300), name="migrate")
        thing = pod("web-abc-1", waiting(PULL), init=[done])

        assert None is shown(thing, 359)
        assert IllnessType.IMAGE_PULL_FAILING is kind(thing, 360)

    @pytest.mark.parametrize("reason", ["StartError", "ContainerCannotRun"])
    def test_a_program_that_is_not_there(self, reason: str) -> None:
        """Each try is no life: the patience goes on."""
        status = crash_loop(4, ended(128, reason, started=99, finished=99))

        assert IllnessType.START_FAILING is kind(pod("web-abc-1", status))

    def test_a_volume_that_does_not_come(self) -> None:
        """Told after the rollout's own deadline."""
        thing = pod("web-abc-1", waiting("ContainerCreating"))

        assert None is shown(thing, 599)
        assert IllnessType.START_FAILING is kind(thing, 600)

    def test_no_node(self) -> None:
        """As long as every other start."""
        thing = pod(node="", phase="Pending", conditions=[unschedulable("no room")])

        assert None is shown(thing, 59)
        assert IllnessType.UNSCHEDULABLE is kind(thing, 60)


class TestHung:
    """A pod that runs, does not crash and is not ready."""

    @pytest.mark.parametrize(
        ("status", "since", "ill_at", "minutes"),
        [
            (running(10, ready=False), 0, 610, 10),
            (running(10, ready=False), 500, 800, 5),
            (running(400, ready=False, restarts=1, last=lived(300, 399)), 300, 700, 5),
        ],
        ids=["was never ready", "was ready", "was restarted"],
    )
    def test_for_too_long(self, status: Json, since: float, ill_at: float, minutes: int) -> None:
        """Since it was ready last, or since it runs; a first start may take a whole rollout."""
        thing = pod("web-abc-1", status, since=since)
        found = shown(thing, ill_at)

        assert None is shown(thing, ill_at - 1)
        assert found is not None
        message = f"runs but has not been ready for {minutes} minutes"
        assert (IllnessType.NOT_READY_TOO_LONG, message) == (found.type, found.message)

    def test_nobody_knows_since_when_it_is_unready(self) -> None:
        """Then since it runs."""
        thing = pod("web-abc-1", running(10, ready=False))
        del thing["status"]["conditions"][1]["lastTransitionTime"]

        assert None is shown(thing, 609)
        assert IllnessType.NOT_READY_TOO_LONG is kind(thing, 610)

    def test_one_of_two_containers_does_not_run(self) -> None:
        """Then it does not hang: it starts, or that container tells what ails it."""
        thing = pod("web-abc-1", running(ready=False), waiting("ContainerCreating", name="proxy"))

        assert None is kind(thing, 599)

    def test_a_startup_probe_gives_it_time(self) -> None:
        """An app that starts slowly and says so is killed by its probe, if need be, not by us."""
        slow = pod("web-abc-1", running(ready=False, started=False))
        started = pod("web-abc-1", running(ready=False, started=True))

        assert None is shown(slow, 3000)
        assert IllnessType.NOT_READY_TOO_LONG is kind(started, 3000)


class TestNodes:
    """Pods that are in the hands of a node."""

    def test_a_silent_node(self) -> None:
        """At once: how long to wait is the remedy's matter."""
        lost = pod("web-abc-1", running(), ready=False, ready_reason="", since=50, node="node-7")

        assert IllnessType.NODE_LOST is kind(lost, 50)

    @pytest.mark.parametrize(
        ("finalizers", "message"),
        [
            ([], "should be gone, but its node node-1 has not confirmed it"),
            (
                ["example.com/a", "example.com/b"],
                "should be gone, but the finalizer example.com/a, example.com/b holds it",
            ),
        ],
    )
    def test_a_pod_that_does_not_go(self, finalizers: list[str], message: str) -> None:
        """A minute after its time to stop is over; who holds it is named."""
        going = pod("web-abc-1", running(), deletionTimestamp=iso(30), finalizers=finalizers)
        found = shown(going, 90)

        assert None is shown(going, 89)
        assert found is not None
        assert (IllnessType.STUCK_TERMINATING, message) == (found.type, found.message)

    def test_a_pod_that_goes_crashing(self) -> None:
        """How it ends is nobody's concern any more."""
        going = pod("web-abc-1", crash_loop(9, lived(5)), deletionTimestamp=iso(100))

        assert None is shown(going)
