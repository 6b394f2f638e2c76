"""What one team breaks stays in its namespace, on a real API server."""

from collections.abc import Iterator

import pytest

from hack.testkit.errors import ApiError
from hack.testkit.fake_kubelet import FakeKubelet
from hack.testkit.forked_operator import run_forked_operator
from hack.testkit.healing import (
    TIMEOUT,
    create_stable_app,
    get_healing_status,
    wait_for_outcomes,
)
from hack.testkit.kube_client import KubeClient, temporary_namespace
from hack.testkit.namespace import KIND, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import eventually


@pytest.fixture(scope="module")
def other_space(kube: KubeClient) -> Iterator[AppNamespace]:
    """The namespace of another team."""
    with temporary_namespace(kube, "test-teams-other") as name:
        yield AppNamespace(kube, name)


@pytest.fixture(scope="module")
def operator(
    space: AppNamespace, other_space: AppNamespace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """An operator that serves both namespaces, in a twentieth of the time of healing."""
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    settings = {"SELFHEALING_HEALING_SCALE": "0.05"}
    with run_forked_operator([space.name, other_space.name], log, settings=settings) as process:
        yield process


@pytest.mark.usefixtures("operator")
def test_a_storm_of_one_team(
    space: AppNamespace, other_space: AppNamespace, kubelet: FakeKubelet, name: str
) -> None:
    """All apps of a namespace are unhealthy and wait; an app of another team is healed."""
    sick = [f"{name}-{number}" for number in range(5)]
    pods = [create_stable_app(space, each, replicas=2)[0] for each in sick]
    other_pod = create_stable_app(other_space, name)[0]
    try:
        for pod in pods:
            kubelet.set_ready(pod, ready=False)
        eventually(
            lambda: any(
                get_healing_status(space, each).get("blockedReason") == "Storm" for each in sick
            ),
            timeout=TIMEOUT,
            description="the apps of the first team wait",
        )

        FakeKubelet(other_space.kube, other_space.name).set_ready(other_pod, ready=False)

        wait_for_outcomes(other_space, name, ("ReplacePod", "Succeeded"))
        assert any(
            get_healing_status(space, each).get("blockedReason") == "Storm" for each in sick
        ), "the storm has lasted"
    finally:
        for each in sick:
            space.kube.delete(KIND, space.name, each)
        other_space.kube.delete(KIND, other_space.name, name)


@pytest.mark.usefixtures("operator")
def test_a_quota_of_apps(space: AppNamespace, name: str) -> None:
    """It limits how many apps of a team the operator keeps; the others are not touched."""
    count = len(space.kube.list(KIND, space.name))
    space.create_quota(name, **{"count/selfhealingapps.selfhealing.dev": str(count + 1)})
    try:
        create_stable_app(space, f"{name}-first")
        with pytest.raises(ApiError, match="exceeded quota"):
            space.create_app(f"{name}-second")
    finally:
        space.kube.delete("ResourceQuota", space.name, name)
