"""How the faults of the table that are no bad version begin and end."""

from dataclasses import replace

from hack.worlds import texts
from hack.worlds.faults import Act, Placement
from hack.worlds.model import Effect, EffectKind, Json, Program, SimNode, SimPod
from hack.worlds.shapes import CREDENTIALS, SETTINGS
from hack.worlds.simulation import Simulation
from hack.worlds.timeline import to_timestamp
from hack.worlds.versions import good, release

CPU_PEAK = 1400
"""Millicores: more than the limit of an app of the worlds, and less than twice as much."""


def nothing(_: Simulation, __: Placement) -> None:
    """Do nothing."""


# Configuration.


def break_config(sim: Simulation, _: Placement) -> None:
    """Write a value with which the app crashes."""
    sim.cluster.set_config("ConfigMap", SETTINGS, {"MODE": "broken", "LEVEL": "info"})


def mend_config(sim: Simulation, _: Placement) -> None:
    """Write the good value back."""
    sim.cluster.set_config("ConfigMap", SETTINGS, {"MODE": "good", "LEVEL": "info"})


def change_config(sim: Simulation, placement: Placement) -> None:
    """Write another good value."""
    data = {"MODE": "good", "LEVEL": f"debug{placement.version}"}
    sim.cluster.set_config("ConfigMap", SETTINGS, data)


def delete_config(sim: Simulation, placement: Placement) -> None:
    """Delete a ConfigMap that the running version reads, and a pod, whose successor needs it."""
    sim.cluster.set_config("ConfigMap", SETTINGS, None)
    delete_pod(sim, placement)


def restore_config(sim: Simulation, placement: Placement) -> None:
    """Bring the ConfigMap back."""
    mend_config(sim, placement)


def rotate_secret(sim: Simulation, placement: Placement) -> None:
    """Rotate a Secret every hour."""

    def rotate(count: int) -> None:
        sim.cluster.set_config("Secret", CREDENTIALS, {"PASSWORD": f"{placement.version}-{count}"})
        if count < 3:
            sim.cluster.timeline.after(3600.0, lambda: rotate(count + 1))

    rotate(0)


# The environment.


def registry(text: str) -> Act:
    """Return a registry from which nothing can be pulled for a reason; empty for a good one.

    A pod is deleted on a node without the image, so that somebody needs the registry.
    """

    def act(sim: Simulation, placement: Placement) -> None:
        sim.laws.registry_error = text
        if text:
            release(good)(sim, placement)

    return act


def database(is_up: bool) -> Act:  # noqa: FBT001 - the state
    """Return the loss or the return of the database."""

    def act(sim: Simulation, _: Placement) -> None:
        sim.laws.database_up = is_up
        sim.reconsider()

    return act


def cut_off(sim: Simulation, placement: Placement) -> None:
    """Let a NetworkPolicy cut the app off from its database."""
    meta = {"name": "no-egress", "creationTimestamp": to_timestamp(sim.cluster.now)}
    policy = {"metadata": meta, "spec": {"podSelector": {}, "policyTypes": ["Egress"]}}
    sim.cluster.network_policies.append(policy)
    database(False)(sim, placement)


def let_through(sim: Simulation, placement: Placement) -> None:
    """Remove the NetworkPolicy."""
    sim.cluster.network_policies.clear()
    database(True)(sim, placement)


def release_without_database(sim: Simulation, placement: Placement) -> None:
    """Roll out a good version, and lose the database a moment later."""
    release(good)(sim, placement)
    sim.cluster.timeline.after(20.0, lambda: database(False)(sim, placement))


def sandbox(text: str) -> Act:
    """Return a network plugin that fails on all nodes; a good version is rolled out then."""

    def act(sim: Simulation, placement: Placement) -> None:
        for node in sim.cluster.nodes.values():
            node.sandbox_error = text
        if text:
            release(good)(sim, placement)

    return act


