"""What a pod shows: what may be acted upon, and what has not lasted long enough."""

from datetime import timedelta

import pytest

from selfhealing.cache.parse import container_kill_event, pod_view
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.pod_diagnosis import (
    CRASHLOOP_RESTARTS,
    DiagnosisType,
    PodDiagnosis,
    Thresholds,
    diagnose_pod,
)
from selfhealing.health.pod_problems import find_pod_problem
from selfhealing.health.termination_causes import (
    ContainerKey,
    RecordedTermination,
    TerminationCauses,
)
from tests.unit.builders import (
    at,
    crash_loop,
    evicted_pod,
    iso,
    pod,
    probe_kill_event,
    running,
    terminated,
    termination,
    unschedulable_condition,
    waiting,
)
from tests.unit.snapshots import Json

DEADLINE = timedelta(minutes=10)
THRESHOLDS = Thresholds(timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=5), DEADLINE)
HOUR = 3600
IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
OOM = termination(137, "OOMKilled")


def diagnose(
    thing: Json, now: float = 100, causes: TerminationCauses | None = None
) -> PodDiagnosis | None:
    """What one pod shows."""
    view, known_causes = pod_view(thing), causes or TerminationCauses()
    problem = find_pod_problem(view, known_causes, Deadlines(at(now)), DEADLINE)
    return diagnose_pod(view, problem, known_causes, Deadlines(at(now)), THRESHOLDS)


def diagnosed_type(
    thing: Json, now: float = 100, causes: TerminationCauses | None = None
) -> DiagnosisType | None:
    """The type of what one pod shows."""
    diagnosis = diagnose(thing, now, causes)
    return diagnosis.type if diagnosis else None


def ended_after(seconds: float, end: float = 100, code: int = 1, reason: str = "") -> Json:
    """The end of a container's life of so many seconds."""
    return termination(code, reason, started=end - seconds, finished=end)


