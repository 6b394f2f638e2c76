"""The commands of the tool."""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from hack.localcluster import (
    addons,
    environment,
    existing,
    images,
    kwok,
    lifecycle,
    reproducible,
    source,
    status,
    stock,
    teardown,
)
from hack.localcluster.addon_images import AddonTarget
from hack.localcluster.engine import SOURCE, STOCK, Engine
from hack.localcluster.errors import ClusterError
from hack.localcluster.kubectl import Kubectl
from hack.localcluster.locks import hold_lock
from hack.localcluster.paths import Paths
from hack.localcluster.plan import ClusterRecord
from hack.localcluster.progress import ProgressReporter

_DEFAULT_WORKERS: Final = 1
_MAX_WORKERS: Final = 9


@dataclass(frozen=True)
class Request:
    """One call of the tool: the paths, the environment variables and the given number."""

    paths: Paths
    environ: Mapping[str, str]
    count: int = 0

    @property
    def record(self) -> ClusterRecord | None:
        """Return the record of this clone's cluster; None if there is none."""
        return lifecycle.load_record(self.paths)

    def new_reporter(self) -> ProgressReporter:
        """Return a progress reporter."""
        return ProgressReporter(self.paths.cache / "timings.json")

    @contextlib.contextmanager
    def exclusive_lock(self) -> Iterator[None]:
        """Hold the lock of this clone's cluster during the block."""
        with hold_lock(
            self.paths.clone_data / "lock", seconds=3600, resource="this clone's cluster"
        ):
            yield


def parse_workers(setting: str, recorded: int | None) -> int:
    """Read WORKERS; without it a cluster that is there keeps its number."""
    if not setting:
        return _DEFAULT_WORKERS if recorded is None else recorded
    if not setting.isdigit() or int(setting) > _MAX_WORKERS:
        raise ClusterError(f"WORKERS must be a number from 0 to {_MAX_WORKERS}, not {setting!r}")
    return int(setting)


def choose_mode(setting: str, recorded: str | None, stock_problem: Callable[[], str | None]) -> str:
    """Return the mode; an existing cluster keeps its mode unless another one is requested."""
    if setting not in {"", SOURCE, STOCK}:
        raise ClusterError(f"NODE_IMAGE must be {STOCK} or {SOURCE}, not {setting!r}")
    if setting == SOURCE or (not setting and recorded == SOURCE):
        return SOURCE
    problem = stock_problem()
    if problem is None:
        return STOCK
    if setting == STOCK:
        raise ClusterError(f"NODE_IMAGE=stock, but {problem}")
    return SOURCE


def prepare_engine(request: Request, reporter: ProgressReporter) -> Engine:
    """Prepare Docker, the tools and the node image for the mode."""
    paths, environ, record = request.paths, request.environ, request.record
    docker = stock.host_docker_environment(paths, environ, record)
    node_image = stock.node_image_name(environ)
    mode = choose_mode(
        environ.get("NODE_IMAGE", ""),
        record.mode if record else None,
        lambda: stock.find_stock_problem(docker, node_image, reporter),
    )
    if record and record.mode in {SOURCE, STOCK} and record.mode != mode:
        reporter.print_line(f"removing the {record.mode} cluster first")
        teardown.remove_cluster(paths, reporter, docker)
    if mode == STOCK:
        reporter.print_line("mode: the stock node image, on the machine's Docker")
        return stock.prepare_engine(paths, reporter, environ, docker)
    reporter.print_line("mode: node image from source, on a Docker daemon of the project's own")
    return source.prepare_engine(paths, reporter)


def up(request: Request) -> None:
    """Start or repair the cluster, or adopt an existing one."""
    paths, reporter = request.paths, request.new_reporter()
    wanted_addons = addons.parse_addons(request.environ.get("ADDONS", ""))
    if request.environ.get("CLUSTER") == existing.EXISTING:
        addons.reject_existing_cluster(wanted_addons)
        adopt(request, reporter)
        return
    with request.exclusive_lock():
        if request.record and request.record.mode == existing.EXISTING:
            teardown.remove_references(paths)
        worker_count = parse_workers(
            request.environ.get("WORKERS", ""), request.record.workers if request.record else None
        )
        engine = prepare_engine(request, reporter)
        lifecycle.up(paths, engine, reporter, worker_count)
        addons.install_addons(AddonTarget(paths, engine, reporter), wanted_addons)
        environment.write_env_file(paths, engine.docker)
    reporter.print_line(
        f"ready: export KUBECONFIG={paths.kubeconfig}  (or: source {paths.env_file})"
    )


