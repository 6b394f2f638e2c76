"""Raw objects are parsed into views; missing fields become empty values."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from selfhealing.api.status import UNOBSERVED_STATUS
from selfhealing.cache.event_views import ContainerKillEvent
from selfhealing.cache.parse import (
    app_view,
    key_of_app,
    key_of_child,
    key_of_pod,
    parse_resource_version,
    parse_time,
    pod_view,
)
from selfhealing.cache.parse_events import pod_event
from selfhealing.cache.views import (
    MAX_STATUS_BYTES,
    AppKey,
    AppView,
    ContainerView,
    PodView,
    ResourceQuantities,
    Termination,
)
from tests.unit import builders
from tests.unit.builders import (
    at,
    iso,
    job_pod,
    pod,
    pod_stop_event,
    probe_kill_event,
    running,
    terminated,
    termination,
    unreachable_toleration,
    waiting,
)
from tests.unit.snapshots import Json

BARE = {"namespace": "shop", "name": "web", "uid": "u"}


def resize_condition(kind: str, reason: str, message: str, *, status: str = "True") -> Json:
    """Return a condition of a pod that is resized."""
    return {"type": kind, "status": status, "reason": reason, "message": message}


class TestKeys:
    """The key of the app that an object belongs to."""

    def test_app(self) -> None:
        """The key is its own namespace and name."""
        assert AppKey("shop", "web") == key_of_app(builders.app())
        assert "shop/web" == str(key_of_app(builders.app()))

    def test_child(self) -> None:
        """The key has the child's name, whatever its label says."""
        child = builders.service(labels={"selfhealing.dev/app": "other"})

        assert AppKey("shop", "web") == key_of_child(child)

    @pytest.mark.parametrize(
        ("labels", "expected"),
        [
            ({"selfhealing.dev/app": "web"}, AppKey("shop", "web")),
            ({"selfhealing.dev/app": ""}, None),
            ({"app": "web"}, None),
            (None, None),
        ],
    )
    def test_pod(self, labels: Json | None, expected: AppKey | None) -> None:
        """The key has the name in the pod's label."""
        assert expected == key_of_pod({"metadata": {**BARE, "labels": labels}})


class TestApps:
    """A SelfHealingApp."""

    def test_all_of_it(self) -> None:
        """Spec and status are kept as compact JSON."""
        thing = builders.app(
            {"image": "a"},
            {"phase": "Ready"},
            deletionTimestamp=iso(0),
            annotations={"selfhealing.dev/approve": "r-1", "selfhealing.dev/resume": "2", "x": "y"},
        )

        assert AppView(
            key=AppKey("shop", "web"),
            uid="uid-of-web",
            resource_version=1,
            generation=1,
            deleting=True,
            approve="r-1",
            resume="2",
            spec=b'{"image":"a"}',
            status=b'{"phase":"Ready"}',
        ) == app_view(thing)  # fmt: skip

    def test_nothing_but_a_name(self) -> None:
        """A missing field becomes an empty value."""
        assert AppView(AppKey("shop", "web"), "u", 0, 0, False, "", "", b"{}", b"{}") == app_view(
            {"metadata": BARE}
        )

    def test_a_status_that_no_operator_writes(self) -> None:
        """Only its size is kept."""
        found = app_view(builders.app(status={"message": "m" * MAX_STATUS_BYTES}))

        assert b"" == found.status
        assert MAX_STATUS_BYTES < found.oversized_status

    def test_the_default_status_is_none(self) -> None:
        """The API server has written it, and no operator has seen the app."""
        unseen = {"metadata": BARE, "status": dict(UNOBSERVED_STATUS)}
        seen = {"metadata": BARE, "status": {"observedGeneration": 1}}

        assert app_view({"metadata": BARE}) == app_view(unseen)
        assert b'{"observedGeneration":1}' == app_view(seen).status

    def test_long_annotations_are_cut(self) -> None:
        """An annotation may be of any length."""
        found, other = (
            app_view(builders.app(annotations={"selfhealing.dev/resume": text}))
            for text in ("m" * 5000, "m" * 4999)
        )

        assert 64 == len(found.resume) == len(other.resume)
        assert found.resume != other.resume


