"""Evidence: what can be had is kept, what cannot is named, and nothing of it stops healing."""

import asyncio
from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any, cast

import pytest

from selfhealing.api.healing_status import ActionOutcome, HealingAction, Remedy
from selfhealing.cache.parse import app_view
from selfhealing.controller.evidence_store import EVENTS_LIMIT, PATIENCE, EvidenceRoom
from selfhealing.kube.client import Client
from selfhealing.kube.errors import (
    ApiError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    UnavailableError,
)
from selfhealing.kube.resources import CONFIG_MAPS, EVENTS, POD_METRICS, PODS, Resource
from tests.unit import builders
from tests.unit.controller.clock import now

Json = dict[str, Any]

APP = app_view(builders.app())
POD = "web-abc-1"
NAME = "web-evidence"
NO_ANSWER = UnavailableError(0, "NoAnswer", "no answer from the API server")
SILENT_NODE = UnavailableError(500, "InternalError", "dial tcp 10.0.0.1:10250: i/o timeout")


class Cluster:
    """A pod, its Events, its logs and the ConfigMaps.

    Attributes:
        errors: what is answered instead, by "pods", "events", "use", "logs", "get", "create" or
            "merge".
        measured: whether the pods have been measured.
        silent: of these, those that never answer.
        asked: what was asked for, in order.
    """

    def __init__(self, *pods: Json) -> None:
        self.pods = {pod["metadata"]["name"]: pod for pod in pods}
        self.events = [builders.killing(POD, 5)]
        self.maps: dict[str, Json] = {}
        self.errors: dict[str, ApiError] = {}
        self.silent: set[str] = set()
        self.asked: list[str] = []
        self.measured = True

    async def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """Answer as Client.get does."""
        assert namespace == builders.NAMESPACE

        if resource is PODS:
            await self._ask("pods")
            return self.pods.get(name)
        assert resource is CONFIG_MAPS
        await self._ask("get")
        return deepcopy(self.maps.get(name))

    async def objects(
        self, resource: Resource, namespace: str, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Json]:
        """Answer as Client.objects does."""
        assert namespace == builders.NAMESPACE

        if resource is POD_METRICS:
            assert ("selfhealing.dev/app=web", "") == (labels, fields)
            await self._ask("use")
            for name in self.pods if self.measured else ():
                usage = {"cpu": "12m", "memory": "46080Ki"}
                containers = [{"name": "app", "usage": usage}]
                yield {"metadata": {"name": name}, "containers": containers}
            return
        assert (EVENTS, "") == (resource, labels)
        await self._ask("events")
        for event in self.events:
            if fields == f"involvedObject.uid={event['involvedObject']['uid']}":
                yield event

    async def log(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        previous: bool,
        lines: int,
        limit_bytes: int,
    ) -> str:
        """Answer as Client.log does."""
        assert (builders.NAMESPACE, POD) == (namespace, pod)
        assert lines * 100 < limit_bytes

        await self._ask("logs")
        return f"{container} {'before' if previous else 'now'}: password=hunter2\n"

    async def create(self, resource: Resource, body: Json) -> Json:
        """Answer as Client.create does."""
        assert resource is CONFIG_MAPS

        await self._ask("create")
        body = deepcopy(body)
        body["metadata"]["uid"] = "uid-of-evidence"
        self.maps[body["metadata"]["name"]] = body
        return body

    async def merge(self, resource: Resource, namespace: str, name: str, patch: Json) -> Json:
        """Answer as Client.merge does."""
        assert (CONFIG_MAPS, builders.NAMESPACE) == (resource, namespace)

        await self._ask("merge")
        thing = self.maps[name]
        assert set(patch) == {"metadata", "data"}
        assert {"uid": thing["metadata"]["uid"]} == patch["metadata"]
        merged = {**thing.get("data", {}), **patch["data"]}
        thing["data"] = {key: text for key, text in merged.items() if text is not None}
        return thing

    async def _ask(self, what: str) -> None:
        self.asked.append(what)
        if what in self.silent:
            await asyncio.sleep(3600)
        if what in self.errors:
            raise self.errors[what]

    def text(self, key: str | None) -> str:
        """The evidence of a key."""
        assert key is not None
        found: str = self.maps[NAME]["data"][key]
        return found


