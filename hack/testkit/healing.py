"""Healing in tests: the status, and pods on fake nodes that get a problem."""

from collections.abc import Callable
from contextlib import suppress

from hack.testkit.errors import ApiError
from hack.testkit.fake_kubelet import FakeKubelet
from hack.testkit.kube_client import Json
from hack.testkit.namespace import FAKE_NODES, KIND, AppNamespace
from hack.testkit.wait import eventually

TIMEOUT = 40

FAST_HEALING: Json = {
    "cooldown": "20s",
    "rollback": {"probation": "40s"},
    "replacePod": {"after": "60s"},
}

PULL_BACK_OFF = ("ImagePullBackOff", 'Back-off pulling image "demo:v2": ErrImagePull: not found')


def get_healing_status(space: AppNamespace, name: str) -> Json:
    """Return ``status.healing`` of an app; empty without one."""
    status: Json = space.get_status(name).get("healing", {})
    return status


def list_outcomes(space: AppNamespace, name: str) -> list[tuple[str, str]]:
    """Return remediation and outcome of each action, the latest first."""
    return [
        (a["remediation"], a["outcome"]) for a in get_healing_status(space, name).get("history", ())
    ]


def wait_for_outcomes(
    space: AppNamespace,
    name: str,
    *wanted: tuple[str, str],
    before_probe: Callable[[], object] = lambda: None,
) -> None:
    """Wait until the history has exactly these actions, the latest first."""

    def probe() -> bool:
        before_probe()
        assert list(wanted) == list_outcomes(space, name), get_healing_status(space, name)
        return True

    eventually(probe, timeout=TIMEOUT, description=f"the history is {wanted}")


def create_stable_app(
    space: AppNamespace,
    name: str,
    replicas: int | None = 3,
    autoscaling: Json | None = None,
    **more: object,
) -> list[str]:
    """Create an app, wait for its stable revision, return its pods; ``more``: healing fields."""
    given = {"replicas": replicas, "autoscaling": autoscaling}
    spec = {key: value for key, value in given.items() if value is not None}
    space.create_app(name, healing={**FAST_HEALING, **more}, **spec, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")

    def probe() -> bool:
        found = get_healing_status(space, name)
        assert found["desiredRevision"] == found.get("stableRevision"), found
        return True

    eventually(probe, timeout=TIMEOUT, description="the version has proved itself")
    return [pod["metadata"]["name"] for pod in space.list_pods(name)]


def fail_image_pulls(
    space: AppNamespace, kubelet: FakeKubelet, name: str, failing_image: str
) -> None:
    """Report ImagePullBackOff for each pod with ``image``, also for new ones."""
    for pod in space.list_pods(name):
        entries = pod["status"].get("containerStatuses")
        asks = pod["spec"]["containers"][0]["image"] == failing_image
        if asks and entries and "waiting" not in entries[0]["state"]:
            with suppress(ApiError):  # it may be gone meanwhile
                kubelet.report_waiting(pod["metadata"]["name"], *PULL_BACK_OFF)


def annotate_app(space: AppNamespace, name: str, **annotations: str) -> None:
    """Set annotations with the prefix ``selfhealing.dev/`` on an app."""
    full = {f"selfhealing.dev/{key}": value for key, value in annotations.items()}
    space.kube.merge_patch(KIND, space.name, name, {"metadata": {"annotations": full}})
