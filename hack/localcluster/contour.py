"""The add-on ``contour``: a controller of Ingress and of Gateway API, with Envoy as its proxy.

Contour is built from its module, which also has its resource kinds (CRDs); those of Gateway API
are the standard channel of their module. Envoy is in C++: its program comes from a wheel of PyPI.
"""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from hack.localcluster import addon_images, build_stages, envoy, go_build
from hack.localcluster.addon_images import AddonTarget, ImageContent
from hack.localcluster.kubectl import MANIFESTS, Kubectl, render_manifest, wait_for_deployments
from hack.localcluster.paths import Paths
from hack.localcluster.progress import ProgressReporter
from hack.localcluster.versions import CONTOUR, ENVOY, GATEWAY_API
from hack.localcluster.wait import wait_until

NAME: Final = "contour"
NAMESPACE: Final = "projectcontour"
PATH: Final = "github.com/projectcontour/contour"
GATEWAY_API_PATH: Final = "sigs.k8s.io/gateway-api"
DEPLOYMENTS: Final = (NAME,)
STOCK_IMAGES: Final = {
    NAME: f"ghcr.io/projectcontour/contour:{CONTOUR}",
    envoy.NAME: f"docker.io/envoyproxy/envoy:distroless-v{ENVOY}",
}

_CRDS: Final = "examples/contour/01-crds.yaml"
_GATEWAY_CRDS: Final = "config/crd/standard/gateway.networking.k8s.io_*.yaml"
_APIS: Final = ("/apis/projectcontour.io/v1", "/apis/gateway.networking.k8s.io/v1")
_GATEWAY: Final = f"/apis/gateway.networking.k8s.io/v1/namespaces/{NAMESPACE}/gateways/public"
_SECONDS: Final = 180


def install_contour(target: AddonTarget) -> None:
    """Have Contour and Envoy running, and the Gateway ready to take routes."""
    images = addon_images.ensure_images(target, NAME, STOCK_IMAGES, _build_images)
    crds = build_stages.ensure_built(
        target.paths, describe_crds_stage(target.paths, target.reporter), target.reporter
    )
    kubectl = target.kubectl
    with target.reporter.show_stage(f"add-on {NAME}"):
        kubectl.apply((crds / "crds.yaml").read_text())
        for api in _APIS:
            advice = f"see 'kubectl get --raw {api}' and 'kubectl get crd'"
            wait_until(f"{api} being served", 30, functools.partial(kubectl.raw, api), advice)
        kubectl.apply(render_contour(images))
        wait_for_deployments(kubectl, NAMESPACE, DEPLOYMENTS, _SECONDS)
        advice = f"see 'kubectl -n {NAMESPACE} describe gateway public'"
        wait_until("the Gateway being programmed", 30, lambda: _is_programmed(kubectl), advice)


def describe_crds_stage(paths: Paths, reporter: ProgressReporter) -> build_stages.BuildStage:
    """Describe the collection of the resource kinds of Contour and of Gateway API."""

    def build(result: Path) -> None:
        own, gateway = (
            go_build.find_module_folder(paths, reporter, NAME, path)
            for path in (PATH, GATEWAY_API_PATH)
        )
        files = [own / _CRDS, *sorted(gateway.glob(_GATEWAY_CRDS))]
        (result / "crds.yaml").write_text("\n---\n".join(file.read_text() for file in files))

    versions = {"contour": CONTOUR, "gateway-api": GATEWAY_API}
    inputs = {**versions, "files": f"{_CRDS} {_GATEWAY_CRDS}"}
    return build_stages.BuildStage(f"{NAME}-crds", inputs, build)


def render_contour(images: Mapping[str, str]) -> str:
    """Return the manifest; the pod restarts when it changes, as Envoy reads its settings once."""
    settings = hashlib.sha256((MANIFESTS / f"{NAME}.yaml").read_bytes())
    return render_manifest(
        NAME, **addon_images.template_values(images), settings=settings.hexdigest()[:16]
    )


def _is_programmed(kubectl: Kubectl) -> bool:
    found = kubectl.raw(_GATEWAY) or {}
    conditions = found.get("status", {}).get("conditions", ())
    return any((each["type"], each["status"]) == ("Programmed", "True") for each in conditions)


def _build_images(target: AddonTarget) -> tuple[Sequence[ImageContent], Sequence[Path]]:
    """Build Contour, take Envoy from its wheel."""
    built = build_stages.ensure_built(
        target.paths,
        go_build.describe_module_stage(target.paths, target.reporter, NAME),
        target.reporter,
    )
    unpacked = build_stages.ensure_built(
        target.paths, envoy.describe_stage(target.paths), target.reporter
    )
    root = unpacked / envoy.ROOT
    files = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}
    program = f"usr/local/bin/{NAME}"
    contents = (
        ImageContent(NAME, CONTOUR, program, {program: built / NAME}),
        ImageContent(envoy.NAME, f"v{ENVOY}", envoy.PROGRAM, files),
    )
    return contents, (built, unpacked)
