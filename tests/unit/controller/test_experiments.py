"""What is tried before a rollback: the requests, their answers, and how often."""

import asyncio
from typing import Any

import pytest

from selfhealing.api.config_refs import ConfigWatch
from selfhealing.api.healing_status import HealingStatus
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.controller.experiments import (
    MAX_REFERENCES,
    RESULT_TTL,
    RollbackExperiments,
    should_preview,
)
from selfhealing.controller.node_health import NodeHealth
from selfhealing.controller.reconcile_order import RollbackPreview
from selfhealing.health.experiments import DryRun, NodeFit
from selfhealing.kube.errors import InvalidError, UnavailableError
from tests.unit import builders
from tests.unit.controller.fake_api_server import (
    FakeApiServer,
    build_diagnosis,
    build_inputs,
    build_record,
    build_slots,
    forbidden_error,
)
from tests.unit.controller.fake_loop import now
from tests.unit.snapshots import KEY, build_snapshot

Json = dict[str, Any]

REFUSED = builders.replica_failure_condition('pods "web-def-x" is forbidden: no')


def pending_pod(message: str) -> Json:
    """Return a pod that the scheduler finds no node for."""
    conditions = [builders.unschedulable_condition(message)]
    return builders.pod("web-def-1", node="", phase="Pending", conditions=conditions)


PENDING = pending_pod("0/1 nodes are available: 1 Insufficient cpu.")
NO_CACHE = (
    "0/3 nodes are available: 1 node(s) had untolerated taint(s), "
    "2 node(s) didn't match pod affinity rules."
)
BESIDE_CACHE: Json = {
    "podAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {
                "labelSelector": {"matchLabels": {"app": "cache"}},
                "topologyKey": "kubernetes.io/hostname",
            }
        ]
    }
}
PRIVILEGED = forbidden_error('pods "web-def-x" is forbidden: violates PodSecurity: privileged')
QUOTA = forbidden_error(
    'pods "web-def-x" is forbidden: exceeded quota: q, requested: cpu=1, used: cpu=4, '
    "limited: cpu=4"
)
NEW, GOOD = "dry-run Pod/web:v1", "dry-run Pod/web:v0"
"""The spec asks for v1; the stable revision is v0."""


def template(image: str = "web:v0", **spec: Any) -> Json:  # noqa: ANN401 - JSON
    """Return the template of the stable revision."""
    return {
        "metadata": {"labels": {}},
        "spec": {"containers": [{"name": "app", "image": image}], **spec},
    }


def snapshot(*objects: Json, conditions: tuple[Json, ...] = (REFUSED,)) -> AppSnapshot:
    """Return the app; by default its pods are refused."""
    return build_snapshot(
        builders.deployment(2, conditions=conditions),
        builders.pod("web-abc-1", builders.running()),
        *objects,
    )


class Laboratory:
    """A cluster and the experiments on it."""

    def __init__(self, *objects: Json, config_watch: ConfigWatch = "configmaps") -> None:
        self.api_server = FakeApiServer(*objects)
        client = self.api_server.client
        self.experiments = RollbackExperiments(
            client, NodeHealth(client, now), config_watch, build_slots(), now
        )

    async def preview(
        self,
        app: AppSnapshot | None = None,
        stable: Json | None = None,
        **spec: Any,  # noqa: ANN401 - JSON
    ) -> RollbackPreview:
        """Try a rollback."""
        app = app or snapshot()
        record = build_record(stable_revision="0123456789")
        inputs = build_inputs(app, record, **spec)
        return await self.experiments.preview(app, inputs, stable or template())


