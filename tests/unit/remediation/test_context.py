"""The context of a decision about one app."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from selfhealing.api.config_refs import ConfigRef
from selfhealing.api.container_limits import LimitedResource, LimitKey
from selfhealing.api.healing_status import HealingStatus
from selfhealing.api.names import ANNOTATION_CONFIG_HASH
from selfhealing.api.spec import parse_spec
from selfhealing.api.status import SelfHealingAppStatus
from selfhealing.health.assessment import assess_health
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.health.termination_causes import TerminationCauses
from selfhealing.remediation.context import (
    ExternalState,
    HealthInput,
    RemediationContext,
    build_context,
)
from selfhealing.remediation.reconcile_input import build_reconcile_input
from selfhealing.render.pod import build_pod_template
from selfhealing.render.references import hash_config_digests
from tests.unit.builders import (
    app,
    at,
    crash_loop,
    deployment,
    evicted_pod,
    hpa,
    iso,
    pod,
    progressing_condition,
    running,
    termination,
    waiting,
)
from tests.unit.snapshots import Json, build_snapshot, revision_of_spec

SPEC: Json = {"image": "web:v1", "resources": {"limits": {"memory": "64Mi"}}}
REVISION = revision_of_spec(SPEC)
CRASH_LOOPING_POD = pod("web-abc-1", crash_loop(4, termination()))


def make_context(
    *objects: Json,
    record: HealingStatus | None = None,
    now: float = 1000,
    rollout: Json | None = None,
    external: ExternalState | None = None,
    config_digests: Mapping[ConfigRef, str] | None = None,
    **meta: Any,  # noqa: ANN401 - metadata
) -> RemediationContext:
    """The context of an app with this record."""
    spec_json = {**SPEC, "rollout": rollout} if rollout is not None else SPEC
    status = SelfHealingAppStatus(healing=record).to_json()
    snapshot = build_snapshot(app(spec_json, status, **meta), *objects)
    snapshot = replace(snapshot, config_digests=config_digests or {})
    causes, deadlines = TerminationCauses(), Deadlines(at(now))
    assessment = assess_health(snapshot, causes, deadlines)
    return build_context(
        build_reconcile_input(snapshot, parse_spec(spec_json), at(now)),
        HealthInput(snapshot, assessment, causes),
        external or ExternalState(),
        deadlines,
    )


def find_cause(record: HealingStatus, *, observed: bool = True) -> Cause:
    """The cause of the crash of a pod that was created at noon."""
    return (
        make_context(deployment(1, observed=observed), CRASH_LOOPING_POD, record=record)
        .diagnoses[0]
        .cause
    )


def test_a_healthy_app() -> None:
    """All fields of the context."""
    gone = pod("web-abc-3", running(), deletionTimestamp=iso(999))
    found = make_context(
        deployment(2),
        pod("web-abc-1", running()),
        pod("web-abc-2", running()),
        gone,
        evicted_pod("web-abc-4"),
    )

    assert (REVISION, "web:v1", {LimitKey("app", LimitedResource.MEMORY): "64Mi"}, ()) == (
        found.desired_revision,
        found.image,
        found.limits,
        found.diagnoses,
    )
    assert (True, False, False) == (found.healthy, found.scaled_to_zero, found.rollout_paused)
    assert (2, 2) == (found.wanted, found.ready)
    assert {"uid-of-web-abc-1", "uid-of-web-abc-2"} == found.pod_uids
    assert ("", "") == (found.approve, found.resume)


def test_the_annotations() -> None:
    """The annotations of the app that approve and resume."""
    asked = {"selfhealing.dev/approve": "7", "selfhealing.dev/resume": "now"}
    found = make_context(deployment(1), annotations=asked)

    assert ("7", "now") == (found.approve, found.resume)


class TestHealthy:
    """All wanted pods exist and are ready, and none has a problem or a diagnosis."""

    @pytest.mark.parametrize(
        ("objects", "healthy", "scaled_to_zero"),
        [
            ([], False, True),
            ([deployment(0)], False, True),
            ([deployment(1), CRASH_LOOPING_POD], False, False),
            ([deployment(2), pod("web-abc-1", running())], True, False),
            ([deployment(1, observed=False), pod("web-abc-1", running())], False, False),
            (
                [
                    deployment(1),
                    pod(
                        "web-abc-1",
                        running(998, restarts=4, last=termination(finished=997, started=700)),
                    ),
                ],
                False,
                False,
            ),
        ],
        ids=["nothing", "scaled to zero", "ill", "one is missing", "not taken up", "flaps"],
    )
    def test_it_is_not_complete(
        self, objects: list[Json], *, healthy: bool, scaled_to_zero: bool
    ) -> None:
        """An app without pods is not complete either; one whose pods start may be healthy."""
        found = make_context(*objects)

        assert (False, healthy, scaled_to_zero) == (
            found.complete,
            found.healthy,
            found.scaled_to_zero,
        )

    @pytest.mark.parametrize(
        ("created", "restarts", "healthy"),
        [(990, 0, True), (401, 0, True), (399, 0, False), (990, 1, False)],
        ids=["just made", "still starting", "longer than a rollout may take", "restarted"],
    )
    def test_it_is_healthy_while_pods_that_an_autoscaler_adds_start(
        self, created: float, restarts: int, *, healthy: bool
    ) -> None:
        """One new pod every few minutes must not keep a version from its probation for ever."""
        starting = running(created, ready=False, restarts=restarts)
        found = make_context(
            deployment(2),
            pod("web-abc-1", running()),
            pod("web-abc-2", starting, created=created),
        )

        assert (False, healthy) == (found.complete, found.healthy)

    @pytest.mark.parametrize(
        ("other", "expected"),
        [
            (
                pod("web-abc-2", running(), ready=False, ready_reason="", deletionTimestamp=iso(0)),
                DiagnosisType.STUCK_TERMINATING,
            ),
            (
                hpa(active="False", reason="FailedGetResourceMetric", since=0),
                DiagnosisType.METRICS_UNAVAILABLE,
            ),
        ],
    )
    def test_it_is_healthy_despite_a_pod_on_a_lost_node(
        self, other: Json, expected: DiagnosisType
    ) -> None:
        """A deleted pod on an unreachable node, which stays for days, does not count."""
        found = make_context(deployment(1), pod("web-abc-1", running()), other)

        assert ([expected], True) == (
            [diagnosis.type for diagnosis in found.diagnoses],
            found.healthy,
        )


class TestProbation:
    """Whether the desired revision runs, and is not stable yet."""

    @pytest.mark.parametrize(
        ("fields", "cause"),
        [
            ({"desired_revision": REVISION, "desired_since": at(0)}, Cause.NEW_VERSION),
            ({"desired_revision": REVISION, "desired_since": at(500)}, Cause.POD),
            ({"desired_revision": "other", "desired_since": at(0)}, Cause.POD),
            ({"desired_revision": REVISION, "stable_revision": REVISION}, Cause.ENVIRONMENT),
            (
                {
                    "desired_revision": REVISION,
                    "failed_revision": REVISION,
                    "stable_revision": "other",
                },
                Cause.ENVIRONMENT,
            ),
        ],
        ids=[
            "it is new",
            "the pod is older than it",
            "it has just been asked for",
            "it has proved itself",
            "it has failed and does not run",
        ],
    )
    def test_the_cause(self, fields: Json, cause: Cause) -> None:
        """The revision is the cause only if it is new, runs, and the pod belongs to it."""
        assert cause is find_cause(HealingStatus(mode="Auto", budget_left=3, **fields))

    def test_a_change_that_is_not_observed_yet(self) -> None:
        """The pods belong to the previous revision."""
        record = HealingStatus(
            mode="Auto", budget_left=3, desired_revision=REVISION, desired_since=at(0)
        )

        assert Cause.POD is find_cause(record, observed=False)

    @pytest.mark.parametrize(
        ("image", "cause"), [("web:v1", Cause.ENVIRONMENT), ("web:v0", Cause.NEW_VERSION)]
    )
    def test_the_same_image(self, image: str, cause: Cause) -> None:
        """The template of the stable revision has the same image."""
        assert (cause, Confidence.HIGH) == self.find_pull_cause({**SPEC, "image": image})

    def test_a_template_that_cannot_be_compared(self) -> None:
        """It is not known, or somebody else has written it: nothing is certain."""
        assert (Cause.ENVIRONMENT, Confidence.HIGH) == self.find_pull_cause(None)
        assert (Cause.ENVIRONMENT, Confidence.HIGH) == self.find_pull_cause({}, spec="?")

    def find_pull_cause(self, stable: Json | None, **broken: Any) -> tuple[Cause, Confidence]:  # noqa: ANN401 - JSON
        """The cause of an image that does not exist, beside a stable revision of this spec."""
        template = broken or (stable and build_pod_template("web", parse_spec(stable)))
        record = HealingStatus(
            mode="Auto",
            budget_left=3,
            desired_revision=REVISION,
            desired_since=at(0),
            stable_revision="good",
        )
        (found,) = make_context(
            deployment(1),
            pod("web-abc-1", waiting("ErrImagePull", "manifest unknown")),
            record=record,
            external=ExternalState(stable_template=template),
        ).diagnoses
        return found.cause, found.confidence


def test_somebody_has_paused_the_deployment() -> None:
    """A change of a paused Deployment does not reach the pods."""
    paused = deployment(1, conditions=[progressing_condition("DeploymentPaused", status="Unknown")])

    assert make_context(paused).rollout_paused


@pytest.mark.parametrize(
    ("rollout", "expected"),
    [
        (None, False),
        ({"minReadySeconds": 5}, False),
        ({"strategy": {"type": "RollingUpdate"}}, False),
        ({"strategy": {"type": "Recreate"}}, True),
    ],
)
def test_a_rollout_that_stops_all_pods(rollout: Json | None, expected: bool) -> None:  # noqa: FBT001 - a table's column
    """It is the spec's strategy, whatever the Deployment does now."""
    assert (
        expected
        is make_context(deployment(1), pod("web-abc-1", running()), rollout=rollout).uses_recreate
    )