def adopt(request: Request, reporter: ProgressReporter) -> None:
    """Use the cluster of the current kubeconfig context."""
    paths = request.paths
    with request.exclusive_lock():
        record = request.record
        if record and record.mode != existing.EXISTING:
            raise ClusterError("this clone has a cluster of its own: 'make cluster-down' first")
        existing.adopt(paths, reporter, request.environ)
        adopted = ClusterRecord(mode=existing.EXISTING, key="", workers=0)
        lifecycle.record_file(paths).write_text(json.dumps(dataclasses.asdict(adopted)))
        (paths.clone_data / "clone").write_text(f"{paths.root}\n")
        environment.write_env_file(paths, {})
    reporter.print_line(
        f"ready: export KUBECONFIG={paths.kubeconfig}  (or: source {paths.env_file})"
    )


def down(request: Request) -> None:
    """Remove the cluster."""
    with request.exclusive_lock():
        host_docker = stock.host_docker_environment(request.paths, request.environ, request.record)
        teardown.remove_cluster(request.paths, request.new_reporter(), host_docker)


def purge(request: Request) -> None:
    """Remove the cluster, images and caches."""
    with request.exclusive_lock():
        host_docker = stock.host_docker_environment(request.paths, request.environ, request.record)
        teardown.purge(request.paths, request.new_reporter(), host_docker)


def docker_environment(request: Request) -> dict[str, str]:
    """Return the environment that reaches the cluster's Docker, as it was made."""
    if request.record and request.record.mode == STOCK:
        return stock.host_docker_environment(request.paths, request.environ, request.record)
    if request.record and request.record.mode == existing.EXISTING:
        return {}
    return source.docker_environment(request.paths)


def print_status(request: Request) -> None:
    """Print what runs."""
    kubectl = Kubectl(_kubectl_program(request), str(request.paths.kubeconfig))
    for line in status.describe_status(
        request.paths, request.record, docker_environment(request), kubectl
    ):
        print(line)


def print_environment(request: Request) -> None:
    """Print the variables for a shell."""
    values = environment.list_variables(request.paths, docker_environment(request))
    print(environment.shell_lines(values), end="")


def scale_fake_nodes(request: Request) -> None:
    """Have N fake nodes."""
    record = _require_managed(request)
    kubectl = Kubectl(_kubectl_program(request), str(request.paths.kubeconfig))
    with request.exclusive_lock():
        kwok.scale_nodes(request.paths, request.new_reporter(), kubectl, request.count, record.mode)


def build_images(request: Request) -> None:
    """Build the images and load them."""
    _require_managed(request)
    reporter = request.new_reporter()
    with request.exclusive_lock():
        engine = prepare_engine(request, reporter)
        built = images.build_images(request.paths, engine, reporter, request.environ)
        images.load_images(request.paths, engine, reporter, built)


def check_reproducible(request: Request) -> None:
    """Build each image twice and compare the builds."""
    _require_managed(request)
    reporter = request.new_reporter()
    with request.exclusive_lock():
        engine = prepare_engine(request, reporter)
        reproducible.check_images(request.paths, engine, reporter, request.environ)


def _require_managed(request: Request) -> ClusterRecord:
    """Return the record of a cluster this tool made."""
    if request.record is None:
        raise ClusterError("there is no cluster: 'make cluster' first")
    if request.record.mode == existing.EXISTING:
        raise ClusterError("with CLUSTER=existing nothing is installed into the cluster's nodes")
    return request.record


def _kubectl_program(request: Request) -> str:
    own = request.paths.bin / "kubectl"
    return str(own) if own.exists() else "kubectl"


COMMANDS: Final[dict[str, tuple[Callable[[Request], None], str]]] = {
    "up": (up, "start or repair the cluster"),
    "down": (down, "remove the cluster; caches stay"),
    "purge": (purge, "remove the cluster, images and caches"),
    "status": (print_status, "say what runs, versions, nodes and the mode"),
    "env": (print_environment, "print KUBECONFIG, DOCKER_HOST and PATH for a shell"),
    "kwok": (scale_fake_nodes, "have so many fake nodes"),
    "images": (build_images, "build the images and load them into the nodes"),
    "reproducible": (check_reproducible, "build each image twice and compare the builds"),
}
