"""A cluster in memory for one app: what kubelets and controllers would make of what healing does.

It knows the truth, which the operator only sees in part and late: which version is bad, which node
is sick, how much memory the app needs. Time is in seconds after noon.
"""

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from selfhealing.cache.snapshot import Facts
from selfhealing.cache.views import (
    AppView,
    AutoscalerView,
    ConditionView,
    ContainerView,
    DeploymentView,
    PodView,
    Termination,
)
from selfhealing.remediation import actions
from selfhealing.remediation.memory_limit import larger
from tests.unit import builders

START: Final = 10
"""Seconds until a new pod is ready, if it ever is."""

DEADLINE: Final = 600
"""A rollout that takes longer is told to be stuck."""

PODS: Final = 3
NODES: Final = ("node-1", "node-2", "node-3", "node-4")

SICK: Final = ("crash", "pull", "hang", "config")
"""What can be wrong with a version, a node or a pod."""

LIMIT: Final = "100Mi"
"""The memory limit of the spec."""


class Template(NamedTuple):
    """What pods are made from: ``memory`` is what healing has put in place of the spec's limit."""

    image: str
    memory: str = ""


FIRST: Final = Template("v1")


@dataclass
class Pod:
    """One pod. ``own`` is what is wrong with it alone; ``since`` when its readiness changed."""

    name: str
    template: Template
    node: str
    born: int
    memory: str
    rv: int
    own: str = ""
    fault: str = "start"
    ready: bool = False
    since: int = 0
    lost: bool = False
    deleted_at: int | None = None
    deaf: bool = False

    @property
    def uid(self) -> str:
        """Its UID."""
        return f"uid-of-{self.name}"


