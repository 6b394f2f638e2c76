"""What the status says of everyday mistakes: the cause, and the field to change."""

from collections.abc import Sequence
from typing import Any

import pytest

from selfhealing.api.config_refs import ChangedConfig, ConfigRef
from selfhealing.api.healing_status import BlockedReason, DiagnosisStatus, HealingStatus
from selfhealing.api.status import Phase
from selfhealing.apply.child_diff import ChildAction
from selfhealing.apply.result import ChildChange
from selfhealing.status.events import child_events
from selfhealing.status.phase import PhaseSummary
from selfhealing.status.remediation import with_remediation
from tests.unit.builders import (
    Json,
    crash_loop,
    deployment,
    evicted_pod,
    hpa,
    iso,
    pod,
    pod_event,
    progressing_condition,
    replica_failure_condition,
    running,
    terminated,
    termination,
    waiting,
)
from tests.unit.snapshots import KEY, evaluate_app, evaluate_invalid_app, status_json

REPLACED = "updated Deployment to replace the pods"
ROLLING_OUT = deployment(1, conditions=[progressing_condition("ReplicaSetUpdated")])


def tell(*objects: Json, **more: Any) -> Json:  # noqa: ANN401 - as evaluate_app
    """The status of the app as JSON."""
    return status_json(evaluate_app(*objects, **more))


def creating(reason: str = "ContainerCreating") -> Json:
    """A pod that has a node, and whose container does not run yet."""
    return pod("web-abc-1", waiting(reason), phase="Pending")


def diagnoses(status: Json) -> list[tuple[str, str]]:
    """The types and messages of the diagnoses."""
    return [(each["type"], each["message"]) for each in status["healing"].get("diagnoses", ())]


class TestVolumes:
    """A pod that waits for a volume says for which, and why."""

    @pytest.mark.parametrize(
        ("message", "expected"),
        [
            (
                'MountVolume.SetUp failed for volume "data" : mount failed: exit status 32',
                "cannot mount volume data: mount failed: exit status 32",
            ),
            (
                "Unable to attach or mount volumes: unmounted volumes=[data logs], timed out",
                "waits for its volumes: data, logs",
            ),
            ("something new", "cannot mount a volume: something new"),
        ],
    )
    def test_failed_mount(self, message: str, expected: str) -> None:
        """In the words of the kubelet, after 30 s; a diagnosis after a minute."""
        event = pod_event("web-abc-1", "FailedMount", message, 10)

        assert "Progressing" == tell(ROLLING_OUT, creating(), event, now=29)["phase"]
        status = tell(ROLLING_OUT, creating(), event, now=60)
        assert ("Degraded", expected) == (status["phase"], status["pods"][0]["message"])
        assert [("VolumeFailing", f"web-abc-1: {expected}")] == diagnoses(status)
        assert "Unknown" != status["healing"]["diagnoses"][0]["type"]

    def test_multi_attach(self) -> None:
        """The controller that attaches volumes says which pod has it."""
        message = 'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) web-abc-0'
        event = pod_event(
            "web-abc-1", "FailedAttachVolume", message, 10, component="attachdetach-controller"
        )

        status = tell(ROLLING_OUT, creating(), event)
        assert "Multi-Attach error" in status["pods"][0]["message"]

    @pytest.mark.parametrize(
        "cause",
        [
            'configmap "settings" not found',
            'secret "key" not found',
            "references non-existent config key: app.yaml",
        ],
    )
    def test_a_missing_object_is_a_config_error(self, cause: str) -> None:
        """It is the same fault as a missing object behind a variable."""
        message = f'MountVolume.SetUp failed for volume "settings" : {cause}'
        event = pod_event("web-abc-1", "FailedMount", message, 10)
        ((kind, text),) = diagnoses(tell(ROLLING_OUT, creating(), event))

        assert ("ConfigError", True) == (kind, cause in text)

    @pytest.mark.parametrize(
        "thing", [pod("web-abc-1", running()), pod("web-abc-1", running(ready=False))]
    )
    def test_a_pod_that_runs(self, thing: Json) -> None:
        """What failed before its start says nothing."""
        event = pod_event("web-abc-1", "FailedMount", "MountVolume.SetUp failed", 10)

        assert [] == diagnoses(tell(ROLLING_OUT, thing, event))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "Unable to retrieve some image pull secrets (regcred, other); attempting to pull",
            "; the pull secret regcred, other cannot be read",
        ),
        ("something new", ""),
    ],
)
def test_a_missing_pull_secret(message: str, expected: str) -> None:
    """The name of the Secret that the kubelet cannot read."""
    denied = waiting("ImagePullBackOff", "denied: requested access to the resource is denied")
    event = pod_event("web-abc-1", "FailedToRetrieveImagePullSecret", message, 10)
    found = tell(ROLLING_OUT, pod("web-abc-1", denied), event)["pods"][0]["message"]

    assert f"access is denied, or there is no such image{expected}" in found


