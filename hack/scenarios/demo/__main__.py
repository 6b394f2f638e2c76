"""What ``make demo`` runs when cluster, images and operator are there."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from hack.localcluster.paths import Paths, find_paths
from hack.scenarios.common import cli, namespace, preflight
from hack.scenarios.common.cluster_state import Picture
from hack.scenarios.common.errors import ShowError
from hack.scenarios.common.kube_client import Kube
from hack.scenarios.common.text import clock_of
from hack.scenarios.demo.runner import Stage
from hack.scenarios.demo.steps import CLEAN_UP, STORY


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the demo; the exit code is 0 only when every step went as told."""
    options = _parser().parse_args(arguments)
    return cli.answered(lambda: _demo(options))


def _demo(options: argparse.Namespace) -> int:
    paths = find_paths(Path(__file__).resolve().parents[3], os.environ)
    kube = Kube(paths, options.namespace)
    with preflight.alone(paths, "demo"):
        return _run(kube, paths, keep=options.keep, plain=options.plain)


def _run(kube: Kube, paths: Paths, *, keep: bool, plain: bool) -> int:
    preflight.check(kube)
    namespace.make(kube, "demo")
    try:
        with cli.screen(Console(), plain=plain) as screen:
            stage = Stage(kube, screen)
            seconds = stage.play(STORY if keep else (*STORY, CLEAN_UP))
    except ShowError as error:
        print(f"\nerror: {error}\n", file=sys.stderr)
        for line in _remains(kube, stage.picture):
            print(line, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; removing what the demo made ...", file=sys.stderr, flush=True)
        namespace.remove(kube)
        return cli.INTERRUPTED
    print(f"\nEverything happened as told, in {clock_of(seconds)}.")
    if not keep:
        namespace.remove(kube)
    for line in _closing(kube, paths, keep=keep):
        print(line)
    return 0


def _remains(kube: Kube, picture: Picture) -> Iterator[str]:
    """What to look at after a failure."""
    yield f"The app: {' '.join(picture.row) or 'not there'}"
    if picture.status.get("message"):
        yield f"  {picture.status['message']}"
    for pod in picture.pods:
        yield f"The pod {pod.name}: {pod.ready} {pod.status}, {pod.restarts} restarts"
    for event in picture.events[-8:]:
        yield f"  {event.about} {event.reason}: {event.text}"
    yield f"Namespace {kube.namespace} is left for a look; the next `make demo` removes it:"
    yield f"  . .cluster/env; {kube.shown('describe selfhealingapp')}"
    yield "  kubectl -n selfhealing-system logs deployment/selfhealing-operator --tail=50"


def _closing(kube: Kube, paths: Paths, *, keep: bool) -> Iterator[str]:
    """What is still there, and how to go on or stop."""
    if keep:
        yield f"Kept: namespace {kube.namespace}; the next `make demo` removes it."
    else:
        yield f"Removed: the app and namespace {kube.namespace}."
    yield "Still running:"
    yield f"  the local cluster {paths.cluster_name}   `make cluster-down` removes it"
    if preflight.operator_there(kube):
        yield "  the operator in selfhealing-system    `make undeploy` removes it"
    yield "To go on by hand:"
    yield "  . .cluster/env && kubectl apply -f examples/02-lab.yaml && kubectl get sha -w"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hack.scenarios.demo", description=__doc__)
    parser.add_argument("--namespace", default="demo", help="where to play (default: demo)")
    parser.add_argument("--keep", action="store_true", help="leave the app for a look")
    parser.add_argument("--plain", action="store_true", help="lines, also in a terminal")
    return parser


if __name__ == "__main__":
    sys.exit(main())