@pytest.mark.parametrize(("current", "is_progressing"), [("abc", False), ("new", True)])
def test_a_rollout_goes_on_whatever_the_pods_that_it_replaces_do(
    current: str,
    is_progressing: bool,  # noqa: FBT001 - a column
) -> None:
    """A crash of a pod of the current template is no progress; one of the earlier template is."""
    progressing = progressing_condition()
    progressing["message"] = f'ReplicaSet "web-{current}" is progressing.'
    rollout = deployment(1, updated=1, available=0, conditions=[progressing])
    starting = pod(f"web-{current}-2", running(since=990, ready=False), ready=False)

    context = make_context(rollout, CRASH_LOOPING_POD, starting)

    assert context.diagnoses
    assert is_progressing is context.is_rollout_progressing


@pytest.mark.parametrize(
    ("workload", "is_known"),
    [
        (deployment(2), True),
        (deployment(2, observed=False), False),
        # It returns to an earlier ReplicaSet, which it does not name yet.
        (deployment(2, updated=0), False),
    ],
    ids=["rolled out", "not observed", "not named"],
)
def test_whose_pods_they_are_after_a_rollback(workload: Json, *, is_known: bool) -> None:
    """The pods of the failed revision do not speak against the stable one."""
    record = HealingStatus(
        mode="Auto", budget_left=3, stable_revision="stable", failed_revision=REVISION
    )
    crashing = (pod(f"web-abc-{n}", crash_loop(4, termination())) for n in (1, 2))

    found = make_context(workload, *crashing, record=record)

    assert found.is_all_current is is_known
    assert ("DependencyDown" in found.diagnosis_types) is is_known


