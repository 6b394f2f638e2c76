"""Evidence: what can be had is kept, what cannot is named, and nothing of it stops healing."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any, cast

import pytest

from selfhealing.api.config_refs import ConfigWatch
from selfhealing.api.healing_status import ActionOutcome, HealingAction, Remediation
from selfhealing.api.spec import parse_spec
from selfhealing.cache.parse import app_view, pod_view
from selfhealing.controller import evidence_store
from selfhealing.controller.evidence_privacy import EvidencePrivacy
from selfhealing.controller.evidence_store import (
    MAX_EVENTS,
    READ_TIMEOUT,
    EvidenceStore,
    ForeignEvidenceError,
)
from selfhealing.kube.client import Client
from selfhealing.kube.errors import (
    ApiError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    ResponseTooLargeError,
    UnavailableError,
)
from selfhealing.kube.resources import (
    CONFIG_MAPS,
    EVENTS,
    POD_METRICS,
    PODS,
    Resource,
)
from selfhealing.remediation.reconcile_input import build_reconcile_input
from tests.unit import builders
from tests.unit.controller.fake_api_server import build_slots
from tests.unit.controller.fake_loop import now
from tests.unit.snapshots import build_snapshot

Json = dict[str, Any]

APP = app_view(builders.app())
POD = "web-abc-1"
NAME = "web-evidence"
NO_ANSWER = UnavailableError(0, "NoAnswer", "no answer from the API server")
UNREACHABLE_KUBELET = UnavailableError(500, "InternalError", "dial tcp 10.0.0.1:10250: i/o timeout")


class FakeApiServer:
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
        self.events = [builders.probe_kill_event(POD, 5)]
        self.config_maps: dict[str, Json] = {}
        self.errors: dict[str, ApiError] = {}
        self.unresponsive: set[str] = set()
        self.requests: list[str] = []
        self.has_metrics = True
        self.namespace_labels: dict[str, str] = {"selfhealing.dev/evidence-logs": "true"}
        self.secrets: dict[str, Json] = {}
        self.log = "password=hunter2"

    async def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """Answer as Client.get does."""
        assert namespace == builders.NAMESPACE

        if resource.kind == "Secret":
            await self._record_request("secrets")
            return self.secrets.get(name)
        if resource is PODS:
            await self._record_request("pods")
            return self.pods.get(name)
        assert resource is CONFIG_MAPS
        await self._record_request("get")
        return deepcopy(self.config_maps.get(name))

    async def list_objects(
        self, resource: Resource, namespace: str, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Json]:
        """Answer as Client.objects does."""
        assert namespace == builders.NAMESPACE

        if resource is POD_METRICS:
            assert ("selfhealing.dev/app=web", "") == (labels, fields)
            await self._record_request("use")
            for name in self.pods if self.has_metrics else ():
                usage = {"cpu": "12m", "memory": "46080Ki"}
                containers = [{"name": "app", "usage": usage}]
                yield {"metadata": {"name": name}, "containers": containers}
            return
        assert (EVENTS, "") == (resource, labels)
        await self._record_request("events")
        for event in self.events:
            if fields == f"involvedObject.uid={event['involvedObject']['uid']}":
                yield event

    async def read_log(
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

        await self._record_request("logs")
        return f"{container} {'before' if previous else 'now'}: {self.log}\n"

    async def create(self, resource: Resource, body: Json) -> Json:
        """Answer as Client.create does."""
        assert resource is CONFIG_MAPS

        await self._record_request("create")
        body = deepcopy(body)
        body["metadata"]["uid"] = "uid-of-evidence"
        self.config_maps[body["metadata"]["name"]] = body
        return body

    async def merge_patch(self, resource: Resource, namespace: str, name: str, patch: Json) -> Json:
        """Answer as Client.merge does."""
        assert (CONFIG_MAPS, builders.NAMESPACE) == (resource, namespace)

        await self._record_request("merge")
        manifest = self.config_maps[name]
        assert set(patch) == {"metadata", "data"}
        assert manifest["metadata"]["uid"] == patch["metadata"]["uid"]
        manifest["metadata"] |= patch["metadata"]
        merged = {**manifest.get("data", {}), **patch["data"]}
        manifest["data"] = {key: text for key, text in merged.items() if text is not None}
        return manifest

    async def _record_request(self, what: str) -> None:
        self.requests.append(what)
        if what in self.unresponsive:
            await asyncio.sleep(3600)
        if what in self.errors:
            raise self.errors[what]

    def evidence_text(self, key: str | None) -> str:
        """The evidence of a key."""
        assert key is not None
        found: str = self.config_maps[NAME]["data"][key]
        return found


@pytest.fixture
def cluster() -> FakeApiServer:
    """A cluster with a pod that has been restarted and runs again, not ready."""
    last = builders.termination(137, "OOMKilled")
    return FakeApiServer(builders.pod(POD, builders.running(ready=False, restarts=1, last=last)))


def build_action(action_id: int = 3, **more: Any) -> HealingAction:  # noqa: ANN401 - its fields
    """A decision."""
    return HealingAction(
        id=action_id,
        remediation=Remediation.REPLACE_POD,
        diagnosis="OOMKilled",
        target=POD,
        outcome=ActionOutcome.IN_PROGRESS,
        **{"at": builders.at(60), **more},
    )


async def save_evidence(
    cluster: FakeApiServer,
    action: HealingAction | None = None,
    pod: str | None = POD,
    *,
    desired_template: Json | None = None,
    stable_template: Json | None = None,
    spec: Json | None = None,
    watch: ConfigWatch = "all",
) -> str | None:
    """Take evidence."""
    client = cast("Client", cluster)
    store = EvidenceStore(client, EvidencePrivacy(client, watch), build_slots())
    target = None if pod is None else pod_view(builders.pod(pod, builders.running()))
    return await store.save(
        APP,
        build_reconcile_input(
            build_snapshot(builders.app()),
            parse_spec({"image": "web:v1", **(spec or {})}),
            builders.at(60),
            namespace_labels=cluster.namespace_labels,
        ),
        action or build_action(),
        target,
        desired_template,
        stable_template,
        builders.at(60),
    )


async def test_what_there_is_to_be_seen_is_kept(cluster: FakeApiServer) -> None:
    """The pod, its Events, both its logs and what is new; no secrets."""
    key = await save_evidence(
        cluster, desired_template={"image": "v2"}, stable_template={"image": "v1"}
    )

    assert "3-replace-pod.txt" == key
    text = cluster.evidence_text(key)
    assert text.startswith("Action 3: ReplacePod, decided ")
    assert "exit code 137, SIGKILL" in text
    assert "Killing: Container app failed liveness probe" in text
    assert text.index("app before: password=<redacted>") < text.index("app now: password=")
    assert "app: cpu 12m, memory 46080Ki" in text
    assert "-image: v1\n+image: v2" in text
    assert "could not be had" not in text


async def test_the_config_map_belongs_to_the_app(cluster: FakeApiServer) -> None:
    """It goes with it, and is no child that anybody controls."""
    await save_evidence(cluster)
    meta = cluster.config_maps[NAME]["metadata"]

    assert ("shop", NAME) == (meta["namespace"], meta["name"])
    assert "web" == meta["labels"]["app.kubernetes.io/instance"]
    [owner] = meta["ownerReferences"]
    assert (builders.APP_UID, False) == (owner["uid"], owner["controller"])
    assert ("v1", "ConfigMap") == (
        cluster.config_maps[NAME]["apiVersion"],
        cluster.config_maps[NAME]["kind"],
    )


async def test_the_next_is_merged_and_the_oldest_goes(cluster: FakeApiServer) -> None:
    """The ConfigMap is made once."""
    for number in range(1, 13):
        await save_evidence(cluster, build_action(number))

    assert 1 == cluster.requests.count("create")
    assert [f"{number}-replace-pod.txt" for number in range(3, 13)] == list(
        cluster.config_maps[NAME]["data"]
    )


async def test_what_was_found_first_stays(cluster: FakeApiServer) -> None:
    """An operator that comes back after a crash would see what is left after the action."""
    key = await save_evidence(cluster)
    first = cluster.evidence_text(key)
    cluster.pods.clear()

    assert "3-replace-pod-again.txt" == await save_evidence(cluster)
    assert first == cluster.evidence_text(key)


async def test_an_action_that_only_has_the_id_of_another_is_a_new_one(
    cluster: FakeApiServer,
) -> None:
    """Ids begin anew where the status is lost."""
    await save_evidence(cluster)
    key = await save_evidence(cluster, build_action(at=builders.at(900)))

    assert "decided 2026-01-01T12:15:00Z" in cluster.evidence_text(key)


async def test_without_a_pod_the_rest_is_kept(cluster: FakeApiServer) -> None:
    """An autoscaler's illness is in no pod."""
    key = await save_evidence(cluster, pod=None)

    assert "== " not in cluster.evidence_text(key)
    assert ["get", "create"] == cluster.requests


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("pods", ["pod web-abc-1: "]),
        ("events", ["Events: "]),
        ("use", ["CPU and memory usage: "]),
        (
            "logs",
            ["previous log of container app: ", "log of container app: "],
        ),
    ],
)
@pytest.mark.parametrize(
    "error", [UNREACHABLE_KUBELET, NO_ANSWER, ForbiddenError(403, "", "not allowed")]
)
async def test_what_cannot_be_had_is_named(
    cluster: FakeApiServer, what: str, expected: list[str], error: ApiError
) -> None:
    """Each on its own: the rest is there."""
    cluster.errors[what] = error
    text = cluster.evidence_text(await save_evidence(cluster))

    assert all(f"\n- {gap}{error.message}\n" in text for gap in expected)
    assert ("== Pod" in text) == (what != "pods")
    assert ("== Events" in text) == (what in {"logs", "use"})
    assert ("== Log of" in text) == (what in {"events", "use"})
    assert ("== CPU and memory usage" in text) == (what in {"events", "logs"})