def inject_proxy(sim: Simulation, placement: Placement) -> None:
    """Let a webhook inject a proxy that crashes into new pods, and roll out a good version."""
    sim.laws.programs["istio/proxyv2:bad"] = Program(
        start=1.0, bug=Effect(EffectKind.CRASH, after=2.0)
    )
    sim.laws.injected_proxy = "istio/proxyv2:bad"
    release(good)(sim, placement)


def remove_proxy(sim: Simulation, _: Placement) -> None:
    """Mend the proxy, also where it is injected already."""
    sim.laws.programs["istio/proxyv2:bad"] = Program(start=1.0)
    sim.reconsider()


def webhook(text: str) -> Act:
    """Return a webhook that refuses all pods; a good version is rolled out then."""

    def act(sim: Simulation, placement: Placement) -> None:
        sim.laws.webhook_error = text
        if text:
            release(good)(sim, placement)
        sim.cluster.wake_controllers()

    return act


def exhaust_quota(sim: Simulation, placement: Placement) -> None:
    """Set a quota that lets no more pod in, and roll out a good version."""
    used = 128 * len(list(sim.cluster.active_pods()))
    sim.laws.quota_memory = used
    release(good)(sim, placement)


def raise_quota(sim: Simulation, _: Placement) -> None:
    """Remove the quota."""
    sim.laws.quota_memory = None
    sim.cluster.wake_controllers()


def fill_nodes(sim: Simulation, placement: Placement) -> None:
    """Let others take the room of all nodes, and roll out a good version."""
    for node in sim.cluster.nodes.values():
        pods = sum(pod.node == node.name for pod in sim.cluster.pods.values())
        node.memory = 130 * pods
    release(good)(sim, placement)


def add_node(sim: Simulation, _: Placement) -> None:
    """Add a node, as an autoscaler of nodes does after some minutes."""
    name = f"node-{len(sim.cluster.nodes) + 1}"
    sim.cluster.nodes[name] = SimNode(name)
    sim.cluster.wake_controllers()


def metrics(is_up: bool) -> Act:  # noqa: FBT001 - the state
    """Return the loss or the return of the metrics API."""

    def act(sim: Simulation, _: Placement) -> None:
        sim.laws.metrics_up = is_up

    return act


def scale_often(sim: Simulation, placement: Placement) -> None:
    """Let the load change every 9 minutes, for an hour."""

    def change(count: int) -> None:
        sim.laws.load = 2 + (placement.pick + count * 2) % 5
        if count < 7:
            sim.cluster.timeline.after(540.0, lambda: change(count + 1))

    change(0)


def memory_spike(sim: Simulation, _: Placement) -> None:
    """Let every version of the app need more memory than its limit: it is the load, not one."""
    for image, program in list(sim.laws.programs.items()):
        if image.startswith("web:"):
            sim.laws.programs[image] = replace(program, memory=180)
    sim.reconsider()


def end_spike(sim: Simulation, _: Placement) -> None:
    """Let all versions need what they needed before."""
    for image, program in list(sim.laws.programs.items()):
        if program.memory == 180:
            sim.laws.programs[image] = replace(program, memory=60)
    sim.reconsider()


def spike_without_room(how: str) -> Act:
    """Return a memory spike on nodes that do not resize pods: Deferred or Infeasible."""

    def act(sim: Simulation, placement: Placement) -> None:
        sim.laws.resize = how
        memory_spike(sim, placement)

    return act


def sidecar_spike(sim: Simulation, _: Placement) -> None:
    """Let the sidecar need more memory than its limit."""
    sim.laws.programs["proxy:1"] = replace(sim.laws.programs["proxy:1"], memory=100)
    sim.reconsider()


def end_sidecar_spike(sim: Simulation, _: Placement) -> None:
    """Let the sidecar need what it needed before."""
    sim.laws.programs["proxy:1"] = replace(sim.laws.programs["proxy:1"], memory=20)
    sim.reconsider()


