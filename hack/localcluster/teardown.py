"""``make cluster-down`` and ``make cluster-purge``: restore the machine."""

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from hack.localcluster import daemon, lifecycle, source
from hack.localcluster.cleanup import remove_traces
from hack.localcluster.engine import SOURCE, STOCK, list_nodes
from hack.localcluster.errors import ClusterError
from hack.localcluster.paths import Paths
from hack.localcluster.progress import ProgressReporter
from hack.localcluster.subprocesses import run_checked, run_unchecked


def remove_cluster(
    paths: Paths, reporter: ProgressReporter, host_docker: Mapping[str, str]
) -> None:
    """Remove the cluster and all that runs for it; images and caches stay for the next start.

    ``foreign_docker`` is the environment of the machine's own daemon, for the mode ``stock``.
    """
    record = lifecycle.load_record(paths)
    if record is not None and record.mode not in {SOURCE, STOCK}:
        remove_references(paths)
        reporter.print_line("the existing cluster is no longer used; nothing in it was touched")
        return
    if record is None or record.mode == STOCK:
        _remove_stock_cluster(
            paths, host_docker, made_network=record is not None and record.made_network
        )
    if record is None or record.mode == SOURCE:
        _remove_source_cluster(paths)
    remove_references(paths)
    reporter.print_line(f"cluster {paths.cluster_name}: gone")


def remove_references(paths: Paths) -> None:
    """Remove the files that refer to the cluster; an existing cluster itself is not touched."""
    lifecycle.record_file(paths).unlink(missing_ok=True)
    for leftover in (paths.kubeconfig, paths.env_file, Path(f"{paths.kubeconfig}.lock")):
        leftover.unlink(missing_ok=True)


def _remove_source_cluster(paths: Paths) -> None:
    if os.geteuid() != 0:
        if paths.run.exists():
            raise ClusterError("this cluster was started as root: run this as root too")
        return
    if daemon.is_responding(paths):
        docker = source.docker_environment(paths)
        with contextlib.suppress(ClusterError):  # the cleanup ends what the daemon cannot
            everything = run_checked(["docker", "ps", "-aq"], env=docker).split()
            if everything:
                run_checked(["docker", "rm", "-f", "-v", *everything], seconds=120, env=docker)
    daemon.stop(paths)
    remove_traces(paths)


def _remove_stock_cluster(paths: Paths, docker: Mapping[str, str], *, made_network: bool) -> None:
    if shutil.which("docker") is None:
        return
    if run_unchecked(["docker", "version"], seconds=10, env=docker).returncode != 0:
        return
    remaining = [container.ident for container in list_nodes(paths.cluster_name, docker)]
    if remaining:
        run_checked(["docker", "rm", "-f", "-v", *remaining], seconds=180, env=docker)
    if made_network:
        run_unchecked(["docker", "network", "rm", "kind"], env=docker)  # fails where others use it


def purge(paths: Paths, reporter: ProgressReporter, host_docker: Mapping[str, str]) -> None:
    """Remove the cluster, this clone's images, and the shared caches unless others need them."""
    remove_cluster(paths, reporter, host_docker)
    for orphan in list_orphaned_clones(paths):
        reporter.print_line(f"also removing what the deleted clone {orphan.root} left")
        if os.geteuid() == 0:
            remove_traces(orphan)
        remove_tree(orphan.clone_data)
    remove_tree(paths.clone_data)
    shutil.rmtree(paths.state, ignore_errors=True)
    others = list_other_clones(paths)
    if others:
        reporter.print_line(
            f"build caches stay: {', '.join(str(other.root) for other in others)} use them"
        )
        return
    remove_tree(paths.cache)
    reporter.print_line(f"removed {paths.cache}")


def list_other_clones(paths: Paths) -> list[Paths]:
    """List the other clones that have data in the cache and still exist."""
    return [clone for clone in _list_recorded_clones(paths) if clone.root.exists()]


def list_orphaned_clones(paths: Paths) -> list[Paths]:
    """List clones that were deleted without ``make cluster-purge``."""
    return [clone for clone in _list_recorded_clones(paths) if not clone.root.exists()]


def _list_recorded_clones(paths: Paths) -> list[Paths]:
    found = []
    for marker in sorted((paths.cache / "clones").glob("*/clone")):
        clone = Paths(Path(marker.read_text().strip()), paths.cache, paths.run_root)
        if clone.ident == marker.parent.name != paths.ident:
            found.append(clone)
    return found


def remove_tree(folder: Path) -> None:
    """Remove a folder; Go makes its module cache read-only, which only root may ignore."""
    if not folder.exists():
        return
    if os.geteuid() != 0:
        run_unchecked(["chmod", "-R", "u+w", str(folder)], seconds=120)
    result = run_unchecked(["rm", "-rf", "--one-file-system", str(folder)], seconds=300)
    if result.returncode != 0:
        raise ClusterError(f"cannot remove {folder}: {result.stderr.strip()}")
