"""Finds the problem of each pod, with a reason that stays the same while the fault lasts.

The reasons in a pod's status alternate during one fault: ErrImagePull and ImagePullBackOff, or
Running, Error and CrashLoopBackOff. A PodProblem has one reason for each such group.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NamedTuple

from selfhealing.api import names
from selfhealing.cache.views import ContainerView, PodView, Termination
from selfhealing.health import messages
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.termination_causes import OOM_KILLED, ContainerKey, TerminationCauses

STARTING_REASONS: Final = frozenset({"ContainerCreating", "PodInitializing", ""})
"""Waiting reasons of a container that starts normally."""

TERMINAL_PHASES: Final = frozenset({"Succeeded", "Failed"})
"""Phases of pods whose containers will not run again."""

IMAGE_PULL_BACK_OFF: Final = "ImagePullBackOff"
CRASH_LOOP_BACK_OFF: Final = "CrashLoopBackOff"
RUN_CONTAINER_ERROR: Final = "RunContainerError"
UNSCHEDULABLE: Final = "Unschedulable"
NODE_LOST: Final = "NodeLost"
NOT_READY: Final = "NotReady"

_IMAGE_PULL_REASONS: Final = frozenset({IMAGE_PULL_BACK_OFF, "ErrImagePull", "RegistryUnavailable"})

START_FAILURE_REASONS: Final = frozenset({"StartError", "ContainerCannotRun"})
"""Termination reasons of containers that the container runtime could not start."""

_SEVERITY_ORDER: Final = (
    "Completed",
    "Error",
    UNSCHEDULABLE,
    NODE_LOST,
    "ContainerCreating",
    NOT_READY,
)
"""The less severe reasons, in the order of the status; every other reason comes before them."""

CRASHLOOP_MIN_RESTARTS: Final = 2
"""Restarts that make a crash loop: after a single crash, the first restart often is enough."""

MIN_UPTIME_PER_RESTART: Final = timedelta(seconds=10)
"""Multiplied by the number of restarts, up to MAX_MIN_UPTIME. A container whose previous run was
shorter is not yet counted as recovered while it runs."""

MAX_MIN_UPTIME: Final = timedelta(seconds=60)
"""The upper bound of the minimum uptime, however often a container was restarted."""

KUBELET_REPORT_DELAY: Final = timedelta(seconds=10)
"""Added to 1.5 times the previous uptime before a container counts as recovered: a busy kubelet
reports the end of a container some seconds late."""

BACK_OFF_RESET: Final = timedelta(minutes=10)
"""The kubelet restarts a container that ran for this long without a back-off."""

SCHEDULING_GRACE: Final = timedelta(seconds=30)
"""How long a pod may be unscheduled before that is a problem: some volumes and nodes are created
on demand. The kstatus library (sigs.k8s.io/cli-utils) waits 15 s."""


@dataclass(frozen=True, slots=True)
class PodProblem:
    """The problem of one pod.

    Attributes:
        reason: one CamelCase word for each group of reasons.
        message: a clause that follows the pod's name.
        container: the container that has the problem; empty if it is the pod as a whole.
        text: what the kubelet or the scheduler says of it, unshortened; empty if they say nothing.
    """

    pod_name: str
    template_hash: str
    reason: str
    message: str
    container: str = ""
    text: str = ""


class _Fault(NamedTuple):
    """The parts of a PodProblem that do not name the pod."""

    reason: str
    message: str
    container: str = ""
    text: str = ""


def is_active(pod: PodView) -> bool:
    """Whether the pod runs or will run, so that it counts as a replica of the app."""
    return not pod.deleting and pod.phase not in TERMINAL_PHASES


def find_pod_problems(
    pods: Iterable[PodView],
    causes: TerminationCauses,
    deadlines: Deadlines,
    progress_deadline: timedelta,
) -> tuple[PodProblem, ...]:
    """Find the problems of the active pods, the most severe first.

    Args:
        pods: the pods of the app.
        causes: why their containers terminated.
        deadlines: the time of this evaluation.
        progress_deadline: the Deployment's progressDeadlineSeconds. A pod that is not ready after
            it has a problem, too; Kubernetes applies the deadline to rollouts only.
    """
    problems = [
        problem
        for pod in pods
        if (problem := find_pod_problem(pod, causes, deadlines, progress_deadline)) is not None
    ]
    return tuple(sorted(problems, key=_severity))


def _severity(problem: PodProblem) -> tuple[int, str, str]:
    is_mild = problem.reason in _SEVERITY_ORDER
    return (
        _SEVERITY_ORDER.index(problem.reason) + 1 if is_mild else 0,
        problem.reason,
        problem.pod_name,
    )


def find_pod_problem(
    pod: PodView, causes: TerminationCauses, deadlines: Deadlines, progress_deadline: timedelta
) -> PodProblem | None:
    """Find the problem of ``pod``; None if it is healthy, starting or terminating."""
    if not is_active(pod):
        return None
    fault = _unschedulable_problem(pod, deadlines) or _container_problem(pod, causes, deadlines)
    if fault is None and not pod.ready:
        fault = (
            _node_lost_problem(pod)
            or _not_ready_problem(pod)
            or _startup_timeout_problem(pod, deadlines, progress_deadline)
        )
    return PodProblem(pod.name, pod.template_hash, *fault) if fault else None


def _unschedulable_problem(pod: PodView, deadlines: Deadlines) -> _Fault | None:
    if not pod.unschedulable or pod.node or pod.created is None:
        return None
    if not deadlines.reached(pod.created + SCHEDULING_GRACE):
        return None
    message = f"no node takes it: {messages.scheduling_cause(pod.unschedulable)}"
    return _Fault(UNSCHEDULABLE, message, text=pod.unschedulable)


def _container_problem(
    pod: PodView, causes: TerminationCauses, deadlines: Deadlines
) -> _Fault | None:
    for container in pod.containers:
        fault = _waiting_problem(container) or _termination_problem(
            pod, container, causes, deadlines
        )
        if fault is not None:
            message = f"{_container_prefix(container)}{fault.message}"
            return fault._replace(message=message, container=container.name)
    return None


def _container_prefix(container: ContainerView) -> str:
    if container.is_init:
        return f"init container {container.name} "
    return "" if container.name == names.CONTAINER_NAME else f"container {container.name} "


def _waiting_problem(container: ContainerView) -> _Fault | None:
    reason, message = container.waiting_reason, container.waiting_message
    if reason in STARTING_REASONS or reason == CRASH_LOOP_BACK_OFF:
        return None
    if reason in _IMAGE_PULL_REASONS:
        cause = messages.pull_cause(message)
        why = f"cannot pull image {container.image}" + (f": {cause}" if cause else "")
        return _Fault(IMAGE_PULL_BACK_OFF, why, text=message)
    if reason == RUN_CONTAINER_ERROR:
        why = f"cannot start: {messages.start_cause(message)}"
        return _Fault(RUN_CONTAINER_ERROR, why, text=message)
    return _Fault(reason, f"cannot start: {messages.shorten(message) or reason}", text=message)


def _termination_problem(
    pod: PodView, container: ContainerView, causes: TerminationCauses, deadlines: Deadlines
) -> _Fault | None:
    termination = container.terminated
    if (
        termination is not None
        and termination.exit_code == 0
        and (container.is_init or _is_job_pod(pod))
    ):
        return None
    if termination is None and (
        container.waiting_reason == CRASH_LOOP_BACK_OFF or _is_recovering(container, deadlines)
    ):
        termination = container.last_termination
        if termination is None:
            return _Fault(CRASH_LOOP_BACK_OFF, "keeps ending")
    if termination is None:
        return None
    is_looping = container.waiting_reason == CRASH_LOOP_BACK_OFF or (
        container.restarts >= CRASHLOOP_MIN_RESTARTS and not _has_long_uptime(termination)
    )
    cause = causes.reason_for(ContainerKey(pod.uid, container.name), termination)
    return _Fault(
        _problem_reason(termination, is_looping=is_looping),
        _termination_message(termination, cause, is_looping=is_looping),
        text=termination.message,
    )


def _is_job_pod(pod: PodView) -> bool:
    """Whether the pod belongs to a Job, whose containers exit when their work is done."""
    return pod.restart_policy != "Always"


def _is_recovering(container: ContainerView, deadlines: Deadlines) -> bool:
    """Whether a running container may still be in a fast crash loop.

    A container in such a loop is running, perhaps even ready, between two crashes. It counts as
    recovered after 1.5 times its previous uptime plus KUBELET_REPORT_DELAY: after 40 s if the
    previous run lasted 20 s and this is the third restart or a later one.
    """
    last_uptime = _uptime(container.last_termination)
    if not container.restarts or container.running_since is None or last_uptime is None:
        return False
    min_uptime = min(MIN_UPTIME_PER_RESTART * container.restarts, MAX_MIN_UPTIME)
    recovered_at = container.running_since + last_uptime * 1.5 + KUBELET_REPORT_DELAY
    return last_uptime < min_uptime and not deadlines.reached(recovered_at)


def _uptime(termination: Termination | None) -> timedelta | None:
    if termination is None or termination.started_at is None or termination.finished_at is None:
        return None
    return termination.finished_at - termination.started_at


def _has_long_uptime(termination: Termination) -> bool:
    """Whether the run was so long that the kubelet restarts the container without a back-off."""
    uptime = _uptime(termination)
    return uptime is not None and uptime >= BACK_OFF_RESET


def _problem_reason(termination: Termination, *, is_looping: bool) -> str:
    if termination.reason == OOM_KILLED:
        return OOM_KILLED
    if termination.reason in START_FAILURE_REASONS:
        return RUN_CONTAINER_ERROR
    if is_looping:
        return CRASH_LOOP_BACK_OFF
    return "Completed" if termination.exit_code == 0 else "Error"


def describe_termination(container: ContainerView, termination: Termination, cause: str) -> str:
    """Describe one termination of a container in a clause that follows the pod's name."""
    message = _termination_message(termination, cause, is_looping=False)
    return f"{_container_prefix(container)}{message}"