def cpu_peak(sim: Simulation, _: Placement) -> None:
    """Let every version of the app need more CPU than its limit: it is the load, not one."""
    for image, program in list(sim.laws.programs.items()):
        if image.startswith("web:"):
            sim.laws.programs[image] = replace(program, cpu=CPU_PEAK)
    sim.reconsider()


def end_cpu_peak(sim: Simulation, _: Placement) -> None:
    """Let all versions need what they needed before."""
    for image, program in list(sim.laws.programs.items()):
        if program.cpu == CPU_PEAK:
            sim.laws.programs[image] = replace(program, cpu=Program().cpu)
    sim.reconsider()


def overload(sim: Simulation, _: Placement) -> None:
    """Let the liveness probes of all pods fail under load."""
    for node in sim.cluster.nodes.values():
        node.effect = Effect(EffectKind.LIVENESS, text="context deadline exceeded", lasts=45.0)
    sim.reconsider()


def scale_to_zero(sim: Simulation, _: Placement) -> None:
    """Scale the Deployment to 0 by hand."""
    sim.edit_deployment(
        "kubectl-scale", {"spec": {"replicas": 0}}, lambda spec: spec.update(replicas=0)
    )


# Nodes.


def node_of(sim: Simulation, placement: Placement) -> SimNode:
    """Return the node of a placement: one with a ready pod, if there is one.

    The pods of a bad version do not count, so that a run in which they were rolled back meets the
    same chance.
    """
    serving = sorted({pod.node for pod in sim.cluster.active_pods() if pod.ready})
    names = serving or sorted(sim.cluster.nodes)
    return sim.cluster.nodes[names[placement.pick % len(names)]]


def lose_node(sim: Simulation, placement: Placement) -> None:
    """Switch a node off."""
    sim.scheduling.lose(node_of(sim, placement), is_power_off=True)


def recover_node(sim: Simulation, _: Placement) -> None:
    """Switch every node on that is off."""
    for node in sim.cluster.nodes.values():
        if not node.is_powered:
            sim.scheduling.recover(node)


def silence_share(share: float) -> Act:
    """Return a network that cuts off a share of the nodes; their pods run."""

    def act(sim: Simulation, _: Placement) -> None:
        names = sorted(sim.cluster.nodes)
        for name in names[: max(1, round(share * len(names)))]:
            sim.scheduling.lose(sim.cluster.nodes[name], is_power_off=False)

    return act


def answer_all(sim: Simulation, _: Placement) -> None:
    """Let every node answer again."""
    for node in sim.cluster.nodes.values():
        if not node.is_alive:
            sim.scheduling.recover(node)


def sicken_node(kind: EffectKind) -> Act:
    """Return a node on which the app does not run well."""

    def act(sim: Simulation, placement: Placement) -> None:
        node_of(sim, placement).effect = Effect(kind, after=2.0, text="HTTP probe failed: 503")
        sim.reconsider()

    return act


def cure_node(sim: Simulation, _: Placement) -> None:
    """Mend every node."""
    for node in sim.cluster.nodes.values():
        node.effect = None
    sim.reconsider()


def fill_disk(sim: Simulation, placement: Placement) -> None:
    """Fill the disk of a node, so that it can pull nothing, and roll out a good version."""
    node = node_of(sim, placement)
    node.pull_error = texts.NO_SPACE
    release(good)(sim, placement)


def empty_disk(sim: Simulation, _: Placement) -> None:
    """Make room on every node."""
    for node in sim.cluster.nodes.values():
        node.pull_error = ""


def press_disk(sim: Simulation, placement: Placement) -> None:
    """Let a node evict its pods because its disk is full."""
    node = node_of(sim, placement)
    node.has_disk_pressure = True
    for pod in [p for p in sim.cluster.active_pods() if p.node == node.name]:
        sim.kubelet.evict_by_node(pod, texts.NODE_LOW_ON_DISK)


def release_disk(sim: Simulation, _: Placement) -> None:
    """End the disk pressure of every node."""
    for node in sim.cluster.nodes.values():
        node.has_disk_pressure = False
    sim.cluster.wake_controllers()


