"""The commands, each a few lines over the modules that do the work."""

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
    source,
    status,
    stock,
    teardown,
)
from hack.localcluster.addon_images import Site
from hack.localcluster.engine import SOURCE, STOCK, Engine
from hack.localcluster.errors import ClusterError
from hack.localcluster.kubectl import Kubectl
from hack.localcluster.locks import lock
from hack.localcluster.paths import Paths
from hack.localcluster.plan import Record
from hack.localcluster.progress import Reporter

_DEFAULT_WORKERS: Final = 1
_MOST_WORKERS: Final = 9


@dataclass(frozen=True)
class Request:
    """One call of the tool: where, with which variables, and the number given."""

    paths: Paths
    environ: Mapping[str, str]
    count: int = 0

    @property
    def record(self) -> Record | None:
        """Return what is written down of this clone's cluster."""
        return lifecycle.load_record(self.paths)

    def reporter(self) -> Reporter:
        """Return the way to tell how it goes."""
        return Reporter(self.paths.cache / "timings.json")

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other commands off this clone's cluster meanwhile."""
        with lock(self.paths.clone_data / "lock", seconds=3600, what="this clone's cluster"):
            yield


def workers(wanted: str, recorded: int | None) -> int:
    """Read WORKERS; without it a cluster that is there keeps its number."""
    if not wanted:
        return _DEFAULT_WORKERS if recorded is None else recorded
    if not wanted.isdigit() or int(wanted) > _MOST_WORKERS:
        raise ClusterError(f"WORKERS must be a number from 0 to {_MOST_WORKERS}, not {wanted!r}")
    return int(wanted)


def choose_way(wanted: str, recorded: str | None, stock_problem: Callable[[], str | None]) -> str:
    """Choose how the cluster is made; a cluster that is there keeps its way unless told."""
    if wanted not in {"", SOURCE, STOCK}:
        raise ClusterError(f"NODE_IMAGE must be {STOCK} or {SOURCE}, not {wanted!r}")
    if wanted == SOURCE or (not wanted and recorded == SOURCE):
        return SOURCE
    problem = stock_problem()
    if problem is None:
        return STOCK
    if wanted == STOCK:
        raise ClusterError(f"NODE_IMAGE=stock, but {problem}")
    return SOURCE


def prepare(request: Request, reporter: Reporter) -> Engine:
    """Have Docker, tools and node image, by one way or the other."""
    paths, environ, record = request.paths, request.environ, request.record
    docker = stock.foreign_docker(paths, environ, record)
    node_image = stock.node_image(environ)
    way = choose_way(
        environ.get("NODE_IMAGE", ""),
        record.way if record else None,
        lambda: stock.available(docker, node_image, reporter),
    )
    if record and record.way in {SOURCE, STOCK} and record.way != way:
        reporter.say(f"removing the {record.way} cluster first")
        teardown.down(paths, reporter, docker)
    if way == STOCK:
        reporter.say("way: the stock node image, on the machine's Docker")
        return stock.prepare(paths, reporter, environ, docker)
    reporter.say("way: node image from source, on a Docker daemon of the project's own")
    return source.prepare(paths, reporter)


def up(request: Request) -> None:
    """Start or repair the cluster, or adopt an existing one."""
    paths, reporter = request.paths, request.reporter()
    wanted_addons = addons.parse(request.environ.get("ADDONS", ""))
    if request.environ.get("CLUSTER") == existing.EXISTING:
        addons.refuse_existing(wanted_addons)
        adopt(request, reporter)
        return
    with request.alone():
        if request.record and request.record.way == existing.EXISTING:
            teardown.forget(paths)
        number = workers(
            request.environ.get("WORKERS", ""), request.record.workers if request.record else None
        )
        engine = prepare(request, reporter)
        lifecycle.up(paths, engine, reporter, number)
        addons.install(Site(paths, engine, reporter), wanted_addons)
        environment.write(paths, engine.docker)
    reporter.say(f"ready: export KUBECONFIG={paths.kubeconfig}  (or: source {paths.env_file})")


def adopt(request: Request, reporter: Reporter) -> None:
    """Use the cluster of the current kubeconfig context."""
    paths = request.paths
    with request.alone():
        record = request.record
        if record and record.way != existing.EXISTING:
            raise ClusterError("this clone has a cluster of its own: 'make cluster-down' first")
        existing.adopt(paths, reporter, request.environ)
        adopted = Record(way=existing.EXISTING, key="", workers=0)
        lifecycle.record_file(paths).write_text(json.dumps(dataclasses.asdict(adopted)))
        (paths.clone_data / "clone").write_text(f"{paths.root}\n")
        environment.write(paths, {})
    reporter.say(f"ready: export KUBECONFIG={paths.kubeconfig}  (or: source {paths.env_file})")


def down(request: Request) -> None:
    """Remove the cluster."""
    with request.alone():
        foreign = stock.foreign_docker(request.paths, request.environ, request.record)
        teardown.down(request.paths, request.reporter(), foreign)


def purge(request: Request) -> None:
    """Remove the cluster, images and caches."""
    with request.alone():
        foreign = stock.foreign_docker(request.paths, request.environ, request.record)
        teardown.purge(request.paths, request.reporter(), foreign)


def docker_of(request: Request) -> dict[str, str]:
    """Return the environment that reaches the cluster's Docker, as it was made."""
    if request.record and request.record.way == STOCK:
        return stock.foreign_docker(request.paths, request.environ, request.record)
    if request.record and request.record.way == existing.EXISTING:
        return {}
    return source.docker_env(request.paths)


def tell_status(request: Request) -> None:
    """Print what runs."""
    kubectl = Kubectl(_kubectl_program(request), str(request.paths.kubeconfig))
    for line in status.report(request.paths, request.record, docker_of(request), kubectl):
        print(line)


def tell_environment(request: Request) -> None:
    """Print the variables for a shell."""
    values = environment.variables(request.paths, docker_of(request))
    print(environment.shell_lines(values), end="")


def fake_nodes(request: Request) -> None:
    """Have N fake nodes."""
    record = _require_own(request)
    kubectl = Kubectl(_kubectl_program(request), str(request.paths.kubeconfig))
    with request.alone():
        kwok.scale(request.paths, request.reporter(), kubectl, request.count, record.way)


def make_images(request: Request) -> None:
    """Build the images and load them."""
    _require_own(request)
    reporter = request.reporter()
    with request.alone():
        engine = prepare(request, reporter)
        built = images.build(request.paths, engine, reporter, request.environ)
        images.load(request.paths, engine, reporter, built)


def _require_own(request: Request) -> Record:
    """Return the record of a cluster this tool made."""
    if request.record is None:
        raise ClusterError("there is no cluster: 'make cluster' first")
    if request.record.way == existing.EXISTING:
        raise ClusterError("with CLUSTER=existing nothing is installed into the cluster's nodes")
    return request.record


def _kubectl_program(request: Request) -> str:
    own = request.paths.bin / "kubectl"
    return str(own) if own.exists() else "kubectl"


COMMANDS: Final[dict[str, tuple[Callable[[Request], None], str]]] = {
    "up": (up, "start or repair the cluster"),
    "down": (down, "remove the cluster; caches stay"),
    "purge": (purge, "remove the cluster, images and caches"),
    "status": (tell_status, "say what runs, versions, nodes and the way taken"),
    "env": (tell_environment, "print KUBECONFIG, DOCKER_HOST and PATH for a shell"),
    "kwok": (fake_nodes, "have so many fake nodes"),
    "images": (make_images, "build the images and load them into the nodes"),
}