@pytest.mark.parametrize(
    ("proved_with", "failed_config", "confidence", "suspects"),
    [
        ("old", None, Confidence.LOW, "its configuration, which has changed since, and its"),
        ("new", None, Confidence.MEDIUM, "its dependencies"),
        ("old", "new", Confidence.MEDIUM, "its dependencies"),
        (None, None, Confidence.MEDIUM, "its dependencies"),
    ],
    ids=["other contents", "the same", "it reads copies", "its template is unknown"],
)
def test_a_stable_revision_that_reads_another_configuration(
    proved_with: str | None, failed_config: str | None, confidence: Confidence, suspects: str
) -> None:
    """That it was healthy with another one does not prove that its dependency is down."""
    settings = ConfigRef("ConfigMap", "settings")
    template = build_pod_template("web", parse_spec(SPEC))
    template["metadata"]["annotations"] = {
        ANNOTATION_CONFIG_HASH: hash_config_digests({settings: proved_with or ""})
    }
    record = HealingStatus(
        mode="Auto", budget_left=3, stable_revision="stable", failed_config=failed_config
    )
    crashing = [pod(f"web-abc-{n}", crash_loop(4, termination())) for n in (1, 2)]
    situation: Json = {
        "external": ExternalState(stable_template=template if proved_with else None),
        "config_digests": {settings: "new"},
    }
    desired = make_context(record=record, **situation).desired_revision
    failed = record.model_copy(update={"failed_revision": desired})

    (found,) = make_context(deployment(2), *crashing, record=failed, **situation).diagnoses

    assert (DiagnosisType.DEPENDENCY_DOWN, confidence) == (found.type, found.confidence)
    assert f"check {suspects}" in found.message
