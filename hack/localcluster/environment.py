"""What a shell or a test needs to use the cluster: KUBECONFIG, DOCKER_HOST, PATH."""

import shlex
from collections.abc import Mapping

from hack.localcluster.paths import Paths


def list_variables(paths: Paths, docker: Mapping[str, str]) -> dict[str, str]:
    """Return the variables and their values; PATH's is only what to put in front."""
    return {
        "KUBECONFIG": str(paths.kubeconfig),
        **docker,
        "KIND_CLUSTER_NAME": paths.cluster_name,
        "PATH": str(paths.bin),
    }


def shell_lines(values: Mapping[str, str]) -> str:
    """Write the variables for ``eval`` or ``source``."""
    lines = []
    for name, value in values.items():
        quoted = shlex.quote(value)
        lines.append(f"export {name}={quoted}{':$PATH' if name == 'PATH' else ''}")
    return "".join(f"{line}\n" for line in lines)


def write_env_file(paths: Paths, docker: Mapping[str, str]) -> None:
    """Write ``.cluster/env``."""
    paths.state.mkdir(parents=True, exist_ok=True)
    paths.env_file.write_text(shell_lines(list_variables(paths, docker)))
