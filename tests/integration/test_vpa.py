"""The VerticalPodAutoscaler, where its kind is served.

No recommender acts here: each test's own words stand in the status.
"""

import pytest

from hack.testkit import vpa
from hack.testkit.kube_client import Json, Kube
from hack.testkit.namespace import FAKE_NODES, KIND as APP, Space
from hack.testkit.wait import eventually, stays
from selfhealing.controller.optional_kinds import PACE

pytestmark = pytest.mark.usefixtures("served", "operator", "fake_nodes")

KIND = vpa.KIND
GROUP = "autoscaling.k8s.io"
SOON = 2 * PACE + 5
"""Seconds within which a change is noticed that no watch shows."""

SPEC: Json = {"verticalScaling": {}, **FAKE_NODES}


@pytest.fixture(scope="module")
def served(kube: Kube) -> None:
    """The kind is served, in truth."""
    vpa.serve(kube)


def recommend(space: Space, name: str, cpu: str, memory: str) -> None:
    """Write a recommendation as VPA's recommender does."""
    amounts = {"cpu": cpu, "memory": memory}
    ours = {"containerName": "app", "target": amounts, "lowerBound": amounts, "upperBound": amounts}
    # A recommender that may run in this cluster leaves alone what another one is named for.
    space.kube.merge(KIND, space.name, name, {"spec": {"recommenders": [{"name": "a-test"}]}})
    status = {"recommendation": {"containerRecommendations": [ours]}}
    space.kube.merge(KIND, space.name, name, {"status": status}, sub="status")


def target(space: Space, name: str) -> Json | None:
    """What the app's status shows of it."""
    found: Json | None = space.status(name).get("verticalScaling", {}).get("target")
    return found


def test_made_as_the_spec_says_and_taken_away(space: Space, name: str) -> None:
    """Mode, bounds and what is controlled; owned, labelled and named as every child."""
    space.create(
        name,
        autoscaling={"maxReplicas": 3, "targetCPUUtilizationPercentage": 50},
        verticalScaling={"mode": "Initial", "maxAllowed": {"memory": "1Gi"}},
        **FAKE_NODES,
    )
    space.reconciled(name)

    found = space.child(KIND, name)
    assert found["spec"]["targetRef"]["name"] == name
    assert found["spec"]["updatePolicy"]["updateMode"] == "Initial"
    assert found["spec"]["resourcePolicy"]["containerPolicies"] == [
        {
            "containerName": "app",
            "controlledResources": ["memory"],
            "maxAllowed": {"memory": "1Gi"},
        },
        {"containerName": "*", "mode": "Off"},
    ]
    (owner,) = found["metadata"]["ownerReferences"]
    assert owner["uid"] == space.app(name)["metadata"]["uid"]
    assert found["metadata"]["labels"]["selfhealing.dev/app"] == name

    space.edit(name, verticalScaling={"mode": "Off"})
    space.reconciled(name)
    policies = space.child(KIND, name)["spec"]["resourcePolicy"]["containerPolicies"]
    assert policies[0]["controlledResources"] == ["cpu", "memory"]

    space.edit(name, verticalScaling=None)
    space.reconciled(name)
    assert eventually(lambda: space.find(KIND, name) is None)
    assert eventually(lambda: "verticalScaling" not in space.status(name))
    assert "DriftCorrected" not in space.told(name)


def test_a_recommendation_reaches_the_status(space: Space, name: str) -> None:
    """In amounts to copy; a figure that hardly moves is not written again."""
    space.create(name, **SPEC)
    space.is_(name, "Ready")
    shown = space.status(name)["verticalScaling"]
    assert (shown["mode"], shown["controls"]) == ("Off", "cpu, memory")
    assert shown["message"].startswith("no recommendation yet")

    recommend(space, name, "25m", "262144k")

    wanted = {"cpu": "25m", "memory": "250Mi"}
    assert eventually(lambda: target(space, name) == wanted, timeout=SOON)
    shown = space.status(name)["verticalScaling"]
    assert (shown["lowerBound"], shown["upperBound"]) == (wanted, wanted)
    assert "message" not in shown

    before = space.app(name)["metadata"]["resourceVersion"]
    recommend(space, name, "26m", "270000k")
    recommend(space, name, "27m", "262144k")
    stays(
        lambda: space.app(name)["metadata"]["resourceVersion"] == before,
        seconds=PACE + 2,
        says="no write for a figure that moved by less than a tenth",
    )
    recommend(space, name, "30m", "262144k")
    assert eventually(lambda: (target(space, name) or {})["cpu"] == "30m", timeout=SOON)
    assert "DriftCorrected" not in space.told(name)


def test_drift(space: Space, name: str) -> None:
    """What somebody changes is put back at the next look, and what is deleted is made anew."""
    space.create(name, **SPEC)
    space.reconciled(name)
    change = {"spec": {"updatePolicy": {"updateMode": "Recreate"}}}

    space.kube.merge(KIND, space.name, name, change)
    eventually(
        lambda: space.child(KIND, name)["spec"]["updatePolicy"] == {"updateMode": "Off"},
        timeout=SOON,
    )
    assert eventually(lambda: space.told(name).get("DriftCorrected")) == 1

    space.kube.delete(KIND, space.name, name)
    assert eventually(lambda: space.find(KIND, name), timeout=SOON)
    space.reconciled(name)


def test_a_strangers_is_left_alone(space: Space, name: str) -> None:
    """One of the same name is a NameConflict; when it is gone the app comes right."""
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "theirs"}
    space.kube.create(
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": KIND,
            "metadata": {"name": name, "namespace": space.name},
            "spec": {"targetRef": ref},
        }
    )
    space.create(name, **SPEC)

    def conflict() -> Json:
        found = space.condition(name, "Reconciled")
        assert found.get("reason") == "NameConflict", found
        return found

    assert (
        f"there is a {KIND} {name} that this resource did not make"
        in (eventually(conflict)["message"])
    )
    assert space.child(KIND, name)["spec"]["targetRef"] == ref

    space.kube.delete(KIND, space.name, name)
    space.reconciled(name, timeout=45)
    assert space.child(KIND, name)["spec"]["targetRef"]["name"] == name


def test_deleted_with_the_app(space: Space, name: str) -> None:
    """By ownership alone."""
    space.create(name, **SPEC)
    space.reconciled(name)

    space.kube.delete(APP, space.name, name)

    assert eventually(lambda: space.find(KIND, name) is None)