def drain(sim: Simulation, placement: Placement) -> None:
    """Cordon a node and evict its pods, one after the other, as kubectl drain does."""
    node = node_of(sim, placement)
    node.is_cordoned = True

    def evict() -> None:
        pods = [p for p in sim.cluster.active_pods() if p.node == node.name]
        if pods and node.is_cordoned:
            if sim.requests.can_evict(pods[0]):
                sim.requests.delete_pod(pods[0], "kubectl drain")
            sim.cluster.timeline.after(5.0, evict)

    evict()


def uncordon(sim: Simulation, _: Placement) -> None:
    """Let pods onto every node again."""
    for node in sim.cluster.nodes.values():
        node.is_cordoned = False
    sim.cluster.wake_controllers()


# Pods.


def pod_of(sim: Simulation, placement: Placement) -> SimPod | None:
    """Return the pod of a placement, a ready one if there is one; None without any pod."""
    active = list(sim.cluster.active_pods())
    pods = [pod for pod in active if pod.ready] or active
    return pods[placement.pick % len(pods)] if pods else None


def sicken_pod(kind: EffectKind) -> Act:
    """Return a fault of one pod."""

    def act(sim: Simulation, placement: Placement) -> None:
        pod = pod_of(sim, placement)
        if pod is not None:
            pod.effect = Effect(kind, after=2.0, text="HTTP probe failed: 503")
            sim.reconsider()

    return act


def flap(sim: Simulation, _: Placement) -> None:
    """Let the readiness of all pods change every 7 seconds."""
    for pod in sim.cluster.active_pods():
        pod.effect = Effect(EffectKind.FLAP, after=7.0)
    sim.reconsider()


def cure_pods(sim: Simulation, _: Placement) -> None:
    """Mend all pods."""
    for pod in sim.cluster.pods.values():
        pod.effect = None
    sim.reconsider()


def delete_pod(sim: Simulation, placement: Placement) -> None:
    """Delete a pod by hand."""
    pod = pod_of(sim, placement)
    if pod is not None:
        sim.requests.delete_pod(pod, "kubectl")


def late_migration(sim: Simulation, placement: Placement) -> None:
    """Roll out a good version whose init container fails some times at first."""
    sim.laws.programs["migrate:1"] = Program(runs=3.0, bug=Effect(EffectKind.CRASH, after=2.0))
    release(good)(sim, placement)
    sim.cluster.timeline.after(55.0, lambda: end_migration(sim, placement))


def end_migration(sim: Simulation, _: Placement) -> None:
    """Let the init container succeed."""
    sim.laws.programs["migrate:1"] = Program(runs=3.0)


# Edits of the Deployment.


def _edit(sim: Simulation, fields: Json) -> None:
    def change(spec: Json) -> None:
        container = spec["template"]["spec"]["containers"][0]
        container.update(fields)

    patch = {"spec": {"template": {"spec": {"containers": [{"name": "app", **fields}]}}}}
    sim.edit_deployment("kubectl-edit", patch, change)


def edit_command(sim: Simulation, _: Placement) -> None:
    """Set a command in the Deployment that does not exist."""
    _edit(sim, {"command": ["/missing/start"]})


def edit_variable(sim: Simulation, _: Placement) -> None:
    """Set a variable in the Deployment with which the app crashes."""
    _edit(sim, {"env": [{"name": "MODE", "value": "broken"}]})


def undo_edit(sim: Simulation, _: Placement) -> None:
    """Remove by hand what was set by hand."""
    child = sim.cluster.children["Deployment"]
    if "kubectl-edit" not in child.edits:
        return

    def change(spec: Json) -> None:
        container = spec["template"]["spec"]["containers"][0]
        container.pop("command", None)
        container.pop("env", None)

    sim.edit_deployment("kubectl-edit", {}, change)
    del child.edits["kubectl-edit"]
