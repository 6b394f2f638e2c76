"""A forked operator is one of this checkout, with its own environment, and dies like a process."""

import signal
from pathlib import Path

from hack.testkit.forked_operator import ForkedOperator
from hack.testkit.wait import eventually


def test_its_environment_its_log_and_its_exit_code(tmp_path: Path) -> None:
    """An invalid setting ends it with 2, as it ends ``python -m selfhealing``."""
    operator = ForkedOperator({"SELFHEALING_WORKERS": "none"}, tmp_path / "log")

    operator.start(wait_for_sync=False)

    assert operator.process is not None
    assert 2 == operator.process.wait(30)
    assert "SELFHEALING_WORKERS='none'" in operator.read_log()


def test_killed(tmp_path: Path) -> None:
    """It waits for an API server that does not answer."""
    config = tmp_path / "kubeconfig"
    config.write_text(
        '{"apiVersion": "v1", "kind": "Config", "current-context": "a",'
        ' "clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:9"}}],'
        ' "users": [{"name": "a", "user": {}}],'
        ' "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}]}'
    )
    environment = {"KUBECONFIG": str(config), "SELFHEALING_METRICS_PORT": "0"}
    operator = ForkedOperator(environment, tmp_path / "log")
    operator.start(wait_for_sync=False)
    eventually(lambda: "waiting" in operator.read_log(), description="it waits")

    assert -signal.SIGKILL == operator.kill()
    assert not operator.is_running()
