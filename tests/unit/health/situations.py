"""Situations of an app, and what they are attributed to."""

from collections.abc import Sequence
from typing import Any, Final

from selfhealing.api.names import ANNOTATION_CONFIG_HASH
from selfhealing.api.spec import parse_spec
from selfhealing.health.app_diagnosis import AppDiagnosis, diagnose_app
from selfhealing.health.assessment import assess_health
from selfhealing.health.attribution import Cause, Confidence, Probation
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.experiments import NO_EXPERIMENTS, Experiments
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.health.template_change import compare_templates
from selfhealing.health.termination_causes import TerminationCauses
from selfhealing.remediation.policy import build_policy
from tests.unit.builders import (
    at,
    crash_loop,
    deployment,
    pod,
    progressing_condition,
    running,
    termination,
    waiting,
)
from tests.unit.snapshots import build_snapshot

Json = dict[str, Any]
Verdict = tuple[DiagnosisType, Cause, Confidence]

NOW: Final = 1000.0
UNDER_WAY: Final = progressing_condition("ReplicaSetUpdated", "def")
STALLED: Final = progressing_condition("ProgressDeadlineExceeded", "def", status="False")

RESOLVE: Final = (
    'failed to pull and unpack image "registry.example/acme/web:v2": failed to resolve reference '
    '"registry.example/acme/web:v2": '
)


def build_template(image: str = "web:v1", *, config_hash: str = "", **fields: Any) -> Json:  # noqa: ANN401 - JSON
    """Return a pod template; ``fields`` are those of the app's container, or of the pod."""
    pod_fields = {
        name: fields.pop(name)
        for name in ("initContainers", "volumes", "nodeSelector", "securityContext")
        if name in fields
    }
    sidecars = fields.pop("sidecars", [])
    annotations = {ANNOTATION_CONFIG_HASH: config_hash} if config_hash else {}
    return {
        "metadata": {"labels": {}, "annotations": annotations},
        "spec": {
            "containers": [{"name": "app", "image": image, **fields}, *sidecars],
            **pod_fields,
        },
    }


GOOD: Final = build_template()
NEW: Final = build_template("web:v2")


def diagnose(
    *objects: Json,
    good: Json | None = GOOD,
    new: Json = NEW,
    proved: bool = False,
    young: bool = False,
    experiments: Experiments = NO_EXPERIMENTS,
    conditions: Sequence[Json] = (UNDER_WAY,),
    now: float = NOW,
) -> tuple[AppDiagnosis, ...]:
    """Diagnose an app of two wanted pods."""
    snapshot = build_snapshot(deployment(2, updated=1, conditions=conditions), *objects)
    causes, deadlines = TerminationCauses(), Deadlines(at(now))
    probation = Probation(
        is_open=not proved,
        is_young=young,
        has_stable_revision=good is not None,
        change=compare_templates(good, new),
        experiments=experiments,
    )
    thresholds = build_policy(parse_spec({"image": "web:v2"})).thresholds
    assessment = assess_health(snapshot, causes, deadlines)
    return diagnose_app(snapshot, assessment, causes, deadlines, thresholds, probation)


def judge(*objects: Json, **situation: Any) -> list[Verdict]:  # noqa: ANN401 - as diagnose
    """The diagnoses without their texts."""
    found = diagnose(*objects, **situation)
    return [(each.type, each.cause, each.confidence) for each in found]


def good_pods(count: int = 2) -> list[Json]:
    """Pods of the good version that serve."""
    return [pod(f"web-abc-{n}", running()) for n in range(count)]


def crashing(name: str, container: str = "app", **more: Any) -> Json:  # noqa: ANN401 - as pod
    """A pod of which one container crashes; the app's is beside it if it is another one."""
    statuses = [] if container == "app" else [running()]
    return pod(name, *statuses, crash_loop(5, termination(), name=container), **more)


def waiting_pod(name: str, reason: str, text: str, container: str = "app") -> Json:
    """A pod of which one container does not start."""
    statuses = [] if container == "app" else [running()]
    return pod(name, *statuses, waiting(reason, text, name=container), created=100)


def unready(name: str, since: float = 300) -> Json:
    """A pod that runs, was ready, and is not any more."""
    return pod(name, running(10, ready=False), since=since)


def blames_version(verdicts: Sequence[Verdict]) -> bool:
    """Whether the new version is the cause of anything."""
    return any(cause is Cause.NEW_VERSION for _, cause, _ in verdicts)