class TestPods:
    """A pod."""

    def test_nothing_but_a_name(self) -> None:
        """A pod without spec and status."""
        assert PodView(
            uid="u",
            name="web",
            resource_version=0,
            node="",
            host_ip="",
            phase="Pending",
            reason="",
            message="",
            ready=False,
            ready_since=None,
            ready_reason="",
            initialized=False,
            created=None,
            deleting=False,
            deleted_at=None,
            finalizers=(),
            template_hash="",
            controller_uid="",
            restart_policy="Always",
            unschedulable="",
            unreachable_toleration_seconds=0,
            has_persistent_volumes=False,
            disruption="",
            containers=(),
        ) == pod_view({"metadata": BARE})  # fmt: skip

    @pytest.mark.parametrize("labels", [{}, {"selfhealing.dev/name": "web"}])
    def test_the_label_that_replaces_app(self, labels: dict[str, str]) -> None:
        """A NetworkPolicy selects by it."""
        assert bool(labels) is pod_view({"metadata": {**BARE, "labels": labels}}).is_marked

    @pytest.mark.parametrize(
        ("tolerations", "expected"),
        [
            ([], 0),
            ([unreachable_toleration()], 300),
            ([unreachable_toleration(None)], None),
            ([unreachable_toleration(-5)], 0),
            ([unreachable_toleration(20), unreachable_toleration(300)], 20),
            ([unreachable_toleration(key="node.kubernetes.io/not-ready")], 0),
            ([unreachable_toleration(effect="NoSchedule")], 0),
            ([{"operator": "Exists"}], None),
            ([unreachable_toleration(7, key="", effect="")], 7),
            ([unreachable_toleration(7, operator="Equal")], 7),
            ([unreachable_toleration(7, operator="Equal", value="x")], 0),
        ],
    )
    def test_unreachable_toleration_seconds(
        self, tolerations: list[Json], expected: int | None
    ) -> None:
        """The first matching toleration counts; without one it is 0 seconds."""
        thing = pod("web-abc-1", running(), tolerations=tolerations)

        assert expected == pod_view(thing).unreachable_toleration_seconds

    def test_all_of_it(self) -> None:
        """All fields of the view are read."""
        thing = pod(
            "web-abc-1",
            waiting("CrashLoopBackOff", "back-off", restarts=2, last=termination(137, "OOMKilled")),
            running(5, name="proxy"),
            init=[terminated(termination(0), name="migrate")],
            since=7,
            created=1,
            status={"reason": "NodeLost", "message": "gone"},
            memory_limit="64Mi",
            applied_memory_limit="32Mi",
            volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
            deletionTimestamp=iso(30),
            finalizers=["example.com/slow"],
        )

        assert PodView(
            uid="uid-of-web-abc-1",
            name="web-abc-1",
            resource_version=1,
            node="node-1",
            host_ip="10.0.0.1",
            phase="Running",
            reason="NodeLost",
            message="gone",
            ready=False,
            ready_since=at(7),
            ready_reason="ContainersNotReady",
            initialized=True,
            created=at(1),
            deleting=True,
            deleted_at=at(30),
            finalizers=("example.com/slow",),
            template_hash="abc",
            controller_uid="uid-of-web-abc",
            restart_policy="Always",
            unschedulable="",
            unreachable_toleration_seconds=0,
            has_persistent_volumes=True,
            disruption="",
            containers=(
                ContainerView(
                    name="migrate",
                    image="web:v1",
                    probes=(),
                    is_init=True,
                    ready=False,
                    restarts=0,
                    waiting_reason="",
                    waiting_message="",
                    running_since=None,
                    starting=False,
                    terminated=Termination("Completed", 0, at(0), at(10)),
                    last_termination=None,
                ),
                ContainerView(
                    name="app",
                    image="web:v1",
                    probes=(),
                    is_init=False,
                    ready=False,
                    restarts=2,
                    waiting_reason="CrashLoopBackOff",
                    waiting_message="back-off",
                    running_since=None,
                    starting=False,
                    terminated=None,
                    last_termination=Termination("OOMKilled", 137, at(0), at(10)),
                    limits=ResourceQuantities("1", "64Mi"),
                    applied_limits=ResourceQuantities("1", "32Mi"),
                ),
                ContainerView(
                    name="proxy",
                    image="web:v1",
                    probes=(),
                    is_init=False,
                    ready=True,
                    restarts=0,
                    waiting_reason="",
                    waiting_message="",
                    running_since=at(5),
                    starting=False,
                    terminated=None,
                    last_termination=None,
                    limits=ResourceQuantities("1", "64Mi"),
                    applied_limits=ResourceQuantities("1", "32Mi"),
                ),
            ),
        ) == pod_view(thing)  # fmt: skip

    def test_a_sidecar_is_no_init_container(self) -> None:
        """An init container with restartPolicy Always is a sidecar."""
        thing = pod(
            "web-abc-1",
            running(),
            init=[running(name="proxy")],
            init_spec=[{"name": "proxy", "image": "proxy:v1", "restartPolicy": "Always"}],
        )

        assert [("proxy", "proxy:v1", False), ("app", "web:v1", False)] == [
            (c.name, c.image, c.is_init) for c in pod_view(thing).containers
        ]

    @pytest.mark.parametrize(("status", "expected"), [("False", "no room"), ("True", "")])
    def test_unschedulable(self, status: str, expected: str) -> None:
        """The message is kept only while PodScheduled is False."""
        condition = builders.unschedulable_condition("no room") | {"status": status}

        assert expected == pod_view(pod(conditions=[condition])).unschedulable

    @pytest.mark.parametrize("resources", [None, {}, {"limits": None}, {"limits": {"cpu": "1"}}])
    def test_no_memory_limit(self, resources: Json | None) -> None:
        """Neither the spec nor the status has one."""
        thing = pod("web-abc-1", running() | {"resources": resources})
        thing["spec"]["containers"][0]["resources"] = resources
        view = pod_view(thing)

        container = view.find_container("app")
        assert container is not None
        assert ("", "") == (container.limits.memory, container.applied_limits.memory)

    def test_limits_of_a_sidecar(self) -> None:
        """An init container that keeps running has limits of its own."""
        resources = {"limits": {"memory": "64Mi", "cpu": 1}}
        view = pod_view(
            pod(
                "web-abc-1",
                running(),
                init=[running(name="proxy") | {"resources": {"limits": {"memory": "32Mi"}}}],
                init_spec=[{"name": "proxy", "restartPolicy": "Always", "resources": resources}],
            )
        )
        sidecar = view.find_container("proxy")

        assert sidecar is not None
        assert (("1", "64Mi"), ("", "32Mi")) == (sidecar.limits, sidecar.applied_limits)
        assert view.find_container("other") is None

    @pytest.mark.parametrize(
        ("conditions", "expected"),
        [
            ([resize_condition("PodResizePending", "Infeasible", "too much")], "Infeasible"),
            ([resize_condition("PodResizePending", "Deferred", "too much")], "Deferred"),
            ([resize_condition("PodResizeInProgress", "Error", "too much")], "Error"),
            ([resize_condition("PodResizeInProgress", "", "")], ""),
            ([resize_condition("PodResizePending", "Deferred", "", status="False")], ""),
            ([], ""),
        ],
    )
    def test_pending_resize(self, conditions: list[Json], expected: str) -> None:
        """Only what keeps a resize from being carried out has a reason."""
        view = pod_view(pod("web-abc-1", running(), conditions=conditions))

        assert (expected, "too much" if expected else "") == (
            view.resize_reason,
            view.resize_message,
        )

    @pytest.mark.parametrize(
        ("volume", "expected"),
        [
            ({"persistentVolumeClaim": {"claimName": "data"}}, True),
            ({"ephemeral": {"volumeClaimTemplate": {}}}, True),
            ({"emptyDir": {}}, False),
            ({"configMap": {"name": "settings"}}, False),
        ],
    )
    def test_has_persistent_volumes(self, volume: Json, expected: bool) -> None:  # noqa: FBT001 - a value of the table
        """Both kinds of volumes with a claim count."""
        thing = pod("web-abc-1", running(), volumes=[{"name": "tmp", "emptyDir": {}}, volume])

        assert expected == pod_view(thing).has_persistent_volumes

    @pytest.mark.parametrize(("reason", "kept"), [("StartError", "exec: no"), ("Error", "")])
    def test_termination_message(self, reason: str, kept: str) -> None:
        """Messages of the container runtime are kept; those of an app may contain secrets."""
        end = termination(128, reason, message="exec: no")
        (container,) = pod_view(pod("web-abc-1", terminated(end))).containers

        assert kept == (container.terminated and container.terminated.message)

    def test_termination_without_a_reason(self) -> None:
        """The reason is Error; the exit code is kept."""
        status = builders.container({"terminated": {"reason": ""}}) | {"lastState": None}
        (container,) = pod_view(pod("web-abc-1", status)).containers

        assert Termination("Error", 0, None, None) == container.terminated

    def test_long_texts_are_cut(self) -> None:
        """Messages of a node may be of any length."""
        (container,) = pod_view(pod("web-abc-1", waiting("X", "m" * 5000))).containers

        assert 1024 == len(container.waiting_message)


