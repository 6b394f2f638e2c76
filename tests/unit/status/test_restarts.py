"""Counting restarts: new restarts, their reasons, and the stored entries."""

import pytest

from selfhealing.api.status import CountedRestarts, PodRestart, RestartsStatus
from selfhealing.status import restarts
from selfhealing.status.restarts import Restart
from tests.unit import builders
from tests.unit.builders import at, crash_loop, pod, probe_kill_event, running, termination
from tests.unit.snapshots import Json, build_snapshot


def count_once(
    previous: RestartsStatus | None, *objects: Json
) -> tuple[RestartsStatus, tuple[Restart, ...]]:
    """Count once."""
    snapshot = build_snapshot(*objects)
    return restarts.count_restarts(
        previous, snapshot, restarts.collect_termination_causes(previous, snapshot)
    )


def make_restarted_pod(
    reason: str = "Error", restart_count: int = 1, finished: float = 10, *, uid: str = "web-abc-1"
) -> Json:
    """The pod web-abc-1 with ``number`` restarts."""
    end = termination(137, reason, started=0, finished=finished)
    return pod(
        "web-abc-1", running(finished + 1, restarts=restart_count, last=end), uid=f"uid-of-{uid}"
    )


def test_nothing() -> None:
    """Pods without restarts give an empty status.restarts without entries."""
    assert (RestartsStatus(), ()) == count_once(None, pod("web-abc-1", running()))


def test_the_first_restart() -> None:
    """It is counted, reported with its exit code, and gets an entry."""
    found, news = count_once(None, make_restarted_pod())

    assert (
        RestartsStatus(
            current=1,
            total=1,
            by_reason={"Error": 1},
            last=PodRestart(
                pod="web-abc-1", container="app", reason="Error", exit_code=137, at=at(10)
            ),
            counted=[
                CountedRestarts(
                    pod="web-abc-1",
                    uid="uid-of-web-abc-1",
                    container="app",
                    count=1,
                    reason="Error",
                    finished_at=at(10),
                )
            ],
        )
        == found
    )
    assert (Restart("web-abc-1", "app", "Error", 137, 1),) == news


def test_restarts_between_two_counts() -> None:
    """A pod has only its last termination; the other reasons are Unknown."""
    found, news = count_once(None, make_restarted_pod("OOMKilled", 3))

    assert {"OOMKilled": 1, "Unknown": 2} == found.by_reason
    assert [3] == [restart.count for restart in news]


def test_a_restart_without_a_termination() -> None:
    """It is counted, with the reason Unknown."""
    found, news = count_once(None, pod("web-abc-1", running(restarts=1)))

    assert {"Unknown": 1} == found.by_reason
    assert (Restart("web-abc-1", "app", "Unknown", None, 1),) == news
    assert found == count_once(found, pod("web-abc-1", running(restarts=1)))[0]


def test_deleted_pods_stay_in_the_total() -> None:
    """``current`` counts existing pods, ``total`` all pods ever."""
    before, _ = count_once(None, make_restarted_pod(restart_count=2))
    found, news = count_once(before)

    assert (0, 2) == (found.current, found.total)
    assert () == news


def test_a_pod_of_the_same_name_is_another_one() -> None:
    """Entries are identified by UID."""
    before, _ = count_once(None, make_restarted_pod())
    found, _ = count_once(before, make_restarted_pod(uid="another", finished=50))

    assert (1, 2) == (found.current, found.total)


def test_an_init_container_counts_until_it_is_through() -> None:
    """As in kubectl: only while the pod initializes."""
    failing = crash_loop(2, termination(1), name="migrate")
    through = builders.terminated(
        termination(0), name="migrate", restarts=2, last=termination(1), ready=True
    )

    before, _ = count_once(
        None, pod("web-abc-1", builders.waiting("PodInitializing"), init=[failing])
    )
    found, news = count_once(before, pod("web-abc-1", running(), init=[through]))

    assert (2, 2) == (before.current, before.total)
    assert (0, 2, ()) == (found.current, found.total, news)


@pytest.mark.parametrize(
    ("killed", "reason"),
    [
        (0, "LivenessProbe"),
        (10, "LivenessProbe"),
        (11, "LivenessProbe"),
        (12, "Error"),
    ],
)
def test_a_kill_belongs_to_the_run_it_ended(killed: float, reason: str) -> None:
    """From the start to one second after the end: times are whole seconds."""
    found, _ = count_once(None, make_restarted_pod(), probe_kill_event("web-abc-1", killed))

    assert {reason: 1} == found.by_reason


