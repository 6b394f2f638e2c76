"""``make cluster``: creates, repairs or keeps the cluster."""

import dataclasses
import json
from pathlib import Path

from hack.localcluster import addons, pod_network
from hack.localcluster.engine import SOURCE, Engine, list_nodes
from hack.localcluster.errors import ClusterError
from hack.localcluster.kind_config import DesiredCluster, node_names, render
from hack.localcluster.kubectl import Kubectl
from hack.localcluster.paths import Paths
from hack.localcluster.plan import (
    Action,
    ClusterRecord,
    PlannedAction,
    cluster_config_hash,
    plan_action,
    read_record,
)
from hack.localcluster.progress import ProgressReporter
from hack.localcluster.subprocesses import run_checked, run_logged, run_unchecked
from hack.localcluster.wait import wait_until

_API_SECONDS = 90
_NODES_SECONDS = 90
_BASE_SECONDS = 180


def record_file(paths: Paths) -> Path:
    """Return where the finished cluster is written down: not in the clone, where git clean is."""
    return paths.clone_data / "cluster.json"


def load_record(paths: Paths) -> ClusterRecord | None:
    """Return the record of this clone's finished cluster, if there is one."""
    try:
        return read_record(record_file(paths).read_text())
    except OSError:
        return None


def up(paths: Paths, engine: Engine, reporter: ProgressReporter, workers: int) -> None:
    """Have a complete, healthy cluster."""
    desired = engine.desired_cluster(paths, workers)
    found = list_nodes(desired.name, engine.docker)
    plan = plan_action(found, load_record(paths), desired)
    if plan.action in {Action.KEEP, Action.START}:
        reporter.print_line(f"cluster {desired.name}: {plan.reason}")
        try:
            repair(paths, engine, reporter, desired, plan)
        except ClusterError as error:
            plan = PlannedAction(Action.REPLACE, f"it could not be repaired ({error})")
        else:
            return
    if plan.action is Action.REPLACE:
        reporter.print_line(f"cluster {desired.name}: replacing it, because {plan.reason}")
    remove(paths, engine)
    create(paths, engine, reporter, desired)


def repair(
    paths: Paths,
    engine: Engine,
    reporter: ProgressReporter,
    desired: DesiredCluster,
    plan: PlannedAction,
) -> None:
    """Start what is stopped and wait until the cluster is healthy."""
    if plan.action is Action.START:
        # The control plane first: a worker looks it up when it starts.
        for name in node_names(desired.name, desired.workers):
            run_checked(["docker", "start", name], env=engine.docker)
    with reporter.show_stage("health check"):
        kubectl = engine.kubectl(paths)
        if not kubectl.is_ready():  # else others may be reading the file this moment
            _write_kubeconfig(paths, engine)
        _wait_for_api_server(kubectl)
        _install_components(paths, engine, desired, kubectl)


def create(
    paths: Paths, engine: Engine, reporter: ProgressReporter, desired: DesiredCluster
) -> None:
    """Make the cluster and record it once it is complete."""
    before = run_unchecked(["docker", "network", "inspect", "kind"], env=engine.docker)
    paths.state.mkdir(parents=True, exist_ok=True)
    config = paths.clone_data / "kind.json"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(json.dumps(render(desired), indent=1))
    with reporter.show_stage("kind create", f"1 control plane, {desired.workers} workers"):
        command = [engine.kind, "create", "cluster", "--config", str(config), "--retain"]
        target = ["--kubeconfig", str(paths.kubeconfig)]
        log = paths.logs / "kind.log"
        run_logged([*command, *target], log, seconds=420, env=engine.docker)
    kubectl = engine.kubectl(paths)
    with reporter.show_stage("add-ons", "pod network, CoreDNS, metrics-server"):
        _wait_for_api_server(kubectl)
        _install_components(paths, engine, desired, kubectl)
    nodes = list_nodes(desired.name, engine.docker)
    record = ClusterRecord(
        mode=engine.mode,
        key=cluster_config_hash(desired),
        workers=desired.workers,
        containers={container.name: container.ident for container in nodes},
        made_network=before.returncode != 0,
        docker_host=engine.docker.get("DOCKER_HOST", ""),
    )
    record_file(paths).write_text(json.dumps(dataclasses.asdict(record), indent=1))


def _install_components(
    paths: Paths, engine: Engine, desired: DesiredCluster, kubectl: Kubectl
) -> None:
    """Do all that kind does not, each step safe to repeat."""
    names = node_names(desired.name, desired.workers)
    addons.install_base_addons(kubectl, from_source=engine.mode == SOURCE)
    if engine.mode == SOURCE:
        pod_network.set_up_pod_network(names, kubectl.command, engine.docker)
    advice = f"see {paths.logs} and 'kubectl describe nodes'"
    wait_until(
        "all nodes being ready", _NODES_SECONDS, lambda: _are_nodes_ready(kubectl, names), advice
    )
    addons.wait_for_base_addons(kubectl, len(names), _BASE_SECONDS)


def _are_nodes_ready(kubectl: Kubectl, names: list[str]) -> bool:
    found = kubectl.get("nodes")
    ready = {
        item["metadata"]["name"]
        for item in (found or {}).get("items", [])
        for condition in item["status"].get("conditions", [])
        if condition["type"] == "Ready" and condition["status"] == "True"
    }
    return ready.issuperset(names)


def _wait_for_api_server(kubectl: Kubectl) -> None:
    advice = "the control plane's containers say why: 'docker exec NODE ctr -n k8s.io c ls'"
    wait_until("the API server answering", _API_SECONDS, kubectl.is_ready, advice)


def _write_kubeconfig(paths: Paths, engine: Engine) -> None:
    """Write the kubeconfig again: it may be lost, and its address may have changed."""
    command = [engine.kind, "export", "kubeconfig", "--name", paths.cluster_name]
    paths.state.mkdir(parents=True, exist_ok=True)
    run_checked([*command, "--kubeconfig", str(paths.kubeconfig)], env=engine.docker)


def remove(paths: Paths, engine: Engine) -> None:
    """Delete the cluster, finished or not; the record goes first, so that nothing trusts it."""
    record_file(paths).unlink(missing_ok=True)
    command = [engine.kind, "delete", "cluster", "--name", paths.cluster_name]
    run_unchecked([*command, "--kubeconfig", str(paths.kubeconfig)], seconds=120, env=engine.docker)
    remaining = [container.ident for container in list_nodes(paths.cluster_name, engine.docker)]
    if remaining:
        run_checked(["docker", "rm", "-f", "-v", *remaining], seconds=120, env=engine.docker)
    paths.kubeconfig.unlink(missing_ok=True)