class TestKills:
    """The kubelet's Events about killed containers."""

    @pytest.mark.parametrize("probe", ["liveness", "startup"])
    def test_a_probe(self, probe: str) -> None:
        """Container, probe and time are read."""
        assert ContainerKillEvent("shop", "uid-of-web-abc-1", "app", probe, at(9)) == pod_event(
            probe_kill_event("web-abc-1", 9, probe=probe)
        )

    @pytest.mark.parametrize("killers", [(), ("startup",), ("liveness",), ("startup", "liveness")])
    def test_restarting_probes(self, killers: tuple[str, ...]) -> None:
        """A readiness probe restarts nothing."""
        thing = job_pod("web-1", running(), probes=[*killers, "readiness"])

        assert [killers] == [
            container.restarting_probes for container in pod_view(thing).containers
        ]

    def test_a_sidecar(self) -> None:
        """The kubelet's message calls a sidecar an init container."""
        event = probe_kill_event("web-abc-1", 9) | {
            "message": "Init container proxy failed liveness probe"
        }

        assert ContainerKillEvent(
            "shop", "uid-of-web-abc-1", "proxy", "liveness", at(9)
        ) == pod_event(event)

    def test_a_stop(self) -> None:
        """The kubelet stops a pod, and its message does not say why."""
        assert ContainerKillEvent("shop", "uid-of-web-abc-1", "app", "", at(9)) == pod_event(
            pod_stop_event("web-abc-1", 9)
        )

    @pytest.mark.parametrize(
        "times",
        [
            {
                "series": {"lastObservedTime": "2026-01-01T12:00:09.123456Z"},
                "lastTimestamp": iso(1),
            },
            {"lastTimestamp": iso(9), "eventTime": iso(1)},
            {"lastTimestamp": None, "eventTime": "2026-01-01T12:00:09.999999Z"},
            {"lastTimestamp": None, "metadata": {"namespace": "shop", "creationTimestamp": iso(9)}},
        ],
        ids=["series", "last", "event time", "creation"],
    )
    def test_when(self, times: Json) -> None:
        """The last occurrence counts, in any of the fields, cut to whole seconds."""
        found = pod_event(probe_kill_event("web-abc-1", 0) | times)

        assert at(9) == (found and found.at)

    @pytest.mark.parametrize(
        "event",
        [
            probe_kill_event("web-abc-1", 9) | {"message": None},
            probe_kill_event("web-abc-1", 9, kind="Node"),
            probe_kill_event("web-abc-1", 9) | {"lastTimestamp": None},
            probe_kill_event("web-abc-1", 9) | {"involvedObject": None},
            probe_kill_event("web-abc-1", 9) | {"source": {"component": "mallory"}},
            probe_kill_event("web-abc-1", 9) | {"source": None},
            probe_kill_event("web-abc-1", 9) | {"metadata": {"namespace": "other"}},
        ],
        ids=[
            "no message",
            "not a pod",
            "no time",
            "nobody",
            "another component",
            "no component",
            "another namespace",
        ],
    )
    def test_other_events(self, event: Json) -> None:
        """Any other Event is no kill."""
        assert None is pod_event(event)

    def test_a_newer_kubelet(self) -> None:
        """It may name itself in the newer field alone."""
        event = probe_kill_event("web-abc-1", 9) | {"source": {}, "reportingComponent": "kubelet"}

        assert None is not pod_event(event)