@dataclass
class Cluster:
    """The app's pods and what is around them."""

    clock: int = 0
    template: Template = FIRST
    wanted: int = PODS
    generation: int = 1
    observed: int = 1
    changed_at: int = 0
    rolled_out: bool = False
    versions: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    needs: str = "50Mi"
    blind_since: int | None = None
    held: bool = False
    pods: dict[str, Pod] = field(default_factory=dict)
    apart: dict[str, Pod] = field(default_factory=dict)
    hashes: dict[Template, str] = field(default_factory=dict)
    rv: int = 1
    born: int = 0
    guarded: bool = True

    @property
    def due(self) -> int:
        """When a rollout that is not completed is told to be stuck; never after that."""
        return self.changed_at + DEADLINE

    @property
    def busy_for(self) -> int:
        """Seconds until something happens by itself; 0 when nothing will."""
        starts = [pod.born + START for pod in self.pods.values()]
        times = [at - self.clock for at in (self.due, *starts)]
        return min((wait for wait in times if wait > 0), default=0)

    def hash_of(self, template: Template) -> str:
        """The hash by which pods of a template are told from others."""
        return self.hashes.setdefault(template, f"h{len(self.hashes) + 1}")

    def news(self) -> int:
        """A new resource version."""
        self.rv += 1
        return self.rv

    # What the operator asks for.

    def apply(self, template: Template, least: int | None) -> bool:
        """Apply the Deployment and the autoscaler's lower end; returns whether that was news."""
        wanted = max(PODS, least or 0)
        if (template, wanted) == (self.template, self.wanted):
            return False
        if template != self.template:
            self.changed_at, self.rolled_out = self.clock, False
        self.template, self.wanted = template, wanted
        self.generation += 1
        self.news()
        return True

    def carry_out(self, step: actions.Step) -> None:
        """Do as a step says, if what it names is still as it was seen."""
        if isinstance(step, actions.Delete):
            self._delete(step)
            return
        pod = self.pods.get(step.pod.uid)
        if pod is None:
            return
        if isinstance(step, actions.Resize):
            pod.memory, pod.rv = step.limit, self.news()
        elif pod.rv == step.pod.resource_version and isinstance(step, actions.Isolate):
            self.apart[pod.uid] = self.pods.pop(pod.uid)
        elif pod.rv == step.pod.resource_version and self._may_be_evicted(pod):
            self._go(pod)

    def _delete(self, step: actions.Delete) -> None:
        self.apart.pop(step.uid, None)
        if step.uid in self.pods:
            self._go(self.pods[step.uid])

    def _may_be_evicted(self, pod: Pod) -> bool:
        """What a PodDisruptionBudget with maxUnavailable 1 says; there may be none."""
        ready = sum(p.ready for p in self.pods.values())
        return not self.guarded or ready - pod.ready >= self.wanted - 1

    def _go(self, pod: Pod) -> None:
        if pod.deleted_at is None:
            pod.deleted_at = self.clock + 30
        pod.rv = self.news()

    # What goes on by itself.

    def settle(self) -> None:
        """Let kubelets and controllers act until there is nothing more to do at this moment."""
        self._kubelets()
        if not self.held:
            self.observed = self.generation
            self._roll()
        self._kubelets()
        new = [pod for pod in self.pods.values() if pod.template == self.template]
        self.rolled_out = self.rolled_out or sum(pod.ready for pod in new) >= self.wanted

    def _kubelets(self) -> None:
        for uid, pod in list(self.pods.items()):
            lost = self.nodes.get(pod.node) == "lost"
            if pod.deleted_at is not None and not lost:
                del self.pods[uid]
                continue
            fault = pod.fault if lost else self._fault(pod)
            ready = not fault and not lost
            if (fault, ready, lost) != (pod.fault, pod.ready, pod.lost):
                pod.since = self.clock if ready != pod.ready else pod.since
                pod.fault, pod.ready, pod.lost, pod.rv = fault, ready, lost, self.news()

    def _fault(self, pod: Pod) -> str:
        if self.clock < pod.born + START:
            return "start"
        if larger(self.needs, pod.memory) or (pod.deaf and pod.fault == "oom"):
            return "oom"
        node = self.nodes.get(pod.node, "")
        return pod.own or self.versions.get(pod.template.image, "") or node

    def _roll(self) -> None:
        live = [pod for pod in self.pods.values() if pod.deleted_at is None]
        new = [pod for pod in live if pod.template == self.template]
        old = sorted((pod for pod in live if pod not in new), key=lambda p: (p.ready, p.name))
        room = self.wanted + 1 - len(live)
        missing = self.wanted - len(new)
        for _ in range(max(0, min(room, missing) if old else missing)):
            self._make()
        for pod in old:
            ready = sum(p.ready for p in live)
            if ready - pod.ready >= self.wanted or not (pod.ready or len(live) <= self.wanted):
                live.remove(pod)
                pod.deleted_at = self.clock
        for pod in sorted(new, key=lambda p: p.ready)[: max(0, len(new) - self.wanted)]:
            pod.deleted_at = self.clock

    def _make(self) -> None:
        self.born += 1
        free = [name for name in NODES if self.nodes.get(name) != "lost"]
        loads = {name: sum(p.node == name for p in self.pods.values()) for name in free}
        node = min(free, key=lambda name: (loads[name], name))
        limit = self.template.memory or LIMIT
        name = f"web-{self.hash_of(self.template)}-{self.born}"
        pod = Pod(name, self.template, node, self.clock, limit, self.news(), since=self.clock)
        self.pods[pod.uid] = pod

    # What can be seen.

    def facts(self, app: AppView) -> Facts:
        """Everything as the API server shows it now."""
        children = {"Deployment": self._deployment(), "HorizontalPodAutoscaler": self._scaler()}
        pods = tuple(self._view(pod) for pod in self.pods.values())
        return Facts(app, children, tuple(sorted(pods, key=lambda pod: pod.name)))

    def _deployment(self) -> DeploymentView:
        new = [p for p in self.pods.values() if p.template == self.template]
        reason = "DeploymentPaused" if self.held else "NewReplicaSetAvailable"
        if not self.held and not self.rolled_out and self.clock >= self.due:
            reason = "ProgressDeadlineExceeded"
        status = "False" if reason == "ProgressDeadlineExceeded" else "True"
        return DeploymentView(
            **_child("Deployment", self.rv),
            conditions=(ConditionView("Progressing", status, reason, reason, builders.NOON),),
            generation=self.generation,
            observed_generation=self.observed,
            replicas=self.wanted,
            updated_replicas=len([p for p in new if p.deleted_at is None]),
            available_replicas=sum(p.ready for p in self.pods.values()),
            min_ready_seconds=0,
            progress_deadline_seconds=DEADLINE,
            template_hash=self.hash_of(self.template),
            owns_replicas=False,
        )

    def _scaler(self) -> AutoscalerView:
        blind = self.blind_since is not None
        since = builders.at(self.blind_since or 0)
        status, reason = ("False", "FailedGetResourceMetric") if blind else ("True", "Valid")
        return AutoscalerView(
            **_child("HorizontalPodAutoscaler", 1),
            conditions=(ConditionView("ScalingActive", status, reason, "no metrics", since),),
            current=self.wanted,
            desired=self.wanted,
            minimum=self.wanted,
            maximum=9,
            last_scale_time=None,
            metrics=(),
        )

    def _view(self, pod: Pod) -> PodView:
        return PodView(
            uid=pod.uid,
            name=pod.name,
            resource_version=pod.rv,
            node=pod.node,
            host_ip="",
            phase="Running",
            reason="",
            message="",
            ready=pod.ready,
            ready_since=builders.at(pod.since),
            ready_reason="" if pod.ready or (pod.lost and not pod.fault) else "ContainersNotReady",
            initialized=True,
            created=builders.at(pod.born),
            deleting=pod.deleted_at is not None,
            deleted_at=None if pod.deleted_at is None else builders.at(pod.deleted_at),
            finalizers=(),
            template_hash=self.hash_of(pod.template),
            restart_policy="Always",
            unschedulable="",
            node_patience=300,
            memory_limit=pod.memory,
            memory_applied=pod.memory,
            resize="",
            claims=False,
            containers=(_container(pod),),
        )


_WAITS: Final = {
    "start": "ContainerCreating",
    "crash": "CrashLoopBackOff",
    "oom": "CrashLoopBackOff",
    "pull": "ImagePullBackOff",
    "config": "CreateContainerConfigError",
}


def _container(pod: Pod) -> ContainerView:
    waiting = _WAITS.get(pod.fault, "")
    crashes = waiting == "CrashLoopBackOff"
    began, ended = builders.at(pod.born + START), builders.at(pod.born + START + 1)
    reason, code = ("OOMKilled", 137) if pod.fault == "oom" else ("Error", 1)
    return ContainerView(
        name="app",
        image=pod.template.image,
        killers=(),
        init=False,
        ready=not pod.fault,
        restarts=5 if crashes else 0,
        waiting=waiting,
        waiting_message="",
        running_since=None if waiting else began,
        starting=False,
        terminated=None,
        last=Termination(reason, code, began, ended) if crashes else None,
    )


def _child(kind: str, version: int) -> dict[str, Any]:
    return {
        "kind": kind,
        "name": builders.APP,
        "uid": f"uid-of-{kind}",
        "resource_version": version,
        "owned_by": builders.APP_UID,
        "applied": "",
        "adopt": False,
        "deleting": False,
        "document": b"",
    }
