"""The apps of the worlds: how many pods, which strategy, probes, containers and configuration."""

from dataclasses import dataclass, replace
from random import Random

from hack.worlds.model import EffectKind, Json, Laws, Program

SETTINGS = "settings"
"""The ConfigMap that the app reads, if it reads one."""
CREDENTIALS = "credentials"
"""The Secret that the app reads, if it reads one."""


@dataclass(frozen=True, slots=True)
class Shape:
    """An app, and the cluster that it runs in.

    Attributes:
        start: seconds that its program needs to serve.
        database: what its pods do without their database.
        strategy: the rollout strategy of the spec; empty for the default.
        max_memory: MiB that the LimitRange of the namespace allows a container; None without one.
        has_gitops: a GitOps tool keeps a field of the Deployment that the spec does not have.
    """

    replicas: int = 3
    nodes: int = 4
    start: float = 5.0
    database: EffectKind | None = None
    strategy: str = ""
    autoscaled: bool = False
    has_readiness: bool = True
    has_liveness: bool = True
    has_startup: bool = False
    has_init: bool = False
    has_sidecar: bool = False
    has_config: bool = False
    has_secret: bool = False
    memory_max: bool = False
    fallback: bool = False
    min_ready: int = 0
    deadline: int = 0
    mode: str = "Auto"
    relaxes_liveness: bool = False
    max_memory: int | None = None
    has_gitops: bool = False

    @property
    def cost_of_start(self) -> float:
        """Seconds from the creation of a pod until it serves, at most."""
        return self.start + 20.0 + self.min_ready + (10.0 if self.has_init else 0.0)


def draw_shape(rng: Random) -> Shape:
    """Draw an app."""
    autoscaled = rng.random() < 0.25
    start = rng.choice((2.0, 5.0, 8.0, 20.0, 60.0, 150.0))
    strategy = rng.choices(("", "Recreate", "unavailable", "surge", "all"), (70, 12, 9, 6, 3))[0]
    return Shape(
        replicas=rng.choices((1, 2, 3, 4, 6), (18, 17, 35, 18, 12))[0],
        nodes=rng.choices((1, 2, 3, 4, 6), (6, 14, 30, 35, 15))[0],
        start=start,
        database=rng.choices((None, EffectKind.CRASH, EffectKind.HANG), (40, 35, 25))[0],
        strategy=strategy,
        autoscaled=autoscaled,
        has_readiness=rng.random() < 0.9,
        has_liveness=rng.random() < 0.6,
        has_startup=start >= 60 or rng.random() < 0.15,
        has_init=rng.random() < 0.25,
        has_sidecar=rng.random() < 0.25,
        has_config=rng.random() < 0.5,
        has_secret=rng.random() < 0.2,
        memory_max=rng.random() < 0.4,
        fallback=autoscaled and rng.random() < 0.5,
        min_ready=rng.choices((0, 10, 30), (85, 10, 5))[0],
        deadline=rng.choices((0, 120, 300), (80, 10, 10))[0],
        mode=rng.choices(("Auto", "Approve", "Observe"), (94, 3, 3))[0],
    )


def draw_later_shape(rng: Random, shape: Shape) -> Shape:
    """Draw what only the apps of some worlds have: a slow start, a LimitRange, or GitOps."""
    kinds = (
        replace(shape, start=400.0, has_startup=True, deadline=0),
        replace(shape, max_memory=256),
        replace(shape, has_gitops=True),
    )
    return rng.choice(kinds)


def build_laws(shape: Shape) -> Laws:
    """Return what is true in the beginning: version 1 runs well."""
    return Laws(
        programs={
            "web:1": Program(start=shape.start, database=shape.database),
            "proxy:1": Program(start=1.0, memory=20),
            "migrate:1": Program(runs=3.0, memory=20),
        },
        load=shape.replicas,
        max_memory=shape.max_memory,
    )


def build_configs(shape: Shape) -> dict[tuple[str, str], Json]:
    """Return the ConfigMaps and Secrets that the app reads."""
    configs: dict[tuple[str, str], Json] = {}
    if shape.has_config:
        configs["ConfigMap", SETTINGS] = {"MODE": "good", "LEVEL": "info"}
    if shape.has_secret:
        configs["Secret", CREDENTIALS] = {"PASSWORD": "first"}
    return configs


def build_spec(shape: Shape) -> Json:
    """Return the spec of version 1."""
    resources = {
        "requests": {"cpu": "100m", "memory": "128Mi"},
        "limits": {"cpu": "1", "memory": "128Mi"},
    }
    spec: Json = {
        "image": "web:1",
        "port": 5000,
        "resources": resources,
        "probes": _probes(shape),
        "healing": {"mode": shape.mode},
    }
    if shape.autoscaled:
        spec["autoscaling"] = {
            "minReplicas": 1,
            "maxReplicas": max(8, shape.replicas),
            "targetCPUUtilizationPercentage": 60,
        }
    else:
        spec["replicas"] = shape.replicas
    rollout = _rollout(shape)
    if rollout:
        spec["rollout"] = rollout
    if shape.memory_max:
        spec["healing"]["memory"] = {"max": "512Mi"}
    if shape.relaxes_liveness:
        spec["healing"]["relaxLiveness"] = {"enabled": True}
    if shape.fallback:
        spec["healing"]["scalingFallback"] = {"replicas": max(3, shape.replicas)}
    if shape.has_init:
        spec["initContainers"] = [{"name": "migrate", "image": "migrate:1"}]
    if shape.has_sidecar:
        limits = {"limits": {"memory": "64Mi"}}
        spec["sidecars"] = [{"name": "proxy", "image": "proxy:1", "resources": limits}]
    sources = [
        *([{"configMapRef": {"name": SETTINGS}}] if shape.has_config else []),
        *([{"secretRef": {"name": CREDENTIALS}}] if shape.has_secret else []),
    ]
    if sources:
        spec["envFrom"] = sources
    return spec


def _probes(shape: Shape) -> Json:
    probes: Json = {}
    if shape.has_readiness:
        probes["readiness"] = {"httpGet": {"path": "/ready"}, "periodSeconds": 5}
    if shape.has_liveness:
        delay = {} if shape.has_startup else {"initialDelaySeconds": int(shape.start) + 10}
        probes["liveness"] = {"httpGet": {"path": "/live"}, "periodSeconds": 10, **delay}
    if shape.has_startup:
        probes["startup"] = {
            "httpGet": {"path": "/live"},
            "periodSeconds": 10,
            "failureThreshold": 90,
        }
    return probes


def _rollout(shape: Shape) -> Json:
    rolling: Json = {
        "Recreate": {"type": "Recreate"},
        "unavailable": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        "surge": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "all": {"rollingUpdate": {"maxUnavailable": "100%"}},
    }
    return {
        **({"strategy": rolling[shape.strategy]} if shape.strategy else {}),
        **({"minReadySeconds": shape.min_ready} if shape.min_ready else {}),
        **({"progressDeadlineSeconds": shape.deadline} if shape.deadline else {}),
    }
