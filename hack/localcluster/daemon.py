"""The project's own Docker daemon, for machines that have none (or no image registry).

It has its own socket, data, configuration and network namespace; a machine's own daemon is never
asked, stopped or reconfigured.  Containers survive a daemon that is killed (live-restore), so a
repair need not replace the cluster.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from hack.localcluster import network_namespace
from hack.localcluster.errors import ClusterError
from hack.localcluster.paths import Paths
from hack.localcluster.runc_wrapper import has_sys_resource, write_wrapper
from hack.localcluster.subprocesses import last_lines, run_unchecked
from hack.localcluster.wait import NotYetError, poll

_START_SECONDS = 60
_STOP_SECONDS = 20
_NO_KEY_FILE_SINCE = 23


def socket_path(paths: Paths) -> Path:
    """Return the daemon's socket."""
    return paths.run / "docker.sock"


def docker_host(paths: Paths) -> str:
    """Return the value of DOCKER_HOST."""
    return f"unix://{socket_path(paths)}"


def cgroup_parent(ident: str) -> str:
    """Name the cgroup of all containers: whoever is in it is ours."""
    return f"/selfhealing-{ident}"


def render_config(
    paths: Paths, network: network_namespace.Network, *, uses_wrapper: bool, major: int
) -> dict[str, Any]:
    """Write down the daemon's configuration; a machine's own /etc/docker is not read."""
    config: dict[str, Any] = {
        "data-root": str(paths.clone_data / "docker"),
        "exec-root": str(paths.run / "exec"),
        "pidfile": str(pid_file(paths)),
        "hosts": [docker_host(paths)],
        "storage-driver": "overlay2",
        "bip": network.docker0,
        "default-address-pools": [{"base": network.pool, "size": 26}],
        "exec-opts": ["native.cgroupdriver=cgroupfs"],  # systemd's would want a slice as parent
        "cgroup-parent": cgroup_parent(paths.ident),
        "live-restore": True,
        "log-driver": "json-file",
        "log-opts": {"max-size": "10m", "max-file": "2"},
        "shutdown-timeout": 10,
    }
    if major < _NO_KEY_FILE_SINCE:  # else it would write a key into the machine's /etc/docker
        config["deprecated-key-path"] = str(paths.run / "key.json")
    if uses_wrapper:
        config["runtimes"] = {"selfhealing": {"path": str(paths.run / "runc-wrapper")}}
        config["default-runtime"] = "selfhealing"
    return config


def parse_major_version(text: str) -> int:
    """Read dockerd's major version from what ``dockerd --version`` prints."""
    match = re.search(r"version (\d+)\.", text)
    return int(match[1]) if match else _NO_KEY_FILE_SINCE


def pid_file(paths: Paths) -> Path:
    """Return the daemon's pid file."""
    return paths.run / "docker.pid"


def running_pid(paths: Paths) -> int | None:
    """Return the daemon's pid if that process really is this clone's dockerd.

    A pid file survives a crash and its number may by now belong to anybody.
    """
    try:
        pid = int(pid_file(paths).read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    is_own = str(paths.run / "daemon.json").encode() in command
    return pid if is_own and command[0].endswith(b"dockerd") else None


def is_responding(paths: Paths) -> bool:
    """Tell whether the daemon answers on its socket."""
    if not socket_path(paths).exists():
        return False
    return (
        run_unchecked(["docker", "-H", docker_host(paths), "version"], seconds=10).returncode == 0
    )


def start(paths: Paths) -> network_namespace.Network:
    """Start the daemon in its network, or find it running and well."""
    paths.run.mkdir(parents=True, exist_ok=True)
    (paths.clone_data / "docker").mkdir(parents=True, exist_ok=True)
    block_file = paths.clone_data / "network"
    network = network_namespace.set_up(paths, read_block(paths))
    block_file.write_text(f"{network.block}\n")
    (paths.clone_data / "clone").write_text(f"{paths.root}\n")
    if running_pid(paths) is not None and is_responding(paths):
        allow_forwarding(paths)
        return network
    stop(paths)
    _launch(paths, network)
    allow_forwarding(paths)
    return network


def read_block(paths: Paths) -> IPv4Network | None:
    """Return the network block this clone had last, if any."""
    try:
        return IPv4Network((paths.clone_data / "network").read_text().strip())
    except (OSError, ValueError):
        return None


def _launch(paths: Paths, network: network_namespace.Network) -> None:
    uses_wrapper = not has_sys_resource(Path("/proc/self/status").read_text())
    if uses_wrapper:
        write_wrapper(paths.run / "runc-wrapper")
    config = paths.run / "daemon.json"
    major = parse_major_version(run_unchecked(["dockerd", "--version"]).stdout)
    settings = render_config(paths, network, uses_wrapper=uses_wrapper, major=major)
    config.write_text(json.dumps(settings, indent=1))
    log = paths.run / "dockerd.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [*network_namespace.enter_command(paths), "dockerd", "--config-file", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
        )
    with contextlib.suppress(NotYetError):
        poll(
            lambda: is_responding(paths) or process.poll() is not None,
            timeout=_START_SECONDS,
            interval=0.2,
        )
    if process.poll() is not None or not is_responding(paths):
        raise ClusterError(
            f"the project's Docker daemon did not start; {log} ends with:\n"
            f"{last_lines(log.read_text(errors='replace'), 6)}"
        )


def allow_forwarding(paths: Paths) -> None:
    """Let the machine reach every container port, not only published ones."""
    rule = ["-i", "host", "-j", "ACCEPT"]
    iptables = [*network_namespace.enter_command(paths), "iptables", "-w"]
    if run_unchecked([*iptables, "-C", "DOCKER-USER", *rule]).returncode != 0:
        run_unchecked([*iptables, "-N", "DOCKER-USER"])
        result = run_unchecked([*iptables, "-I", "DOCKER-USER", *rule])
        if result.returncode != 0:
            raise ClusterError(f"cannot open the cluster's network: {last_lines(result.stderr, 2)}")


def stop(paths: Paths) -> None:
    """Stop the daemon in whatever state it is; the cleanup removes remaining containers."""
    pid = running_pid(paths)
    if pid is not None:
        terminate_processes(lambda: [found for found in [running_pid(paths)] if found is not None])
    for leftover in (pid_file(paths), socket_path(paths)):
        leftover.unlink(missing_ok=True)


def terminate_processes(find: Callable[[], list[int]], seconds: float = _STOP_SECONDS) -> None:
    """End processes politely, then not; ``find`` is asked again before each signal."""
    for number, timeout in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5)):
        for pid in find():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        with contextlib.suppress(NotYetError):
            poll(lambda: not find(), timeout=timeout, interval=0.1)
