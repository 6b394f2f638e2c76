"""``make cluster``: from whatever is there to a cluster that works, in as few steps as possible."""

import dataclasses
import json
from pathlib import Path

from hack.localcluster import addons, pod_network
from hack.localcluster.engine import SOURCE, Engine, nodes_of
from hack.localcluster.errors import ClusterError
from hack.localcluster.kind_config import Wish, node_names, render
from hack.localcluster.kubectl import Kubectl, wait
from hack.localcluster.paths import Paths
from hack.localcluster.plan import Action, Record, Verdict, judge, read_record, wish_key
from hack.localcluster.progress import Reporter
from hack.localcluster.subprocesses import attempt, capture, logged

_API_SECONDS = 90
_NODES_SECONDS = 90
_BASE_SECONDS = 180


def record_file(paths: Paths) -> Path:
    """Return where the finished cluster is written down: not in the clone, where git clean is."""
    return paths.clone_data / "cluster.json"


def load_record(paths: Paths) -> Record | None:
    """Return the record of this clone's finished cluster, if there is one."""
    try:
        return read_record(record_file(paths).read_text())
    except OSError:
        return None


def up(paths: Paths, engine: Engine, reporter: Reporter, workers: int) -> None:
    """Have a complete, healthy cluster."""
    wish = engine.wish(paths, workers)
    found = nodes_of(wish.name, engine.docker)
    verdict = judge(found, load_record(paths), wish)
    if verdict.action in {Action.KEEP, Action.START}:
        reporter.say(f"cluster {wish.name}: {verdict.reason}")
        try:
            revive(paths, engine, reporter, wish, verdict)
        except ClusterError as error:
            verdict = Verdict(Action.REPLACE, f"it could not be repaired ({error})")
        else:
            return
    if verdict.action is Action.REPLACE:
        reporter.say(f"cluster {wish.name}: replacing it, because {verdict.reason}")
    remove(paths, engine)
    create(paths, engine, reporter, wish)


def revive(paths: Paths, engine: Engine, reporter: Reporter, wish: Wish, verdict: Verdict) -> None:
    """Start what stopped and wait until all of it is well again."""
    if verdict.action is Action.START:
        # The control plane first: a worker looks it up when it starts.
        for name in node_names(wish.name, wish.workers):
            capture(["docker", "start", name], env=engine.docker)
    with reporter.stage("health check"):
        kubectl = engine.kubectl(paths)
        if not kubectl.ready():  # else others may be reading the file this moment
            _write_kubeconfig(paths, engine)
        _wait_api(kubectl)
        _finish(paths, engine, wish, kubectl)


def create(paths: Paths, engine: Engine, reporter: Reporter, wish: Wish) -> None:
    """Make the cluster and record it once it is complete."""
    before = attempt(["docker", "network", "inspect", "kind"], env=engine.docker)
    paths.state.mkdir(parents=True, exist_ok=True)
    config = paths.clone_data / "kind.json"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(json.dumps(render(wish), indent=1))
    with reporter.stage("kind create", f"1 control plane, {wish.workers} workers"):
        command = [engine.kind, "create", "cluster", "--config", str(config), "--retain"]
        target = ["--kubeconfig", str(paths.kubeconfig)]
        log = paths.logs / "kind.log"
        logged([*command, *target], log, seconds=420, env=engine.docker)
    kubectl = engine.kubectl(paths)
    with reporter.stage("add-ons", "pod network, CoreDNS, metrics-server"):
        _wait_api(kubectl)
        _finish(paths, engine, wish, kubectl)
    found = nodes_of(wish.name, engine.docker)
    record = Record(
        way=engine.way,
        key=wish_key(wish),
        workers=wish.workers,
        containers={container.name: container.ident for container in found},
        made_network=before.returncode != 0,
        docker_host=engine.docker.get("DOCKER_HOST", ""),
    )
    record_file(paths).write_text(json.dumps(dataclasses.asdict(record), indent=1))


def _finish(paths: Paths, engine: Engine, wish: Wish, kubectl: Kubectl) -> None:
    """Do all that kind does not, each step safe to repeat."""
    names = node_names(wish.name, wish.workers)
    addons.install_base(kubectl, from_source=engine.way == SOURCE)
    if engine.way == SOURCE:
        pod_network.set_up(names, kubectl.command, engine.docker)
    advice = f"see {paths.logs} and 'kubectl describe nodes'"
    wait("all nodes being ready", _NODES_SECONDS, lambda: _nodes_ready(kubectl, names), advice)
    addons.wait_base(kubectl, len(names), _BASE_SECONDS)


def _nodes_ready(kubectl: Kubectl, names: list[str]) -> bool:
    found = kubectl.get("nodes")
    ready = {
        item["metadata"]["name"]
        for item in (found or {}).get("items", [])
        for condition in item["status"].get("conditions", [])
        if condition["type"] == "Ready" and condition["status"] == "True"
    }
    return ready.issuperset(names)


def _wait_api(kubectl: Kubectl) -> None:
    advice = "the control plane's containers say why: 'docker exec NODE ctr -n k8s.io c ls'"
    wait("the API server answering", _API_SECONDS, kubectl.ready, advice)


def _write_kubeconfig(paths: Paths, engine: Engine) -> None:
    """Write the kubeconfig anew: it may be lost, and its address may have changed."""
    command = [engine.kind, "export", "kubeconfig", "--name", paths.cluster_name]
    paths.state.mkdir(parents=True, exist_ok=True)
    capture([*command, "--kubeconfig", str(paths.kubeconfig)], env=engine.docker)


def remove(paths: Paths, engine: Engine) -> None:
    """Delete the cluster, finished or not; the record goes first, so that nothing trusts it."""
    record_file(paths).unlink(missing_ok=True)
    command = [engine.kind, "delete", "cluster", "--name", paths.cluster_name]
    attempt([*command, "--kubeconfig", str(paths.kubeconfig)], seconds=120, env=engine.docker)
    left = [container.ident for container in nodes_of(paths.cluster_name, engine.docker)]
    if left:
        capture(["docker", "rm", "-f", "-v", *left], seconds=120, env=engine.docker)
    paths.kubeconfig.unlink(missing_ok=True)
