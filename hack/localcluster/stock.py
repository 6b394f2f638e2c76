"""The way with a Docker daemon that has, or can pull, the stock kind node image."""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hack.localcluster import build_stages, go_build
from hack.localcluster.engine import STOCK, Engine, link_tools, nodes_of
from hack.localcluster.errors import ClusterError
from hack.localcluster.paths import Paths
from hack.localcluster.plan import Record
from hack.localcluster.ports import require_free
from hack.localcluster.progress import Reporter
from hack.localcluster.subprocesses import attempt, tail
from hack.localcluster.versions import STOCK_NODE_IMAGE

_KIND_MINIMUM: Final = (0, 33)
_KUBECTL_MINIMUM: Final = (1, 35)
_TOOLS: Final = ("sigs.k8s.io/kind", "k8s.io/kubernetes/cmd/kubectl")


def foreign_docker(
    paths: Paths, environ: Mapping[str, str], record: Record | None
) -> dict[str, str]:
    """Return the environment of the machine's own Docker: where the cluster is, if there is one.

    In a shell that sourced ``.cluster/env`` DOCKER_HOST may name a daemon of this project; that one
    is not the machine's.
    """
    host = environ.get("DOCKER_HOST", "")
    if host.startswith(f"unix://{paths.run_root}/"):
        host = "unix:///var/run/docker.sock"
    if record is not None and record.way == STOCK:
        host = record.docker_host
    return {"DOCKER_HOST": host} if host else {}


def available(docker: Mapping[str, str], image: str, reporter: Reporter) -> str | None:
    """Have the image in the machine's daemon; return why not, or None when it is there."""
    if shutil.which("docker") is None:
        return "there is no docker program"
    answer = attempt(["docker", "version"], seconds=15, env=docker)
    if answer.returncode != 0:
        return f"no Docker daemon answers ({tail(answer.stderr, 1)})"
    if attempt(["docker", "image", "inspect", image], env=docker).returncode == 0:
        return None
    with reporter.stage("pull node image"):
        answer = attempt(["docker", "pull", "-q", image], seconds=1200, env=docker)
    return None if answer.returncode == 0 else f"the image cannot be had ({tail(answer.stderr, 1)})"


def prepare(
    paths: Paths, reporter: Reporter, environ: Mapping[str, str], docker: dict[str, str]
) -> Engine:
    """Have the tools; the image is there already."""
    tools = _tools(paths, reporter)
    port = api_port(environ.get("API_PORT", ""))
    if port and not nodes_of(paths.cluster_name, docker):
        require_free(port, "the API server")
    client = shutil.which("docker") or "docker"
    link_tools(paths, {**tools, "docker": Path(client).resolve()})
    kind, kubectl = str(tools["kind"]), str(tools["kubectl"])
    return Engine(STOCK, docker, kind, kubectl, node_image(environ), "127.0.0.1", port)


def node_image(environ: Mapping[str, str]) -> str:
    """Return the stock image, or the one the user names (a mirror's, say)."""
    return environ.get("STOCK_NODE_IMAGE") or STOCK_NODE_IMAGE


def api_port(wanted: str) -> int:
    """Read API_PORT; without it kind takes any free port."""
    if wanted and not (wanted.isdigit() and int(wanted) < 65536):
        raise ClusterError(f"API_PORT must be a port number, not {wanted!r}")
    return int(wanted or 0)


def new_enough(text: str, minimum: tuple[int, int]) -> bool:
    """Tell from what a tool prints about itself whether it is new enough."""
    match = re.search(r"v(\d+)\.(\d+)\.", text)
    return bool(match) and (int(match[1]), int(match[2])) >= minimum if match else False


def _tools(paths: Paths, reporter: Reporter) -> dict[str, Path]:
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
        if program and new_enough(attempt([program, *words]).stdout, minimum):
            found[name] = Path(program).resolve()
    if len(found) == len(checks):
        return found
    stage = go_build.module_stage(paths, reporter, "node", only=_TOOLS)
    built = build_stages.ensure(paths, stage, reporter)
    return {name: built / name for name in checks}
