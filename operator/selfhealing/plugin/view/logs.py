"""Chooses the container whose log tells why something died."""

from collections.abc import Iterator
from typing import NamedTuple

from selfhealing.plugin.errors import PluginError
from selfhealing.plugin.view.model import AppModel, ContainerModel, PodModel


class LogChoice(NamedTuple):
    """A container of a pod."""

    pod: PodModel
    container: ContainerModel


def choose_log(app: AppModel, *, before: bool, pod: str = "", container: str = "") -> LogChoice:
    """Choose a container.

    Args:
        app: the app.
        before: choose the one that was restarted last, for the log before that; else the first one
            that is not ready, or the first one.
        pod: only of this pod; empty for any.
        container: only this container; empty for any.

    Raises:
        PluginError: there is none.
    """
    candidates = [
        choice
        for choice in _choices(app)
        if (not pod or choice.pod.name == pod)
        and (not container or choice.container.name == container)
    ]
    if before:
        restarted = [choice for choice in candidates if choice.container.last_restart is not None]
        if not restarted:
            raise PluginError(
                f"no container of {app.key.name} that is there was restarted; the log of a pod "
                "that is gone is in the evidence, if the operator acted: "
                f"kubectl get configmap {app.key.name}-evidence -o yaml"
            )
        return max(restarted, key=_restarted_at)
    if not candidates:
        pods = ", ".join(sorted({choice.pod.name for choice in _choices(app)})) or "none"
        raise PluginError(f"there is no such pod or container; the pods are: {pods}")
    return min(candidates, key=lambda choice: choice.container.ready)


def _choices(app: AppModel) -> Iterator[LogChoice]:
    for revision in app.revisions:
        for pod in revision.pods:
            yield from (LogChoice(pod, container) for container in pod.containers)
    for pod in app.other_pods:
        if pod.isolated:
            yield from (LogChoice(pod, container) for container in pod.containers)


def _restarted_at(choice: LogChoice) -> str:
    last = choice.container.last_restart
    return str(last.at) if last is not None and last.at is not None else ""