async def test_a_pod_that_has_not_been_measured(cluster: FakeApiServer) -> None:
    """metrics-server takes half a minute to know of a pod."""
    cluster.has_metrics = False

    assert "CPU and memory usage: the pod is not measured yet" in cluster.evidence_text(
        await save_evidence(cluster)
    )


async def test_a_pod_that_is_gone_is_named(cluster: FakeApiServer) -> None:
    """Nothing more is asked about it."""
    cluster.pods.clear()
    text = cluster.evidence_text(await save_evidence(cluster))

    assert "- pod web-abc-1: the pod is deleted" in text
    assert ["get", "pods", "create"] == cluster.requests


async def test_what_does_not_answer_is_not_waited_for_long(cluster: FakeApiServer) -> None:
    """All at once: two logs and the Events cost no more time than one of them."""
    cluster.unresponsive = {"events", "logs"}
    before = now()
    text = cluster.evidence_text(await save_evidence(cluster))

    assert before + READ_TIMEOUT == now()
    assert 3 == text.count(": no answer in 5 s")


async def test_a_silent_pod_is_not_waited_for_long(cluster: FakeApiServer) -> None:
    """Neither."""
    cluster.unresponsive = {"pods"}

    assert "- pod web-abc-1: no answer in 5 s" in cluster.evidence_text(
        await save_evidence(cluster)
    )
    assert now() <= READ_TIMEOUT


