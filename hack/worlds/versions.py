"""The versions of an app that a world rolls out: what they change, and what their image does."""

from collections.abc import Callable
from dataclasses import replace

from hack.worlds import texts
from hack.worlds.faults import Act, Placement
from hack.worlds.model import Effect, EffectKind, Json, Program
from hack.worlds.shapes import SETTINGS
from hack.worlds.simulation import Simulation

Release = Callable[[Simulation, Json, Program], Program | None]
"""Changes the spec of a new version; returns what its image does, None for no image."""


def release(change: Release) -> Act:
    """Return the rollout of a new version."""

    def act(sim: Simulation, placement: Placement) -> None:
        base = sim.laws.programs["web:1"]

        def edit(spec: Json) -> None:
            spec["image"] = placement.image
            program = change(sim, spec, base)
            if program is not None:
                sim.laws.programs[placement.image] = program

        sim.change_spec(edit)

    return act


def mend_release(sim: Simulation, good: Json, image: str) -> None:
    """Roll out a version that is good: what a person does about a bad one."""
    base = sim.laws.programs["web:1"]
    sim.laws.programs[image] = replace(base, bug=None)

    def edit(spec: Json) -> None:
        healing = spec.get("healing")
        spec.clear()
        spec.update(good)
        spec["image"] = image
        if healing is not None:
            spec["healing"] = healing

    sim.change_spec(edit)


def good(_: Simulation, __: Json, base: Program) -> Program:
    """A version without a fault."""
    return base


def slow_start(_: Simulation, __: Json, base: Program) -> Program:
    """A version that starts slowly, within what its startup probe allows."""
    return replace(base, start=400.0)


def no_image(_: Simulation, __: Json, ___: Program) -> None:
    """A version whose image does not exist."""


def missing_command(_: Simulation, spec: Json, base: Program) -> Program:
    """A version whose command does not exist."""
    spec["command"] = ["/missing/start"]
    return base


def crash(after: float) -> Release:
    """Return a version that crashes some seconds after its start."""

    def change(_: Simulation, __: Json, base: Program) -> Program:
        return replace(base, bug=Effect(EffectKind.CRASH, after=after))

    return change


def hang(_: Simulation, __: Json, base: Program) -> Program:
    """A version that never serves."""
    return replace(base, bug=Effect(EffectKind.HANG, after=1.0, text="HTTP probe failed: 503"))


def readiness_path(_: Simulation, spec: Json, base: Program) -> Program:
    """A version whose readiness probe asks for a path that is not there."""
    spec["probes"]["readiness"]["httpGet"]["path"] = "/readyz"
    return base


def liveness_path(_: Simulation, spec: Json, base: Program) -> Program:
    """A version whose liveness probe asks for a path that is not there."""
    spec["probes"]["liveness"]["httpGet"]["path"] = "/livez"
    return base


def missing_key(_: Simulation, spec: Json, base: Program) -> Program:
    """A version that reads a key that its ConfigMap does not have."""
    source = {"configMapKeyRef": {"name": SETTINGS, "key": "NEW_KEY"}}
    spec["env"] = [{"name": "NEW_KEY", "valueFrom": source}]
    return base


def missing_secret(_: Simulation, spec: Json, base: Program) -> Program:
    """A version that reads a Secret that does not exist."""
    source = {"secretKeyRef": {"name": "token", "key": "TOKEN"}}
    spec["env"] = [{"name": "TOKEN", "valueFrom": source}]
    return base


def broken_env(_: Simulation, spec: Json, base: Program) -> Program:
    """A version with a variable with which it crashes."""
    spec["env"] = [{"name": "MODE", "value": "broken"}]
    return base


def init_crash(sim: Simulation, spec: Json, base: Program) -> Program:
    """A version whose init container fails."""
    image = "migrate:bad"
    sim.laws.programs[image] = Program(runs=3.0, bug=Effect(EffectKind.CRASH, after=2.0))
    spec["initContainers"] = [{"name": "migrate", "image": image}]
    return base


def sidecar_crash(sim: Simulation, spec: Json, base: Program) -> Program:
    """A version whose sidecar crashes."""
    sim.laws.programs["proxy:bad"] = Program(start=1.0, bug=Effect(EffectKind.CRASH, after=2.0))
    spec["sidecars"] = [{"name": "proxy", "image": "proxy:bad"}]
    return base


def node_selector(_: Simulation, spec: Json, base: Program) -> Program:
    """A version that asks for a node label that no node has."""
    spec["nodeSelector"] = {"disk": "nvme"}
    return base


def large_request(_: Simulation, spec: Json, base: Program) -> Program:
    """A version that asks for more CPU than any node has."""
    spec["resources"]["requests"]["cpu"] = "64"
    spec["resources"]["limits"]["cpu"] = "64"
    return base


def privileged(sim: Simulation, spec: Json, base: Program) -> Program:
    """A version that the Namespace's Pod Security standard refuses."""
    sim.laws.enforces_baseline = True
    spec["securityContext"] = {"privileged": True}
    return base


def missing_volume(_: Simulation, spec: Json, base: Program) -> Program:
    """A version that mounts a Secret that does not exist."""
    spec["volumes"] = [{"name": "certs", "secret": {"secretName": "certs"}}]
    spec["volumeMounts"] = [{"name": "certs", "mountPath": "/certs"}]
    return base


def more_memory(_: Simulation, __: Json, base: Program) -> Program:
    """A version that needs more memory than its limit."""
    return replace(base, memory=180)


def large_memory_request(sim: Simulation, spec: Json, base: Program) -> Program:
    """A version that asks for more memory than is left of the quota."""
    sim.laws.quota_memory = 128 * (len(list(sim.cluster.active_pods())) + 1)
    resources = spec["resources"]
    resources["requests"]["memory"] = resources["limits"]["memory"] = "512Mi"
    return base


def wrong_platform(_: Simulation, __: Json, base: Program) -> Program:
    """A version whose image is not there for the platform of the nodes."""
    return replace(base, pull_error=texts.WRONG_PLATFORM)


def init_hang(sim: Simulation, spec: Json, base: Program) -> Program:
    """A version whose init container waits for ever."""
    sim.laws.programs["migrate:bad"] = Program(runs=3.0, bug=Effect(EffectKind.HANG))
    spec["initContainers"] = [{"name": "migrate", "image": "migrate:bad"}]
    return base


def crash_in_half(_: Simulation, __: Json, base: Program) -> Program:
    """A version of which about every other pod crashes."""
    return replace(base, bug=Effect(EffectKind.CRASH, after=4.0, percent=50))


def pruned_config(sim: Simulation, spec: Json, base: Program) -> Program:
    """A version that crashes and reads another ConfigMap; the one before is pruned."""
    sim.cluster.set_config("ConfigMap", "settings-2", {"MODE": "good"})
    spec["envFrom"] = [{"configMapRef": {"name": "settings-2"}}, *spec["envFrom"][1:]]
    sim.cluster.timeline.after(5.0, lambda: sim.cluster.set_config("ConfigMap", SETTINGS, None))
    return replace(base, bug=Effect(EffectKind.CRASH))
