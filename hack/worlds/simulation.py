"""One run of a world: the cluster, its controllers, the operator, and everything that happens."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from hack.worlds import raw
from hack.worlds.autoscaling import Autoscaling
from hack.worlds.cluster import Cluster
from hack.worlds.deployments import Deployments
from hack.worlds.kubelet import Kubelet
from hack.worlds.model import Json, Laws
from hack.worlds.observations import Observations
from hack.worlds.operator import OperatorOptions, SimProcess, copy_json
from hack.worlds.requests import Requests
from hack.worlds.scheduling import Scheduling
from hack.worlds.timeline import to_timestamp
from selfhealing.api import names

RESTART_SECONDS: Final = 5.0
"""Seconds until a killed operator is back."""

Change = Callable[["Simulation"], None]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens in a world at a time."""

    at: float
    name: str
    change: Change


@dataclass(slots=True)
class Setting:
    """What a run begins with.

    Attributes:
        spec: the app's spec.
        laws: what is true at the beginning.
        nodes: the number of nodes.
        configs: the contents of the ConfigMaps and Secrets, by kind and name.
        events: what happens.
        duration: seconds of the whole run.
        options: how the operator's processes differ from ordinary ones.
    """

    spec: Json
    laws: Laws
    nodes: int = 4
    configs: dict[tuple[str, str], Json] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    duration: float = 7200.0
    options: OperatorOptions = field(default_factory=OperatorOptions)


class Simulation:
    """A run of a world, with or without healing."""

    def __init__(self, setting: Setting, *, heals: bool, tells_story: bool = False) -> None:
        self.setting = setting
        self.heals = heals
        self.cluster = Cluster(setting.laws, setting.nodes, tells_story=tells_story)
        self.kubelet = Kubelet(self.cluster)
        self.requests = Requests(self.cluster, self.kubelet)
        self.deployments = Deployments(self.cluster, self.kubelet, self.requests)
        self.scheduling = Scheduling(self.cluster, self.kubelet, self.requests)
        self.autoscaling = Autoscaling(self.cluster)
        self.observations = Observations(self.cluster)
        self.processes: list[SimProcess] = []
        self._options = (
            setting.options
            if heals
            else OperatorOptions(False, 0.0, setting.options.watches_secrets)
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self.reconciles = 0

    @property
    def laws(self) -> Laws:
        """What is true now."""
        return self.cluster.laws

    @property
    def spec(self) -> Json:
        """The app's spec."""
        spec: Json = self.cluster.app["spec"]
        return spec

    def run(self) -> "Simulation":
        """Carry out the whole world, without the operator's log."""
        self._loop = asyncio.new_event_loop()
        level = logging.root.manager.disable
        logging.disable()
        try:
            self._begin()
            for event in self.setting.events:
                self.cluster.timeline.at(event.at, lambda event=event: self._happen(event))  # type: ignore[misc]
            self.cluster.timeline.run_until(self.setting.duration)
            self.observations.finish()
            self.reconciles += sum(process.reconciles for process in self.processes)
        finally:
            logging.disable(level)
            self._loop.close()
        return self

    def _begin(self) -> None:
        for (kind, name), data in self.setting.configs.items():
            self.cluster.set_config(kind, name, data)
        spec = copy_json(self.setting.spec)
        if not self.heals:
            spec["healing"] = {**(spec.get("healing") or {}), "mode": "Off"}
        self.cluster.app = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {
                "namespace": raw.NAMESPACE,
                "name": raw.APP,
                "uid": raw.APP_UID,
                "resourceVersion": str(self.cluster.next_version()),
                "generation": 1,
                "creationTimestamp": to_timestamp(0),
            },
            "spec": spec,
        }
        self.start_operator()

    def _happen(self, event: Event) -> None:
        self.cluster.tell("world", event.name)
        event.change(self)

    # The operator.

    def start_operator(self) -> SimProcess:
        """Start a process of the operator."""
        assert self._loop is not None  # noqa: S101 - only in a run
        process = SimProcess(
            self.cluster, self.requests, self._options, self._loop, self._on_killed
        )
        self.processes.append(process)
        self.cluster.observers.append(process.observe)
        self.cluster.tell("operator", "starts")
        return process

    def kill_operator(self, downtime: float = RESTART_SECONDS) -> None:
        """Kill the operator; it is back after ``downtime`` seconds."""
        for process in self.processes:
            process.kill()
        self._forget_dead()
        self.cluster.tell("operator", "is killed")
        self.cluster.timeline.after(downtime, self._restart)

    def change_leader(self, overlap: float) -> None:
        """Start another process, while the one before goes on for ``overlap`` seconds."""
        before = list(self.processes)

        def end() -> None:
            for process in before:
                process.kill()
            self._forget_dead()

        self.start_operator()
        self.cluster.timeline.after(overlap, end)

    def _on_killed(self, _: SimProcess) -> None:
        self._forget_dead()
        self.cluster.tell("operator", "is killed at a write")
        self.cluster.timeline.after(RESTART_SECONDS, self._restart)

    def _restart(self) -> None:
        if not self.processes:
            self.start_operator()

    def _forget_dead(self) -> None:
        for process in [each for each in self.processes if not each.is_alive]:
            self.reconciles += process.reconciles
            self.processes.remove(process)
            if process.observe in self.cluster.observers:
                self.cluster.observers.remove(process.observe)

    # What people do.

    def change_spec(self, change: Callable[[Json], None]) -> None:
        """Change the spec of the app as a person does."""
        app = copy_json(self.cluster.app)
        change(app["spec"])
        self.cluster.app = app
        self.cluster.touch_app(is_spec=True)

    def annotate(self, key: str, value: str) -> None:
        """Set an annotation of the app."""
        app = copy_json(self.cluster.app)
        app["metadata"].setdefault("annotations", {})[key] = value
        self.cluster.app = app
        self.cluster.touch_app()

    def wipe_status(self) -> None:
        """Lose the status, as a restore from a backup does."""
        app = copy_json(self.cluster.app)
        app.pop("status", None)
        self.cluster.app = app
        self.cluster.touch_app()

    def edit_deployment(self, manager: str, patch: Json, change: Callable[[Json], None]) -> None:
        """Change the Deployment by hand; ``patch`` has the fields that the manager owns then."""
        child = self.cluster.children["Deployment"]
        child.raw = copy_json(child.raw)
        change(child.raw["spec"])
        child.edits[manager] = self.cluster.now, patch
        self.cluster.touch_child("Deployment", is_spec=True)

    def reconsider(self) -> None:
        """Let the truth take effect on everything that runs."""
        self.kubelet.reconsider()
        self.cluster.wake_controllers()


def build_bare(laws: Laws, nodes: int = 1) -> Simulation:
    """Return a cluster without an app and without the operator."""
    return Simulation(Setting({}, laws, nodes), heals=False)