def test_a_kill_before_the_run() -> None:
    """An Event older than the run belongs to another termination."""
    end = termination(1, started=20, finished=30)
    found, _ = count_once(
        None, pod("web-abc-1", running(31, restarts=1, last=end)), probe_kill_event("web-abc-1", 19)
    )

    assert {"Error": 1} == found.by_reason


def test_one_kill_ends_one_run() -> None:
    """A container may start again within the second of its kill."""
    kill = probe_kill_event("web-abc-1", 10)
    before, _ = count_once(None, make_restarted_pod(), kill)
    crashed = termination(1, started=10, finished=60)
    found, _ = count_once(before, pod("web-abc-1", running(61, restarts=2, last=crashed)), kill)

    assert {"LivenessProbe": 1, "Error": 1} == found.by_reason


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (termination(137, started=11, finished=60), "LivenessProbe"),
        (termination(143, started=11, finished=60), "LivenessProbe"),
        (termination(1, started=11, finished=60), "Error"),
        (termination(137, "OOMKilled", started=11, finished=60), "OOMKilled"),
    ],
)
def test_a_probe_that_has_killed_before(end: Json, reason: str) -> None:
    """A kubelet drops Events of a busy pod, so the cause of the previous kill is used."""
    before, _ = count_once(None, make_restarted_pod(), probe_kill_event("web-abc-1", 9))
    found, _ = count_once(before, pod("web-abc-1", running(61, restarts=2, last=end)))

    assert reason == found.counted[0].reason


def test_a_kill_without_a_previous_cause() -> None:
    """A signal alone does not show who sent it."""
    before, _ = count_once(None, make_restarted_pod())
    end = termination(137, started=11, finished=60)
    found, _ = count_once(before, pod("web-abc-1", running(61, restarts=2, last=end)))

    assert {"Error": 2} == found.by_reason


def test_out_of_memory_has_priority() -> None:
    """A container that the kernel killed did not fail a probe."""
    found, _ = count_once(None, make_restarted_pod("OOMKilled"), probe_kill_event("web-abc-1", 9))

    assert {"OOMKilled": 1} == found.by_reason


def test_a_termination_without_times() -> None:
    """A kill cannot be assigned to it."""
    end = termination(137, "ContainerStatusUnknown", started=None, finished=None)
    found, _ = count_once(
        None, pod("web-abc-1", running(restarts=1, last=end)), probe_kill_event("web-abc-1", 5)
    )

    assert {"ContainerStatusUnknown": 1} == found.by_reason


def test_a_late_kill_moves_one_count() -> None:
    """The Event may come after the restart was counted."""
    before, _ = count_once(None, make_restarted_pod())
    found, news = count_once(before, make_restarted_pod(), probe_kill_event("web-abc-1", 9))

    assert ({"LivenessProbe": 1}, 1, ()) == (found.by_reason, found.total, news)
    assert "LivenessProbe" == (found.last and found.last.reason)
    assert "LivenessProbe" == found.counted[0].reason


def test_a_late_kill_of_another_container() -> None:
    """status.restarts.last is corrected only if it is the same restart."""
    other = pod("web-abc-2", running(101, restarts=1, last=termination(1, finished=100)))
    before, _ = count_once(None, make_restarted_pod(), other)
    found, _ = count_once(before, make_restarted_pod(), other, probe_kill_event("web-abc-1", 9))

    assert {"LivenessProbe": 1, "Error": 1} == found.by_reason
    assert ("web-abc-2", "Error") == (found.last and (found.last.pod, found.last.reason))


def test_a_stored_reason_outlives_its_event() -> None:
    """An Event is kept for an hour, a container may run for a year."""
    before, _ = count_once(None, make_restarted_pod(), probe_kill_event("web-abc-1", 9))
    found, _ = count_once(before, make_restarted_pod())

    assert {"LivenessProbe": 1} == found.by_reason
    assert before == found


def test_waiting_for_the_next_start() -> None:
    """A waiting container has a termination, and a kill, that is not counted yet."""
    before, _ = count_once(None, make_restarted_pod())
    waits = crash_loop(1, termination(137, started=11, finished=50))
    found, news = count_once(before, pod("web-abc-1", waits), probe_kill_event("web-abc-1", 49))

    assert ({"Error": 1}, ()) == (found.by_reason, news)


