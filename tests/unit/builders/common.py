"""The app itself, its times, and references to it."""

from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NAMESPACE = "shop"
APP = "web"
APP_UID = "uid-of-web"
IMAGE = "web:v1"


def at(seconds: float) -> datetime:
    """Return the time at these seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def iso(seconds: float) -> str:
    """Return the time at these seconds after noon, as Kubernetes writes it."""
    return at(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def app(spec: Json | None = None, status: Json | None = None, **meta: Any) -> Json:  # noqa: ANN401 - JSON
    """Return a SelfHealingApp."""
    return {
        "apiVersion": "selfhealing.dev/v1alpha1",
        "kind": "SelfHealingApp",
        "metadata": {
            "namespace": NAMESPACE,
            "name": APP,
            "uid": APP_UID,
            "resourceVersion": "1",
            "generation": 1,
            **meta,
        },
        "spec": {"image": IMAGE, "port": 5000} if spec is None else spec,
        **({"status": status} if status is not None else {}),
    }


def config(
    kind: str = "ConfigMap",
    name: str = "settings",
    *,
    version: int = 1,
    uid: str = "",
    namespace: str = NAMESPACE,
    labels: Json | None = None,
    **contents: Any,  # noqa: ANN401 - JSON
) -> Json:
    """Return a ConfigMap or a Secret."""
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {
            "namespace": namespace,
            "name": name,
            "uid": uid or f"uid-of-{name}",
            "resourceVersion": str(version),
            "labels": labels or {},
        },
        **contents,
    }


def controller_reference(kind: str, uid: str, *, name: str = "") -> Json:
    """Return the owner reference to a controller."""
    group = {"ReplicaSet": "apps/v1", "Deployment": "apps/v1", "Job": "batch/v1"}
    return {
        "apiVersion": group.get(kind, "example.com/v1"),
        "kind": kind,
        "name": name or uid.removeprefix("uid-of-"),
        "uid": uid,
        "controller": True,
    }


def app_reference(uid: str = APP_UID) -> Json:
    """Return the owner reference of a pod that was isolated from the app."""
    return {
        "apiVersion": "selfhealing.dev/v1alpha1",
        "kind": "SelfHealingApp",
        "name": APP,
        "uid": uid,
    }
