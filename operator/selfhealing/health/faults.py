"""The fault that a module has found in a pod: the problem of the pod without the pod's name."""

from typing import Final, NamedTuple

from selfhealing.api import names
from selfhealing.cache.views import ContainerView

NOT_READY: Final = "NotReady"
READINESS_FLAPPING: Final = "ReadinessFlapping"
FAILED_MOUNT: Final = "FailedMount"


class Fault(NamedTuple):
    """A fault of a pod.

    Attributes:
        reason: one CamelCase word for each group of reasons.
        message: a clause that follows the pod's name.
        container: the container that has it; empty if it is the pod as a whole.
        text: what the kubelet or the scheduler says of it, unshortened; empty if they say nothing.
        answer: what the failing probe gets, a clause that stands alone; empty if unknown.
    """

    reason: str
    message: str
    container: str = ""
    text: str = ""
    answer: str = ""


def container_prefix(container: ContainerView) -> str:
    """Name a container before a clause about it; empty for the app's own container."""
    if container.is_init:
        return f"init container {container.name} "
    return "" if container.name == names.CONTAINER_NAME else f"container {container.name} "