class TestDryRuns:
    """Pods of both templates are created in a dry run."""

    @pytest.mark.parametrize(
        ("errors", "expected", "requests"),
        [
            ({}, DryRun.BOTH_ACCEPTED, [NEW, GOOD]),
            ({NEW: PRIVILEGED}, DryRun.ONLY_NEW_REFUSED, [NEW, GOOD, NEW]),
            ({GOOD: PRIVILEGED}, DryRun.ONLY_STABLE_REFUSED, [NEW, GOOD]),
            ({"dry-run": PRIVILEGED}, DryRun.BOTH_REFUSED, [NEW, GOOD]),
            ({NEW: InvalidError(422, "Invalid", "no")}, DryRun.ONLY_NEW_REFUSED, [NEW, GOOD, NEW]),
            ({NEW: UnavailableError(500, "", "webhook")}, DryRun.UNKNOWN, [NEW, GOOD]),
            (
                {
                    "dry-run": forbidden_error(
                        'pods is forbidden: User "x" cannot create resource "pods" in API group ""'
                    )
                },
                DryRun.UNKNOWN,
                [NEW, GOOD],
            ),
            (
                {"dry-run": InvalidError(400, "BadRequest", "webhook does not support dry run")},
                DryRun.UNKNOWN,
                [NEW, GOOD],
            ),
        ],
    )
    async def test_answers(
        self, errors: dict[str, Exception], expected: DryRun, requests: list[str]
    ) -> None:
        """If only the new one is refused, it is asked for once more."""
        lab = Laboratory()
        lab.api_server.errors |= errors
        found = await lab.preview()

        assert found.is_known
        assert expected is found.experiments.dry_run
        assert requests == lab.api_server.requests

    async def test_a_refusal_that_ends_meanwhile(self) -> None:
        """A quota was raised between the two: it is not the version."""
        lab = Laboratory()
        original = lab.api_server.try_create_pod
        refusals = [PRIVILEGED]

        async def refuse_once(body: Json) -> None:
            await original(body)
            if refusals:
                raise refusals.pop()

        lab.api_server.try_create_pod = refuse_once  # type: ignore[method-assign]

        assert DryRun.BOTH_ACCEPTED is (await lab.preview()).experiments.dry_run

    async def test_only_the_operator_may_create_none(self) -> None:
        """Pods are created all the same, so what refuses the dry run says nothing."""
        lab = Laboratory()
        lab.api_server.errors["dry-run"] = PRIVILEGED
        found = await lab.preview(snapshot(conditions=()))

        assert (DryRun.UNKNOWN, "") == (found.experiments.dry_run, found.obstacle)

    async def test_the_pod_is_that_of_the_replica_set(self) -> None:
        """Policies ask for the owner; nothing else of it is made up."""
        lab = Laboratory()
        pods: list[Json] = []

        async def note(body: Json) -> None:
            pods.append(body)

        lab.api_server.try_create_pod = note  # type: ignore[method-assign]
        await lab.preview()

        (owner,) = pods[1]["metadata"]["ownerReferences"]
        assert ("ReplicaSet", "uid-of-web-abc", True) == (
            owner["kind"],
            owner["uid"],
            owner["controller"],
        )
        assert builders.NAMESPACE == pods[1]["metadata"]["namespace"]
        assert template()["spec"] == pods[1]["spec"]


class TestObstacles:
    """What a pod of the stable revision could not start without."""

    async def test_it_is_refused(self) -> None:
        """A rollback would end the pods that there are."""
        lab = Laboratory()
        lab.api_server.errors[GOOD] = PRIVILEGED

        assert (
            "a pod of it is refused: violates PodSecurity: privileged"
            == (await lab.preview()).obstacle
        )

    async def test_a_quota_is_none(self) -> None:
        """The pods that it replaces give their share back."""
        lab = Laboratory()
        lab.api_server.errors["dry-run"] = QUOTA

        assert "" == (await lab.preview()).obstacle

    @pytest.mark.parametrize(
        ("objects", "obstacle"),
        [
            ([], "ConfigMap settings does not exist any more"),
            (
                [builders.config(data={"port": "1"})],
                "ConfigMap settings has no key url any more",
            ),
            ([builders.config(data={"url": "x"})], ""),
            ([builders.config(binaryData={"url": "eA=="})], ""),
        ],
    )
    async def test_a_config_map(self, objects: list[Json], obstacle: str) -> None:
        """It was pruned, or its key was."""
        key = {"configMapKeyRef": {"name": "settings", "key": "url"}}
        container = {"name": "app", "image": "web:v0", "env": [{"name": "U", "valueFrom": key}]}
        stable = {"metadata": {}, "spec": {"containers": [container]}}

        assert obstacle == (await Laboratory(*objects).preview(stable=stable)).obstacle

    @pytest.mark.parametrize(
        ("config_watch", "objects", "obstacle"),
        [
            ("configmaps", [], ""),
            ("all", [], "Secret db does not exist any more"),
            ("all", [builders.config("Secret", "db")], ""),
        ],
    )
    async def test_a_secret(
        self, config_watch: ConfigWatch, objects: list[Json], obstacle: str
    ) -> None:
        """Without the right to read Secrets nothing is known of one, and nothing is in the way."""
        lab = Laboratory(*objects, config_watch=config_watch)
        stable = template(volumes=[{"name": "v", "secret": {"secretName": "db"}}])

        assert obstacle == (await lab.preview(stable=stable)).obstacle

    async def test_many_objects(self) -> None:
        """Their number has a limit."""
        names = [f"settings-{n}" for n in range(MAX_REFERENCES + 5)]
        lab = Laboratory(*(builders.config(name=name) for name in names[:MAX_REFERENCES]))
        volumes = [{"name": name, "configMap": {"name": name}} for name in names]
        lab.api_server.objects_by_path |= {
            ("ConfigMap", name): builders.config(name=name) for name in names
        }
        await lab.preview(stable=template(volumes=volumes))

        assert MAX_REFERENCES == sum(r.startswith("get ") for r in lab.api_server.requests)