@pytest.fixture
def cluster() -> Cluster:
    """A cluster with a pod that has been restarted and runs again, not ready."""
    last = builders.ended(137, "OOMKilled")
    return Cluster(builders.pod(POD, builders.running(ready=False, restarts=1, last=last)))


def action(number: int = 3, **more: Any) -> HealingAction:  # noqa: ANN401 - its fields
    """A decision."""
    return HealingAction(
        id=number,
        remedy=Remedy.RECYCLE,
        diagnosis="OOMKilled",
        target=POD,
        outcome=ActionOutcome.STARTED,
        **{"at": builders.at(60), **more},
    )


async def take(
    cluster: Cluster,
    what: HealingAction | None = None,
    pod: str | None = POD,
    wanted: Json | None = None,
    kept: Json | None = None,
) -> str | None:
    """Take evidence."""
    room = EvidenceRoom(cast("Client", cluster))
    return await room.take(APP, what or action(), pod, wanted, kept)


async def test_what_there_is_to_be_seen_is_kept(cluster: Cluster) -> None:
    """The pod, its Events, both its logs and what is new; no secrets."""
    key = await take(cluster, wanted={"image": "v2"}, kept={"image": "v1"})

    assert "3-recycle.txt" == key
    text = cluster.text(key)
    assert text.startswith("Action 3: Recycle, decided ")
    assert "exit code 137, SIGKILL" in text
    assert "Killing: Container app failed liveness probe" in text
    assert text.index("app before: password=<redacted>") < text.index("app now: password=")
    assert "app: cpu 12m, memory 46080Ki" in text
    assert "-image: v1\n+image: v2" in text
    assert "could not be had" not in text


async def test_the_config_map_belongs_to_the_app(cluster: Cluster) -> None:
    """It goes with it, and is no child that anybody controls."""
    await take(cluster)
    meta = cluster.maps[NAME]["metadata"]

    assert ("shop", NAME) == (meta["namespace"], meta["name"])
    assert "web" == meta["labels"]["app.kubernetes.io/instance"]
    [owner] = meta["ownerReferences"]
    assert (builders.APP_UID, False) == (owner["uid"], owner["controller"])
    assert ("v1", "ConfigMap") == (cluster.maps[NAME]["apiVersion"], cluster.maps[NAME]["kind"])


async def test_the_next_is_merged_and_the_oldest_goes(cluster: Cluster) -> None:
    """The ConfigMap is made once."""
    for number in range(1, 13):
        await take(cluster, action(number))

    assert 1 == cluster.asked.count("create")
    assert [f"{number}-recycle.txt" for number in range(3, 13)] == list(cluster.maps[NAME]["data"])


async def test_what_was_found_first_stays(cluster: Cluster) -> None:
    """An operator that comes back after a crash would see what is left after the action."""
    first = cluster.text(await take(cluster))
    cluster.pods.clear()
    cluster.asked.clear()

    assert first == cluster.text(await take(cluster))
    assert ["get"] == cluster.asked


async def test_an_action_that_only_has_the_id_of_another_is_a_new_one(cluster: Cluster) -> None:
    """Ids begin anew where the status is lost."""
    await take(cluster)
    key = await take(cluster, action(at=builders.at(900)))

    assert "decided 2026-01-01T12:15:00Z" in cluster.text(key)


async def test_without_a_pod_the_rest_is_kept(cluster: Cluster) -> None:
    """An autoscaler's illness is in no pod."""
    key = await take(cluster, pod=None)

    assert "== " not in cluster.text(key)
    assert ["get", "create"] == cluster.asked


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("pods", ["the pod web-abc-1: "]),
        ("events", ["its Events: "]),
        ("use", ["its use of CPU and memory: "]),
        (
            "logs",
            ["the previous log of its container app: ", "the log of its container app: "],
        ),
    ],
)
@pytest.mark.parametrize("error", [SILENT_NODE, NO_ANSWER, ForbiddenError(403, "", "not allowed")])
async def test_what_cannot_be_had_is_named(
    cluster: Cluster, what: str, expected: list[str], error: ApiError
) -> None:
    """Each on its own: the rest is there."""
    cluster.errors[what] = error
    text = cluster.text(await take(cluster))

    assert all(f"\n- {gap}{error.message}\n" in text for gap in expected)
    assert ("== Pod" in text) == (what != "pods")
    assert ("== Events" in text) == (what in {"logs", "use"})
    assert ("== Log of" in text) == (what in {"events", "use"})
    assert ("== Use of" in text) == (what in {"events", "logs"})


