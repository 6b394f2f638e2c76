"""The parts of a simulated cluster: programs, effects of faults, nodes, containers and pods."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Json = dict[str, Any]


class EffectKind(StrEnum):
    """What a fault does to a container that runs."""

    CRASH = "crash"
    OOM = "oom"
    HANG = "hang"
    """Its readiness probe fails; the process runs."""
    LIVENESS = "liveness"
    """Its liveness probe fails, so that the kubelet kills it again and again."""
    FLAP = "flap"
    """Its readiness changes again and again."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a fault does to a container.

    Attributes:
        kind: what happens.
        after: seconds from the start of the process until it happens; for FLAP the seconds between
            two changes.
        text: the answer of a probe, or what is in the log.
        exit_code: of a crash.
        percent: the share of the pods that have it.
        lasts: of LIVENESS, the seconds for which the probe fails in a row.
    """

    kind: EffectKind
    after: float = 2.0
    text: str = ""
    exit_code: int = 1
    percent: int = 100
    lasts: float = float("inf")


@dataclass(frozen=True, slots=True)
class Program:
    """What an image does when it runs.

    Attributes:
        start: seconds from the start of the process until it serves.
        stop: seconds that it takes to stop.
        pull: seconds that a node takes to pull the image.
        memory: MiB that it needs.
        cpu: millicores that it needs; with less its probes time out.
        bug: what it does in every pod, if it is broken.
        database: what it does without its database: CRASH, HANG, or None for nothing.
        runs: seconds until an init container has done its work; 0 for a program that serves.
        pull_error: why its image cannot be pulled; empty if it can.
    """

    start: float = 5.0
    stop: float = 2.0
    pull: float = 3.0
    memory: int = 60
    cpu: int = 50
    bug: Effect | None = None
    database: EffectKind | None = None
    runs: float = 0.0
    pull_error: str = ""


@dataclass(slots=True)
class SimNode:
    """A node.

    Attributes:
        is_alive: its kubelet answers.
        is_powered: its containers run; a node may be cut off and go on running.
        silent_since: since when its kubelet does not answer.
        marked_lost: the node controller has noticed that.
        effect: what it does to the containers that run on it.
        pull_error: why it cannot pull images; empty if it can.
        sandbox_error: why it cannot start pods; empty if it can.
    """

    name: str
    cpu: int = 4000
    memory: int = 4096
    labels: dict[str, str] = field(default_factory=dict)
    taints: list[Json] = field(default_factory=list)
    images: set[str] = field(default_factory=set)
    resource_version: int = 1
    is_cordoned: bool = False
    is_alive: bool = True
    is_powered: bool = True
    silent_since: float | None = None
    marked_lost: bool = False
    effect: Effect | None = None
    pull_error: str = ""
    sandbox_error: str = ""
    has_disk_pressure: bool = False
    conditions: dict[str, str] = field(default_factory=dict)


class ContainerKind(StrEnum):
    """The place of a container in its pod."""

    INIT = "init"
    SIDECAR = "sidecar"
    """A native sidecar: an init container with restartPolicy Always."""
    MAIN = "main"


@dataclass(slots=True)
class SimContainer:
    """A container, as the kubelet reports it.

    Attributes:
        epoch: changes with each change of the state, so that what was planned before is dropped.
        back_off: seconds until the next restart; 0 for at once.
        pull_back_off: seconds until the next pull after a failed one.
        probe_failures: failures of the probe that fails now, of which an Event tells.
        mode: the variable MODE, with which the process was started.
    """

    kind: ContainerKind
    spec: Json
    state: str = "waiting"
    reason: str = "ContainerCreating"
    message: str = ""
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    last: Json | None = None
    restarts: int = 0
    ready: bool = False
    started: bool = False
    epoch: int = 0
    back_off: float = 0.0
    pull_back_off: float = 10.0
    probe_failures: int = 0
    mode: str = ""

    @property
    def name(self) -> str:
        """The name in the pod."""
        name: str = self.spec["name"]
        return name

    @property
    def image(self) -> str:
        """The image."""
        image: str = self.spec["image"]
        return image


@dataclass(slots=True)
class SimPod:
    """A pod.

    Attributes:
        owner_uid: the UID of its ReplicaSet; empty for a pod that was taken out of it.
        effect: a fault of this pod alone.
        deleted_at: when it must be gone after its deletion, grace period included.
        is_cut_off: its node does not answer, and the node controller has set it to not ready.
    """

    name: str
    uid: str
    template_hash: str
    template: Json
    spec: Json
    owner_uid: str
    created: float
    resource_version: int
    labels: dict[str, str]
    containers: list[SimContainer]
    owner_references: list[Json] = field(default_factory=list)
    node: str = ""
    bound_at: float = 0.0
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    unschedulable: str = ""
    initialized: bool = False
    initialized_at: float = 0.0
    ready: bool = False
    ready_at: float = 0.0
    is_cut_off: bool = False
    deleted_at: float | None = None
    removal_at: float | None = None
    effect: Effect | None = None
    disruption: Json | None = None
    resize_pending: tuple[str, str] | None = None
    applied_limits: dict[str, Json] = field(default_factory=dict)
    finalizers: list[str] = field(default_factory=list)

    @property
    def is_active(self) -> bool:
        """Whether its ReplicaSet counts it."""
        return self.deleted_at is None and self.phase not in {"Failed", "Succeeded"}

    @property
    def is_serving(self) -> bool:
        """Whether it is ready and stays."""
        return self.ready and self.deleted_at is None


@dataclass(slots=True)
class SimReplicaSet:
    """A ReplicaSet of the app's Deployment."""

    hash: str
    uid: str
    template: Json
    created: float
    resource_version: int
    wanted: int = 0
    refusal: str = ""
    retry_at: float = 0.0
    retry_delay: float = 0.0
    created_pods: int = 0


