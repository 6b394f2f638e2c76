"""Finds the problem of each pod, with a reason that stays the same while the fault lasts.

The reasons in a pod's status alternate during one fault: ErrImagePull and ImagePullBackOff, or
Running, Error and CrashLoopBackOff. A PodProblem has one reason for each such group.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from selfhealing.api import names
from selfhealing.cache.views import ContainerView, PodView, Termination
from selfhealing.health import messages
from selfhealing.health.crash_loops import (
    CRASH_LOOP_BACK_OFF,
    has_long_uptime,
    is_awaiting_probe,
    is_recovering,
)
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.faults import (
    FAILED_MOUNT,
    NOT_READY,
    READINESS_FLAPPING,
    Fault,
    container_prefix,
)
from selfhealing.health.observations import Observations
from selfhealing.health.readiness import find_flapping_fault, find_not_ready_fault
from selfhealing.health.termination_causes import (
    OOM_KILLED,
    PROBE_REASONS,
    ContainerKey,
    TerminationCauses,
)

STARTING_REASONS: Final = frozenset({"ContainerCreating", "PodInitializing", ""})
"""Waiting reasons of a container that starts normally."""

TERMINAL_PHASES: Final = frozenset({"Succeeded", "Failed"})
"""Phases of pods whose containers will not run again."""

IMAGE_PULL_BACK_OFF: Final = "ImagePullBackOff"
RUN_CONTAINER_ERROR: Final = "RunContainerError"
UNSCHEDULABLE: Final = "Unschedulable"
NODE_LOST: Final = "NodeLost"

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
    READINESS_FLAPPING,
)
"""The less severe reasons, in the order of the status; every other reason comes before them."""

CRASHLOOP_MIN_RESTARTS: Final = 2
"""Restarts that make a crash loop: after a single crash, the first restart often is enough."""

SCHEDULING_GRACE: Final = timedelta(seconds=30)
"""How long a pod may be unscheduled before that is a problem: some volumes and nodes are created
on demand. The kstatus library (sigs.k8s.io/cli-utils) waits 15 s."""


VOLUME_WARNINGS: Final = frozenset({"FailedMount", "FailedAttachVolume"})
"""Reasons of Events that say why a pod has no volume."""


@dataclass(frozen=True, slots=True)
class PodProblem:
    """The problem of one pod.

    Attributes:
        reason: one CamelCase word for each group of reasons.
        message: a clause that follows the pod's name.
        container: the container that has the problem; empty if it is the pod as a whole.
        text: what the kubelet or the scheduler says of it, unshortened; empty if they say nothing.
        answer: what the failing probe gets, a clause that stands alone; empty if unknown.
    """

    pod_name: str
    template_hash: str
    reason: str
    message: str
    container: str = ""
    text: str = ""
    answer: str = ""


def is_active(pod: PodView) -> bool:
    """Whether the pod runs or will run, so that it counts as a replica of the app."""
    return not pod.deleting and pod.phase not in TERMINAL_PHASES


def is_ending(pod: PodView) -> bool:
    """Whether the app of a Job's pod has succeeded, so that its sidecars are being stopped.

    Their exit codes, such as 143 for SIGTERM, do not count: the pod succeeds with its app
    ("Sidecar Containers" in Kubernetes' docs, Jobs with sidecar containers).
    """
    return _is_job_pod(pod) and any(
        container.name == names.CONTAINER_NAME
        and container.terminated is not None
        and container.terminated.exit_code == 0
        for container in pod.containers
    )


def find_pod_problems(
    pods: Iterable[PodView],
    causes: TerminationCauses,
    deadlines: Deadlines,
    progress_deadline: timedelta,
    observations: Observations | None = None,
) -> tuple[PodProblem, ...]:
    """Find the problems of the active pods, the most severe first.

    Args:
        pods: the pods of the app.
        causes: why their containers terminated.
        deadlines: the time of this evaluation.
        progress_deadline: the Deployment's progressDeadlineSeconds. A pod that is not ready after
            it has a problem, too; Kubernetes applies the deadline to rollouts only.
        observations: what was observed of the pods beside their status.
    """
    problems = [
        problem
        for pod in pods
        if (problem := find_pod_problem(pod, causes, deadlines, progress_deadline, observations))
        is not None
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
    pod: PodView,
    causes: TerminationCauses,
    deadlines: Deadlines,
    progress_deadline: timedelta,
    observations: Observations | None = None,
) -> PodProblem | None:
    """Find the problem of ``pod``; None if it is healthy, starting or terminating."""
    if not is_active(pod):
        return None
    observed = observations or Observations()
    fault = (
        _unschedulable_problem(pod, deadlines)
        or _container_problem(pod, causes, deadlines, observed)
        or (_node_lost_problem(pod) if not pod.ready else None)
        or find_flapping_fault(pod, observed, deadlines)
    )
    if fault is None and not pod.ready:
        fault = (
            find_not_ready_fault(pod, observed, deadlines)
            or _failed_mount_problem(pod, observed, deadlines)
            or _startup_timeout_problem(pod, deadlines, progress_deadline)
        )
    return PodProblem(pod.name, pod.template_hash, *fault) if fault else None


def _unschedulable_problem(pod: PodView, deadlines: Deadlines) -> Fault | None:
    if not pod.unschedulable or pod.node or pod.created is None:
        return None
    if not deadlines.reached(pod.created + SCHEDULING_GRACE):
        return None
    message = f"no node takes it: {messages.scheduling_cause(pod.unschedulable)}"
    return Fault(UNSCHEDULABLE, message, text=pod.unschedulable)


def _container_problem(
    pod: PodView, causes: TerminationCauses, deadlines: Deadlines, observations: Observations
) -> Fault | None:
    for container in pod.containers:
        if is_ending(pod) and container.name != names.CONTAINER_NAME:
            continue
        fault = _waiting_problem(pod, container, observations) or _termination_problem(
            pod, container, causes, deadlines, observations
        )
        if fault is not None:
            message = f"{container_prefix(container)}{fault.message}"
            return fault._replace(message=message, container=container.name)
    return None


def _waiting_problem(
    pod: PodView, container: ContainerView, observations: Observations
) -> Fault | None:
    reason, message = container.waiting_reason, container.waiting_message
    if reason in STARTING_REASONS or reason == CRASH_LOOP_BACK_OFF:
        return None
    if reason in _IMAGE_PULL_REASONS:
        cause = messages.pull_cause(message)
        why = f"cannot pull image {container.image}" + (f": {cause}" if cause else "")
        missing = observations.find_warning(pod, ("FailedToRetrieveImagePullSecret",))
        secrets = messages.missing_pull_secrets(missing.message) if missing is not None else ""
        why += f"; the pull secret {secrets} cannot be read" if secrets else ""
        return Fault(IMAGE_PULL_BACK_OFF, why, text=message)
    if reason == RUN_CONTAINER_ERROR:
        why = f"cannot start: {messages.start_cause(message)}"
        return Fault(RUN_CONTAINER_ERROR, why, text=message)
    return Fault(reason, f"cannot start: {messages.shorten(message) or reason}", text=message)


def _termination_problem(
    pod: PodView,
    container: ContainerView,
    causes: TerminationCauses,
    deadlines: Deadlines,
    observations: Observations,
) -> Fault | None:
    termination, key = container.terminated, ContainerKey(pod.uid, container.name)
    if (
        termination is not None
        and termination.exit_code == 0
        and (container.is_init or _is_job_pod(pod))
    ):
        return None
    if termination is None and (
        container.waiting_reason == CRASH_LOOP_BACK_OFF
        or is_recovering(container, deadlines)
        or _is_awaiting_probe(pod, container, causes, deadlines, observations)
    ):
        termination = container.last_termination
        if termination is None:
            return Fault(CRASH_LOOP_BACK_OFF, "keeps ending")
    if termination is None:
        return None
    is_looping = container.waiting_reason == CRASH_LOOP_BACK_OFF or (
        container.restarts >= CRASHLOOP_MIN_RESTARTS and not has_long_uptime(termination)
    )
    cause = causes.reason_for(key, termination)
    kinds = [kind for kind, reason in PROBE_REASONS.items() if reason == cause]
    failing = observations.find_failing_probe(pod, container, kinds, None)
    answer = failing.describe() if failing is not None else ""
    message = _termination_message(termination, cause, is_looping=is_looping)
    if termination.reason == OOM_KILLED:
        message += _describe_memory_limit(container)
    return Fault(
        _problem_reason(termination, is_looping=is_looping),
        f"{message}: {answer}" if answer else message,
        text=termination.message,
        answer=answer,
    )


def _is_awaiting_probe(
    pod: PodView,
    container: ContainerView,
    causes: TerminationCauses,
    deadlines: Deadlines,
    observations: Observations,
) -> bool:
    """Whether a probe has had the container killed, and may be about to do so again."""
    cause = causes.reason_for(ContainerKey(pod.uid, container.name), container.last_termination)
    for kind, reason in PROBE_REASONS.items():
        if reason == cause:
            since = container.running_since
            failing = observations.find_failing_probe(pod, container, (kind,), since)
            failed_at = failing.at if failing is not None else None
            return is_awaiting_probe(container, container.find_probe(kind), failed_at, deadlines)
    return False


def _describe_memory_limit(container: ContainerView) -> str:
    """Name the limit of the app's container, and the field that sets it."""
    limit = container.applied_limits.memory or container.limits.memory
    if container.name != names.CONTAINER_NAME or not limit:
        return ""
    return f": its limit is {limit} (spec.resources.limits.memory)"


def _is_job_pod(pod: PodView) -> bool:
    """Whether the pod belongs to a Job, whose containers exit when their work is done."""
    return pod.restart_policy != "Always"


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
    return f"{container_prefix(container)}{message}"


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


def _node_lost_problem(pod: PodView) -> Fault | None:
    """The problem of a pod on an unreachable node: since when, and how long Kubernetes waits."""
    if not is_node_lost(pod):
        return None
    message = f"its node {pod.node} does not answer"
    if pod.ready_since is None:
        return Fault(NODE_LOST, message)
    message += f", noticed {pod.ready_since:%Y-%m-%d %H:%M:%S} UTC"
    if pod.unreachable_toleration_seconds is None:
        return Fault(NODE_LOST, f"{message}; its tolerations keep it there until the node is back")
    toleration = timedelta(seconds=pod.unreachable_toleration_seconds)
    if not toleration:
        return Fault(NODE_LOST, f"{message}; Kubernetes replaces it at once")
    until = f"{pod.ready_since + toleration:%H:%M:%S}"
    wait = f"{messages.format_duration(toleration)}, until {until}"
    return Fault(NODE_LOST, f"{message}; Kubernetes waits {wait}, before it replaces it")


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


def _failed_mount_problem(
    pod: PodView, observations: Observations, deadlines: Deadlines
) -> Fault | None:
    """The problem of a pod that waits for a volume; a mount may fail for a moment at first."""
    has_started = any(c.running_since is not None or c.terminated for c in pod.containers)
    warning = observations.find_warning(pod, VOLUME_WARNINGS)
    if warning is None or has_started or pod.created is None:
        return None
    if not deadlines.reached(pod.created + SCHEDULING_GRACE):
        return None
    return Fault(FAILED_MOUNT, messages.mount_cause(warning.message), text=warning.message)


def _startup_timeout_problem(
    pod: PodView, deadlines: Deadlines, progress_deadline: timedelta
) -> Fault | None:
    if (
        pod.created is None
        or not pod.node
        or not deadlines.reached(pod.created + progress_deadline)
    ):
        return None
    waited = messages.format_duration(progress_deadline)
    if any(c.running_since is not None for c in pod.containers if not c.is_init):
        return Fault(NOT_READY, f"runs but is not ready after {waited}")
    waiting_for = next((c for c in pod.containers if c.is_init and c.running_since), None)
    if waiting_for is not None:
        message = f"init container {waiting_for.name} has not ended after {waited}"
        return Fault("ContainerCreating", message, waiting_for.name)
    advice = f"see kubectl describe pod {pod.name}"
    return Fault("ContainerCreating", f"has not started after {waited}: {advice}")
