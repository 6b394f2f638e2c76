"""Apps in every phase, as the operator reports them, and what other tools are to say of each."""

from dataclasses import dataclass
from typing import Any, Final

from selfhealing.api.spec import parse_spec
from selfhealing.apply.result import SyncError, SyncErrorReason, SyncResult
from selfhealing.remediation.context import ExternalState
from selfhealing.render.job import run_hash
from selfhealing.render.pod import build_pod_template
from tests.unit import builders
from tests.unit.builders import (
    crash_loop,
    deployment,
    iso,
    job,
    job_pod,
    pod,
    progressing_condition,
    running,
    terminated,
    termination,
)
from tests.unit.snapshots import (
    Json,
    evaluate_app,
    evaluate_invalid_app,
    revision_of_spec,
    status_json,
)

SPEC: Final[Json] = {"image": "web:v1", "port": 5000}
PAUSED_SPEC: Final[Json] = {**SPEC, "paused": True}
APPROVE_SPEC: Final[Json] = {**SPEC, "healing": {"mode": "Approve"}}
JOB_SPEC: Final[Json] = {"image": "web:v1", "restartPolicy": "Never"}

READY_POD: Final = pod("web-abc-1", running())
LOOPING_POD: Final = pod("web-abc-1", crash_loop(4, termination()))
OLD_POD: Final = pod("web-old-1", running(), created=-1000, since=-900)
ROLLING: Final = [progressing_condition("ReplicaSetUpdated", "abc")]
STABLE: Final[Json] = {"stableRevision": "good", "stableImage": "web:v0", "stableSince": iso(0)}
STABLE_TEMPLATE: Final[Json] = {"spec": {"containers": [{"name": "app", "image": "web:v0"}]}}


@dataclass(frozen=True)
class Situation:
    """An app, and what kstatus and Argo CD are to say of it."""

    name: str
    app: Json
    kstatus: str
    argocd: str

    @property
    def is_new(self) -> bool:
        """Whether no operator has written the status yet."""
        return "phase" not in self.app.get("status", {})


def _store(spec: Json, status: Json | None, **meta: Any) -> Json:  # noqa: ANN401 - JSON
    """The app as the API server has it."""
    app = builders.app(spec, status=status, **meta)
    del app["metadata"]["resourceVersion"]
    return app


def _report(*objects: Json, spec: Json = SPEC, **more: Any) -> Json:  # noqa: ANN401 - as evaluate_app
    return _store(spec, status_json(evaluate_app(*objects, spec=spec, **more)))


def _report_healed(
    *objects: Json,
    spec: Json = SPEC,
    **record: Any,  # noqa: ANN401 - fields of the record
) -> Json:
    """An app with a stored record of healing."""
    healing = {
        "mode": "Auto",
        "budgetLeft": 3,
        "desiredRevision": revision_of_spec(spec),
        "desiredGeneration": 1,
        "desiredSince": iso(500),
        "nextId": 1 + len(record.get("history", ())),
        **STABLE,
        **record,
    }
    return _report(
        *objects,
        spec=spec,
        previous_status={"healing": healing},
        external=ExternalState(stable_template=STABLE_TEMPLATE, experiments_done=True),
        now=1000,
    )


def _report_job(*objects: Json) -> Json:
    return _report(*objects, spec=JOB_SPEC)


def _make_job(**more: Any) -> Json:  # noqa: ANN401 - as job
    spec = parse_spec(JOB_SPEC)
    return job(run_hash=run_hash(spec, build_pod_template("web", spec)), **more)


def _make_action(remediation: str, outcome: str, **more: Any) -> Json:  # noqa: ANN401 - JSON
    return {
        "id": 1,
        "remediation": remediation,
        "diagnosis": "CrashLooping",
        "outcome": outcome,
        "at": iso(950),
        "message": "web-abc-1: keeps crashing, exit code 1",
        **more,
    }


def _refuse(reason: SyncErrorReason, message: str) -> SyncResult:
    return SyncResult(errors=(SyncError(reason, message),))