async def test_events_are_not_read_without_end(cluster: FakeApiServer) -> None:
    """Somebody may make them up."""
    cluster.events = [
        {**builders.probe_kill_event(POD, number), "message": f"event {number}"}
        for number in range(MAX_EVENTS + 50)
    ]
    text = cluster.evidence_text(await save_evidence(cluster))

    assert f"event {MAX_EVENTS - 1}\n" in text
    assert f"event {MAX_EVENTS}\n" not in text


@pytest.mark.parametrize("owners", [{}, {"ownerReferences": [{"uid": "another"}]}])
async def test_a_stranger_s_config_map_is_left_alone(cluster: FakeApiServer, owners: Json) -> None:
    """And the reason is told."""
    theirs = {"metadata": {"name": NAME, "uid": "theirs", **owners}, "data": {"a": "b"}}
    cluster.config_maps[NAME] = deepcopy(theirs)

    with pytest.raises(ForeignEvidenceError, match="the ConfigMap web-evidence belongs to another"):
        await save_evidence(cluster)

    assert {NAME: theirs} == cluster.config_maps
    assert ["get"] == cluster.requests


async def test_a_config_map_of_an_earlier_app_is_taken_up_again(cluster: FakeApiServer) -> None:
    """It was left without an owner, as its children; what it has stays."""
    await save_evidence(cluster)
    orphan = cluster.config_maps[NAME]
    owners = orphan["metadata"].pop("ownerReferences")
    orphan["data"] = {"earlier": "text"}

    assert "ReplacePod" in cluster.evidence_text(await save_evidence(cluster))
    assert owners == orphan["metadata"]["ownerReferences"]


