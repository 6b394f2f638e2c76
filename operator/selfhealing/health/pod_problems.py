"""What ails a pod, with a reason that stays the same for as long as the ailment does.

What a pod shows flips: ErrImagePull and ImagePullBackOff, or Running, Error and CrashLoopBackOff,
take turns while the fault is one and the same. A person who is woken wants one name for it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from selfhealing.api import names
from selfhealing.cache.views import ContainerView, PodView, Termination
from selfhealing.health import messages
from selfhealing.health.deadlines import Alarm
from selfhealing.health.termination_causes import OOM, Causes, ContainerKey

STARTING: Final = frozenset({"ContainerCreating", "PodInitializing", ""})
"""Waiting reasons of a container that is simply on its way."""

ENDED: Final = frozenset({"Succeeded", "Failed"})
"""Phases of pods that will not run again."""

PULL: Final = "ImagePullBackOff"
CRASH: Final = "CrashLoopBackOff"
START: Final = "RunContainerError"
UNSCHEDULABLE: Final = "Unschedulable"
NODE: Final = "NodeLost"
NOT_READY: Final = "NotReady"

_PULLING: Final = frozenset({PULL, "ErrImagePull", "RegistryUnavailable"})
_START_ENDS: Final = frozenset({"StartError", "ContainerCannotRun"})

_MILDEST_LAST: Final = ("Completed", "Error", UNSCHEDULABLE, NODE, "ContainerCreating", NOT_READY)
"""The mildest reasons, in this order; all others are graver than these."""

LOOPING: Final = 2
"""Restarts from which on a container's ends are a loop: the first restart often was enough."""

SHORT_LIFE: Final = timedelta(seconds=10)
"""For each restart, up to LONGEST_SHORT_LIFE: a container that was restarted and had lived shorter
than that has to prove itself."""

LONGEST_SHORT_LIFE: Final = timedelta(seconds=60)

PROOF_SLACK: Final = timedelta(seconds=10)
"""Beyond one and a half times its last life, until a container has proved itself: a busy kubelet
takes some seconds to tell that it has ended."""

BACK_OFF_RESET: Final = timedelta(minutes=10)
"""A container that lived this long is restarted without a back-off by the kubelet."""

SCHEDULING_GRACE: Final = timedelta(seconds=30)
"""How long a pod may wait for a node before that is a fault: some volumes and nodes are made on
demand. kubectl's kstatus library takes 15 s."""


@dataclass(frozen=True, slots=True)
class Ailment:
    """What ails one pod: ``reason`` in CamelCase, ``message`` a clause that follows its name."""

    pod: str
    template_hash: str
    reason: str
    message: str


_Finding = tuple[str, str]


def is_live(pod: PodView) -> bool:
    """Whether a pod runs or will run: it counts as one of the app's replicas."""
    return not pod.deleting and pod.phase not in ENDED


def ailments(
    pods: Iterable[PodView], causes: Causes, alarm: Alarm, patience: timedelta
) -> tuple[Ailment, ...]:
    """Everything that ails the live pods, the gravest first.

    A pod that is not ready after ``patience`` ails, too. That is the Deployment's
    progressDeadlineSeconds, which Kubernetes itself applies only to rollouts.
    """
    found = [a for pod in pods if (a := ailment(pod, causes, alarm, patience)) is not None]
    return tuple(sorted(found, key=_gravity))


def _gravity(found: Ailment) -> tuple[int, str, str]:
    mild = found.reason in _MILDEST_LAST
    return _MILDEST_LAST.index(found.reason) + 1 if mild else 0, found.reason, found.pod


def ailment(pod: PodView, causes: Causes, alarm: Alarm, patience: timedelta) -> Ailment | None:
    """What ails ``pod``; None for one that is well, that starts or that is on its way out."""
    if not is_live(pod):
        return None
    found = _unscheduled(pod, alarm) or _container_ailment(pod, causes, alarm)
    if found is None and not pod.ready:
        found = _node_lost(pod) or _not_ready(pod) or _slow(pod, alarm, patience)
    return Ailment(pod.name, pod.template_hash, *found) if found else None


def _unscheduled(pod: PodView, alarm: Alarm) -> _Finding | None:
    if not pod.unschedulable or pod.node or pod.created is None:
        return None
    if not alarm.passed(pod.created + SCHEDULING_GRACE):
        return None
    return UNSCHEDULABLE, f"no node takes it: {messages.scheduling_cause(pod.unschedulable)}"


def _container_ailment(pod: PodView, causes: Causes, alarm: Alarm) -> _Finding | None:
    for container in pod.containers:
        found = _waiting(container) or _ended(pod, container, causes, alarm)
        if found is not None:
            reason, message = found
            return reason, f"{_whose(container)}{message}"
    return None


def _whose(container: ContainerView) -> str:
    if container.init:
        return f"init container {container.name} "
    return "" if container.name == names.CONTAINER_NAME else f"container {container.name} "


def _waiting(container: ContainerView) -> _Finding | None:
    reason, message = container.waiting, container.waiting_message
    if reason in STARTING or reason == CRASH:
        return None
    if reason in _PULLING:
        cause = messages.pull_cause(message)
        return PULL, f"cannot pull image {container.image}" + (f": {cause}" if cause else "")
    if reason == START:
        return START, f"cannot start: {messages.start_cause(message)}"
    return reason, f"cannot start: {messages.shorten(message) or reason}"


