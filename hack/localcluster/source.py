"""The way without Docker and registry: own daemon, node image from Go modules and Debian."""

import os
import shutil
import sys
from pathlib import Path

from hack.localcluster import build_stages, daemon, go_build, node_image, packages, rootfs
from hack.localcluster.engine import SOURCE, Engine, link_tools
from hack.localcluster.errors import ClusterError
from hack.localcluster.network_namespace import Network
from hack.localcluster.paths import Paths
from hack.localcluster.progress import Reporter
from hack.localcluster.subprocesses import attempt, capture

MODULES = ("node", "coredns", "pause")
_API_PORT = 6443


def docker_env(paths: Paths) -> dict[str, str]:
    """Return the environment that points docker and kind at the project's daemon."""
    return {
        "DOCKER_HOST": daemon.docker_host(paths),
        "DOCKER_BUILDKIT": "0",  # Debian's docker.io comes without the newer builder
    }


def prepare(paths: Paths, reporter: Reporter) -> Engine:
    """Have everything up to the node image, building what no clone has built yet."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise ClusterError(
            "no Docker daemon with an image registry was found, and building without one needs"
            " root on Linux: start Docker, or run this as root"
        )
    packages.ensure(paths, reporter)
    programs = [
        build_stages.ensure(paths, go_build.module_stage(paths, reporter, name), reporter)
        for name in MODULES
    ]
    network = start_daemon(paths, reporter)
    docker = docker_env(paths)
    image = build_node_image(paths, reporter, docker, programs)
    node_image.forget_older(image, docker)
    make_network(network, docker)
    kubectl, kind = programs[0] / "kubectl", programs[0] / "kind"
    client = shutil.which("docker", path=_path_without(paths.bin)) or "/usr/bin/docker"
    link_tools(paths, {"kubectl": kubectl, "kind": kind, "docker": Path(client)})
    return Engine(SOURCE, docker, str(kind), str(kubectl), image, network.daemon, _API_PORT)


def _path_without(folder: Path) -> str:
    """Return PATH without the clone's own tools, so that no link points to itself."""
    return ":".join(
        part for part in os.environ.get("PATH", "").split(":") if Path(part).resolve() != folder
    )


def start_daemon(paths: Paths, reporter: Reporter) -> Network:
    """Start the daemon, showing it only when it has to be started."""
    if daemon.running_pid(paths) is not None:
        return daemon.start(paths)
    with reporter.stage("docker daemon"):
        return daemon.start(paths)


def build_node_image(
    paths: Paths, reporter: Reporter, docker: dict[str, str], programs: list[Path]
) -> str:
    """Build the node image where nobody has, and have it in this clone's daemon."""
    root_stage = rootfs.stage(paths, "node-rootfs", rootfs.NODE_PACKAGES)
    root = build_stages.ensure(paths, root_stage, reporter)
    images = build_stages.ensure(paths, node_image.images_stage(programs, root), reporter)
    stage = node_image.node_stage(paths, reporter, docker, [*programs, images, root])
    result = build_stages.ensure(paths, stage, reporter)
    return node_image.ensure_loaded(result, stage, docker, reporter)


def make_network(network: Network, docker: dict[str, str]) -> None:
    """Make kind's Docker network in this clone's own range, or replace one in another."""
    form = ["--format", "{{range .IPAM.Config}}{{.Subnet}}{{end}}"]
    found = attempt(["docker", "network", "inspect", "kind", *form], env=docker)
    if found.returncode == 0 and found.stdout.strip() == network.kind:
        return
    if found.returncode == 0:
        listed = capture(["docker", "ps", "-aq", "--filter", "network=kind"], env=docker).split()
        if listed:
            capture(["docker", "rm", "-f", "-v", *listed], seconds=120, env=docker)
        capture(["docker", "network", "rm", "kind"], env=docker)
    options = ["-o", "com.docker.network.bridge.enable_ip_masquerade=true"]
    create = ["docker", "network", "create", "-d", "bridge", "--subnet", network.kind]
    capture([*create, *options, "kind"], env=docker)
