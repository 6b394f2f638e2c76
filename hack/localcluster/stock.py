"""The mode ``stock``: a Docker daemon that has, or can pull, the stock kind node image."""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hack.localcluster import build_stages, go_build
from hack.localcluster.engine import STOCK, Engine, link_tools, list_nodes
from hack.localcluster.errors import ClusterError
from hack.localcluster.paths import Paths
from hack.localcluster.plan import ClusterRecord
from hack.localcluster.ports import require_free_port
from hack.localcluster.progress import ProgressReporter
from hack.localcluster.subprocesses import last_lines, run_unchecked
from hack.localcluster.versions import STOCK_NODE_IMAGE

_KIND_MINIMUM: Final = (0, 33)
_KUBECTL_MINIMUM: Final = (1, 35)
_TOOL_PACKAGES: Final = ("sigs.k8s.io/kind", "k8s.io/kubernetes/cmd/kubectl")


def host_docker_environment(
    paths: Paths, environ: Mapping[str, str], record: ClusterRecord | None
) -> dict[str, str]:
    """Return the environment of the machine's own Docker: where the cluster is, if there is one.

    In a shell that sourced ``.cluster/env`` DOCKER_HOST may name a daemon of this project; that one
    is not the machine's.
    """
    host = environ.get("DOCKER_HOST", "")
    if host.startswith(f"unix://{paths.run_root}/"):
        host = "unix:///var/run/docker.sock"
    if record is not None and record.mode == STOCK:
        host = record.docker_host
    return {"DOCKER_HOST": host} if host else {}


def find_stock_problem(
    docker: Mapping[str, str], image: str, reporter: ProgressReporter
) -> str | None:
    """Have the image in the machine's daemon; return why not, or None when it is there."""
    if shutil.which("docker") is None:
        return "there is no docker program"
    answer = run_unchecked(["docker", "version"], seconds=15, env=docker)
    if answer.returncode != 0:
        return f"no Docker daemon answers ({last_lines(answer.stderr, 1)})"
    if run_unchecked(["docker", "image", "inspect", image], env=docker).returncode == 0:
        return None
    with reporter.show_stage("pull node image"):
        answer = run_unchecked(["docker", "pull", "-q", image], seconds=1200, env=docker)
    return (
        None
        if answer.returncode == 0
        else f"the image cannot be had ({last_lines(answer.stderr, 1)})"
    )


def prepare_engine(
    paths: Paths, reporter: ProgressReporter, environ: Mapping[str, str], docker: dict[str, str]
) -> Engine:
    """Have the tools; the image is there already."""
    tools = _find_tools(paths, reporter)
    port = parse_api_port(environ.get("API_PORT", ""))
    if port and not list_nodes(paths.cluster_name, docker):
        require_free_port(port, "the API server")
    client = shutil.which("docker") or "docker"
    link_tools(paths, {**tools, "docker": Path(client).resolve()})
    kind, kubectl = str(tools["kind"]), str(tools["kubectl"])
    return Engine(STOCK, docker, kind, kubectl, node_image_name(environ), "127.0.0.1", port)


def node_image_name(environ: Mapping[str, str]) -> str:
    """Return the stock image, or the one the user names (a mirror's, say)."""
    return environ.get("STOCK_NODE_IMAGE") or STOCK_NODE_IMAGE


def parse_api_port(setting: str) -> int:
    """Read API_PORT; without it kind takes any free port."""
    if setting and not (setting.isdigit() and int(setting) < 65536):
        raise ClusterError(f"API_PORT must be a port number, not {setting!r}")
    return int(setting or 0)


def is_new_enough(text: str, minimum: tuple[int, int]) -> bool:
    """Tell from what a tool prints about itself whether it is new enough."""
    match = re.search(r"v(\d+)\.(\d+)\.", text)
    return bool(match) and (int(match[1]), int(match[2])) >= minimum if match else False


def _find_tools(paths: Paths, reporter: ProgressReporter) -> dict[str, Path]:
    """Return kind and kubectl: the machine's where new enough, else built from Go modules."""
    found: dict[str, Path] = {}
    outside = ":".join(
        part for part in os.environ.get("PATH", "").split(":") if Path(part) != paths.bin
    )
    checks = {
        "kind": (["version"], _KIND_MINIMUM),
        "kubectl": (["version", "--client"], _KUBECTL_MINIMUM),
    }
    for name, (words, minimum) in checks.items():
        program = shutil.which(name, path=outside)
        if program and is_new_enough(run_unchecked([program, *words]).stdout, minimum):
            found[name] = Path(program).resolve()
    if len(found) == len(checks):
        return found
    stage = go_build.describe_module_stage(paths, reporter, "node", only_tools=_TOOL_PACKAGES)
    built = build_stages.ensure_built(paths, stage, reporter)
    return {name: built / name for name in checks}