class TestNumbersAndTimes:
    """Resource versions and times."""

    @pytest.mark.parametrize(
        ("meta", "expected"),
        [({"resourceVersion": "42"}, 42), ({}, 0), ({"resourceVersion": "opaque"}, 0)],
    )
    def test_version(self, meta: Json, expected: int) -> None:
        """Anything but a whole number becomes 0."""
        assert expected == parse_resource_version(meta)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2026-01-01T12:00:05Z", at(5)),
            ("2026-01-01T13:00:05.9+01:00", at(5)),
            ("", None),
            (None, None),
        ],
    )
    def test_time(self, text: str | None, expected: datetime | None) -> None:
        """RFC 3339 with any zone, cut to the second."""
        assert expected == parse_time(text)

    @given(st.datetimes(min_value=datetime(1990, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
    def test_every_time_is_read(self, moment: datetime) -> None:
        """Times that Kubernetes writes are read back to the second."""
        assert moment.replace(microsecond=0) == parse_time(
            moment.isoformat().replace("+00:00", "Z")
        )


@pytest.mark.parametrize(
    ("status", "starting"),
    [
        (running(started=False), True),
        (running(started=True), False),
        (running(), False),
        (waiting("CrashLoopBackOff", started=False), False),
    ],
)
def test_a_startup_probe_that_has_yet_to_succeed(status: Json, starting: bool) -> None:  # noqa: FBT001 - a table's column
    """Only a running container can be starting."""
    (container,) = pod_view(pod("web-abc-1", status)).containers

    assert starting == container.starting
