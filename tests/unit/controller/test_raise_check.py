"""A higher memory limit is tried before it is decided on: what is asked, and what is remembered."""

import asyncio
from typing import Any

import pytest

from selfhealing.api.container_limits import LimitKey
from selfhealing.api.healing_status import ActionOutcome, HealingStatus, Remediation
from selfhealing.cache.views import AppKey
from selfhealing.controller.node_health import NodeHealth
from selfhealing.controller.raise_check import (
    RETRY_INITIAL,
    RETRY_MAX,
    RaiseCheck,
    build_resize_patch,
)
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.errors import ApiError, InvalidError, UnavailableError
from selfhealing.remediation.limit_ceiling import RefusedLimit
from tests.unit import builders
from tests.unit.controller.fake_api_server import FakeApiServer, Json, forbidden_error
from tests.unit.controller.fake_loop import now
from tests.unit.remediation.factories import (
    APP_CPU,
    APP_MEMORY,
    PROXY_MEMORY,
    make_action,
    make_record,
    raised_to,
)
from tests.unit.snapshots import KEY, build_snapshot

KILLED = builders.termination(137, "OOMKilled")
TRIED = "try-resize Pod/web-abc-1"
RAISE = make_action(
    remediation=Remediation.RAISE_MEMORY, outcome=ActionOutcome.IN_PROGRESS, target="200Mi"
)


def oom_pod(name: str = "web-abc-1", node: str = "node-1", limit: str = "100Mi") -> Json:
    """A pod whose container was killed for memory."""
    return builders.pod(name, builders.crash_loop(3, KILLED), node=node, memory_limit=limit)


class Harness:
    """A cluster with pods and nodes, and who asks it."""

    def __init__(self, *objects: Json) -> None:
        self.objects = [builders.deployment(), *objects]
        self.api_server = FakeApiServer(*self.objects)
        self.queue: WorkQueue[AppKey] = WorkQueue()
        client = self.api_server.client
        self.check = RaiseCheck(client, self.queue, NodeHealth(client, now), now)

    async def ask(self, record: HealingStatus | None = None) -> bool:
        """Ask whether the limit of the app's container may be raised to 200Mi."""
        raised = record or make_record(RAISE, memory_limits=raised_to("200Mi"))
        pods = [each for each in self.objects if each["kind"] != "Node"]
        return await self.check.is_acceptable(build_snapshot(*pods), raised, RAISE, APP_MEMORY)


async def test_it_is_accepted() -> None:
    """Nothing is changed by the question."""
    harness = Harness(oom_pod(), builders.node())

    assert await harness.ask()
    assert harness.api_server.requests == ["list Node", "get Pod/web-abc-1", TRIED]
    assert [] == harness.api_server.write_requests()
    assert {} == harness.check.refused_limits(KEY)


async def test_it_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    """It is remembered with the reason, longer each time, and the app is looked at again."""
    harness = Harness(oom_pod())
    message = 'pods "web-abc-1" is forbidden: maximum memory usage per Container is 128Mi'
    harness.api_server.errors["try-resize"] = forbidden_error(message)

    assert not await harness.ask()
    expected = RefusedLimit("200Mi", "maximum memory usage per Container is 128Mi")
    assert {APP_MEMORY: expected} == harness.check.refused_limits(KEY)
    assert "maximum memory usage per Container is 128Mi" in caplog.text

    await asyncio.sleep(RETRY_INITIAL)
    assert KEY == await harness.queue.get()
    assert {} == harness.check.refused_limits(KEY)

    assert not await harness.ask()
    await asyncio.sleep(2 * RETRY_INITIAL - 1)
    assert {APP_MEMORY: expected} == harness.check.refused_limits(KEY)
    await asyncio.sleep(RETRY_MAX)

    harness.api_server.errors.clear()
    assert await harness.ask()
    assert {} == harness.check.refused_limits(KEY)


@pytest.mark.parametrize(
    ("error", "accepted"),
    [
        (InvalidError(422, "Invalid", "its QoS class would change"), False),
        (InvalidError(400, "BadRequest", "the webhook does not support dry run"), True),
        (UnavailableError(503, "", "busy"), True),
    ],
    ids=["validation", "no statement on the limit", "no answer"],
)
async def test_other_answers(error: ApiError, *, accepted: bool) -> None:
    """What says nothing of the limit keeps nothing from being tried."""
    harness = Harness(oom_pod())
    harness.api_server.errors["try-resize"] = error

    assert accepted is await harness.ask()