def _termination_message(termination: Termination, cause: str, *, is_looping: bool) -> str:
    if termination.reason in START_FAILURE_REASONS:
        return f"cannot start: {messages.start_cause(termination.message) or termination.reason}"
    if termination.reason == OOM_KILLED:
        return "runs out of memory again and again" if is_looping else "ran out of memory"
    if cause == "LivenessProbe":
        return "keeps failing its liveness probe" if is_looping else "failed its liveness probe"
    if cause == "StartupProbe":
        return "does not pass its startup probe in time"
    if termination.exit_code == 0:
        return (
            "keeps ending by itself, exit code 0" if is_looping else "ended by itself, exit code 0"
        )
    crash = "keeps crashing" if is_looping else "crashed"
    return f"{crash}, {messages.describe_exit_code(termination.exit_code)}"


def _node_lost_problem(pod: PodView) -> _Fault | None:
    """The problem of a pod on an unreachable node: since when, and how long Kubernetes waits."""
    if not is_node_lost(pod):
        return None
    message = f"its node {pod.node} does not answer"
    if pod.ready_since is None:
        return _Fault(NODE_LOST, message)
    message += f", noticed {pod.ready_since:%Y-%m-%d %H:%M:%S} UTC"
    if pod.unreachable_toleration_seconds is None:
        return _Fault(NODE_LOST, f"{message}; its tolerations keep it there until the node is back")
    toleration = timedelta(seconds=pod.unreachable_toleration_seconds)
    if not toleration:
        return _Fault(NODE_LOST, f"{message}; Kubernetes replaces it at once")
    until = f"{pod.ready_since + toleration:%H:%M:%S}"
    wait = f"{messages.format_duration(toleration)}, until {until}"
    return _Fault(NODE_LOST, f"{message}; Kubernetes waits {wait}, before it replaces it")


