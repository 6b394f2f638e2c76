"""Prometheus as a process of this machine: the program of the local cluster's metrics stack."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml

from hack.localcluster import build_stages, prometheus
from hack.localcluster.paths import find_paths
from hack.localcluster.subprocesses import parent_death_command
from hack.testkit.kube_client import ROOT
from hack.testkit.ports import find_free_port
from hack.testkit.wait import eventually

Json = dict[str, Any]

INTERVAL = "1s"
"""Between two scrapes, and between two evaluations of the rules."""

_START_TIMEOUT = 30
_STOP_TIMEOUT = 10


def find_prometheus(folder: Path) -> list[str] | None:
    """Return the command that runs Prometheus; None where the metrics stack is not built here.

    It comes with a libc of its own, so its own loader starts it. The files of an image are not
    executable here, so the loader, which is small, is copied into ``folder``.
    """
    paths = find_paths(ROOT, os.environ)
    root = build_stages.result_path(paths, prometheus.describe_stage(paths)) / prometheus.ROOT
    loaders = sorted(root.glob("lib/*/ld-linux-*"))
    if not loaders:
        return None
    loader = Path(shutil.copyfile(loaders[0], folder / "loader"))
    loader.chmod(0o700)
    program = root / "usr" / "bin" / prometheus.PACKAGE
    return [str(loader), "--library-path", str(loaders[0].parent), str(program)]


@dataclass(frozen=True)
class PrometheusProcess:
    """A running Prometheus."""

    url: str

    def query(self, expression: str) -> list[Json]:
        """Return the series of an instant query.

        Raises:
            AssertionError: Prometheus refuses the expression.
        """
        answer = self._get("query", {"query": expression})
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        found: list[Json] = answer["data"]["result"]
        return found

    def list_rules(self) -> list[Json]:
        """Return the rules with their health and their alerts."""
        groups = self._get("rules", {})["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def list_alerts(self) -> list[Json]:
        """Return the alerts that are pending or firing."""
        found: list[Json] = self._get("alerts", {})["data"]["alerts"]
        return found

    def is_ready(self) -> bool:
        """Whether it answers queries."""
        try:
            return requests.get(f"{self.url}/-/ready", timeout=5).ok
        except requests.RequestException:
            return False

    def _get(self, path: str, parameters: Mapping[str, str]) -> Json:
        answer = requests.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=10)
        found: Json = json.loads(answer.text)
        return found


@contextmanager
def run_prometheus(
    command: list[str], folder: Path, scrape_configs: list[Json], rule_groups: list[Json]
) -> Iterator[PrometheusProcess]:
    """Run Prometheus during the block.

    Args:
        command: from ``find_prometheus``.
        folder: where it keeps its data and its configuration.
        scrape_configs: what it scrapes.
        rule_groups: the groups of its rule file.
    """
    rules = folder / "rules.yml"
    rules.write_text(yaml.safe_dump({"groups": rule_groups}))
    times = {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL}
    config = {"global": times, "rule_files": [str(rules)], "scrape_configs": scrape_configs}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{find_free_port()}"
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(
            [
                *parent_death_command(),
                *command,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    running = PrometheusProcess(f"http://{address}")

    def is_ready() -> bool:
        assert process.poll() is None, (folder / "prometheus.log").read_text()[-2000:]
        return running.is_ready()

    try:
        eventually(is_ready, timeout=_START_TIMEOUT, description="Prometheus answers")
        yield running
    finally:
        process.kill()
        process.wait(_STOP_TIMEOUT)