def _ended(pod: PodView, container: ContainerView, causes: Causes, alarm: Alarm) -> _Finding | None:
    end = container.terminated
    if end is not None and end.exit_code == 0 and (container.init or _may_end(pod)):
        return None
    if end is None and (container.waiting == CRASH or _proving(container, alarm)):
        end = container.last
        if end is None:
            return CRASH, "keeps ending"
    if end is None:
        return None
    loops = container.waiting == CRASH or (container.restarts >= LOOPING and not _long(end))
    cause = causes.of(ContainerKey(pod.uid, container.name), end)
    return _end_reason(end, loops=loops), _end_words(end, cause, loops=loops)


def _may_end(pod: PodView) -> bool:
    """Whether the pod is one of a Job, whose containers end when their work is done."""
    return pod.restart_policy != "Always"


def _proving(container: ContainerView, alarm: Alarm) -> bool:
    """Whether a running container has yet to live longer than it did the last time.

    A fast loop shows a running, perhaps even ready container again and again. It is worth
    believing when it has lived half as long again as before: 40 s after a life of 20 s, if it is
    the third restart or a later one.
    """
    life = _life(container.last)
    if not container.restarts or container.running_since is None or life is None:
        return False
    short = min(SHORT_LIFE * container.restarts, LONGEST_SHORT_LIFE)
    proven = container.running_since + life * 1.5 + PROOF_SLACK
    return life < short and not alarm.passed(proven)


def _life(end: Termination | None) -> timedelta | None:
    if end is None or end.started_at is None or end.finished_at is None:
        return None
    return end.finished_at - end.started_at


def _long(end: Termination) -> bool:
    """Whether a container had lived so long that the kubelet takes its end for a new fault."""
    life = _life(end)
    return life is not None and life >= BACK_OFF_RESET


def _end_reason(end: Termination, *, loops: bool) -> str:
    if end.reason == OOM:
        return OOM
    if end.reason in _START_ENDS:
        return START
    if loops:
        return CRASH
    return "Completed" if end.exit_code == 0 else "Error"


def end_words(container: ContainerView, end: Termination, cause: str) -> str:
    """How a container ended, once, as a clause that follows its pod's name."""
    return f"{_whose(container)}{_end_words(end, cause, loops=False)}"


def _end_words(end: Termination, cause: str, *, loops: bool) -> str:
    if end.reason in _START_ENDS:
        return f"cannot start: {messages.start_cause(end.message) or end.reason}"
    if end.reason == OOM:
        return "runs out of memory again and again" if loops else "ran out of memory"
    if cause == "LivenessProbe":
        return "keeps failing its liveness probe" if loops else "failed its liveness probe"
    if cause == "StartupProbe":
        return "does not pass its startup probe in time"
    if end.exit_code == 0:
        return "keeps ending by itself, exit code 0" if loops else "ended by itself, exit code 0"
    return f"{'keeps crashing' if loops else 'crashed'}, {messages.exit_words(end.exit_code)}"


def _node_lost(pod: PodView) -> _Finding | None:
    """Whether a pod's node has fallen silent: since when, and how long Kubernetes waits."""
    if not is_lost(pod):
        return None
    silent = f"its node {pod.node} does not answer"
    if pod.ready_since is None:
        return NODE, silent
    silent += f", noticed {pod.ready_since:%Y-%m-%d %H:%M:%S} UTC"
    if pod.node_patience is None:
        return NODE, f"{silent}; its tolerations keep it there until the node is back"
    patience = timedelta(seconds=pod.node_patience)
    until = f"{pod.ready_since + patience:%H:%M:%S}"
    wait = f"Kubernetes waits {messages.duration(patience)}, until {until}, before it replaces it"
    return NODE, f"{silent}; {wait if patience else 'Kubernetes replaces it at once'}"


def left_behind(pod: PodView) -> bool:
    """Whether a pod is to go, but its node does not answer, so that it cannot."""
    return pod.deleting and is_lost(pod)


def is_lost(pod: PodView) -> bool:
    """Whether a pod's node has fallen silent: the control plane took its readiness away."""
    mains = [container for container in pod.containers if not container.init]
    ready = bool(mains) and all(container.ready for container in mains)
    return ready and not pod.ready and not pod.ready_reason


def _not_ready(pod: PodView) -> _Finding | None:
    """Whether a pod that has been ready, or was restarted, is not ready now.

    The Ready condition of a pod that only starts changed last before its containers ran.
    """
    mains = [container for container in pod.containers if not container.init]
    waiting = [c for c in mains if not c.ready and c.running_since is not None]
    if not waiting:
        return None
    whose = _whose(waiting[0])
    started = max(c.running_since for c in mains if c.running_since is not None)
    if pod.ready_since is not None and pod.ready_since > started:
        return NOT_READY, f"{whose}does not pass its readiness probe"
    if any(c.restarts for c in waiting):
        return NOT_READY, f"{whose}was restarted and is not ready yet"
    return None


def _slow(pod: PodView, alarm: Alarm, patience: timedelta) -> _Finding | None:
    if pod.created is None or not pod.node or not alarm.passed(pod.created + patience):
        return None
    waited = messages.duration(patience)
    if any(c.running_since is not None for c in pod.containers if not c.init):
        return NOT_READY, f"runs but is not ready after {waited}"
    advice = f"see kubectl describe pod {pod.name}"
    return "ContainerCreating", f"has not started after {waited}: {advice}"
