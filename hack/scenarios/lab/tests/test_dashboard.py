"""Why the dashboard beside the lab does not start is told at once."""

from pathlib import Path

import pytest
import yaml

from hack.scenarios.common.errors import ScenarioError
from hack.scenarios.lab.dashboard import open_dashboard

KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:9"}}],
    "contexts": [{"name": "none", "context": {"cluster": "none", "user": ""}}],
    "current-context": "none",
}


def test_why_there_is_no_dashboard_is_said(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(KUBECONFIG), encoding="utf-8")
    environment = {"KUBECONFIG": str(kubeconfig), "PATH": str(tmp_path)}

    with (
        pytest.raises(ScenarioError, match="install kubectl first"),
        open_dashboard(environment, tmp_path / "dashboard.log"),
    ):
        pass