class TestMemory:
    """Too little memory."""

    @pytest.mark.parametrize(
        ("limit", "applied", "expected"),
        [
            ("12Mi", "", ": its limit is 12Mi (spec.resources.limits.memory)"),
            ("12Mi", "24Mi", ": its limit is 24Mi (spec.resources.limits.memory)"),
            ("", "", ""),
        ],
    )
    def test_the_limit_and_the_field(self, limit: str, applied: str, expected: str) -> None:
        """The limit that is in force, and the field that sets it."""
        looping = crash_loop(3, termination(137, "OOMKilled"))
        thing = pod("web-abc-1", looping, memory_limit=limit, applied_memory_limit=applied)
        (found,) = tell(deployment(1), thing)["pods"]

        assert f"runs out of memory again and again{expected}" == found["message"]


class TestEvictions:
    """Who removes a pod, and for whose limit."""

    @pytest.mark.parametrize(
        ("message", "subject"),
        [
            (
                'Usage of EmptyDir volume "cache" exceeds the limit "4Mi". ',
                "evicted: volume cache over its limit of 4Mi",
            ),
            (
                'Container app exceeded its local ephemeral storage limit "1Gi". ',
                "evicted: container app over its storage limit of 1Gi",
            ),
            (
                "Pod ephemeral local storage usage exceeds the total limit of containers 8Mi. ",
                "evicted: the pod over its storage limit of 8Mi",
            ),
        ],
    )
    def test_its_own_limit(self, message: str, subject: str) -> None:
        """The environment is not blamed for a limit of the app."""
        gone = [evicted_pod(f"web-abc-{n}", message=message) for n in (1, 2)]
        status = tell(deployment(2), *gone)

        assert f"pods are {subject}" in status["message"]
        assert ("Evicted", subject) == tuple(
            status["pods"][0][key] for key in ("reason", "message")
        )
        (found,) = status["healing"]["diagnoses"]
        assert ("PodsFailed", "Unknown", "Low") == (
            found["type"],
            found["cause"],
            found["confidence"],
        )

    @pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
    def test_only_the_event_tells(self, phase: str) -> None:
        """The pods ended at the kubelet's signal; the substitutes are ready, and it recurs."""
        mounts = [{"name": "cache", "mountPath": "/cache"}]
        names = ("web-abc-1", "web-abc-2")
        text = 'Usage of EmptyDir volume "cache" exceeds the limit "4Mi". '
        ended = terminated(termination(0, "Completed", finished=50))
        things = [
            deployment(1),
            pod("web-abc-3", running()),
            *(pod(name, ended, phase=phase) for name in names),
            *(pod_event(name, "Evicted", text, 45) for name in names),
        ]

        status = tell(*things, spec={"image": "web:v1", "volumeMounts": mounts}, now=1800)

        assert "Degraded" == status["phase"]
        assert "pods are evicted: /cache over its limit of 4Mi" in status["message"]
        assert ("Evicted", "evicted: /cache over its limit of 4Mi") == tuple(
            status["pods"][1][key] for key in ("reason", "message")
        )
        assert "Ready" == tell(*things, now=1851)["phase"]

    def test_a_single_one(self) -> None:
        """Its substitute is ready: nothing is wrong with the app."""
        text = 'Usage of EmptyDir volume "cache" exceeds the limit "4Mi". '
        status = tell(
            deployment(1), pod("web-abc-2", running()), evicted_pod("web-abc-1", message=text)
        )

        assert "Ready" == status["phase"]
        assert "evicted: volume cache over its limit of 4Mi" == status["pods"][1]["message"]

    def test_pressure_of_the_node(self) -> None:
        """There the environment is."""
        gone = [evicted_pod(f"web-abc-{n}") for n in (1, 2)]
        (found,) = tell(deployment(2), *gone)["healing"]["diagnoses"]

        assert ("PodsFailed", "Environment") == (found["type"], found["cause"])
        assert "nodes reject new pods: Evicted, The node was low on resource" in found["message"]

    @pytest.mark.parametrize(
        ("reason", "expected"),
        [
            ("PreemptionByScheduler", "preempted by the scheduler, for a pod of higher priority"),
            ("EvictionByEvictionAPI", "evicted, as by a drain of its node"),
            ("SomethingNew", None),
        ],
    )
    def test_who_removes_it(self, reason: str, expected: str | None) -> None:
        """The condition DisruptionTarget names it."""
        condition = {"type": "DisruptionTarget", "status": "True", "reason": reason}
        leaving = pod("web-abc-1", running(), conditions=[condition], deletionTimestamp=iso(9))
        (found,) = tell(deployment(1), leaving)["pods"]

        assert ("Terminating", expected) == (found["reason"], found.get("message"))


