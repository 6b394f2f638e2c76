"""The CRD of VerticalPodAutoscaler, without the programs of VPA.

The definition is a file of VPA's Go module. It stays in the cluster after the tests, since others
may use it.
"""

import os

import pytest
import yaml

from hack.localcluster import build_stages, vpa as addon
from hack.localcluster.errors import ClusterError
from hack.localcluster.paths import find_paths
from hack.localcluster.progress import ProgressReporter
from hack.testkit.kube_client import ROOT, Json, KubeClient, find_condition
from hack.testkit.wait import eventually

CRD_NAME = "verticalpodautoscalers.autoscaling.k8s.io"
KIND = "VerticalPodAutoscaler"


def ensure_vpa_served(kube: KubeClient) -> None:
    """Install the CRD and wait until it is served; skip the test if its file is missing."""
    if kube.find("CustomResourceDefinition", None, CRD_NAME) is None:
        kube.apply(_load_crd())

    def is_served() -> bool:
        found = kube.get("CustomResourceDefinition", None, CRD_NAME)
        return find_condition(found, "Established").get("status") == "True" and (
            kube.get_response("/apis/autoscaling.k8s.io/v1").ok
        )

    eventually(is_served, description=f"the kind {KIND} is served")


def _load_crd() -> Json:
    paths = find_paths(ROOT, os.environ)
    reporter = ProgressReporter(paths.cache / "timings.json", quiet=True)
    try:
        folder = build_stages.ensure_built(
            paths, addon.describe_crds_stage(paths, reporter), reporter
        )
    except ClusterError as error:
        pytest.skip(f"the definition of {KIND} is a file of a Go module: {error}")
    documents = yaml.safe_load_all((folder / "crds.yaml").read_text())
    crd: Json = next(one for one in documents if one and one["metadata"]["name"] == CRD_NAME)
    return crd
