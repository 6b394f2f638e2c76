"""The command ``python -m selfhealing import``: prints a Deployment as a SelfHealingApp."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import Any, Final

from kubernetes.aio.config import ConfigException, list_kube_config_contexts

from selfhealing.importer.manifests import KINDS
from selfhealing.importer.object_text import ImportRefusedError
from selfhealing.importer.run import import_app
from selfhealing.importer.yaml_text import format_result
from selfhealing.kube.client import Client
from selfhealing.kube.credentials import load_configuration
from selfhealing.kube.errors import ApiError
from selfhealing.kube.resources import CHILDREN
from selfhealing.manifest_files import read_manifest_files

Json = dict[str, Any]

COMMAND: Final = "import"
REFUSED: Final = 2
"""The exit code if nothing can be imported."""

_TIMEOUT: Final = 30.0
"""Seconds that one request to the API server may take."""
_CONNECTIONS: Final = 4
_DEFAULT_NAMESPACE: Final = "default"

_EXAMPLES: Final = """\
examples:
  python -m selfhealing import web.yaml service.yaml > app.yaml
  kubectl kustomize overlays/prod | python -m selfhealing import - --deployment web
  python -m selfhealing import --namespace shop --deployment web    # from the cluster

The comments at the beginning of the output say what differs, and why."""


def run_import(arguments: Sequence[str]) -> int:
    """Print the SelfHealingApp of a Deployment from files or from the cluster.

    Args:
        arguments: the arguments after ``import``.

    Returns:
        The exit code: 2 if nothing can be imported.
    """
    options = build_parser().parse_args(arguments)
    try:
        objects = read_manifest_files(options.files) if options.files else _read_cluster(options)
        result = import_app(objects, options.deployment, options.namespace, options.name)
    except (ImportRefusedError, ApiError, ConfigException, OSError) as error:
        sys.stderr.write(f"selfhealing import: {error}\n")
        return REFUSED
    sys.stdout.write(format_result(result))
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="selfhealing import",
        description="Prints the shortest SelfHealingApp that renders the same as a Deployment with"
        " its Service, HorizontalPodAutoscaler, PodDisruptionBudget, Ingress and ServiceAccount."
        " Nothing in the cluster is changed.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="YAML or JSON, also of many documents; - is the standard input; without files the"
        " cluster of KUBECONFIG is read",
    )
    parser.add_argument("--deployment", metavar="NAME", help="the Deployment, if there are several")
    parser.add_argument(
        "--name",
        help="the name of the app, such as that of the Service that its callers know; by default"
        " that of the Deployment",
    )
    parser.add_argument(
        "-n",
        "--namespace",
        help="its namespace; in the cluster, without it, that of the kubeconfig",
    )
    return parser


def _read_cluster(options: argparse.Namespace) -> list[Json]:
    if options.deployment is None:
        raise ImportRefusedError(
            "write files, or --deployment NAME to read it from the cluster (see --help)"
        )
    namespace = options.namespace or _kubeconfig_namespace()
    return asyncio.run(_list_objects(namespace))


def _kubeconfig_namespace() -> str:
    """Return the namespace of the kubeconfig's context."""
    _, active = list_kube_config_contexts()  # type: ignore[no-untyped-call]
    return str(active["context"].get("namespace") or _DEFAULT_NAMESPACE)


async def _list_objects(namespace: str) -> list[Json]:
    """Read all objects of a namespace that could belong to a Deployment."""
    configuration = await load_configuration()
    async with Client(configuration, _TIMEOUT, _CONNECTIONS) as client:
        return [
            # The items of a list have no type of their own.
            {**item, "apiVersion": version, "kind": kind}
            for kind, (version, *_) in KINDS.items()
            async for item in client.list_objects(CHILDREN[kind], namespace)
        ]
