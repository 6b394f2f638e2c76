"""Healing as tests see it: what the status remembers, and pods that fall ill on fake nodes."""

from collections.abc import Callable
from contextlib import suppress

from hack.testkit.fake_kubelet import Kubelet
from hack.testkit.kube_client import Json
from hack.testkit.namespace import FAKE_NODES, KIND, Space
from hack.testkit.wait import eventually

LIMIT = 40

HEALING: Json = {
    "cooldown": "20s",
    "rollback": {"probation": "40s"},
    "recycle": {"after": "60s"},
}

PULL = ("ImagePullBackOff", 'Back-off pulling image "demo:v2": ErrImagePull: not found')


def healing(space: Space, name: str) -> Json:
    """What the status says about healing."""
    found: Json = space.status(name).get("healing", {})
    return found


def outcomes(space: Space, name: str) -> list[tuple[str, str]]:
    """Every decision, the latest first: remedy and outcome."""
    return [(a["remedy"], a["outcome"]) for a in healing(space, name).get("history", ())]


def decided(
    space: Space,
    name: str,
    *wanted: tuple[str, str],
    meanwhile: Callable[[], object] = lambda: None,
) -> None:
    """Wait until exactly these decisions stand in the history, the latest first."""

    def probe() -> bool:
        meanwhile()
        assert list(wanted) == outcomes(space, name), healing(space, name)
        return True

    eventually(probe, timeout=LIMIT, says=f"the history is {wanted}")


def proven(
    space: Space,
    name: str,
    replicas: int | None = 3,
    autoscaling: Json | None = None,
    **more: object,
) -> list[str]:
    """An app whose version has proved itself; its pods. ``more`` is about healing."""
    given = {"replicas": replicas, "autoscaling": autoscaling}
    spec = {key: value for key, value in given.items() if value is not None}
    space.create(name, healing={**HEALING, **more}, **spec, **FAKE_NODES)
    space.is_(name, "Ready")

    def probe() -> bool:
        found = healing(space, name)
        assert found["template"] == found.get("goodTemplate"), found
        return True

    eventually(probe, timeout=LIMIT, says="the version has proved itself")
    return [pod["metadata"]["name"] for pod in space.pods(name)]


def cannot_pull(space: Space, kubelet: Kubelet, name: str, image: str) -> None:
    """Every pod that asks for ``image`` waits for it in vain, also those that came just now."""
    for pod in space.pods(name):
        entries = pod["status"].get("containerStatuses")
        asks = pod["spec"]["containers"][0]["image"] == image
        if asks and entries and "waiting" not in entries[0]["state"]:
            with suppress(AssertionError):  # it may be gone meanwhile
                kubelet.waits(pod["metadata"]["name"], *PULL)


def annotate(space: Space, name: str, **notes: str) -> None:
    """Set annotations of ours on an app."""
    full = {f"selfhealing.dev/{key}": value for key, value in notes.items()}
    space.kube.merge(KIND, space.name, name, {"metadata": {"annotations": full}})