async def test_a_config_map_without_data_is_filled(cluster: FakeApiServer) -> None:
    """Somebody has emptied it."""
    await save_evidence(cluster)
    del cluster.config_maps[NAME]["data"]

    assert "ReplacePod" in cluster.evidence_text(await save_evidence(cluster))


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("get", ForbiddenError(403, "Forbidden", "not allowed")),
        ("create", ConflictError(409, "AlreadyExists", "it is there")),
        ("create", ForbiddenError(403, "Forbidden", "exceeded quota")),
        ("create", UnavailableError(500, "InternalError", "failed calling webhook")),
    ],
)
async def test_what_cannot_be_kept_stops_nothing(
    cluster: FakeApiServer, what: str, error: ApiError, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says why."""
    cluster.errors[what] = error

    assert await save_evidence(cluster) is None
    assert f"shop/web: no evidence saved: {error}" in caplog.text


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("merge", InvalidError(422, "Invalid", "it is immutable")),
        ("merge", ApiError(413, "RequestEntityTooLarge", "limit is 3145728")),
        ("get", ResponseTooLargeError(0, "ResponseTooLarge", "more than 20000 fields")),
    ],
)
async def test_a_config_map_that_somebody_has_spoilt(
    cluster: FakeApiServer, what: str, error: ApiError
) -> None:
    """Whoever may write ConfigMaps must not suppress the evidence without a word."""
    await save_evidence(cluster, build_action(1))
    cluster.errors[what] = error

    with pytest.raises(ForeignEvidenceError, match="web-evidence is immutable or too large"):
        await save_evidence(cluster)


@pytest.mark.parametrize("what", ["get", "create"])
async def test_an_api_server_out_of_reach_is_said_to_be(cluster: FakeApiServer, what: str) -> None:
    """The action itself could not be carried out either: all of it is tried again."""
    cluster.errors[what] = NO_ANSWER
    with pytest.raises(UnavailableError):
        await save_evidence(cluster)


LOGS = "selfhealing.dev/evidence-logs"


@pytest.mark.parametrize(
    ("asked", "label", "allowed"),
    [
        (None, None, False),
        (False, None, False),
        (True, None, True),
        (None, "true", True),
        (False, "true", False),
        (True, "true", True),
        (None, "false", False),
        (True, "false", False),
        (True, "perhaps", True),
        (None, "perhaps", False),
    ],
)
async def test_log_lines_are_opt_in(
    cluster: FakeApiServer,
    *,
    asked: bool | None,
    label: str | None,
    allowed: bool,
) -> None:
    """The app asks for them, or its namespace lets them in; the namespace can forbid them."""
    cluster.namespace_labels = {} if label is None else {LOGS: label}
    evidence = {} if asked is None else {"logs": asked}
    text = cluster.evidence_text(
        await save_evidence(cluster, spec={"healing": {"evidence": evidence}})
    )

    assert ("== Log of" in text) is allowed
    assert ("logs" in cluster.requests) is allowed
    assert ("\n- log lines: " in text) is not allowed
    assert "exit code 137, SIGKILL" in text


async def test_a_secret_of_the_app_is_masked_wherever_it_stands(cluster: FakeApiServer) -> None:
    """Also its base64 form, and in the Events."""
    cluster.secrets["db"] = {"data": {"p": b64encode(b"plain-words-only").decode()}}
    cluster.log = f"we use plain-words-only and {b64encode(b'plain-words-only').decode()}"
    cluster.events[0]["message"] = "hook failed with plain-words-only"
    text = cluster.evidence_text(
        await save_evidence(cluster, spec={"envFrom": [{"secretRef": {"name": "db"}}]})
    )

    assert "plain-words-only" not in text
    assert b64encode(b"plain-words-only").decode().rstrip("=") not in text
    assert "we use <redacted> and <redacted>" in text
    assert "hook failed with <redacted>" in text


@pytest.mark.parametrize("watch", ["configmaps", "off"])
async def test_secrets_are_read_only_where_they_may_be(
    cluster: FakeApiServer, watch: ConfigWatch
) -> None:
    """The operator has no right to read them otherwise."""
    await save_evidence(cluster, spec={"envFrom": [{"secretRef": {"name": "db"}}]}, watch=watch)

    assert "secrets" not in cluster.requests


async def test_a_secret_that_cannot_be_read_stops_nothing(
    cluster: FakeApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The patterns are left."""
    cluster.errors["secrets"] = ForbiddenError(403, "Forbidden", "not allowed")

    assert await save_evidence(cluster, spec={"envFrom": [{"secretRef": {"name": "db"}}]})
    assert "a Secret cannot be read" in caplog.text


async def test_a_value_of_a_variable_is_masked(cluster: FakeApiServer) -> None:
    """Of the pod that fails, and of the spec, whose pods may be gone."""
    cluster.pods[POD]["spec"] = {
        "containers": [{"name": "app", "env": [{"name": "A", "value": "of-the-pod"}]}]
    }
    cluster.log = "of-the-pod and of-the-spec"
    text = cluster.evidence_text(
        await save_evidence(cluster, spec={"env": [{"name": "B", "value": "of-the-spec"}]})
    )

    assert "before: <redacted> and <redacted>" in text


async def test_text_that_takes_too_long_is_left_out(
    cluster: FakeApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The evidence says so, and the action goes on."""
    monkeypatch.setattr(evidence_store, "RENDER_TIMEOUT", -1.0)
    text = cluster.evidence_text(await save_evidence(cluster))

    assert "Action 3: ReplacePod" in text
    assert "- everything else: not rendered in" in text
    assert "== Log of" not in text


async def test_what_the_kubelet_took_from_the_log_is_no_way_around(cluster: FakeApiServer) -> None:
    """The namespace forbids log lines, and the termination message is one."""
    ended = {**builders.termination(), "message": "ERROR customer Jane"}
    policy = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    cluster.pods[POD] = builders.pod(POD, builders.crash_loop(5, ended), container_spec=policy)
    cluster.namespace_labels = {LOGS: "false"}

    assert "Jane" not in cluster.evidence_text(await save_evidence(cluster))


@pytest.mark.parametrize(("label", "is_shown"), [("false", False), ("true", True)])
async def test_the_output_of_a_probe_is_a_log_line(
    cluster: FakeApiServer, label: str, *, is_shown: bool
) -> None:
    """The kubelet quotes it in an Event."""
    probe = {"livenessProbe": {"exec": {"command": ["check"]}}}
    cluster.pods[POD] = builders.pod(POD, builders.running(), container_spec=probe)
    message = "Liveness probe failed: customer Jane"
    cluster.events = [{**cluster.events[0], "reason": "Unhealthy", "message": message}]
    cluster.namespace_labels = {LOGS: label}

    text = cluster.evidence_text(await save_evidence(cluster))

    assert is_shown == ("Jane" in text)
    assert "Liveness probe failed" in text
