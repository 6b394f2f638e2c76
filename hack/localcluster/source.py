"""The mode ``source``, without Docker and registry: own daemon, node image from source."""

import os
import shutil
import sys
from pathlib import Path

from hack.localcluster import build_stages, daemon, go_build, node_image, packages, rootfs
from hack.localcluster.engine import SOURCE, Engine, link_tools
from hack.localcluster.errors import ClusterError
from hack.localcluster.network_namespace import Network
from hack.localcluster.paths import Paths
from hack.localcluster.progress import ProgressReporter
from hack.localcluster.subprocesses import run_checked, run_unchecked

MODULES = ("node", "coredns", "pause")
_API_PORT = 6443


def docker_environment(paths: Paths) -> dict[str, str]:
    """Return the environment that points docker and kind at the project's daemon."""
    return {
        "DOCKER_HOST": daemon.docker_host(paths),
        "DOCKER_BUILDKIT": "0",  # Debian's docker.io comes without the newer builder
    }


def prepare_engine(paths: Paths, reporter: ProgressReporter) -> Engine:
    """Prepare daemon, tools and node image; build what no clone has built yet."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise ClusterError(
            "no Docker daemon with an image registry was found, and building without one needs"
            " root on Linux: start Docker, or run this as root"
        )
    packages.ensure_packages(paths, reporter)
    programs = [
        build_stages.ensure_built(
            paths, go_build.describe_module_stage(paths, reporter, name), reporter
        )
        for name in MODULES
    ]
    network = ensure_daemon(paths, reporter)
    docker = docker_environment(paths)
    image = build_node_image(paths, reporter, docker, programs)
    node_image.remove_older_images(image, docker)
    ensure_network(network, docker)
    kubectl, kind = programs[0] / "kubectl", programs[0] / "kind"
    client = shutil.which("docker", path=_path_without(paths.bin)) or "/usr/bin/docker"
    link_tools(paths, {"kubectl": kubectl, "kind": kind, "docker": Path(client)})
    return Engine(SOURCE, docker, str(kind), str(kubectl), image, network.daemon, _API_PORT)


def _path_without(folder: Path) -> str:
    """Return PATH without the clone's own tools, so that no link points to itself."""
    return ":".join(
        part for part in os.environ.get("PATH", "").split(":") if Path(part).resolve() != folder
    )


def ensure_daemon(paths: Paths, reporter: ProgressReporter) -> Network:
    """Start the daemon, showing it only when it has to be started."""
    if daemon.running_pid(paths) is not None:
        return daemon.start(paths)
    with reporter.show_stage("docker daemon"):
        return daemon.start(paths)


def build_node_image(
    paths: Paths, reporter: ProgressReporter, docker: dict[str, str], programs: list[Path]
) -> str:
    """Build the node image where nobody has, and have it in this clone's daemon."""
    root_stage = rootfs.describe_root_stage(paths, "node-rootfs", rootfs.NODE_PACKAGES)
    root = build_stages.ensure_built(paths, root_stage, reporter)
    images = build_stages.ensure_built(
        paths, node_image.describe_images_stage(programs, root), reporter
    )
    stage = node_image.describe_node_stage(paths, reporter, docker, [*programs, images, root])
    result = build_stages.ensure_built(paths, stage, reporter)
    return node_image.ensure_image_loaded(result, stage, docker, reporter)


def ensure_network(network: Network, docker: dict[str, str]) -> None:
    """Make kind's Docker network in this clone's own range, or replace one in another."""
    form = ["--format", "{{range .IPAM.Config}}{{.Subnet}}{{end}}"]
    found = run_unchecked(["docker", "network", "inspect", "kind", *form], env=docker)
    if found.returncode == 0 and found.stdout.strip() == network.kind:
        return
    if found.returncode == 0:
        listed = run_checked(
            ["docker", "ps", "-aq", "--filter", "network=kind"], env=docker
        ).split()
        if listed:
            run_checked(["docker", "rm", "-f", "-v", *listed], seconds=120, env=docker)
        run_checked(["docker", "network", "rm", "kind"], env=docker)
    options = ["-o", "com.docker.network.bridge.enable_ip_masquerade=true"]
    create = ["docker", "network", "create", "-d", "bridge", "--subnet", network.kind]
    run_checked([*create, *options, "kind"], env=docker)