SCALED: Json = {"image": "web:v1", "port": 5000, "autoscaling": {"maxReplicas": 5}}


class TestMissingRequest:
    """Autoscaling on a share of a request that the spec does not have."""

    @pytest.mark.parametrize(
        ("autoscaling", "resources", "expected"),
        [
            ({}, None, "autoscaling needs spec.resources.requests.cpu"),
            (
                {"targetMemoryUtilizationPercentage": 80},
                {"requests": {"cpu": "1"}},
                "autoscaling needs spec.resources.requests.memory",
            ),
            ({"targetCPUUtilizationPercentage": 50}, {"requests": {"cpu": "1"}}, ""),
            ({}, {"limits": {"cpu": "1"}}, ""),
            ({"metrics": [{"type": "Pods", "pods": {}}]}, None, ""),
            (
                {
                    "metrics": [
                        {
                            "type": "Resource",
                            "resource": {
                                "name": "cpu",
                                "target": {"type": "AverageValue", "averageValue": "100m"},
                            },
                        }
                    ]
                },
                None,
                "",
            ),
        ],
        ids=["default", "memory", "given", "a limit", "another metric", "a value"],
    )
    def test_it_is_told_at_once(
        self, autoscaling: Json, resources: Json | None, expected: str
    ) -> None:
        """In the condition, the message and one Event, before the autoscaler knows it."""
        spec = {**SCALED, "autoscaling": {"maxReplicas": 5, **autoscaling}}
        spec |= {"resources": resources} if resources else {}
        evaluation = evaluate_app(deployment(1), hpa(active=None), spec=spec)
        status = status_json(evaluation)
        events = [event for event in evaluation.events if event.reason == "MissingRequest"]
        again = evaluate_app(deployment(1), hpa(active=None), spec=spec, previous_status=status)

        assert bool(expected) == (expected in status["message"] if expected else False)
        assert [expected] * bool(expected) == [event.message.split(":")[0] for event in events]
        assert () == again.events

    @pytest.mark.parametrize(
        "containers",
        [
            {"sidecars": [{"name": "proxy", "image": "proxy:v1"}]},
            {"initContainers": [{"name": "proxy", "image": "p:v1", "restartPolicy": "Always"}]},
        ],
        ids=["sidecar", "native sidecar"],
    )
    def test_another_container(self, containers: Json) -> None:
        """The autoscaler needs the request of each container that runs beside the app."""
        spec = {**SCALED, "resources": {"requests": {"cpu": "1"}}, **containers}

        assert (
            "resources.requests.cpu of container proxy"
            in tell(deployment(1), hpa(active=None), spec=spec)["message"]
        )

    def test_a_limit_range_has_set_one(self) -> None:
        """The autoscaler works: nothing is missing."""
        assert "request" not in tell(deployment(1), hpa(), spec=SCALED)["message"]

    def test_a_spec_that_cannot_be_read(self) -> None:
        """The autoscaler's own condition is all that is known."""
        status = status_json(evaluate_invalid_app(deployment(1), hpa()))

        assert "needs spec.resources" not in status["message"]