_READY: Final = _report(deployment(1), READY_POD)
_INVALID: Final = _store(
    {"port": 5000}, status_json(evaluate_invalid_app(deployment(1), READY_POD))
)
_QUOTA: Final = _refuse(SyncErrorReason.QUOTA_EXCEEDED, "Deployment: exceeded quota: small")
_CONFLICT: Final = _refuse(SyncErrorReason.NAME_CONFLICT, "there is a Deployment web")
_NO_VPA: Final = _refuse(SyncErrorReason.VPA_NOT_INSTALLED, "VPA is not installed")
_SUSPENDED: Final = [progressing_condition("DeploymentPaused", "def", status="Unknown")]
_STUCK: Final = [progressing_condition("ProgressDeadlineExceeded", "abc", status="False")]

SITUATIONS: Final = (
    Situation("new", _store(SPEC, {"observedGeneration": -1}), "InProgress", "Progressing"),
    Situation("edited", {**_READY, "metadata": {**_READY["metadata"], "generation": 2}},
              "InProgress", "Progressing"),
    Situation("pending", _report(), "InProgress", "Progressing"),
    Situation("progressing", _report(deployment(2, updated=1, conditions=ROLLING), READY_POD,
                                     OLD_POD), "InProgress", "Progressing"),
    Situation("ready", _READY, "Current", "Healthy"),
    Situation("ready_without_vpa", _report(deployment(1), READY_POD, sync_result=_NO_VPA),
              "Current", "Healthy"),
    Situation("ready_scaled_to_zero", _report(deployment(0)), "Current", "Healthy"),
    Situation("degraded", _report(deployment(1), LOOPING_POD), "InProgress", "Degraded"),
    Situation("degraded_quota", _report(sync_result=_QUOTA), "InProgress", "Degraded"),
    Situation("degraded_stuck", _report(deployment(1, conditions=_STUCK), LOOPING_POD),
              "Failed", "Degraded"),
    Situation("degraded_awaiting_approval",
              _report_healed(deployment(1), LOOPING_POD, spec=APPROVE_SPEC, mode="Approve",
                             diagnoses=[{"type": "CrashLooping", "cause": "NewVersion",
                                         "confidence": "High", "since": iso(100)}]),
              "Failed", "Degraded"),
    Situation("degraded_rolled_back",
              _report_healed(deployment(1), READY_POD, failedRevision=revision_of_spec(SPEC),
                             failedForCertain=True,
                             history=[_make_action("Rollback", "Succeeded", endedAt=iso(990),
                                                   target="good")]),
              "Failed", "Degraded"),
    Situation("healing", _report_healed(deployment(1), LOOPING_POD,
                                        history=[_make_action("ReplacePod", "InProgress",
                                                              target="web-abc-1",
                                                              uid="uid-of-web-abc-1")]),
              "InProgress", "Progressing"),
    Situation("quarantined",
              _report_healed(deployment(1), LOOPING_POD, quarantined=True,
                             history=[_make_action("Quarantine", "Completed")]),
              "Failed", "Degraded"),
    Situation("invalid", _INVALID, "Failed", "Degraded"),
    Situation("invalid_name_conflict", _report(sync_result=_CONFLICT), "Failed", "Degraded"),
    Situation("paused", _report(deployment(1), READY_POD, spec=PAUSED_SPEC),
              "Current", "Suspended"),
    Situation("paused_failing", _report(deployment(1), LOOPING_POD, spec=PAUSED_SPEC),
              "InProgress", "Suspended"),
    Situation("deployment_paused",
              _report(deployment(1, updated=0, conditions=_SUSPENDED), OLD_POD),
              "Failed", "Suspended"),
    Situation("job_running", _report_job(_make_job(), job_pod("web-1", running())),
              "Current", "Progressing"),
    Situation("job_suspended", _report_job(_make_job(spec={"suspend": True})),
              "Failed", "Suspended"),
    Situation("job_failed",
              _report_job(_make_job(result="Failed", reason="BackoffLimitExceeded"),
                          job_pod("web-1", terminated(termination(3, finished=40)),
                                  phase="Failed")),
              "Failed", "Degraded"),
    Situation("completed", _report_job(_make_job(result="Complete")), "Current", "Healthy"),
)  # fmt: skip
