"""The state of a simulated cluster, with what is true in it, and who is told of a change."""

import hashlib
import itertools
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from hack.worlds import raw
from hack.worlds.merge import managed_fields, merge_apply
from hack.worlds.model import (
    ContainerKind,
    Effect,
    EffectKind,
    Json,
    Laws,
    Program,
    SimContainer,
    SimNode,
    SimObject,
    SimPod,
    SimReplicaSet,
    cpu_limit,
    memory_limit,
)
from hack.worlds.timeline import Timeline, to_timestamp

Observer = Callable[[str, str, Any], None]
"""Is told the kind, ADDED, MODIFIED or DELETED, and the object or its view."""

CONTROLLER_DELAY = 0.2
"""Seconds until the controllers have seen a change."""


class Sample(NamedTuple):
    """The pods that serve from a time on."""

    at: float
    serving: int
    wanted: int
    active: int = 0
    current: int = 0

    @property
    def is_ill(self) -> bool:
        """Whether a wanted pod is missing, not ready or of another template than the current."""
        return not self.serving == self.wanted == self.active == self.current


class Removal(NamedTuple):
    """A ready pod that is removed, by whom, and the pod template that was wanted then."""

    at: float
    pod: SimPod
    who: str
    wanted: Json


class Cluster:
    """One Namespace with one app, and the nodes.

    Attributes:
        laws: what is true.
        app: the SelfHealingApp, as the API server stores it.
        children: the app's children, by kind.
        samples: how many pods have served, over time.
        story: what happened, if it is told.
        removed_ready: the ready pods that were removed.
        current_hash: the hash of the Deployment's current template.
        ill_when_removed: the UIDs of those of them that had a fault all the same.
    """

    def __init__(self, laws: Laws, nodes: int, *, tells_story: bool = False) -> None:
        self.timeline = Timeline()
        self.laws = laws
        self.nodes = {f"node-{i}": SimNode(f"node-{i}") for i in range(1, nodes + 1)}
        self.app: Json = {}
        self.children: dict[str, SimObject] = {}
        self.replica_sets: dict[str, SimReplicaSet] = {}
        self.pods: dict[str, SimPod] = {}
        self.configs: dict[tuple[str, str], Json] = {}
        self.revisions: dict[str, Json] = {}
        self.observers: list[Observer] = []
        self.controllers: list[Callable[[], None]] = []
        self.on_config_change: list[Callable[[], None]] = []
        self.network_policies: list[Json] = []
        self.on_resize: list[Callable[[SimPod], None]] = []
        self.samples: list[Sample] = []
        self.story: list[tuple[float, str, str]] | None = [] if tells_story else None
        self.removed_ready: list[Removal] = []
        self.ill_when_removed: set[str] = set()
        self.current_hash = ""
        self._versions = itertools.count(100)
        self._names = itertools.count(1)
        self._is_woken = False
        self._rendered: dict[str, Json] = {}
        self.events_told: dict[tuple[str, str, str], int] = {}

    # Time and versions.

    @property
    def now(self) -> float:
        """The seconds since the world began."""
        return self.timeline.now

    def next_version(self) -> int:
        """Return a new resource version."""
        return next(self._versions)

    def next_name(self) -> str:
        """Return the random part of a name: five characters."""
        return make_suffix(str(next(self._names)))

    def tell(self, who: str, text: str) -> None:
        """Add a line to the story."""
        if self.story is not None:
            self.story.append((self.now, who, text))

    # Changes.

    def emit(self, kind: str, event_type: str, item: Any) -> None:  # noqa: ANN401 - of any kind
        """Tell the observers and the controllers of a change."""
        for observer in self.observers:
            observer(kind, event_type, item)
        self.wake_controllers()

    def touch_pod(self, pod: SimPod) -> None:
        """Give a changed pod a new version, and tell of it."""
        pod.resource_version = self.next_version()
        self.emit("Pod", "MODIFIED", pod)
        self.sample()

    def touch_node(self, node: SimNode) -> None:
        """Give a changed node a new version."""
        node.resource_version = self.next_version()
        self.emit("Node", "MODIFIED", node)

    def touch_child(self, kind: str, *, is_spec: bool = False) -> None:
        """Give a changed child a new version, and a new generation where its spec has changed."""
        child = self.children[kind]
        meta = child.raw["metadata"]
        meta["resourceVersion"] = str(self.next_version())
        if is_spec:
            meta["generation"] = meta.get("generation", 0) + 1
        self.emit(kind, "MODIFIED", child)
        if is_spec:
            self.sample()

    def touch_app(self, *, is_spec: bool = False) -> None:
        """Give the changed app a new version, and a new generation where its spec has changed."""
        meta = self.app["metadata"]
        meta["resourceVersion"] = str(self.next_version())
        if is_spec:
            meta["generation"] += 1
        self.emit("SelfHealingApp", "MODIFIED", self.app)

    def set_config(self, kind: str, name: str, data: Json | None) -> None:
        """Write a ConfigMap or Secret, or delete it where ``data`` is None."""
        key = kind, name
        if data is None:
            gone = self.configs.pop(key, None)
            if gone is not None:
                gone["metadata"]["resourceVersion"] = str(self.next_version())
                self.emit(kind, "DELETED", gone)
        else:
            uid = self.configs[key]["metadata"]["uid"] if key in self.configs else self.next_name()
            self.configs[key] = {
                "apiVersion": "v1",
                "kind": kind,
                "metadata": {
                    "namespace": raw.NAMESPACE,
                    "name": name,
                    "uid": uid,
                    "resourceVersion": str(self.next_version()),
                },
                "data": dict(data),
            }
            self.note_config(self.configs[key])
            return
        for callback in self.on_config_change:
            callback()

    def note_config(self, config: Json) -> None:
        """Tell of a ConfigMap or Secret that was written."""
        self.emit(config["kind"], "MODIFIED", config)
        for callback in self.on_config_change:
            callback()

    def wake_controllers(self) -> None:
        """Let the controllers look at what has changed, in a moment."""
        if not self._is_woken:
            self._is_woken = True
            self.timeline.after(CONTROLLER_DELAY, self._run_controllers)

    def _run_controllers(self) -> None:
        self._is_woken = False
        for controller in self.controllers:
            controller()

    def sample(self) -> None:
        """Note how many pods serve now."""
        serving = sum(
            pod.is_serving and self.nodes[pod.node].is_powered and bool(pod.owner_uid)
            for pod in self.pods.values()
        )
        deployment = self.children.get("Deployment")
        wanted = deployment.spec.get("replicas", 1) if deployment else 0
        last = self.samples[-1] if self.samples else None
        active = [pod.template_hash for pod in self.active_pods()]
        current = active.count(self.current_hash)
        sample = Sample(self.now, serving, wanted, len(active), current)
        if last is None or last[1:] != sample[1:]:
            if last is not None and last.at == self.now:
                self.samples.pop()
            self.samples.append(sample)

    def _has_bug(self, container: SimContainer) -> bool:
        """Whether an image has a fault, be it one that shows in a part of its pods only."""
        program = self.program_of(container)
        return program is not None and program.bug is not None

    def note_removal(self, pod: SimPod, who: str) -> None:
        """Note that a pod is removed, if it is ready."""
        if not pod.is_serving or not pod.owner_uid:
            return
        deployment = self.children.get("Deployment")
        wanted = deployment.spec["template"] if deployment is not None else pod.template
        self.removed_ready.append(Removal(self.now, pod, who, wanted))
        node = self.nodes.get(pod.node)
        if (node is not None and not node.is_alive) or any(
            self.effect_on(pod, container) is not None or self._has_bug(container)
            for container in pod.containers
        ):
            self.ill_when_removed.add(pod.uid)

    # Reads.

    def render_child(self, kind: str) -> Json | None:
        """Return a child as the API server has it; None if there is none."""
        child = self.children.get(kind)
        if child is None:
            return None
        meta = child.raw["metadata"]
        cached = self._rendered.get(kind)
        if cached is not None and cached["metadata"].get("resourceVersion") == meta.get(
            "resourceVersion"
        ):
            return cached
        self._rendered[kind] = rendered = self._render_child(child)
        return rendered

    @staticmethod
    def _render_child(child: SimObject) -> Json:
        meta = child.raw["metadata"]
        fields = [
            {
                "manager": manager,
                "operation": "Apply",
                "time": to_timestamp(child.edits.get(f"apply {manager}", (0.0, {}))[0]),
                "fieldsType": "FieldsV1",
                "fieldsV1": _list_fields(
                    {key: value for key, value in applied.items() if key in {"metadata", "spec"}}
                ),
            }
            for manager, applied in child.managers.items()
        ] + [
            {
                "manager": manager,
                "operation": "Update",
                "time": to_timestamp(at),
                "fieldsType": "FieldsV1",
                "fieldsV1": _list_fields(patch),
            }
            for manager, (at, patch) in child.edits.items()
            if not manager.startswith("apply ")
        ]
        return {
            **child.raw,
            "metadata": {**meta, "managedFields": fields},
            "status": child.status,
        }

    def active_pods(self) -> Iterator[SimPod]:
        """Iterate over the pods that ReplicaSets count."""
        return (pod for pod in self.pods.values() if pod.is_active and pod.owner_uid)

    def config_exists(self, kind: str, name: str, key: str = "") -> bool:
        """Whether a ConfigMap or Secret exists, with a key if one is given."""
        found = self.configs.get((kind, name))
        return found is not None and (not key or key in found["data"])

    # The truth.

    def program_of(self, container: SimContainer) -> Program | None:
        """Return what an image does; None if there is no such image."""
        return self.laws.programs.get(container.image)

    def effect_on(self, pod: SimPod, container: SimContainer) -> Effect | None:  # noqa: PLR0911 - one return for each fault
        """Return what goes wrong in a container that runs; None for nothing.

        A fault of the version comes first: it acts everywhere.
        """
        program = self.program_of(container)
        if program is None:
            return None
        if container.mode == "broken":
            return Effect(EffectKind.CRASH, after=2.0)
        draw = zlib.crc32(pod.name.encode(), self.laws.luck) % 100
        if program.bug is not None and draw < program.bug.percent:
            return program.bug
        limited = self.find_limits(pod, container)
        if (limit := memory_limit(limited)) and program.memory > limit:
            return Effect(EffectKind.OOM, after=max(8.0, program.start + 3))
        if (limit := cpu_limit(limited)) and program.cpu > limit:
            return Effect(EffectKind.HANG, text="context deadline exceeded")
        if container.kind is ContainerKind.MAIN and (
            probe := self._wrong_probe(container, program)
        ):
            return probe
        if container.name == "app":
            if pod.effect is not None:
                return pod.effect
            node = self.nodes.get(pod.node)
            if node is not None and node.effect is not None:
                return node.effect
        if program.database is not None and not self.laws.database_up:
            after = program.start + 1 if program.database is EffectKind.CRASH else 2.0
            return Effect(program.database, after=after, text="HTTP probe failed: 503")
        return None

    def find_limits(self, pod: SimPod, container: SimContainer) -> Json:
        """Return what a container is limited by: a container with the limits in force."""
        applied = pod.applied_limits.get(container.name)
        return {"resources": {"limits": applied}} if applied else container.spec

    def mode_of(self, container: SimContainer) -> str:
        """Return the variable MODE that a process would be started with now."""
        for variable in container.spec.get("env") or ():
            if variable["name"] == "MODE":
                return self._value_of(variable)
        for source in container.spec.get("envFrom") or ():
            name = str((source.get("configMapRef") or {}).get("name", ""))
            data = self.configs.get(("ConfigMap", name), {}).get("data") or {}
            if "MODE" in data:
                return str(data["MODE"])
        return ""

    def _value_of(self, variable: Json) -> str:
        source = variable.get("valueFrom") or {}
        for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            if ref := source.get(field):
                data = self.configs.get((kind, ref["name"]), {}).get("data") or {}
                return str(data.get(ref["key"], ""))
        return str(variable.get("value", ""))

    @staticmethod
    def _wrong_probe(container: SimContainer, program: Program) -> Effect | None:
        """Return what a probe does that asks for what the program does not serve."""
        for field, path, kind in (
            ("livenessProbe", "/live", EffectKind.LIVENESS),
            ("readinessProbe", "/ready", EffectKind.HANG),
        ):
            probe = container.spec.get(field) or {}
            asked = (probe.get("httpGet") or {}).get("path", path)
            if asked != path:
                return Effect(kind, after=program.start, text="HTTP probe failed: 404")
        return None

    # Writes of field managers.

    def apply(self, kind: str, body: Json, manager: str) -> SimObject:
        """Apply a manifest of a child; returns the child."""
        child = self.children.get(kind)
        body = orjson.loads(orjson.dumps(body))
        body["metadata"].pop("resourceVersion", None)
        is_new = child is None
        if child is None:
            meta = {
                "uid": f"uid-{kind}-{self.next_name()}",
                "creationTimestamp": to_timestamp(self.now),
                "generation": 0,
                "namespace": raw.NAMESPACE,
                "name": raw.APP,
            }
            child = SimObject(kind, {"apiVersion": body["apiVersion"], "kind": kind})
            child.raw["metadata"] = meta
            self.children[kind] = child
        before = child.managers.get(manager)
        fields = ("metadata", "spec")
        merged = merge_apply(
            {key: child.raw.get(key) for key in fields},
            {key: (before or {}).get(key) for key in fields},
            {key: body[key] for key in fields if key in body},
        )
        if kind == "Deployment" and "replicas" not in merged["spec"]:
            merged["spec"]["replicas"] = 1
        has_new_spec = merged["spec"] != child.raw.get("spec")
        has_changed = has_new_spec or merged["metadata"] != child.raw["metadata"]
        child.raw.update(merged)
        child.managers[manager] = body
        if has_changed or is_new:
            child.edits[f"apply {manager}"] = self.now, {}
            self.touch_child(kind, is_spec=has_new_spec)
        return child


def _list_fields(manifest: Json) -> Json:
    """Return `managed_fields`, remembered: a manifest is rendered again with each new status."""
    return _list_fields_of_text(orjson.dumps(manifest))


@lru_cache(maxsize=1024)
def _list_fields_of_text(manifest: bytes) -> Json:
    return managed_fields(orjson.loads(manifest))


def make_suffix(text: str) -> str:
    """Return the random part of a name, drawn by a text: five characters."""
    return hashlib.sha256(text.encode()).hexdigest()[:5]


def hash_template(template: Json) -> str:
    """Return the pod-template-hash of a pod template."""
    return hashlib.sha256(orjson.dumps(template, option=orjson.OPT_SORT_KEYS)).hexdigest()[:10]
