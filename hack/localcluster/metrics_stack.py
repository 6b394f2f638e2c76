"""The add-on ``metrics-stack``: autoscaling by what an app counts itself.

Prometheus scrapes every app of the operator (its pods' port ``http``, path ``/metrics``), and
prometheus-adapter serves what it finds as ``custom.metrics.k8s.io``, which is where a
HorizontalPodAutoscaler looks for metrics of type Pods.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from hack.localcluster import addon_images, build_stages, go_build, prometheus
from hack.localcluster.addon_images import AddonTarget, ImageContent
from hack.localcluster.kubectl import MANIFESTS, render_manifest, wait_for_deployments
from hack.localcluster.versions import PROMETHEUS_ADAPTER, PROMETHEUS_STOCK
from hack.localcluster.wait import wait_until

NAME: Final = "metrics-stack"
NAMESPACE: Final = "monitoring"
MODULE: Final = "prometheus-adapter"
DISCOVERY: Final = "discovery"

STOCK_IMAGES: Final = {
    "prometheus": f"quay.io/prometheus/prometheus:{PROMETHEUS_STOCK}",
    MODULE: f"registry.k8s.io/prometheus-adapter/prometheus-adapter:{PROMETHEUS_ADAPTER}",
}
DEPLOYMENTS: Final = ("prometheus", MODULE)
API: Final = "/apis/custom.metrics.k8s.io/v1beta2"

_SECONDS: Final = 180


def install_metrics_stack(target: AddonTarget) -> None:
    """Have Prometheus and its adapter running, of the versions and settings of this checkout."""
    images = addon_images.ensure_images(target, NAME, STOCK_IMAGES, _build_images)
    kubectl = target.kubectl
    with target.reporter.show_stage(f"add-on {NAME}"):
        kubectl.apply(render_metrics_stack(images))
        wait_for_deployments(kubectl, NAMESPACE, DEPLOYMENTS, _SECONDS)
        served = f"see 'kubectl describe apiservice v1beta2.{API.split('/')[2]}'"
        wait_until(
            "custom metrics being served", _SECONDS, lambda: kubectl.raw(API) is not None, served
        )


def build_scrape_job(*, from_source: bool) -> dict[str, Any]:
    """Return how Prometheus finds the pods: by itself, or, as Debian's cannot, by asking.

    Both find the same: running pods of the operator's apps on real nodes, labelled alike.
    """
    job: dict[str, Any] = {"job_name": "apps", "metrics_path": "/metrics"}
    if from_source:
        discovery = {"url": "http://127.0.0.1:8080/targets", "refresh_interval": "5s"}
        return job | {"http_sd_configs": [discovery]}
    keep_rules = {"container_port_name": "http", "phase": "Running"}
    labels = {"namespace": "namespace", "pod_name": "pod", "label_selfhealing_dev_app": "app"}
    rules = [
        *(
            {**_source_labels(source), "regex": regex, "action": "keep"}
            for source, regex in keep_rules.items()
        ),
        {**_source_labels("node_name"), "regex": "kwok-node-.*", "action": "drop"},
        *({**_source_labels(source), "target_label": label} for source, label in labels.items()),
    ]
    pods = {"role": "pod", "selectors": [{"role": "pod", "label": "selfhealing.dev/app"}]}
    return job | {"kubernetes_sd_configs": [pods], "relabel_configs": rules}


def _source_labels(source: str) -> dict[str, Any]:
    name = (
        f"__meta_kubernetes_{source}"
        if source == "namespace"
        else f"__meta_kubernetes_pod_{source}"
    )
    return {"source_labels": [name]}


def render_metrics_stack(images: Mapping[str, str]) -> str:
    """Return the manifest; pods restart when it changes, as neither reads its settings again."""
    is_built_here = DISCOVERY in images
    job = json.dumps(build_scrape_job(from_source=is_built_here))
    settings = hashlib.sha256((MANIFESTS / f"{NAME}.yaml").read_bytes() + job.encode())
    return render_manifest(
        NAME,
        prometheus=images["prometheus"],
        prometheus_adapter=images[MODULE],
        scrape_job=job,
        companions=json.dumps([_discovery_container(images[DISCOVERY])] if is_built_here else []),
        settings=settings.hexdigest()[:16],
    )


def _discovery_container(image: str) -> dict[str, Any]:
    """Describe the container that tells Prometheus of the pods, for as long as the pod lives."""
    return {
        "name": DISCOVERY,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "restartPolicy": "Always",
        "ports": [{"name": DISCOVERY, "containerPort": 8080, "protocol": "TCP"}],
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "limits": {"memory": "128Mi"},
        },
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": DISCOVERY}, "periodSeconds": 2},
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": DISCOVERY}, "periodSeconds": 10},
        "securityContext": {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _build_images(target: AddonTarget) -> tuple[Sequence[ImageContent], Sequence[Path]]:
    """Build the adapter and the discovery, take Prometheus from Debian."""
    modules = (
        go_build.describe_module_stage(target.paths, target.reporter, name)
        for name in (MODULE, DISCOVERY)
    )
    adapter, discovery = (
        build_stages.ensure_built(target.paths, module, target.reporter) for module in modules
    )
    unpacked = build_stages.ensure_built(
        target.paths, prometheus.describe_stage(target.paths), target.reporter
    )
    root = unpacked / prometheus.ROOT
    files = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}
    version = (unpacked / "version").read_text()
    place = "usr/local/bin"
    contents = (
        ImageContent("prometheus", version, "usr/bin/prometheus", files),
        ImageContent(
            MODULE,
            PROMETHEUS_ADAPTER,
            f"{place}/adapter",
            {f"{place}/adapter": adapter / "adapter"},
        ),
        ImageContent(
            DISCOVERY, "v1", f"{place}/{DISCOVERY}", {f"{place}/{DISCOVERY}": discovery / DISCOVERY}
        ),
    )
    return contents, (adapter, discovery, unpacked)
