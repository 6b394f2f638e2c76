"""The text of a pod, its Events and its usage."""

from typing import Any

import pytest

from selfhealing.evidence.format import (
    MAX_LOGS,
    MAX_MESSAGE,
    LogSource,
    find_log_sources,
    format_events,
    format_pod,
    format_usage,
    one_line,
    without_log_messages,
    without_outputs,
)
from tests.unit import builders

Json = dict[str, Any]

OOM = builders.termination(137, "OOMKilled")


class TestSources:
    """Which logs are collected."""

    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            (builders.running(), []),
            (builders.running(ready=False), [False]),
            (builders.running(restarts=1, last=OOM), [True, False]),
            (builders.crash_loop(3, OOM), [True]),
            (builders.waiting("ImagePullBackOff"), []),
            (builders.terminated(builders.termination(1)), [False]),
            (builders.terminated(builders.termination(1), restarts=1, last=OOM), [True, False]),
            (builders.terminated(builders.termination(0), ready=True), []),
            ({"name": "app"}, []),
        ],
    )
    def test_the_runs_of_a_container(self, status: Json, expected: list[bool]) -> None:
        """The previous run comes first; a waiting container has no other log."""
        pod = {"metadata": {}, "status": {"containerStatuses": [status]}}

        assert [LogSource("app", previous) for previous in expected] == find_log_sources(pod)

    def test_failing_containers_come_first(self) -> None:
        """Then the other containers, then init containers."""
        pod = builders.pod(
            "web-abc-1",
            builders.running(name="proxy", restarts=1, last=OOM),
            builders.running(name="app", ready=False),
            init=[builders.terminated(builders.termination(1), name="setup")],
        )

        assert [
            LogSource("app", previous=False),
            LogSource("setup", previous=False),
            LogSource("proxy", previous=True),
            LogSource("proxy", previous=False),
        ] == find_log_sources(pod)

    def test_the_number_is_limited(self) -> None:
        """Otherwise each log would have room for one line only."""
        failing = [builders.running(name=f"c{number}", ready=False) for number in range(20)]

        assert MAX_LOGS == len(find_log_sources(builders.pod("web-abc-1", *failing)))

    def test_a_pod_without_a_status_has_none(self) -> None:
        """A pod that is not scheduled has no logs."""
        assert [] == find_log_sources({"metadata": {"name": "web-1"}})


class TestPods:
    """The text of a pod."""

    def test_all_fields(self) -> None:
        """In the order in which an engineer looks for them."""
        pod = builders.pod(
            "web-abc-1", builders.crash_loop(3, OOM), status={"qosClass": "Burstable"}
        )
        pod["spec"]["containers"][0]["resources"] = {
            "requests": {"cpu": "100m", "memory": "64Mi"},
            "limits": {"memory": "128Mi"},
        }

        assert [
            "uid uid-of-web-abc-1, created 2026-01-01T12:00:00Z",
            "node node-1 (10.0.0.1)",
            "phase Running",
            "Initialized=True since an unknown time",
            "Ready=False since 2026-01-01T12:00:00Z, ContainersNotReady",
            "container app: not ready, 3 restarts",
            "  image:  web:v1",
            (
                "  now:    waiting, CrashLoopBackOff: back-off 10s restarting failed container=app "
                "pod=web_shop(1)"
            ),
            (
                "  before: ended with exit code 137, SIGKILL, from 2026-01-01T12:00:00Z to "
                "2026-01-01T12:00:10Z, OOMKilled"
            ),
            "  requests: cpu 100m, memory 64Mi",
            "  limits: memory 128Mi",
        ] == format_pod(pod).splitlines()

    def test_the_amounts_in_force_are_those_of_the_status(self) -> None:
        """During a resize the spec and the status may differ."""
        status = {**builders.running(), "resources": {"limits": {"memory": "256Mi"}}}
        pod = builders.pod("web-abc-1", status)
        pod["spec"]["containers"][0]["resources"] = {"limits": {"memory": "512Mi"}}
        text = format_pod(pod)

        assert "limits: memory 256Mi" in text
        assert "requests: none" in text

    def test_missing_fields_are_no_error(self) -> None:
        """The API server omits empty fields."""
        assert [
            "uid , created at an unknown time",
            "node none (no address)",
            "phase unknown",
        ] == format_pod({"metadata": {"name": "web-1"}}).splitlines()

        text = format_pod(
            {"metadata": {}, "status": {"containerStatuses": [{"name": "app", "lastState": {}}]}}
        )

        assert "container app: not ready, 0 restarts\n  image:  None\n  now:    nothing" in text

    def test_a_pod_that_is_being_deleted(self) -> None:
        """And the reason why the pod failed."""
        pod = builders.evicted_pod("web-abc-1", message="low on memory; token=hunter2")
        pod["metadata"]["deletionTimestamp"] = builders.iso(30)
        text = format_pod(pod)

        assert "being deleted since 2026-01-01T12:00:30Z" in text
        assert "phase Failed, Evicted: low on memory; token=<redacted>" in text

    def test_running_and_ended_containers(self) -> None:
        """With the times, and with the termination message if there is one."""
        pod = builders.pod(
            "web-abc-1",
            builders.running(since=20),
            builders.terminated(
                builders.termination(1, message="password=hunter2 is wrong"), name="job"
            ),
        )
        text = format_pod(pod)

        assert "container app: ready, 0 restarts" in text
        assert "now:    running since 2026-01-01T12:00:20Z" in text
        assert "ended with exit code 1, from" in text
        assert ", Error: password=<redacted> is wrong" in text