@dataclass(slots=True)
class SimObject:
    """An object with a manifest that field managers write: the app's children.

    Attributes:
        raw: the object as it stands, without what is rendered on the fly.
        managers: what each manager has applied last.
        edits: by manager, the time and the fields of writes that were no apply.
    """

    kind: str
    raw: Json
    managers: dict[str, Json] = field(default_factory=dict)
    edits: dict[str, tuple[float, Json]] = field(default_factory=dict)
    status: Json = field(default_factory=dict)

    @property
    def uid(self) -> str:
        """The UID."""
        uid: str = self.raw["metadata"]["uid"]
        return uid

    @property
    def spec(self) -> Json:
        """The spec."""
        spec: Json = self.raw["spec"]
        return spec


@dataclass(slots=True)
class Laws:
    """What is true in a world: what its programs do, and what is broken around the app.

    Attributes:
        programs: what each image does; an image that is not there does not exist.
        registry_error: why no image can be pulled now; empty if they can.
        database_up: whether the app's database answers.
        metrics_up: whether the metrics API answers.
        load: the number of pods that the load asks for, by which the autoscaler scales.
        quota_memory: MiB that the pods may request in all; None for no quota.
        max_memory: MiB that a container may be limited to by a LimitRange; None without one.
        webhook_error: why an admission webhook refuses every pod; empty if it does not.
        enforces_baseline: the Namespace enforces the baseline Pod Security standard.
        injected_proxy: the image of a container that a webhook adds to each new pod.
        is_api_cut_off: requests of the operator have no answer.
        luck: by this number and their names it is drawn which pods have a fault of a part of them.
    """

    programs: dict[str, Program] = field(default_factory=dict)
    registry_error: str = ""
    database_up: bool = True
    metrics_up: bool = True
    load: int = 0
    quota_memory: int | None = None
    max_memory: int | None = None
    webhook_error: str = ""
    enforces_baseline: bool = False
    injected_proxy: str = ""
    is_api_cut_off: bool = False
    luck: int = 0
    resize: str = ""
    """How a resize fails: Deferred, Infeasible, or empty for not at all."""


def parse_memory(quantity: Any) -> int:  # noqa: ANN401 - a JSON value
    """Return a quantity of memory in MiB; 0 without one."""
    text = str(quantity or "0")
    for suffix, factor in (("Gi", 1024.0), ("Mi", 1.0), ("Ki", 1 / 1024)):
        if text.endswith(suffix):
            return int(float(text.removesuffix(suffix)) * factor)
    return int(float(text) / 1048576) if text.replace(".", "", 1).isdigit() else 0


def parse_cpu(quantity: Any) -> int:  # noqa: ANN401 - a JSON value
    """Return a quantity of CPU in millicores; 0 without one."""
    text = str(quantity or "0")
    return int(text.removesuffix("m")) if text.endswith("m") else int(float(text) * 1000)


def cpu_limit(container: Mapping[str, Any]) -> int:
    """Return a container's CPU limit in millicores; 0 without one."""
    return parse_cpu(((container.get("resources") or {}).get("limits") or {}).get("cpu"))


def memory_limit(container: Mapping[str, Any]) -> int:
    """Return a container's memory limit in MiB; 0 without one."""
    return parse_memory(((container.get("resources") or {}).get("limits") or {}).get("memory"))
