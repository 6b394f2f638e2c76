"""Where everything lives, worked out once from the clone's path and the environment.

Three places, each with its own lifetime:

* ``.cluster/`` in the clone: what a user reads (kubeconfig, tools, env);
* the cache, outside any clone: build artefacts shared by all clones, and each clone's Docker data;
* ``/run``: sockets and pids. Short, because a Unix socket's path ends at 108 bytes whatever the
  clone's path is, and gone after a reboot, as the processes are.

The identity of a clone is a hash of its real path, so two clones never share a name.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_RUN_ROOT = Path("/run/selfhealing-cluster")


@dataclass(frozen=True)
class Paths:
    """The tool's folders and names for one clone."""

    root: Path
    cache: Path
    run_root: Path = _RUN_ROOT

    @property
    def ident(self) -> str:
        """Eight hex digits that stand for this clone's real path."""
        return hashlib.sha256(str(self.root.resolve()).encode()).hexdigest()[:8]

    @property
    def cluster_name(self) -> str:
        """The kind cluster's name, and so the first part of its nodes' names."""
        return f"selfhealing-{self.ident}"

    @property
    def context(self) -> str:
        """The kubeconfig context kind makes for the cluster."""
        return f"kind-{self.cluster_name}"

    @property
    def state(self) -> Path:
        """The clone's own folder, ignored by git."""
        return self.root / ".cluster"

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig every tool and test uses."""
        return self.state / "kubeconfig"

    @property
    def bin(self) -> Path:
        """The clone's tools: links to the cached binaries."""
        return self.state / "bin"

    @property
    def env_file(self) -> Path:
        """What a shell sources to use the cluster."""
        return self.state / "env"

    @property
    def logs(self) -> Path:
        """Full output of the stages, for when one fails."""
        return self.state / "logs"

    @property
    def run(self) -> Path:
        """This clone's sockets and pids."""
        return self.run_root / self.ident

    @property
    def clone_data(self) -> Path:
        """What outlives ``cluster-down`` but not ``cluster-purge`` of this clone."""
        return self.cache / "clones" / self.ident

    @property
    def artefacts(self) -> Path:
        """Finished build stages, named by the hash of their inputs."""
        return self.cache / "artefacts"

    @property
    def go_env(self) -> dict[str, str]:
        """Go's own caches, kept apart so that a purge takes them and nobody else's."""
        return {
            "GOCACHE": str(self.cache / "go" / "build"),
            "GOMODCACHE": str(self.cache / "go" / "mod"),
        }


def find_paths(root: Path, environ: Mapping[str, str]) -> Paths:
    """Work out the folders for a clone, honouring XDG_CACHE_HOME."""
    base = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME", "/root")) / ".cache")
    return Paths(root=root.resolve(), cache=Path(base) / "selfhealing-cluster")
