"""The CRD of VerticalPodAutoscaler, without the programs of VPA.

The definition is a file of VPA's Go module. It stays in the cluster after the tests, since others
may use it.
"""

import os

import pytest

from hack.localcluster import build_stages, vpa as addon
from hack.localcluster.errors import ClusterError
from hack.localcluster.paths import find_paths
from hack.localcluster.progress import ProgressReporter
from hack.testkit.kube_client import ROOT, Json, KubeClient
from hack.testkit.served_kinds import ensure_served
from hack.testkit.yaml_text import parse_yaml_documents

CRD_NAME = "verticalpodautoscalers.autoscaling.k8s.io"
KIND = "VerticalPodAutoscaler"


def ensure_vpa_served(kube: KubeClient) -> None:
    """Install the CRD and wait until it is served; skip the test if its file is missing."""
    ensure_served(kube, CRD_NAME, _load_crd)


def _load_crd() -> Json:
    paths = find_paths(ROOT, os.environ)
    reporter = ProgressReporter(paths.cache / "timings.json", quiet=True)
    try:
        folder = build_stages.ensure_built(
            paths, addon.describe_crds_stage(paths, reporter), reporter
        )
    except ClusterError as error:
        pytest.skip(f"the definition of {KIND} is a file of a Go module: {error}")
    documents = parse_yaml_documents((folder / "crds.yaml").read_text())
    crd: Json = next(one for one in documents if one and one["metadata"]["name"] == CRD_NAME)
    return crd
