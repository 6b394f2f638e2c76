"""Pictures of a cluster, made by hand for tests."""

from collections.abc import Mapping
from typing import Any

from hack.scenarios.common.cluster_state import App, Picture, Pod
from hack.scenarios.common.timeline import Sample


def pod(name: str, ready: str = "1/1", status: str = "Running", **given: Any) -> Pod:  # noqa: ANN401
    """A pod that serves when it is ready, unless told otherwise."""
    fields: dict[str, Any] = {
        "uid": f"uid-{name}",
        "restarts": 0,
        "age": "1s",
        "serving": ready == "1/1",
        "leaving": False,
        "app": "web",
        "node": "worker",
    }
    return Pod(name=name, ready=ready, status=status, **{**fields, **given})


def look(at: float, *pods: Pod, cpu: Mapping[str, int] | None = None, **status: Any) -> Sample:  # noqa: ANN401
    """A look at one app and these pods."""
    return Sample(at, Picture(apps=(App("web", ("web",), status),), pods=pods), cpu)