class TestTheFirstVersion:
    """A first version that is bad."""

    @pytest.mark.parametrize(
        ("kinds", "cause", "stable", "blocked", "expected"),
        [
            (["CrashLooping"], "NewVersion", None, BlockedReason.NO_REMEDIATION, True),
            (["CrashLooping"], "NewVersion", None, BlockedReason.QUARANTINED, True),
            (["CrashLooping"], "NewVersion", "r1", BlockedReason.NO_REMEDIATION, False),
            (["CrashLooping"], "Environment", None, BlockedReason.NO_REMEDIATION, False),
            (["CrashLooping"], "NewVersion", None, BlockedReason.COOLDOWN, False),
            (["MetricsUnavailable"], "Unknown", None, BlockedReason.NO_REMEDIATION, False),
            ([], "Unknown", None, BlockedReason.NO_REMEDIATION, False),
        ],
    )
    def test_there_is_nothing_to_go_back_to(
        self,
        kinds: Sequence[str],
        cause: str,
        stable: str | None,
        blocked: BlockedReason,
        *,
        expected: bool,
    ) -> None:
        """It is said where a rollback is what would help."""
        found = [
            DiagnosisStatus(type=kind, cause=cause, confidence="Low", message="m", since=None)
            for kind in kinds
        ]
        record = HealingStatus(
            mode="Auto",
            budget_left=3,
            blocked_reason=blocked,
            stable_revision=stable,
            diagnoses=found,
        )
        summary = PhaseSummary(Phase.DEGRADED, "CrashLoopBackOff", "0 of 1 pod ready")
        message = with_remediation(KEY, summary, record).message

        assert expected == message.endswith("there is no earlier version to go back to")


@pytest.mark.parametrize(
    ("kind", "count", "expected"),
    [
        ("Deployment", 0, "updated Deployment to the current spec"),
        ("Deployment", 1, f"ConfigMap c0 changed: {REPLACED}"),
        (
            "Deployment",
            5,
            f"ConfigMap c0, ConfigMap c1, ConfigMap c2 and 2 more changed: {REPLACED}",
        ),
        ("Service", 1, "updated Service to the current spec"),
    ],
)
def test_a_changed_config_map_is_named(kind: str, count: int, expected: str) -> None:
    """The spec has not changed: the Event does not say so."""
    changed = tuple(ChangedConfig(ConfigRef("ConfigMap", f"c{number}")) for number in range(count))
    (event,) = child_events((ChildChange(kind, ChildAction.UPDATE),), changed_configs=changed)

    assert expected == event.message


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (("mode",), "ConfigMap settings (mode)"),
        (("a", "b", "c", "d", "e"), "ConfigMap settings (a, b, c and 2 more)"),
    ],
)
def test_the_keys_that_changed_are_named(keys: tuple[str, ...], expected: str) -> None:
    """As far as they are known."""
    changed = (ChangedConfig(ConfigRef("ConfigMap", "settings"), keys),)
    update = ChildChange("Deployment", ChildAction.UPDATE)
    (event,) = child_events((update,), changed_configs=changed)

    assert f"{expected} changed: {REPLACED}" == event.message


def test_a_missing_service_account_is_named() -> None:
    """The API server says which; the pod's generated name is left out."""
    refusal = replica_failure_condition(
        'pods "web-abc-x7k2p" is forbidden: error looking up service account shop/clerk: '
        'serviceaccount "clerk" not found'
    )
    message = tell(deployment(1, conditions=[refusal]))["message"]

    assert message.endswith(
        'pods are refused: error looking up service account shop/clerk: serviceaccount "clerk" '
        "not found"
    )