@pytest.mark.parametrize(("other_node", "accepted"), [("node-1", False), ("node-2", True)])
async def test_a_node_without_memory(other_node: str, *, accepted: bool) -> None:
    """A kill on a node that runs out of memory is not due to the limit."""
    harness = Harness(
        oom_pod(),
        oom_pod("web-abc-2", other_node),
        builders.node(memory_pressure=True),
        builders.node("node-2"),
    )

    assert accepted is await harness.ask()
    if not accepted:
        refused = harness.check.refused_limits(KEY)[APP_MEMORY]
        assert RefusedLimit("200Mi", "node node-1 reports MemoryPressure") == refused


@pytest.mark.parametrize(
    "objects",
    [(oom_pod(limit="200Mi"),), ()],
    ids=["the pods have it", "no pods"],
)
async def test_nothing_to_ask(objects: tuple[Json, ...]) -> None:
    """New pods get a limit that the running ones have already."""
    harness = Harness(*objects)

    assert await harness.ask()
    assert [] == harness.api_server.requests


async def test_a_pod_that_is_gone() -> None:
    """It says nothing; no other is asked in its place."""
    harness = Harness(oom_pod())
    del harness.api_server.objects_by_path["Pod", "web-abc-1"]
    assert await harness.ask()

    harness.api_server.put_object(builders.pod("web-abc-1", builders.running(), uid="another"))
    assert await harness.ask()
    assert TRIED not in harness.api_server.requests


async def test_an_app_that_is_gone() -> None:
    """Nothing is remembered of it."""
    harness = Harness(oom_pod())
    harness.api_server.errors["try-resize"] = forbidden_error()
    await harness.ask()
    harness.check.forget_app(KEY)
    harness.check.forget_app(KEY)

    assert {} == harness.check.refused_limits(KEY)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({APP_MEMORY: "200Mi"}, {"containers": ["app"]}),
        ({PROXY_MEMORY: "200Mi"}, {"initContainers": ["proxy"]}),
        (
            {APP_MEMORY: "200Mi", PROXY_MEMORY: "1Gi"},
            {"containers": ["app"], "initContainers": ["proxy"]},
        ),
    ],
)
def test_the_patch(limits: dict[LimitKey, str], expected: dict[str, list[str]]) -> None:
    """It names only the containers that are changed; a sidecar may start before the app."""
    resources: dict[str, Any] = {"limits": {"memory": "64Mi"}, "requests": {"memory": "64Mi"}}
    live = builders.pod(
        "web-abc-1",
        builders.running(),
        builders.running(name="other"),
        init_spec=[{"name": "proxy", "restartPolicy": "Always", "resources": resources}],
    )
    patch = build_resize_patch(live, limits)

    assert {"uid": "uid-of-web-abc-1"} == patch["metadata"]
    assert expected == {
        field: [container["name"] for container in containers]
        for field, containers in patch["spec"].items()
    }
    if PROXY_MEMORY in limits:
        (sidecar,) = patch["spec"]["initContainers"]
        assert limits[PROXY_MEMORY] == sidecar["resources"]["requests"]["memory"]


def test_the_patch_of_two_resources() -> None:
    """A request that equals a limit grows with it, so that the QoS class stays."""
    live = builders.pod("web-abc-1", builders.running(), memory_limit="100Mi")
    live["spec"]["containers"][0]["resources"]["requests"] = {"cpu": "1", "memory": "64Mi"}
    patch = build_resize_patch(live, {APP_MEMORY: "200Mi", APP_CPU: "1500m"})

    assert [
        {
            "name": "app",
            "resources": {
                "limits": {"cpu": "1500m", "memory": "200Mi"},
                "requests": {"cpu": "1500m", "memory": "64Mi"},
            },
        }
    ] == patch["spec"]["containers"]


async def test_cpu_on_a_node_without_memory() -> None:
    """A kill for memory says nothing of the CPU limit."""
    harness = Harness(oom_pod(), builders.node(memory_pressure=True))
    action = make_action(
        remediation=Remediation.RAISE_CPU, outcome=ActionOutcome.IN_PROGRESS, target="1500m"
    )
    record = make_record(action, cpu_limits=raised_to("1500m"))
    pods = [each for each in harness.objects if each["kind"] != "Node"]

    assert await harness.check.is_acceptable(build_snapshot(*pods), record, action, APP_CPU)
    assert ["get Pod/web-abc-1", TRIED] == harness.api_server.requests