async def test_a_pod_that_has_not_been_measured(cluster: Cluster) -> None:
    """metrics-server takes half a minute to know of a pod."""
    cluster.measured = False

    assert "its use of CPU and memory: it has not been measured yet" in cluster.text(
        await take(cluster)
    )


async def test_a_pod_that_is_gone_is_named(cluster: Cluster) -> None:
    """Nothing more is asked about it."""
    cluster.pods.clear()
    text = cluster.text(await take(cluster))

    assert "- the pod web-abc-1: it is gone already" in text
    assert ["get", "pods", "create"] == cluster.asked


async def test_what_does_not_answer_is_not_waited_for_long(cluster: Cluster) -> None:
    """All at once: two logs and the Events cost no more time than one of them."""
    cluster.silent = {"events", "logs"}
    before = now()
    text = cluster.text(await take(cluster))

    assert before + PATIENCE == now()
    assert 3 == text.count(": no answer in 5 s")


async def test_a_silent_pod_is_not_waited_for_long(cluster: Cluster) -> None:
    """Neither."""
    cluster.silent = {"pods"}

    assert "- the pod web-abc-1: no answer in 5 s" in cluster.text(await take(cluster))
    assert now() <= PATIENCE


async def test_events_are_not_read_without_end(cluster: Cluster) -> None:
    """Somebody may make them up."""
    cluster.events = [
        {**builders.killing(POD, number), "message": f"event {number}"}
        for number in range(EVENTS_LIMIT + 50)
    ]
    text = cluster.text(await take(cluster))

    assert f"event {EVENTS_LIMIT - 1}\n" in text
    assert f"event {EVENTS_LIMIT}\n" not in text


@pytest.mark.parametrize("owners", [{}, {"ownerReferences": [{"uid": "another"}]}])
async def test_a_stranger_s_config_map_is_left_alone(
    cluster: Cluster, owners: Json, caplog: pytest.LogCaptureFixture
) -> None:
    """And the log says why nothing is kept."""
    theirs = {"metadata": {"name": NAME, "uid": "theirs", **owners}, "data": {"a": "b"}}
    cluster.maps[NAME] = deepcopy(theirs)

    assert await take(cluster) is None
    assert {NAME: theirs} == cluster.maps
    assert ["get"] == cluster.asked
    assert "shop/web: no evidence is kept: there is a ConfigMap web-evidence that" in caplog.text


async def test_a_config_map_without_data_is_filled(cluster: Cluster) -> None:
    """Somebody has emptied it."""
    await take(cluster)
    del cluster.maps[NAME]["data"]

    assert "Recycle" in cluster.text(await take(cluster))


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("get", ForbiddenError(403, "Forbidden", "not allowed")),
        ("create", ConflictError(409, "AlreadyExists", "it is there")),
        ("create", ForbiddenError(403, "Forbidden", "exceeded quota")),
        ("create", UnavailableError(500, "InternalError", "failed calling webhook")),
        ("merge", InvalidError(422, "Invalid", "it is immutable")),
    ],
)
async def test_what_cannot_be_kept_stops_nothing(
    cluster: Cluster, what: str, error: ApiError, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says why."""
    if what == "merge":
        await take(cluster, action(1))
    cluster.errors[what] = error

    assert await take(cluster) is None
    assert f"shop/web: no evidence is kept: {error}" in caplog.text


@pytest.mark.parametrize("what", ["get", "create"])
async def test_an_api_server_out_of_reach_is_said_to_be(cluster: Cluster, what: str) -> None:
    """The action itself could not be carried out either: all of it is tried again."""
    cluster.errors[what] = NO_ANSWER
    with pytest.raises(UnavailableError):
        await take(cluster)
