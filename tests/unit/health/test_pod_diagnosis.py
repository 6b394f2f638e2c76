"""Diagnoses of single pods: what has lasted for long enough, and what has not."""

from datetime import timedelta

import pytest

from selfhealing.cache.event_views import ContainerKillEvent
from selfhealing.cache.parse import pod_view
from selfhealing.cache.parse_events import pod_event
from selfhealing.health.crash_loops import CRASHLOOP_RESTARTS
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.pod_diagnosis import (
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
    """The diagnosis of one pod."""
    view, known_causes = pod_view(thing), causes or TerminationCauses()
    problem = find_pod_problem(view, known_causes, Deadlines(at(now)), DEADLINE)
    return diagnose_pod(view, problem, known_causes, Deadlines(at(now)), THRESHOLDS)


def diagnosed_type(
    thing: Json, now: float = 100, causes: TerminationCauses | None = None
) -> DiagnosisType | None:
    """The type of the diagnosis of one pod."""
    diagnosis = diagnose(thing, now, causes)
    return diagnosis.type if diagnosis else None


def ended_after(seconds: float, end: float = 100, code: int = 1, reason: str = "") -> Json:
    """The termination of a container after a run of some seconds."""
    return termination(code, reason, started=end - seconds, finished=end)


class TestNothing:
    """States without a diagnosis."""

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
    def test_healthy_or_finished(self, thing: Json) -> None:
        """A pod that is healthy, starts, or has finished."""
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
        """The kubelet's restart often is enough."""
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
        """Restarts of several weeks say nothing about now."""
        assert None is diagnose(pod("web-abc-1", status), now=8 * 24 * HOUR)

    def test_the_first_crash_beside_an_old_loop(self) -> None:
        """The restarts of two containers are not added."""
        long_ago = running(HOUR, name="proxy", restarts=50, last=ended_after(5, HOUR))

        assert None is diagnose(
            pod("web-abc-1", terminated(ended_after(5)), long_ago), now=9 * HOUR
        )
        assert None is diagnose(pod("web-abc-1", terminated(OOM), long_ago), now=9 * HOUR)


class TestLoops:
    """A container that crashes again and again."""

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
    def test_any_state_of_the_loop(self, status: Json) -> None:
        """The states of a crash loop give the same diagnosis."""
        assert DiagnosisType.CRASH_LOOPING is diagnosed_type(pod("web-abc-1", status))

    @pytest.mark.parametrize("ready", [True, False])
    @pytest.mark.parametrize(
        ("uptime", "since", "expected"),
        [(1, 11, True), (1, 13, False), (90, 189, True), (90, 191, False), (599, 1000, True)],
    )
    def test_a_slow_crash_loop(
        self, uptime: float, since: float, *, ready: bool, expected: bool
    ) -> None:
        """Between two crashes the container must run twice as long as before."""
        now = 10_000
        start = now - since
        back = running(
            start, ready=ready, restarts=CRASHLOOP_RESTARTS, last=ended_after(uptime, start - 1)
        )
        diagnosis_type = diagnosed_type(pod("web-abc-1", back, since=start), now)

        assert expected == (diagnosis_type is DiagnosisType.CRASH_LOOPING)

    def test_a_run_of_ten_minutes_is_no_loop(self) -> None:
        """The kubelet resets its back-off after such a run; here it is one in an hour."""
        assert None is diagnosed_type(
            pod(
                "web-abc-1",
                running(101, restarts=9, last=ended_after(600)),
                created=-10 * 3600,
            ),
            110,
        )

    def test_the_message(self) -> None:
        """It is the message of the problem, or of the last termination."""
        flapping = pod("web-abc-1", running(101, restarts=4, last=ended_after(90)))

        assert "has restarted 4 times, last after 1 min 30 s" == getattr(
            diagnose(flapping, 110), "message", ""
        )
        assert "keeps crashing, exit code 1" == getattr(
            diagnose(pod("web-abc-1", crash_loop(3, ended_after(5)))), "message", ""
        )

    def test_an_init_container(self) -> None:
        """An init container in a crash loop keeps the app from starting."""
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
        """A kill by a probe has another diagnosis than a crash."""
        kill = pod_event(probe_kill_event("web-abc-1", 99, probe=probe))
        assert isinstance(kill, ContainerKillEvent)

        assert DiagnosisType.LIVENESS_KILLED is diagnosed_type(
            pod("web-abc-1", status), 110, TerminationCauses([kill])
        )

    def test_the_event_is_gone(self) -> None:
        """The stored reason of the last termination is used."""
        key = ContainerKey("uid-of-web-abc-1", "app")
        causes = TerminationCauses((), {key: RecordedTermination(at(10), "LivenessProbe")})
        status = crash_loop(3, ended_after(30, code=137))

        assert DiagnosisType.LIVENESS_KILLED is diagnosed_type(
            pod("web-abc-1", status), causes=causes
        )


class TestMemory:
    """A container that runs out of memory."""

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
        """It takes fewer restarts than a crash loop: the remediation is known."""
        assert DiagnosisType.OOM_KILLED is diagnosed_type(pod("web-abc-1", status))

    def test_killed_without_a_reason(self) -> None:
        """SIGKILL alone is not an out-of-memory kill."""
        assert DiagnosisType.CRASH_LOOPING is diagnosed_type(
            pod("web-abc-1", crash_loop(3, ended_after(5, code=137)))
        )

    def test_containerd_reports_it_too_late(self) -> None:
        """After an out-of-memory kill, another SIGKILL counts as one, too."""
        causes = TerminationCauses(
            (), {ContainerKey("uid-of-web-abc-1", "app"): RecordedTermination(at(10), "OOMKilled")}
        )
        status = crash_loop(3, ended_after(5, code=137))

        assert DiagnosisType.OOM_KILLED is diagnosed_type(pod("web-abc-1", status), causes=causes)


class TestStarts:
    """A pod that does not start."""

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
    def test_start_grace(self, reason: str, expected: DiagnosisType) -> None:
        """A failure of less than a minute is no diagnosis."""
        thing = pod("web-abc-1", waiting(reason))

        assert None is diagnose(thing, 59)
        assert expected is diagnosed_type(thing, 60)

    def test_the_time_is_unknown(self) -> None:
        """Without a time there is no diagnosis."""
        assert None is diagnose(pod("web-abc-1", waiting(IMAGE_PULL_BACK_OFF), created=None))

    @pytest.mark.parametrize(
        "status",
        [
            waiting(IMAGE_PULL_BACK_OFF, restarts=1, last=ended_after(1000, 5000)),
            waiting("CreateContainerConfigError", restarts=1, last=ended_after(1000, 5000)),
        ],
    )
    def test_an_old_pod_that_starts_again(self, status: Json) -> None:
        """The grace starts with the end of the last run, not with the creation of the pod."""
        assert None is diagnose(pod("web-abc-1", status), 5059)
        assert diagnosed_type(pod("web-abc-1", status), 5060) is not None

    def test_after_a_long_init(self) -> None:
        """The grace starts with the end of an init container."""
        done = terminated(termination(0, started=0, finished=300), name="migrate")
        thing = pod("web-abc-1", waiting(IMAGE_PULL_BACK_OFF), init=[done])

        assert None is diagnose(thing, 359)
        assert DiagnosisType.IMAGE_PULL_FAILING is diagnosed_type(thing, 360)

    @pytest.mark.parametrize("reason", ["StartError", "ContainerCannotRun"])
    def test_a_missing_program(self, reason: str) -> None:
        """A failed start is no run, so the grace goes on."""
        status = crash_loop(4, termination(128, reason, started=99, finished=99))

        assert DiagnosisType.START_FAILING is diagnosed_type(pod("web-abc-1", status))

    def test_a_volume_that_is_not_mounted(self) -> None:
        """It is diagnosed after the progress deadline."""
        thing = pod("web-abc-1", waiting("ContainerCreating"))

        assert None is diagnose(thing, 599)
        assert DiagnosisType.START_FAILING is diagnosed_type(thing, 600)

    def test_no_node(self) -> None:
        """The same grace as for any other start."""
        thing = pod(node="", phase="Pending", conditions=[unschedulable_condition("no room")])

        assert None is diagnose(thing, 59)
        assert DiagnosisType.UNSCHEDULABLE is diagnosed_type(thing, 60)


class TestHung:
    """A pod that runs, does not crash, and is not ready."""

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
        """Since it was ready, or since it runs; a first start gets the progress deadline."""
        thing = pod("web-abc-1", status, since=since)
        diagnosis = diagnose(thing, ill_at)

        assert None is diagnose(thing, ill_at - 1)
        assert diagnosis is not None
        message = f"runs but has not been ready for {minutes} minutes"
        assert (DiagnosisType.NOT_READY_TOO_LONG, message) == (diagnosis.type, diagnosis.message)

    def test_the_time_it_became_unready_is_unknown(self) -> None:
        """Then the time counts since it runs."""
        thing = pod("web-abc-1", running(10, ready=False))
        del thing["status"]["conditions"][1]["lastTransitionTime"]

        assert None is diagnose(thing, 609)
        assert DiagnosisType.NOT_READY_TOO_LONG is diagnosed_type(thing, 610)

    def test_one_of_two_containers_does_not_run(self) -> None:
        """Then the pod does not hang: the other container has a problem, or starts."""
        thing = pod("web-abc-1", running(ready=False), waiting("ContainerCreating", name="proxy"))

        assert None is diagnosed_type(thing, 599)

    def test_a_startup_probe_gives_it_time(self) -> None:
        """The startup probe limits the start, so there is no diagnosis."""
        slow = pod("web-abc-1", running(ready=False, started=False))
        started = pod("web-abc-1", running(ready=False, started=True))

        assert None is diagnose(slow, 3000)
        assert DiagnosisType.NOT_READY_TOO_LONG is diagnosed_type(started, 3000)


class TestNodes:
    """Pods whose node does not answer, or does not stop them."""

    def test_an_unreachable_node(self) -> None:
        """It is diagnosed at once: the failover has a waiting time of its own."""
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
    def test_a_pod_that_is_stuck_terminating(self, finalizers: list[str], message: str) -> None:
        """A minute after its grace period; the message names the finalizer or the node."""
        deleted_pod = pod("web-abc-1", running(), deletionTimestamp=iso(30), finalizers=finalizers)
        diagnosis = diagnose(deleted_pod, 90)

        assert None is diagnose(deleted_pod, 89)
        assert diagnosis is not None
        assert (DiagnosisType.STUCK_TERMINATING, message) == (diagnosis.type, diagnosis.message)

    def test_a_deleted_pod_that_crashes(self) -> None:
        """The termination of a deleted pod does not matter."""
        deleted_pod = pod("web-abc-1", crash_loop(9, ended_after(5)), deletionTimestamp=iso(100))

        assert None is diagnose(deleted_pod)
