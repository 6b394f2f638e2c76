"""Each pod in the words of ``kubectl get pods``, and why it ails in plain ones; the worst first."""

from collections.abc import Iterable
from typing import Final

from selfhealing.api.status import MAX_PODS, LastRestart, PodStatus
from selfhealing.cache.views import PodView
from selfhealing.health import messages
from selfhealing.health.job_failures import culprit, failure
from selfhealing.health.pod_problems import ENDED, NOT_READY, Ailment, is_live, left_behind
from selfhealing.health.termination_causes import Causes, ContainerKey

REASON_LIMIT: Final = 128

LEFT_BEHIND: Final = "its node {0} does not answer; it goes when the node is back or deleted"


def restarts(pod: PodView) -> int:
    """A pod's restarts as kubectl counts them.

    Those of its init containers count until it is initialized.
    """
    return sum(c.restarts for c in pod.containers if not (c.init and pod.initialized))


def pod_statuses(
    pods: tuple[PodView, ...], ailing: Iterable[Ailment], causes: Causes
) -> list[PodStatus]:
    """Describe the worst pods, at most MAX_PODS of them."""
    by_name = {found.pod: found for found in ailing}
    ranked = sorted(((pod, by_name.get(pod.name)) for pod in pods), key=_rank)
    return [_describe(pod, ails, causes) for pod, ails in ranked[:MAX_PODS]]


def _rank(entry: tuple[PodView, Ailment | None]) -> tuple[bool, bool, bool, int, str]:
    """What fails now comes first; what has ended, and what nodes evicted, says least."""
    pod, ails = entry
    return not is_live(pod), ails is None, pod.ready, -restarts(pod), pod.name


def _describe(pod: PodView, ails: Ailment | None, causes: Causes) -> PodStatus:
    if pod.deleting:  # how it stops, step by step, is not worth a write each
        return PodStatus(
            name=pod.name,
            node=pod.node or None,
            restarts=restarts(pod),
            reason="Terminating",
            message=LEFT_BEHIND.format(pod.node) if left_behind(pod) else None,
        )
    reason, message = (ails.reason, ails.message) if ails else _state(pod, causes)
    return PodStatus(
        name=pod.name,
        node=pod.node or None,
        phase=pod.phase,
        ready=pod.ready,
        restarts=restarts(pod),
        reason=reason[:REASON_LIMIT] or None,
        message=message or None,
        last_restart=_last_restart(pod, causes),
    )


def _state(pod: PodView, causes: Causes) -> tuple[str, str]:
    """The reason and message of a pod that nothing ails and that stays."""
    if culprit(pod) is not None:
        found = failure(pod, causes)
        return found.reason, found.message
    if pod.phase in ENDED:
        ended = "Completed" if pod.phase == "Succeeded" else pod.phase
        return pod.reason or ended, messages.first_sentence(pod.message)
    if pod.ready:
        return "", ""
    running = any(c.running_since is not None for c in pod.containers if not c.init)
    return (NOT_READY, "") if running else ("Starting", "")


def _last_restart(pod: PodView, causes: Causes) -> LastRestart | None:
    ended = [
        (last.finished_at, container.name, last)
        for container in pod.containers
        if (last := container.last) is not None and last.finished_at is not None
    ]
    if not ended:
        return None
    at, name, last = max(ended, key=lambda entry: entry[:2])
    return LastRestart(
        container=name,
        reason=causes.of(ContainerKey(pod.uid, name), last),
        exit_code=last.exit_code,
        at=at,
    )