class TestEvents:
    """The text of Events."""

    def test_they_are_in_the_order_of_their_last_time(self) -> None:
        """The field of the time depends on the version of the reporter."""
        events: list[Json] = [
            {"lastTimestamp": builders.iso(50), "count": 4, "type": "Warning", "reason": "BackOff"},
            {
                "series": {"lastObservedTime": "2026-01-01T12:00:40.123456Z", "count": 3},
                "eventTime": "2026-01-01T12:00:01.000000Z",
                "reason": "Unhealthy",
                "type": "Warning",
            },
            {"eventTime": "2026-01-01T12:00:30.000001Z", "reason": "Scheduled", "message": "ok"},
            {"firstTimestamp": builders.iso(20), "reason": "Pulled", "message": "a\nb"},
            {"metadata": {"creationTimestamp": builders.iso(10)}, "reason": "Created"},
            {"reason": "Unknown", "count": None},
        ]

        assert [
            "Z Normal Unknown: ",
            "2026-01-01T12:00:10Z Normal Created: ",
            "2026-01-01T12:00:20Z Normal Pulled: a b",
            "2026-01-01T12:00:30Z Normal Scheduled: ok",
            "2026-01-01T12:00:40Z Warning Unhealthy (3 times): ",
            "2026-01-01T12:00:50Z Warning BackOff (4 times): ",
        ] == format_events([{"metadata": {}, **event} for event in events]).splitlines()

    def test_no_events(self) -> None:
        """Events expire after an hour."""
        assert "" == format_events([])


def test_a_long_message_keeps_its_end() -> None:
    """The cause is at the end; and the message is redacted before it is cut."""
    text = one_line("password=" + "x" * 400 + " and then " * 100 + "the cause")

    assert text.startswith("password=<redacted> and then")
    assert text.endswith("the cause")
    assert MAX_MESSAGE + 3 == len(text)


def test_usage() -> None:
    """A line for each container, also for one without a measurement."""
    app = {"name": "app", "usage": {"memory": "46080Ki", "cpu": "12m"}}

    assert "app: cpu 12m, memory 46080Ki\nproxy: not measured" == format_usage(
        [app, {"name": "proxy"}]
    )


def test_a_message_from_the_log_is_left_out() -> None:
    """Of a container whose policy takes it from the log, and of no other one."""
    ended = {"exitCode": 1, "message": "ERROR customer Jane", "reason": "Error"}
    statuses = [
        {"name": name, "state": {"terminated": ended}, "lastState": {"terminated": ended}}
        for name in ("app", "proxy")
    ]
    containers = [
        {"name": "app", "terminationMessagePolicy": "FallbackToLogsOnError"},
        {"name": "proxy"},
    ]
    pod = {
        "metadata": {"name": "web-1"},
        "spec": {"containers": containers},
        "status": {"containerStatuses": [*statuses, {"name": "app", "state": {"running": {}}}]},
    }

    found = without_log_messages(pod)

    app, proxy, running = found["status"]["containerStatuses"]
    assert "Jane" not in str(app)
    assert "Error" == app["lastState"]["terminated"]["reason"]
    assert (statuses[1], {"name": "app", "state": {"running": {}}}) == (proxy, running)
    assert {"metadata": {}, "status": {}} == without_log_messages({"metadata": {}})


COMMAND, REQUEST = {"exec": {"command": ["check"]}}, {"httpGet": {"port": 80}}


@pytest.mark.parametrize(
    ("reason", "message", "probes", "is_kept"),
    [
        ("Unhealthy", "Liveness probe failed: customer Jane", {"livenessProbe": COMMAND}, False),
        ("Unhealthy", "Liveness probe errored: customer Jane", {"livenessProbe": COMMAND}, False),
        ("Unhealthy", "Readiness probe failed: Jane", {"readinessProbe": REQUEST}, True),
        (
            "Unhealthy",
            "Readiness probe failed: Jane",
            {"readinessProbe": REQUEST, "livenessProbe": COMMAND},
            True,
        ),
        ("Unhealthy", "Startup probe failed: Jane", {}, False),
        ("Unhealthy", "Something else: Jane", {"livenessProbe": REQUEST}, False),
        ("ProbeWarning", "Liveness probe warning: Jane", {"livenessProbe": REQUEST}, False),
        ("FailedPostStartHook", "Exec lifecycle hook failed - error: Jane", {}, False),
        ("BackOff", "Back-off restarting: Jane", {}, True),
    ],
)
def test_an_event_that_quotes_a_container(
    reason: str, message: str, probes: dict[str, Any], *, is_kept: bool
) -> None:
    """Its output is as good as a log line."""
    event = {"reason": reason, "message": message, "metadata": {}}
    pod = {"spec": {"containers": [{"name": "app", **probes}]}}

    [found] = without_outputs([event], pod)

    assert is_kept == ("Jane" in found["message"])
    assert found["message"].startswith(message.partition(": ")[0])


def test_an_event_without_a_message_quotes_nothing() -> None:
    """Nothing is made of it."""
    event = {"reason": "ProbeWarning", "metadata": {}}

    assert [event] == without_outputs([event], {})
