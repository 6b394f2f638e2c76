"""What VPA's updater does to running pods is left alone: only the template is the operator's."""

import pytest

from hack.testkit import vpa
from hack.testkit.kube_client import STRATEGIC_PATCH
from hack.testkit.namespace import AppNamespace
from hack.testkit.wait import consistently, eventually
from tests.e2e.app_client import AppClient, load_example

pytestmark = pytest.mark.usefixtures("operator")

RESIZED = {"requests": {"cpu": "25m", "memory": "48Mi"}}


def test_a_pod_that_was_resized_stays_resized(space: AppNamespace, name: str) -> None:
    """In place, without a restart, and with nothing put back."""
    vpa.ensure_vpa_served(space.kube)
    (given,) = load_example("13-vertical-scaling.yaml")
    spec = given["spec"]
    # What is recommended here must not come between.
    spec["verticalScaling"] |= {"mode": "InPlaceOrRecreate", "minReplicas": 2}
    space.create_app(name, **spec)
    app = AppClient(space, name)
    app.wait_until_ready()
    before = space.get_deployment(name)["metadata"]["generation"]
    pod = app.get_only_pod()["metadata"]

    space.kube.patch(
        "Pod",
        space.name,
        pod["name"],
        {"spec": {"containers": [{"name": "app", "resources": RESIZED}]}},
        form=STRATEGIC_PATCH,
        sub="resize",
    )

    def resized() -> bool:
        found = app.get_only_pod()
        (status,) = found["status"]["containerStatuses"]
        assert status["resources"]["requests"] == RESIZED["requests"], status["resources"]
        return bool(found["metadata"]["uid"] == pod["uid"] and status["restartCount"] == 0)

    assert eventually(resized, timeout=60, description="the kubelet has resized the container")
    consistently(resized, seconds=2, description="nobody puts it back")
    assert space.get_deployment(name)["metadata"]["generation"] == before
    assert space.get_container(name)["resources"]["requests"]["cpu"] == "100m"
    assert app.wait_until_ready()["restarts"]["total"] == 0
    assert "DriftCorrected" not in space.count_events(name)
