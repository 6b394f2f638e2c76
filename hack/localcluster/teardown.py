"""``make cluster-down`` and ``make cluster-purge``: leave the machine as it was found."""

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from hack.localcluster import daemon, lifecycle, source
from hack.localcluster.cleanup import sweep
from hack.localcluster.engine import SOURCE, STOCK, nodes_of
from hack.localcluster.errors import ClusterError
from hack.localcluster.paths import Paths
from hack.localcluster.progress import Reporter
from hack.localcluster.subprocesses import attempt, capture


def down(paths: Paths, reporter: Reporter, foreign_docker: Mapping[str, str]) -> None:
    """Remove the cluster and all that runs for it; images and caches stay for the next start.

    ``foreign_docker`` is the environment of the machine's own daemon, for the stock way.
    """
    record = lifecycle.load_record(paths)
    if record is not None and record.way not in {SOURCE, STOCK}:
        forget(paths)
        reporter.say("the existing cluster is no longer used; nothing in it was touched")
        return
    if record is None or record.way == STOCK:
        _down_stock(paths, foreign_docker, made_network=record is not None and record.made_network)
    if record is None or record.way == SOURCE:
        _down_source(paths)
    forget(paths)
    reporter.say(f"cluster {paths.cluster_name}: gone")


def forget(paths: Paths) -> None:
    """Remove what points to the cluster; of an existing one nothing else was ever ours."""
    lifecycle.record_file(paths).unlink(missing_ok=True)
    for leftover in (paths.kubeconfig, paths.env_file, Path(f"{paths.kubeconfig}.lock")):
        leftover.unlink(missing_ok=True)


def _down_source(paths: Paths) -> None:
    if os.geteuid() != 0:
        if paths.run.exists():
            raise ClusterError("this cluster was started as root: run this as root too")
        return
    if daemon.answers(paths):
        docker = source.docker_env(paths)
        with contextlib.suppress(ClusterError):  # the sweep ends what the daemon cannot
            everything = capture(["docker", "ps", "-aq"], env=docker).split()
            if everything:
                capture(["docker", "rm", "-f", "-v", *everything], seconds=120, env=docker)
    daemon.stop(paths)
    sweep(paths)


def _down_stock(paths: Paths, docker: Mapping[str, str], *, made_network: bool) -> None:
    if shutil.which("docker") is None:
        return
    if attempt(["docker", "version"], seconds=10, env=docker).returncode != 0:
        return
    left = [container.ident for container in nodes_of(paths.cluster_name, docker)]
    if left:
        capture(["docker", "rm", "-f", "-v", *left], seconds=180, env=docker)
    if made_network:
        attempt(["docker", "network", "rm", "kind"], env=docker)  # fails where others use it


def purge(paths: Paths, reporter: Reporter, foreign_docker: Mapping[str, str]) -> None:
    """Remove the cluster, this clone's images, and the shared caches unless others need them."""
    down(paths, reporter, foreign_docker)
    for orphan in orphans(paths):
        reporter.say(f"also removing what the deleted clone {orphan.root} left")
        if os.geteuid() == 0:
            sweep(orphan)
        remove_tree(orphan.clone_data)
    remove_tree(paths.clone_data)
    shutil.rmtree(paths.state, ignore_errors=True)
    others = other_clones(paths)
    if others:
        reporter.say(
            f"build caches stay: {', '.join(str(other.root) for other in others)} use them"
        )
        return
    remove_tree(paths.cache)
    reporter.say(f"removed {paths.cache}")


def other_clones(paths: Paths) -> list[Paths]:
    """List the other clones that have data in the cache and still exist."""
    return [clone for clone in _recorded(paths) if clone.root.exists()]


def orphans(paths: Paths) -> list[Paths]:
    """List clones that were deleted without ``make cluster-purge``."""
    return [clone for clone in _recorded(paths) if not clone.root.exists()]


def _recorded(paths: Paths) -> list[Paths]:
    found = []
    for note in sorted((paths.cache / "clones").glob("*/clone")):
        clone = Paths(Path(note.read_text().strip()), paths.cache, paths.run_root)
        if clone.ident == note.parent.name != paths.ident:
            found.append(clone)
    return found


def remove_tree(folder: Path) -> None:
    """Remove a folder; Go makes its module cache read-only, which only root may ignore."""
    if not folder.exists():
        return
    if os.geteuid() != 0:
        attempt(["chmod", "-R", "u+w", str(folder)], seconds=120)
    result = attempt(["rm", "-rf", "--one-file-system", str(folder)], seconds=300)
    if result.returncode != 0:
        raise ClusterError(f"cannot remove {folder}: {result.stderr.strip()}")