class TestNothing:
    """What is no illness, or not yet."""

    @pytest.mark.parametrize(
        "thing",
        [
            pod("web-abc-1", running()),
            pod("web-abc-1", running(ready=False)),
            pod("web-abc-1"),
            evicted_pod("web-abc-1"),
            pod("web-abc-1", terminated(termination(0)), phase="Succeeded"),
        ],
        ids=["well", "starts", "new", "evicted", "done"],
    )
    def test_well_or_gone(self, thing: Json) -> None:
        """A pod that is well, starts, or will not run again."""
        assert None is diagnose(thing)

    @pytest.mark.parametrize(
        "status",
        [
            terminated(ended_after(5)),
            running(99, restarts=1, last=ended_after(5, 98)),
            crash_loop(1, ended_after(5)),
            running(99, restarts=2, last=ended_after(5, 98)),
            crash_loop(2, ended_after(5)),
            terminated(OOM),
            crash_loop(1, OOM),
            terminated(ended_after(5, code=0)),
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
        assert None is diagnose(pod("web-abc-1", status))

    @pytest.mark.parametrize(
        "status",
        [
            terminated(ended_after(7 * 24 * HOUR, 8 * 24 * HOUR), restarts=9),
            running(8 * 24 * HOUR, restarts=9, last=ended_after(HOUR, 8 * 24 * HOUR)),
            running(HOUR, restarts=9, last=ended_after(5, HOUR)),
            running(HOUR, restarts=9),
            running(HOUR, restarts=9, last=termination(started=None)),
            running(HOUR, restarts=9, last=termination(finished=None)),
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
        assert None is diagnose(pod("web-abc-1", status), now=8 * 24 * HOUR)

    def test_the_first_crash_beside_an_old_loop(self) -> None:
        """The restarts of one container are not those of another."""
        long_ago = running(HOUR, name="proxy", restarts=50, last=ended_after(5, HOUR))

        assert None is diagnose(
            pod("web-abc-1", terminated(ended_after(5)), long_ago), now=9 * HOUR
        )
        assert None is diagnose(pod("web-abc-1", terminated(OOM), long_ago), now=9 * HOUR)


class TestLoops:
    """A container that ends again and again."""

    @pytest.mark.parametrize(
        "status",
        [
            crash_loop(3, ended_after(5)),
            terminated(ended_after(5), restarts=3),
            running(98, restarts=3, last=ended_after(5, 97)),
            running(98, restarts=3, ready=False, last=ended_after(5, 97)),
            crash_loop(9, ended_after(2 * HOUR)),
            waiting("CrashLoopBackOff", restarts=3),
            crash_loop(3, ended_after(5, code=0)),
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
        assert DiagnosisType.CRASH_LOOPING is diagnosed_type(pod("web-abc-1", status))

    @pytest.mark.parametrize("ready", [True, False])
    @pytest.mark.parametrize(
        ("life", "since", "ill"),
        [(1, 11, True), (1, 13, False), (90, 189, True), (90, 191, False), (599, 1000, True)],
    )
    def test_a_flapping_pod(self, life: float, since: float, ready: bool, ill: bool) -> None:  # noqa: FBT001 - a table's columns
        """Ready between crashes, or not yet ready again: it must live for twice as long first."""
        now = 10_000
        start = now - since
        back = running(
            start, ready=ready, restarts=CRASHLOOP_RESTARTS, last=ended_after(life, start - 1)
        )
        diagnosis_type = diagnosed_type(pod("web-abc-1", back, since=start), now)

        assert ill == (diagnosis_type is DiagnosisType.CRASH_LOOPING)

    def test_a_life_of_ten_minutes_is_no_flap(self) -> None:
        """The kubelet, too, forgets what was before."""
        assert None is diagnosed_type(
            pod("web-abc-1", running(101, restarts=9, last=ended_after(600))), 110
        )

    def test_the_words(self) -> None:
        """Those of the ailment, or how the last life ended."""
        flapping = pod("web-abc-1", running(101, restarts=4, last=ended_after(90)))

        assert "has restarted 4 times, last after 1 min 30 s" == getattr(
            diagnose(flapping, 110), "message", ""
        )
        assert "keeps crashing, exit code 1" == getattr(
            diagnose(pod("web-abc-1", crash_loop(3, ended_after(5)))), "message", ""
        )

    def test_an_init_container(self) -> None:
        """It keeps the app from starting just as well."""
        looping = crash_loop(3, ended_after(5), name="migrate")

        assert DiagnosisType.CRASH_LOOPING is diagnosed_type(
            pod("web-abc-1", waiting("PodInitializing"), init=[looping])
        )

    @pytest.mark.parametrize("probe", ["liveness", "startup"])
    @pytest.mark.parametrize(
        "status",
        [
            crash_loop(3, ended_after(30, code=137)),
            running(101, restarts=3, last=ended_after(90, code=137)),
        ],
        ids=["waits", "flaps"],
    )
    def test_the_kubelet_kills_it(self, probe: str, status: Json) -> None:
        """A probe that fails is another illness than a crash."""
        kill = container_kill_event(probe_kill_event("web-abc-1", 99, probe=probe))
        assert kill is not None

        assert DiagnosisType.LIVENESS_KILLED is diagnosed_type(
            pod("web-abc-1", status), 110, TerminationCauses([kill])
        )

    def test_the_event_is_gone(self) -> None:
        """What was found out about the last end is remembered."""
        key = ContainerKey("uid-of-web-abc-1", "app")
        causes = TerminationCauses((), {key: RecordedTermination(at(10), "LivenessProbe")})
        status = crash_loop(3, ended_after(30, code=137))

        assert DiagnosisType.LIVENESS_KILLED is diagnosed_type(
            pod("web-abc-1", status), causes=causes
        )


class TestMemory:
    """A container that is killed for want of memory."""

    @pytest.mark.parametrize(
        "status",
        [
            running(98, restarts=2, last=ended_after(5, 97, 137, "OOMKilled")),
            crash_loop(2, ended_after(5, 99, 137, "OOMKilled")),
            terminated(ended_after(5, 99, 137, "OOMKilled"), restarts=2),
            running(99, restarts=3, last=ended_after(90, 98, 137, "OOMKilled")),
        ],
        ids=["is back", "waits", "has just been killed", "flaps slowly"],
    )
    def test_again_and_again(self, status: Json) -> None:
        """Told sooner than another crash: what helps against it is known."""
        assert DiagnosisType.OOM_KILLED is diagnosed_type(pod("web-abc-1", status))

    def test_killed_without_a_word(self) -> None:
        """SIGKILL alone may come from anybody."""
        assert DiagnosisType.CRASH_LOOPING is diagnosed_type(
            pod("web-abc-1", crash_loop(3, ended_after(5, code=137)))
        )

    def test_containerd_learns_of_it_later(self) -> None:
        """One that was out of memory before, and was killed again, is so again."""
        causes = TerminationCauses(
            (), {ContainerKey("uid-of-web-abc-1", "app"): RecordedTermination(at(10), "OOMKilled")}
        )
        status = crash_loop(3, ended_after(5, code=137))

        assert DiagnosisType.OOM_KILLED is diagnosed_type(pod("web-abc-1", status), causes=causes)


class TestStarts:
    """A pod that does not come to run."""

    @pytest.mark.parametrize(
        ("reason", "expected"),
        [
            (IMAGE_PULL_BACK_OFF, DiagnosisType.IMAGE_PULL_FAILING),
            ("ErrImagePull", DiagnosisType.IMAGE_PULL_FAILING),
            ("RegistryUnavailable", DiagnosisType.IMAGE_PULL_FAILING),
            ("InvalidImageName", DiagnosisType.IMAGE_PULL_FAILING),
            ("ErrImageNeverPull", DiagnosisType.IMAGE_PULL_FAILING),
            ("ImageInspectError", DiagnosisType.IMAGE_PULL_FAILING),
            ("CreateContainerConfigError", DiagnosisType.CONFIG_ERROR),
            ("CreateContainerError", DiagnosisType.CONFIG_ERROR),
            ("RunContainerError", DiagnosisType.START_FAILING),
            ("PreStartHookError", DiagnosisType.START_FAILING),
        ],
    )
    def test_patience(self, reason: str, expected: DiagnosisType) -> None:
        """What fails for a moment only is left alone: for a minute."""
        thing = pod("web-abc-1", waiting(reason))

        assert None is diagnose(thing, 59)
        assert expected is diagnosed_type(thing, 60)

    def test_nobody_knows_since_when(self) -> None:
        """Then it is never long enough."""
        assert None is diagnose(pod("web-abc-1", waiting(IMAGE_PULL_BACK_OFF), created=None))

    @pytest.mark.parametrize(
        "status",
        [
            waiting(IMAGE_PULL_BACK_OFF, restarts=1, last=ended_after(1000, 5000)),
            waiting("CreateContainerConfigError", restarts=1, last=ended_after(1000, 5000)),
        ],
    )
    def test_an_old_pod_that_starts_again(self, status: Json) -> None:
        """The patience begins when it ran last, not when the pod was made."""
        assert None is diagnose(pod("web-abc-1", status), 5059)
        assert diagnosed_type(pod("web-abc-1", status), 5060) is not None

    def test_after_a_long_init(self) -> None:
        """So it does when another container has just done its work."""
        done = terminated(termination(0, started=0, finished=300), name="migrate")
        thing = pod("web-abc-1", waiting(IMAGE_PULL_BACK_OFF), init=[done])

        assert None is diagnose(thing, 359)
        assert DiagnosisType.IMAGE_PULL_FAILING is diagnosed_type(thing, 360)

    @pytest.mark.parametrize("reason", ["StartError", "ContainerCannotRun"])
    def test_a_program_that_is_not_there(self, reason: str) -> None:
        """Each try is no life: the patience goes on."""
        status = crash_loop(4, termination(128, reason, started=99, finished=99))

        assert DiagnosisType.START_FAILING is diagnosed_type(pod("web-abc-1", status))

    def test_a_volume_that_does_not_come(self) -> None:
        """Told after the rollout's own deadline."""
        thing = pod("web-abc-1", waiting("ContainerCreating"))

        assert None is diagnose(thing, 599)
        assert DiagnosisType.START_FAILING is diagnosed_type(thing, 600)

    def test_no_node(self) -> None:
        """As long as every other start."""
        thing = pod(node="", phase="Pending", conditions=[unschedulable_condition("no room")])

        assert None is diagnose(thing, 59)
        assert DiagnosisType.UNSCHEDULABLE is diagnosed_type(thing, 60)


class TestHung:
    """A pod that runs, does not crash and is not ready."""

    @pytest.mark.parametrize(
        ("status", "since", "ill_at", "minutes"),
        [
            (running(10, ready=False), 0, 610, 10),
            (running(10, ready=False), 500, 800, 5),
            (running(400, ready=False, restarts=1, last=ended_after(300, 399)), 300, 700, 5),
        ],
        ids=["was never ready", "was ready", "was restarted"],
    )
    def test_for_too_long(self, status: Json, since: float, ill_at: float, minutes: int) -> None:
        """Since it was ready last, or since it runs; a first start may take a whole rollout."""
        thing = pod("web-abc-1", status, since=since)
        diagnosis = diagnose(thing, ill_at)

        assert None is diagnose(thing, ill_at - 1)
        assert diagnosis is not None
        message = f"runs but has not been ready for {minutes} minutes"
        assert (DiagnosisType.NOT_READY_TOO_LONG, message) == (diagnosis.type, diagnosis.message)

    def test_nobody_knows_since_when_it_is_unready(self) -> None:
        """Then since it runs."""
        thing = pod("web-abc-1", running(10, ready=False))
        del thing["status"]["conditions"][1]["lastTransitionTime"]

        assert None is diagnose(thing, 609)
        assert DiagnosisType.NOT_READY_TOO_LONG is diagnosed_type(thing, 610)

    def test_one_of_two_containers_does_not_run(self) -> None:
        """Then it does not hang: it starts, or that container tells what ails it."""
        thing = pod("web-abc-1", running(ready=False), waiting("ContainerCreating", name="proxy"))

        assert None is diagnosed_type(thing, 599)

    def test_a_startup_probe_gives_it_time(self) -> None:
        """An app that starts slowly and says so is killed by its probe, if need be, not by us."""
        slow = pod("web-abc-1", running(ready=False, started=False))
        started = pod("web-abc-1", running(ready=False, started=True))

        assert None is diagnose(slow, 3000)
        assert DiagnosisType.NOT_READY_TOO_LONG is diagnosed_type(started, 3000)


class TestNodes:
    """Pods that are in the hands of a node."""

    def test_a_silent_node(self) -> None:
        """At once: how long to wait is the remedy's matter."""
        lost = pod("web-abc-1", running(), ready=False, ready_reason="", since=50, node="node-7")

        assert DiagnosisType.NODE_LOST is diagnosed_type(lost, 50)

    @pytest.mark.parametrize(
        ("finalizers", "message"),
        [
            ([], "is stuck terminating: its node node-1 has not confirmed that it stopped"),
            (
                ["example.com/a", "example.com/b"],
                (
                    "is stuck terminating: the finalizer example.com/a, example.com/b blocks its "
                    "deletion"
                ),
            ),
        ],
    )
    def test_a_pod_that_does_not_go(self, finalizers: list[str], message: str) -> None:
        """A minute after its time to stop is over; who holds it is named."""
        deleted_pod = pod("web-abc-1", running(), deletionTimestamp=iso(30), finalizers=finalizers)
        diagnosis = diagnose(deleted_pod, 90)

        assert None is diagnose(deleted_pod, 89)
        assert diagnosis is not None
        assert (DiagnosisType.STUCK_TERMINATING, message) == (diagnosis.type, diagnosis.message)

    def test_a_pod_that_goes_crashing(self) -> None:
        """How it ends is nobody's concern any more."""
        deleted_pod = pod("web-abc-1", crash_loop(9, ended_after(5)), deletionTimestamp=iso(100))

        assert None is diagnose(deleted_pod)