class TestNodes:
    """Nodes are listed only if a pod finds none."""

    @pytest.mark.parametrize(
        ("spec", "labels", "expected"),
        [
            ({}, {}, NodeFit.FITS),
            ({"nodeSelector": {"disk": "nvme"}}, {"disk": "ssd"}, NodeFit.ONLY_STABLE_FITS),
            (
                {"nodeSelector": {"disk": "nvme"}},
                {"karpenter.sh/nodepool": "default"},
                NodeFit.ONLY_STABLE_FITS_NOW,
            ),
        ],
    )
    async def test_a_pod_without_a_node(self, spec: Json, labels: Json, expected: NodeFit) -> None:
        """Both templates are compared with the nodes that there are."""
        node = builders.node()
        node["metadata"]["labels"] = labels
        lab = Laboratory(node)

        assert expected is (await lab.preview(snapshot(PENDING), **spec)).experiments.node_fit
        assert NodeFit.UNKNOWN is (await Laboratory(node).preview()).experiments.node_fit

    @pytest.mark.parametrize(
        ("message", "stable_affinity", "expected"),
        [
            (NO_CACHE, None, NodeFit.ONLY_AFFINITY_FAILS),
            (NO_CACHE, BESIDE_CACHE, NodeFit.FITS),
            (NO_CACHE.replace("2 node(s)", "1 node(s)"), None, NodeFit.FITS),
            ("0/3 nodes are available: 2 Insufficient cpu.", None, NodeFit.FITS),
        ],
        ids=["nobody runs", "not new", "another node is full or cordoned", "full"],
    )
    async def test_a_pod_affinity(
        self, message: str, stable_affinity: Json | None, expected: NodeFit
    ) -> None:
        """It is the version's if nothing else keeps the pod from any node that could take it."""
        tainted = builders.node("node-3")
        tainted["spec"]["taints"] = [{"key": "control-plane", "effect": "NoSchedule"}]
        lab = Laboratory(builders.node("node-1"), builders.node("node-2"), tainted)
        found = await lab.preview(
            snapshot(pending_pod(message)),
            template(affinity=stable_affinity),
            affinity=BESIDE_CACHE,
        )

        assert expected is found.experiments.node_fit

    async def test_nodes_that_cannot_be_listed(self) -> None:
        """A namespaced operator has no right to."""
        lab = Laboratory()
        lab.api_server.errors["list"] = forbidden_error()
        found = await lab.preview(snapshot(PENDING))

        assert (True, NodeFit.UNKNOWN) == (found.is_known, found.experiments.node_fit)


class TestHowOften:
    """The API server is not asked more often than it can matter."""

    async def test_a_result_is_used_for_a_while(self) -> None:
        """Then it is found anew."""
        lab = Laboratory()
        for _ in range(3):
            await lab.preview()

        assert [NEW, GOOD] == lab.api_server.requests

        await asyncio.sleep(RESULT_TTL + 1)
        await lab.preview()

        assert [NEW, GOOD] * 2 == lab.api_server.requests

    async def test_an_outage(self) -> None:
        """The delay grows from one failure to the next."""
        lab = Laboratory()
        lab.api_server.errors["get"] = UnavailableError(503, "", "no")
        stable = template(volumes=[{"name": "v", "configMap": {"name": "settings"}}])
        for _ in range(20):
            assert not (await lab.preview(stable=stable)).is_known
            await asyncio.sleep(RESULT_TTL / 2)

        times = [r for r in lab.api_server.requests if r.startswith("get")]
        assert 4 == len(times)

        lab.experiments.forget_app(KEY)
        await lab.preview(stable=stable)

        assert times != [r for r in lab.api_server.requests if r.startswith("get")]

    async def test_a_template_that_is_none(self) -> None:
        """Somebody has written it who may write the status and ControllerRevisions."""
        lab = Laboratory()
        broken = template(volumes="all")

        assert not (await lab.preview(stable=broken)).is_known


@pytest.mark.parametrize(
    ("app", "record", "expected"),
    [
        (snapshot(conditions=()), build_record(), False),
        (snapshot(), build_record(), True),
        (snapshot(PENDING, conditions=()), build_record(), True),
        (
            snapshot(conditions=()),
            build_record(diagnoses=[build_diagnosis(cause="NewVersion")]),
            True,
        ),
        (snapshot(conditions=()), build_record(diagnoses=[build_diagnosis()]), False),
        (
            snapshot(conditions=()),
            build_record(diagnoses=[build_diagnosis("PodsRefused", "Environment")]),
            True,
        ),
    ],
)
def test_when_it_is_worth_it(
    app: AppSnapshot,
    record: HealingStatus,
    expected: bool,  # noqa: FBT001 - a table's column
) -> None:
    """If pods are not made, or a version is blamed."""
    assert expected is should_preview(app, build_inputs(app, record))