def test_waiting_after_two_terminations_within_a_second() -> None:
    """The second one does not change the reason of the first one."""
    before, _ = count_once(None, make_restarted_pod())
    found, news = count_once(before, pod("web-abc-1", crash_loop(1, termination(137, "OOMKilled"))))

    assert ({"Error": 1}, ()) == (found.by_reason, news)


def test_a_kubelet_that_lost_its_count() -> None:
    """If the count restarts at 0, the total neither decreases nor jumps."""
    before, _ = count_once(None, make_restarted_pod(restart_count=5))
    forgot, _ = count_once(before, pod("web-abc-1", running(20)))
    again, _ = count_once(
        forgot, pod("web-abc-1", running(41, restarts=1, last=termination(started=20, finished=40)))
    )

    assert (0, 5) == (forgot.current, forgot.total)
    assert (1, 6) == (again.current, again.total)


def test_a_kubelet_that_lost_its_count_and_a_restart_since() -> None:
    """A restart that is seen together with the loss counts."""
    before, _ = count_once(None, make_restarted_pod(restart_count=5))
    found, news = count_once(
        before, pod("web-abc-1", running(41, restarts=2, last=termination(started=20, finished=40)))
    )

    assert (2, 6, 1) == (found.current, found.total, len(news))


def test_a_stale_cache_after_a_start() -> None:
    """A snapshot that is older than the status adds nothing, then or later."""
    before, _ = count_once(None, make_restarted_pod(restart_count=5, finished=50))
    old, _ = count_once(before, make_restarted_pod(restart_count=4, finished=30))
    new, _ = count_once(old, make_restarted_pod(restart_count=5, finished=50))

    assert (5, 5) == (old.total, new.total)


def test_a_lower_count_than_that_of_an_unknown_termination() -> None:
    """Nobody knows whether the kubelet has lost its count: nothing is added, then or later."""
    before, _ = count_once(None, pod("web-abc-1", running(restarts=2)))
    found, _ = count_once(before, make_restarted_pod())
    again, news = count_once(found, make_restarted_pod())

    assert (2, ()) == (again.total, news)
    assert found == again


def test_reasons_beyond_the_limit() -> None:
    """The number of reasons is limited; others count as Other, also when corrected."""
    crowded = RestartsStatus(total=29, by_reason={f"Reason{i}": 1 for i in range(29)})
    found, _ = count_once(crowded, make_restarted_pod("Strange"))
    moved, _ = count_once(found, make_restarted_pod("Strange"), probe_kill_event("web-abc-1", 9))

    assert (1, 30) == (found.by_reason.get("Other"), sum(found.by_reason.values()))
    assert found.by_reason == moved.by_reason


def test_a_reason_that_is_not_counted() -> None:
    """A reason that byReason does not have is not corrected."""
    before, _ = count_once(None, make_restarted_pod())
    broken = before.model_copy(update={"by_reason": {}})
    found, _ = count_once(broken, make_restarted_pod(), probe_kill_event("web-abc-1", 9))

    assert {} == found.by_reason


def test_an_entry_without_a_reason() -> None:
    """An entry of an older operator counts, and gets its reason now."""
    before, _ = count_once(None, make_restarted_pod())
    older = before.model_copy(
        update={
            "counted": [before.counted[0].model_copy(update={"reason": None})],
            "by_reason": {"Unknown": 1},
        }
    )
    found, news = count_once(older, make_restarted_pod())

    assert ({"Error": 1}, ()) == (found.by_reason, news)


def test_the_most_recent_restart() -> None:
    """It is the latest termination, also if others are counted later."""
    late = pod("web-abc-2", running(101, restarts=1, last=termination(finished=100)))
    before, _ = count_once(None, late)
    found, _ = count_once(before, late, make_restarted_pod())

    assert "web-abc-2" == (found.last and found.last.pod)


def test_the_order_of_the_entries() -> None:
    """The containers with the most restarts come first."""
    found, _ = count_once(
        None,
        pod(
            "web-abc-1", running(restarts=1, last=termination()), running(restarts=7, name="proxy")
        ),
        pod("web-abc-2", running(restarts=3, last=termination())),
    )

    assert [7, 3, 1] == [entry.count for entry in found.counted]


