"""What VPA's updater does to running pods is left alone: only the template is the operator's."""

import pytest

from hack.testkit import vpa
from hack.testkit.kube_client import STRATEGIC_PATCH
from hack.testkit.namespace import Space
from hack.testkit.wait import eventually, stays
from tests.e2e.app_client import LabApp, example

pytestmark = pytest.mark.usefixtures("operator")

RESIZED = {"requests": {"cpu": "25m", "memory": "48Mi"}}


def test_a_pod_that_was_resized_stays_resized(space: Space, name: str) -> None:
    """In place, without a restart, and with nothing put back."""
    vpa.serve(space.kube)
    (given,) = example("13-vertical-scaling.yaml")
    spec = given["spec"]
    # What is recommended here must not come between.
    spec["verticalScaling"] |= {"mode": "InPlaceOrRecreate", "minReplicas": 2}
    space.create(name, **spec)
    app = LabApp(space, name)
    app.ready()
    before = space.deployment(name)["metadata"]["generation"]
    pod = app.pod()["metadata"]

    space.kube.patch(
        "Pod",
        space.name,
        pod["name"],
        {"spec": {"containers": [{"name": "app", "resources": RESIZED}]}},
        form=STRATEGIC_PATCH,
        sub="resize",
    )

    def resized() -> bool:
        found = app.pod()
        (status,) = found["status"]["containerStatuses"]
        assert status["resources"]["requests"] == RESIZED["requests"], status["resources"]
        return bool(found["metadata"]["uid"] == pod["uid"] and status["restartCount"] == 0)

    assert eventually(resized, timeout=60, says="the kubelet has resized the container")
    stays(resized, seconds=2, says="nobody puts it back")
    assert space.deployment(name)["metadata"]["generation"] == before
    assert space.container(name)["resources"]["requests"]["cpu"] == "100m"
    assert app.ready()["restarts"]["total"] == 0
    assert "DriftCorrected" not in space.told(name)
