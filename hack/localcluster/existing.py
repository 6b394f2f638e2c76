"""``CLUSTER=existing``: the cluster the user's kubeconfig points to, and nothing done to it.

Its context is copied, alone, into ``.cluster/kubeconfig``, so that a later switch of context never
sends the tests elsewhere.
"""

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from hack.localcluster import build_stages, go_build
from hack.localcluster.engine import link_tools
from hack.localcluster.errors import ClusterError
from hack.localcluster.kubectl import Kubectl
from hack.localcluster.paths import Paths
from hack.localcluster.progress import ProgressReporter
from hack.localcluster.subprocesses import run_unchecked

EXISTING: Final = "existing"


def parse_current_context(view: str) -> tuple[str, str]:
    """Read context and server from ``kubectl config view --minify -o json``."""
    content: dict[str, Any] = json.loads(view or "{}")
    context = content.get("current-context")
    clusters = content.get("clusters") or []
    if not context or not clusters:
        raise ClusterError(
            "CLUSTER=existing uses the kubeconfig's current context, and there is none:"
            " 'kubectl config use-context NAME' chooses one"
        )
    return str(context), str(clusters[0]["cluster"].get("server", ""))


def is_confirmed(
    environ: Mapping[str, str], question: str, *, ask: Callable[[str], str] = input
) -> bool:
    """Tell whether the user agrees: by YES=1, or by answering."""
    if environ.get("YES") == "1":
        return True
    if not sys.stdin.isatty():
        raise ClusterError(f"{question} Nobody is here to answer: say YES=1 to agree beforehand")
    return ask(f"{question} [y/N] ").strip().lower() in {"y", "yes"}


def kubectl_program(paths: Paths, reporter: ProgressReporter) -> str:
    """Return a kubectl: the user's, else one built."""
    found = shutil.which("kubectl")
    if found:
        return found
    only = ("k8s.io/kubernetes/cmd/kubectl",)
    built = build_stages.ensure_built(
        paths, go_build.describe_module_stage(paths, reporter, "node", only_tools=only), reporter
    )
    link_tools(paths, {"kubectl": built / "kubectl"})
    return str(built / "kubectl")


def adopt(paths: Paths, reporter: ProgressReporter, environ: Mapping[str, str]) -> None:
    """Ask, check that the cluster answers, and point the project's kubeconfig at it."""
    kubectl = Kubectl(kubectl_program(paths, reporter), None)
    view = run_unchecked([*kubectl.command, "config", "view", "--minify", "-o", "json"])
    context, server = parse_current_context(view.stdout)
    question = f"Use context {context!r} ({server}) for tests and the demo?"
    if not is_confirmed(environ, question):
        raise ClusterError("not agreed: nothing was changed")
    if not kubectl.is_ready():
        raise ClusterError(f"{server} of context {context!r} does not answer; is it running?")
    content = kubectl.run("config", "view", "--minify", "--flatten", "--raw")
    paths.state.mkdir(parents=True, exist_ok=True)
    paths.kubeconfig.touch(mode=0o600)
    paths.kubeconfig.chmod(0o600)
    paths.kubeconfig.write_text(content)
    if kubectl.raw("/apis/metrics.k8s.io/v1beta1") is None:
        reporter.print_line("note: this cluster serves no metrics, so an HPA on CPU will not scale")
