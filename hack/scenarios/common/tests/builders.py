"""Builders of pods and samples for tests."""

from collections.abc import Mapping
from typing import Any

from hack.scenarios.common.cluster_state import AppRow, ClusterSnapshot, PodRow
from hack.scenarios.common.timeline import Sample


def build_pod(
    name: str,
    ready: str = "1/1",
    status: str = "Running",
    **overrides: Any,  # noqa: ANN401
) -> PodRow:
    """Return a pod that serves if it is ready; ``overrides`` replace its fields."""
    fields: dict[str, Any] = {
        "uid": f"uid-{name}",
        "restarts": 0,
        "age": "1s",
        "is_serving": ready == "1/1",
        "is_terminating": False,
        "app": "web",
        "node": "worker",
    }
    return PodRow(name=name, ready=ready, status=status, **{**fields, **overrides})


def build_sample(
    at: float,
    *pods: PodRow,
    cpu: Mapping[str, int] | None = None,
    **status: Any,  # noqa: ANN401
) -> Sample:
    """Return a sample of one app with these pods."""
    return Sample(at, ClusterSnapshot(apps=(AppRow("web", ("web",), status),), pods=pods), cpu)