def test_beyond_the_limit_without_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an entry only a later termination is a new restart."""
    monkeypatch.setattr(restarts, "MAX_COUNTED", 1)
    first = pod("web-abc-1", running(restarts=1))
    second = pod("web-abc-2", running(restarts=1))
    before, _ = count_once(None, first, second)
    found, news = count_once(before, first, second)

    assert (2, 2, ()) == (before.total, found.total, news)


def test_another_termination_within_the_same_second() -> None:
    """Times are whole seconds: the reason of the termination itself is used."""
    before, _ = count_once(None, make_restarted_pod("Error"))

    found, _ = count_once(before, make_restarted_pod("OOMKilled", 2))

    assert {"Error": 1, "OOMKilled": 1} == found.by_reason


def test_a_kubelet_that_reports_no_last_termination() -> None:
    """The restart counts as Unknown; the entry keeps the termination whose cause is known."""
    killed = pod("web-abc-1", crash_loop(1, termination(1)))
    first, _ = count_once(None, killed, probe_kill_event("web-abc-1", 9))
    second, new_restarts = count_once(first, pod("web-abc-1", builders.running(restarts=2)))

    assert ["Unknown"] == [restart.reason for restart in new_restarts]
    assert {"LivenessProbe": 1, "Unknown": 1} == second.by_reason
    (entry,) = second.counted
    assert (2, "LivenessProbe", at(10)) == (entry.count, entry.reason, entry.finished_at)


def test_a_termination_that_is_reported_late() -> None:
    """Under load a kubelet may report the restart first; it is corrected, not counted again."""
    first, _ = count_once(None, pod("web-abc-1", running(11, restarts=1)))
    end = termination(137, finished=10)
    second, new_restarts = count_once(
        first,
        pod("web-abc-1", running(11, restarts=1, last=end)),
        probe_kill_event("web-abc-1", 9),
    )

    assert {"Unknown": 1} == first.by_reason
    assert () == new_restarts
    assert ({"LivenessProbe": 1}, 1) == (second.by_reason, second.total)
    assert PodRestart(
        pod="web-abc-1", container="app", reason="LivenessProbe", exit_code=137, at=at(10)
    ) == (second.last)


def test_a_back_off_reports_the_next_termination() -> None:
    """It is not taken for the one that was counted without a termination."""
    first, _ = count_once(None, pod("web-abc-1", running(11, restarts=1)))
    second, _ = count_once(first, pod("web-abc-1", crash_loop(1, termination(1, finished=20))))

    assert {"Unknown": 1} == second.by_reason


@pytest.mark.parametrize(
    ("killed", "started", "reason"),
    [
        (9, 11, "LivenessProbe"),
        (12, 11, "LivenessProbe"),
        (13, 11, "Unknown"),
        (9, None, "Unknown"),
    ],
    ids=["before the start", "within the second", "after the start", "not running"],
)
def test_a_kill_tells_of_a_termination_that_the_kubelet_has_removed(
    killed: float, started: float | None, reason: str
) -> None:
    """Once a minute it removes dead containers, also the last one of a pod that is restarted."""
    run = running(started, restarts=1) if started else builders.waiting("x", restarts=1)
    found, _ = count_once(None, pod("web-abc-1", run), probe_kill_event("web-abc-1", killed))

    assert {reason: 1} == found.by_reason
    assert reason == (found.last and found.last.reason)


def test_a_kill_of_an_earlier_restart_tells_of_no_removed_termination() -> None:
    kill = probe_kill_event("web-abc-1", 9)
    with_termination, _ = count_once(None, make_restarted_pod(), kill)
    without, _ = count_once(None, pod("web-abc-1", running(11, restarts=1)), kill)
    again = pod("web-abc-1", running(30, restarts=2))

    for before in (with_termination, without):
        found, _ = count_once(before, again, kill)
        assert {"LivenessProbe": 1, "Unknown": 1} == found.by_reason


def test_a_kill_after_an_earlier_restart_tells_of_a_removed_termination() -> None:
    before, _ = count_once(None, make_restarted_pod())
    again = pod("web-abc-1", running(30, restarts=2))
    found, _ = count_once(before, again, probe_kill_event("web-abc-1", 29))

    assert {"Error": 1, "LivenessProbe": 1} == found.by_reason


def test_a_termination_that_is_reported_after_its_kill() -> None:
    """Its time is kept, so that the kill does not tell of the next one, too."""
    kill = probe_kill_event("web-abc-1", 9)
    first, _ = count_once(None, pod("web-abc-1", running(11, restarts=1)), kill)
    end = termination(137, finished=10)
    second, _ = count_once(first, pod("web-abc-1", running(11, restarts=1, last=end)), kill)

    assert {"LivenessProbe": 1} == first.by_reason == second.by_reason
    assert (None, at(10)) == (first.counted[0].finished_at, second.counted[0].finished_at)
