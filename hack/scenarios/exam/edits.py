"""Injectors that change one thing: the spec, as a user would, or the Deployment, by hand."""

from typing import Any, Final

from hack.scenarios.exam.environment import IMAGE
from hack.scenarios.exam.fault import Injector, Json

DEMO_IMAGE: Final[Json] = {"imagePullPolicy": "IfNotPresent", "image": IMAGE}
"""The image of a further container."""

CRASHING: Final[Json] = {**DEMO_IMAGE, "command": ["python", "-c", "raise SystemExit('no db')"]}
"""A further container that ends at once."""


def update(**spec: Any) -> Injector:  # noqa: ANN401 - fields of the spec
    """Return an injector that updates the spec."""
    return lambda environment: environment.update_spec(**spec)


def edit_container(**container: Any) -> Injector:  # noqa: ANN401 - fields of a container
    """Return an injector that edits the app's container in the Deployment."""
    return lambda environment: environment.edit_container(**container)


def edit_pods(**pod_spec: Any) -> Injector:  # noqa: ANN401 - fields of a pod's spec
    """Return an injector that edits the pod template of the Deployment."""
    return lambda environment: environment.edit_pod_spec(pod_spec)
