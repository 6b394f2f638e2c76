"""The stories: what happens to one app, from a state that is prepared to a state that lasts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from hack.testkit.fake_kubelet import FakeKubelet
from hack.testkit.healing import (
    create_stable_app,
    fail_image_pulls,
    get_healing_status,
    list_outcomes,
)
from hack.testkit.kube_client import Json
from hack.testkit.namespace import FAKE_NODES, KIND, AppNamespace
from hack.testkit.wait import eventually
from selfhealing.api.names import ANNOTATION_CONFIG_HASH

APP = "app"
SPEC: Json = {"replicas": 2, "port": 80, **FAKE_NODES}

METRIC: Json = {"targetCPUUtilizationPercentage": 50}
"""An autoscaler without metrics of the pods, which leaves their number alone."""

TIMEOUT = 60
"""Seconds for each step; with a fault the operator may be away, or see late, in the meantime."""

FAST = {"SELFHEALING_HEALING_SCALE": "0.2"}
"""Every time of healing is a fifth: an action has a minute to succeed, also on a busy machine."""

PROBATION: Json = {"probation": "20s"}
"""Four seconds with FAST, until a version is proved: many stories wait for it."""


@dataclass(frozen=True)
class Stage:
    """Where a story is told."""

    space: AppNamespace
    kubelet: FakeKubelet


@dataclass(frozen=True)
class Story:
    """One story.

    Attributes:
        prepare: what was there before; nothing is disturbed.
        act: what happens, until its outcome is there.
        settings: of the operator.
        has_standby: a second operator waits for the Lease; the first is only killed, not started
            again, and has no other fault.
    """

    prepare: Callable[[Stage], None]
    act: Callable[[Stage], None]
    settings: Mapping[str, str] = field(default_factory=dict)
    has_standby: bool = False


def _create_ready(stage: Stage) -> None:
    _create_settings(stage, "one")
    stage.space.create_app(APP, **SPEC, envFrom=[{"configMapRef": {"name": "settings"}}])
    _wait_until_ready(stage, "demo:v1", 2)


def _create_settings(stage: Stage, value: str) -> None:
    stage.space.kube.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "settings", "namespace": stage.space.name},
            "data": {"GREETING": value},
        }
    )


def _wait_until_ready(stage: Stage, image: str, replicas: int) -> None:
    """Wait until exactly so many pods of an image are there and Ready, and the status says so."""
    stage.space.wait_for_phase(APP, "Ready", timeout=TIMEOUT)

    def probe() -> bool:
        pods = stage.space.list_pods(APP)
        assert [image] * replicas == [pod["spec"]["containers"][0]["image"] for pod in pods]
        assert all("deletionTimestamp" not in pod["metadata"] for pod in pods)
        assert stage.space.get_status(APP)["readyReplicas"] == replicas
        return True

    eventually(probe, timeout=TIMEOUT, description=f"{replicas} pods of {image} are ready")
    stage.space.wait_for_phase(APP, "Ready", timeout=TIMEOUT)


def _apply(stage: Stage) -> None:
    _create_ready(stage)


def _change(stage: Stage) -> None:
    """The spec, and then the configuration: together they may become one rollout or two."""
    stage.space.patch_spec(APP, image="demo:v2", port=8080)
    _wait_until_ready(stage, "demo:v2", 2)
    before = _get_config_hash(stage)
    _create_settings(stage, "two")
    eventually(
        lambda: _get_config_hash(stage) != before,
        timeout=TIMEOUT,
        description="the pods follow their configuration",
    )
    _wait_until_ready(stage, "demo:v2", 2)


def _get_config_hash(stage: Stage) -> str:
    template: Json = stage.space.get_deployment(APP)["spec"]["template"]
    return str(template["metadata"]["annotations"][ANNOTATION_CONFIG_HASH])


def _scale(stage: Stage) -> None:
    stage.space.patch_spec(APP, replicas=3)
    _wait_until_ready(stage, "demo:v1", 3)
    stage.space.patch_spec(
        APP, replicas=None, autoscaling={"minReplicas": 2, "maxReplicas": 4, **METRIC}
    )
    stage.space.wait_until_reconciled(APP, timeout=TIMEOUT)
    stage.space.patch_spec(APP, replicas=2, autoscaling=None)
    stage.space.wait_until_reconciled(APP, timeout=TIMEOUT)
    _wait_until_ready(stage, "demo:v1", 2)


def _create_stable(stage: Stage) -> None:
    create_stable_app(stage.space, APP, rollback=PROBATION)


def _create_stable_pod(stage: Stage) -> None:
    """One pod: of several, some would be seen to fail before the others."""
    create_stable_app(stage.space, APP, replicas=1, rollback=PROBATION)


def _prove(stage: Stage) -> None:
    """Two versions prove themselves; what is saved of the first goes with the next change."""
    for image in ("demo:v2", "demo:v3"):
        before = get_healing_status(stage.space, APP)["stableRevision"]
        stage.space.patch_spec(APP, image=image)
        _wait_until_ready(stage, image, 3)
        eventually(
            partial(_is_proved, stage, before),
            timeout=TIMEOUT,
            description=f"{image} is the stable version",
        )
    stage.space.patch_spec(APP, replicas=4)
    _wait_until_ready(stage, "demo:v3", 4)


def _is_proved(stage: Stage, before: str) -> bool:
    found = get_healing_status(stage.space, APP)
    return bool(before != found["stableRevision"] == found["desiredRevision"])


def _roll_back(stage: Stage) -> None:
    """The second version was ready once; then its pod cannot pull the image."""
    space = stage.space
    space.patch_spec(APP, image="demo:v2", healing={"rollback": {"probation": "1h"}})
    _wait_until_ready(stage, "demo:v2", 1)
    pull = partial(fail_image_pulls, space, stage.kubelet, APP, "demo:v2")
    _wait_for_outcome(stage, "Rollback", pull)
    eventually(
        lambda: (
            {pod["spec"]["containers"][0]["image"] for pod in space.list_pods(APP)} == {"demo:v1"}
        ),
        timeout=TIMEOUT,
        description="only pods of the first version are left",
    )


def _replace_pod(stage: Stage) -> None:
    pod = stage.space.list_pods(APP)[0]["metadata"]["name"]
    stage.kubelet.set_ready(pod, ready=False)
    _wait_for_outcome(stage, "ReplacePod", lambda: None)
    _wait_until_ready(stage, "demo:v1", 3)


def _wait_for_outcome(stage: Stage, remediation: str, before_probe: Callable[[], None]) -> None:
    def probe() -> bool:
        before_probe()
        found = get_healing_status(stage.space, APP)
        assert (remediation, "Succeeded") in list_outcomes(stage.space, APP), found
        return True

    eventually(probe, timeout=TIMEOUT, description=f"{remediation} has succeeded")


def _leave_orphans(stage: Stage) -> None:
    """Children whose app is gone, which say that they may be adopted."""
    space = stage.space
    _create_ready(stage)
    space.kube.delete(KIND, space.name, APP, propagation="Orphan")
    eventually(lambda: space.find_child(KIND, APP) is None, description="the app is gone")
    for kind in ("Deployment", "Service", "PodDisruptionBudget"):
        eventually(partial(_is_orphan, stage, kind), description=f"the {kind} is an orphan")
        patch = {"metadata": {"annotations": {"selfhealing.dev/adopt": "true"}}}
        space.kube.merge_patch(kind, space.name, APP, patch)


def _is_orphan(stage: Stage, kind: str) -> bool:
    return "ownerReferences" not in stage.space.get_child(kind, APP)["metadata"]


def _adopt(stage: Stage) -> None:
    stage.space.create_app(APP, **SPEC | {"image": "demo:v2"})
    _wait_until_ready(stage, "demo:v2", 2)


def _delete(stage: Stage) -> None:
    stage.space.kube.delete(KIND, stage.space.name, APP)
    _wait_until_gone(stage)


def _wait_until_gone(stage: Stage) -> None:
    def probe() -> bool:
        kinds = (KIND, "Deployment", "Service", "PodDisruptionBudget")
        assert [kind for kind in kinds if stage.space.find_child(kind, APP)] == []
        assert stage.space.list_pods(APP) == []
        return True

    eventually(probe, timeout=TIMEOUT, description="nothing is left of the app")


def _recreate(stage: Stage) -> None:
    """Deleted, and created anew at once: nothing of the first app may reach the second."""
    stage.space.kube.delete(KIND, stage.space.name, APP)
    stage.space.create_app(APP, **SPEC | {"image": "demo:v2"})
    _wait_until_ready(stage, "demo:v2", 2)


def _nothing(_: Stage) -> None:
    """Nothing was there before."""


STORIES: Mapping[str, Story] = {
    "apply": Story(_nothing, _apply),
    "change": Story(_create_ready, _change),
    "scale": Story(_create_ready, _scale),
    "prove": Story(_create_stable, _prove, FAST),
    "roll-back": Story(_create_stable_pod, _roll_back, FAST),
    "replace-a-pod": Story(_create_stable, _replace_pod, FAST),
    "fail-over": Story(_create_ready, _change, has_standby=True),
    "adopt": Story(_leave_orphans, _adopt),
    "delete": Story(_create_ready, _delete),
    "recreate": Story(_create_ready, _recreate),
}
