"""What ``make demo`` runs when cluster, images and operator are there."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from hack.localcluster.paths import Paths, find_paths
from hack.scenarios.common import namespace, preflight
from hack.scenarios.common.cluster_state import ClusterSnapshot
from hack.scenarios.common.open_console import open_console
from hack.scenarios.demo.runner import DemoRunner
from hack.scenarios.demo.steps import CLEAN_UP_STEP, DEMO_STEPS
from hack.testkit import cli
from hack.testkit.errors import ToolError
from hack.testkit.kube_client import KubeClient, connect_to_clone_cluster
from hack.testkit.progress import format_clock


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the demo; the exit code is 0 only when every step went as told."""
    options = _build_parser().parse_args(arguments)
    return cli.run_command(lambda: _run_locked(options))


def _run_locked(options: argparse.Namespace) -> int:
    paths = find_paths(Path(__file__).resolve().parents[3], os.environ)
    kube = connect_to_clone_cluster(paths, options.namespace)
    with preflight.run_exclusively(paths, "demo"):
        return _run(kube, paths, keep=options.keep, plain=options.plain)


def _run(kube: KubeClient, paths: Paths, *, keep: bool, plain: bool) -> int:
    preflight.require_operator(kube)
    namespace.create_namespace(kube, "demo")
    try:
        with open_console(Console(), plain=plain) as screen:
            runner = DemoRunner(kube, screen)
            seconds = runner.run_steps(DEMO_STEPS if keep else (*DEMO_STEPS, CLEAN_UP_STEP))
    except ToolError as error:
        print(f"\nerror: {error}\n", file=sys.stderr)
        for line in _failure_lines(kube, runner.snapshot):
            print(line, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; removing what the demo made ...", file=sys.stderr, flush=True)
        namespace.delete_namespace(kube)
        return cli.EXIT_INTERRUPTED
    print(f"\nEverything happened as told, in {format_clock(seconds)}.")
    if not keep:
        namespace.delete_namespace(kube)
    for line in _closing_lines(kube, paths, keep=keep):
        print(line)
    return 0


def _failure_lines(kube: KubeClient, snapshot: ClusterSnapshot) -> Iterator[str]:
    """What to look at after a failure."""
    yield f"The app: {' '.join(snapshot.row) or 'not there'}"
    if snapshot.status.get("message"):
        yield f"  {snapshot.status['message']}"
    for pod in snapshot.pods:
        yield f"The pod {pod.name}: {pod.ready} {pod.status}, {pod.restarts} restarts"
    for event in snapshot.events[-8:]:
        yield f"  {event.involved_kind} {event.reason}: {event.text}"
    yield f"Namespace {kube.namespace} is left for a look; the next `make demo` removes it:"
    yield f"  . .cluster/env; {kube.format_command('describe selfhealingapp')}"
    yield "  kubectl -n selfhealing-system logs deployment/selfhealing-operator --tail=50"


def _closing_lines(kube: KubeClient, paths: Paths, *, keep: bool) -> Iterator[str]:
    """What is still there, and how to go on or stop."""
    if keep:
        yield f"Kept: namespace {kube.namespace}; the next `make demo` removes it."
    else:
        yield f"Removed: the app and namespace {kube.namespace}."
    yield "Still running:"
    yield f"  the local cluster {paths.cluster_name}   `make cluster-down` removes it"
    if preflight.is_operator_installed(kube):
        yield "  the operator in selfhealing-system    `make undeploy` removes it"
    yield "To go on by hand:"
    yield "  . .cluster/env && kubectl apply -f examples/02-lab.yaml && kubectl get sha -w"


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hack.scenarios.demo", description=__doc__)
    parser.add_argument("--namespace", default="demo", help="where to play (default: demo)")
    parser.add_argument("--keep", action="store_true", help="leave the app for a look")
    parser.add_argument("--plain", action="store_true", help="lines, also in a terminal")
    return parser


if __name__ == "__main__":
    sys.exit(main())
