"""The add-on ``vpa``: a VerticalPodAutoscaler's recommender, updater and admission controller.

Its programs are built from its module and its resource kinds (CRDs) are the files of that module.
The webhook is declared here rather than by the admission controller itself, which would delete
and create it again at every start and would have pods of fake nodes sent to it too.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from hack.localcluster import addon_images, build_stages, certificates, go_build
from hack.localcluster.addon_images import AddonTarget, ImageContent
from hack.localcluster.certificates import KeyPair
from hack.localcluster.kubectl import (
    MANIFESTS,
    Kubectl,
    render_manifest,
    wait_for_deployments,
)
from hack.localcluster.paths import Paths
from hack.localcluster.progress import ProgressReporter
from hack.localcluster.versions import VPA
from hack.localcluster.wait import wait_until

NAME: Final = "vpa"
NAMESPACE: Final = "vertical-pod-autoscaler"
MODULE: Final = "vpa"
PATH: Final = "k8s.io/autoscaler/vertical-pod-autoscaler"
PROGRAMS: Final = ("recommender", "updater", "admission-controller")
DEPLOYMENTS: Final = tuple(f"vpa-{program}" for program in PROGRAMS)
STOCK_IMAGES: Final = {
    name: f"registry.k8s.io/autoscaling/{name}:{VPA.removeprefix('v')}" for name in DEPLOYMENTS
}
HOST: Final = f"vpa-webhook.{NAMESPACE}.svc"
API: Final = "/apis/autoscaling.k8s.io/v1"

_CRDS: Final = "deploy/vpa-v1-crd-gen.yaml"
_SECRET: Final = "vpa-webhook"  # noqa: S105 - its name
_SECONDS: Final = 180


def install_vpa(target: AddonTarget) -> None:
    """Have all three parts running, of the versions and settings of this checkout."""
    images = addon_images.ensure_images(target, NAME, STOCK_IMAGES, _build_images)
    crds = build_stages.ensure_built(
        target.paths, describe_crds_stage(target.paths, target.reporter), target.reporter
    )
    kubectl = target.kubectl
    with target.reporter.show_stage(f"add-on {NAME}"):
        kubectl.apply((crds / "crds.yaml").read_text())
        advice = "see 'kubectl get crd verticalpodautoscalers.autoscaling.k8s.io -o yaml'"
        wait_until("the API of VPA being served", 30, lambda: kubectl.raw(API) is not None, advice)
        pair = reuse_or_create_certificate(_read_stored_pair(kubectl))
        kubectl.apply(render_vpa(images, pair))
        wait_for_deployments(kubectl, NAMESPACE, DEPLOYMENTS, _SECONDS)


def describe_crds_stage(paths: Paths, reporter: ProgressReporter) -> build_stages.BuildStage:
    """Describe the collection of the module's own resource kinds."""

    def build(result: Path) -> None:
        sources = go_build.find_module_folder(paths, reporter, MODULE, PATH)
        (result / "crds.yaml").write_text((sources / _CRDS).read_text())

    return build_stages.BuildStage(f"{NAME}-crds", {"version": VPA, "file": _CRDS}, build)


def reuse_or_create_certificate(stored: KeyPair | None) -> KeyPair:
    """Return the webhook's certificate: the one in the cluster while it is good."""
    if stored is not None and certificates.is_valid_certificate(stored, HOST):
        return stored
    return certificates.create_certificate(HOST)


def parse_key_pair(secret: Mapping[str, Any] | None) -> KeyPair | None:
    """Read the certificate and its key from a Secret; None when it holds no such thing."""
    data = (secret or {}).get("data") or {}
    try:
        texts = [base64.b64decode(data[name]).decode() for name in ("tls.crt", "tls.key")]
    except (KeyError, ValueError):
        return None
    return KeyPair(*texts)


def render_vpa(images: Mapping[str, str], pair: KeyPair) -> str:
    """Return the manifest with the certificate in it; a part restarts when it has changed."""
    settings = hashlib.sha256((MANIFESTS / f"{NAME}.yaml").read_bytes())
    settings.update(pair.certificate.encode())
    return render_manifest(
        NAME,
        **addon_images.template_values(images),
        certificate=_base64(pair.certificate),
        key=_base64(pair.key),
        settings=settings.hexdigest()[:16],
    )


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _read_stored_pair(kubectl: Kubectl) -> KeyPair | None:
    return parse_key_pair(kubectl.get("secret", _SECRET, "-n", NAMESPACE))


def _build_images(target: AddonTarget) -> tuple[Sequence[ImageContent], Sequence[Path]]:
    """Build the three programs."""
    stage = go_build.describe_module_stage(target.paths, target.reporter, MODULE)
    built = build_stages.ensure_built(target.paths, stage, target.reporter)
    place = "usr/local/bin"
    contents = [
        ImageContent(
            f"vpa-{program}", VPA, f"{place}/{program}", {f"{place}/{program}": built / program}
        )
        for program in PROGRAMS
    ]
    return contents, (built,)
