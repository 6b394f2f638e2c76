"""Healing as tests see it: what the status remembers, and pods that fall ill on fake nodes."""

from collections.abc import Callable
from contextlib import suppress

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
    """What the status says about healing."""
    status: Json = space.get_status(name).get("healing", {})
    return status


def list_outcomes(space: AppNamespace, name: str) -> list[tuple[str, str]]:
    """Every decision, the latest first: remedy and outcome."""
    return [
        (a["remediation"], a["outcome"]) for a in get_healing_status(space, name).get("history", ())
    ]


def wait_for_outcomes(
    space: AppNamespace,
    name: str,
    *wanted: tuple[str, str],
    before_probe: Callable[[], object] = lambda: None,
) -> None:
    """Wait until exactly these decisions stand in the history, the latest first."""

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
    """An app whose version has proved itself; its pods. ``more`` is about healing."""
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
    """Every pod that asks for ``image`` waits for it in vain, also those that came just now."""
    for pod in space.list_pods(name):
        entries = pod["status"].get("containerStatuses")
        asks = pod["spec"]["containers"][0]["image"] == failing_image
        if asks and entries and "waiting" not in entries[0]["state"]:
            with suppress(AssertionError):  # it may be gone meanwhile
                kubelet.report_waiting(pod["metadata"]["name"], *PULL_BACK_OFF)


def annotate_app(space: AppNamespace, name: str, **annotations: str) -> None:
    """Set annotations of ours on an app."""
    full = {f"selfhealing.dev/{key}": value for key, value in annotations.items()}
    space.kube.merge_patch(KIND, space.name, name, {"metadata": {"annotations": full}})