def is_stuck_on_lost_node(pod: PodView) -> bool:
    """Whether a pod is deleted, but its unreachable node cannot confirm that it has stopped."""
    return pod.deleting and is_node_lost(pod)


def is_node_lost(pod: PodView) -> bool:
    """Whether the control plane set a pod to not ready because its node is unreachable.

    Then the containers still are ready in the status, and the Ready condition gives no reason.
    """
    regular_containers = [container for container in pod.containers if not container.is_init]
    has_ready_containers = bool(regular_containers) and all(
        container.ready for container in regular_containers
    )
    return has_ready_containers and not pod.ready and not pod.ready_reason


def _not_ready_problem(pod: PodView) -> _Fault | None:
    """The problem of a pod that was ready, or was restarted, and is not ready now.

    A pod that starts for the first time has none: its Ready condition changed last before its
    containers ran.
    """
    regular_containers = [container for container in pod.containers if not container.is_init]
    unready_containers = [
        c for c in regular_containers if not c.ready and c.running_since is not None
    ]
    if not unready_containers:
        return None
    first = unready_containers[0]
    prefix = _container_prefix(first)
    last_started = max(c.running_since for c in regular_containers if c.running_since is not None)
    if pod.ready_since is not None and pod.ready_since > last_started:
        return _Fault(NOT_READY, f"{prefix}does not pass its readiness probe", first.name)
    if any(c.restarts for c in unready_containers):
        return _Fault(NOT_READY, f"{prefix}was restarted and is not ready yet", first.name)
    return None


def _startup_timeout_problem(
    pod: PodView, deadlines: Deadlines, progress_deadline: timedelta
) -> _Fault | None:
    if (
        pod.created is None
        or not pod.node
        or not deadlines.reached(pod.created + progress_deadline)
    ):
        return None
    waited = messages.format_duration(progress_deadline)
    if any(c.running_since is not None for c in pod.containers if not c.is_init):
        return _Fault(NOT_READY, f"runs but is not ready after {waited}")
    advice = f"see kubectl describe pod {pod.name}"
    return _Fault("ContainerCreating", f"has not started after {waited}: {advice}")
