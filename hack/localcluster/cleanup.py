"""Finds and removes every trace of a clone's Docker daemon, in whatever state it is.

Ownership is read from the kernel, not from pid files: a process belongs to a clone if it is in the
clone's cgroup or network namespace, or is one of Docker's programs started on the clone's folder.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from hack.localcluster import network_namespace
from hack.localcluster.daemon import cgroup_parent, read_block, terminate_processes
from hack.localcluster.errors import ClusterError
from hack.localcluster.paths import Paths
from hack.localcluster.subprocesses import run_unchecked

_DOCKERS_PROGRAMS: Final = frozenset(
    {"dockerd", "containerd", "containerd-shim", "containerd-shim-runc-v2", "docker-proxy", "runc"}
)
_CGROUPS: Final = Path("/sys/fs/cgroup")


def is_in_cgroup(cgroup: str, ident: str) -> bool:
    """Tell from a ``/proc/PID/cgroup`` text whether the process is in the clone's containers."""
    parent = cgroup_parent(ident)
    fields = [line.split(":", 2)[-1] for line in cgroup.splitlines()]
    return any(path == parent or path.startswith(f"{parent}/") for path in fields)


def is_own_docker(command: Iterable[str], run: Path) -> bool:
    """Tell from a command line whether it is one of Docker's programs on the clone's folder."""
    words = list(command)
    return (
        bool(words)
        and words[0].rpartition("/")[2] in _DOCKERS_PROGRAMS
        and any(f"{run}/" in word for word in words[1:])
    )


def list_mounts_below(mountinfo: str, folders: Iterable[Path]) -> list[str]:
    """Pick the mount points below folders from ``/proc/self/mountinfo``, the deepest first."""
    prefixes = tuple(f"{folder}/" for folder in folders)
    points = [line.split(" ")[4] for line in mountinfo.splitlines() if line.count(" ") > 4]
    return sorted({point for point in points if f"{point}/".startswith(prefixes)}, reverse=True)


def list_own_processes(paths: Paths) -> list[int]:
    """List the clone's processes, without this one and its parents."""
    ancestors = set(_list_ancestors())
    with contextlib.suppress(OSError):
        namespace = network_namespace.namespace_file(paths).stat()
        return [
            pid for pid in _list_pids() if pid not in ancestors and _is_ours(pid, paths, namespace)
        ]
    return [pid for pid in _list_pids() if pid not in ancestors and _is_ours(pid, paths, None)]


def _list_pids() -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            yield int(entry.name)


def _list_ancestors() -> Iterator[int]:
    pid = os.getpid()
    while pid > 1:
        yield pid
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            return


def _is_ours(pid: int, paths: Paths, namespace: os.stat_result | None) -> bool:
    folder = Path(f"/proc/{pid}")
    try:
        if (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return False
        if is_in_cgroup((folder / "cgroup").read_text(), paths.ident):
            return True
        command = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        if is_own_docker(command, paths.run):
            return True
        if namespace is None:
            return False
        own = (folder / "ns/net").stat()
    except (OSError, IndexError):
        return False  # it ended meanwhile
    return (own.st_dev, own.st_ino) == (namespace.st_dev, namespace.st_ino)


def remove_traces(paths: Paths) -> None:
    """Remove processes, mounts, cgroups, the network and the run folder; then make sure."""
    terminate_processes(lambda: list_own_processes(paths), seconds=3)
    folders = [paths.run, paths.clone_data / "docker"]
    for _ in range(3):
        points = list_mounts_below(Path("/proc/self/mountinfo").read_text(), folders)
        for point in points:
            if point != str(network_namespace.namespace_file(paths)):
                run_unchecked(["umount", "-l", point], seconds=20)
    _remove_cgroups(paths.ident)
    network_namespace.tear_down(paths, read_block(paths))
    run_unchecked(["rm", "-rf", "--one-file-system", str(paths.run)], seconds=60)
    with contextlib.suppress(OSError):
        paths.run_root.rmdir()
    remaining = list_own_processes(paths)
    if remaining:
        raise ClusterError(
            f"processes {', '.join(map(str, remaining))} of the cluster do not end;"
            " 'ps' shows what they wait for, then run this again"
        )


def _remove_cgroups(ident: str) -> None:
    """Remove the empty cgroups the containers leave: the deepest first."""
    name = cgroup_parent(ident).lstrip("/")
    for root in [_CGROUPS / name, *_CGROUPS.glob(f"*/{name}")]:
        if root.is_dir() and not root.is_symlink():
            for folder, _, _ in os.walk(root, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
