"""The VerticalPodAutoscaler, where its kind is served.

No recommender acts here: each test's own words stand in the status.
"""

import pytest

from hack.testkit import vpa
from hack.testkit.kube_client import Json, KubeClient
from hack.testkit.namespace import FAKE_NODES, KIND as APP, AppNamespace
from hack.testkit.wait import consistently, eventually
from selfhealing.controller.optional_kinds import POLL_INTERVAL

pytestmark = pytest.mark.usefixtures("served", "operator", "fake_nodes")

KIND = vpa.KIND
GROUP = "autoscaling.k8s.io"
SHORT_TIMEOUT = 2 * POLL_INTERVAL + 5
"""Seconds within which a change is noticed that no watch shows."""

SPEC: Json = {"verticalScaling": {}, **FAKE_NODES}


@pytest.fixture(scope="module")
def served(kube: KubeClient) -> None:
    """The kind is served, in truth."""
    vpa.ensure_vpa_served(kube)


def write_recommendation(space: AppNamespace, name: str, cpu: str, memory: str) -> None:
    """Write a recommendation as VPA's recommender does."""
    amounts = {"cpu": cpu, "memory": memory}
    ours = {"containerName": "app", "target": amounts, "lowerBound": amounts, "upperBound": amounts}
    # A recommender that may run in this cluster leaves alone what another one is named for.
    space.kube.merge_patch(KIND, space.name, name, {"spec": {"recommenders": [{"name": "a-test"}]}})
    status = {"recommendation": {"containerRecommendations": [ours]}}
    space.kube.merge_patch(KIND, space.name, name, {"status": status}, sub="status")


def get_recommended_target(space: AppNamespace, name: str) -> Json | None:
    """What the app's status shows of it."""
    found: Json | None = space.get_status(name).get("verticalScaling", {}).get("target")
    return found


def test_made_as_the_spec_says_and_taken_away(space: AppNamespace, name: str) -> None:
    """Mode, bounds and what is controlled; owned, labelled and named as every child."""
    space.create_app(
        name,
        autoscaling={"maxReplicas": 3, "targetCPUUtilizationPercentage": 50},
        verticalScaling={"mode": "Initial", "maxAllowed": {"memory": "1Gi"}},
        **FAKE_NODES,
    )
    space.wait_until_reconciled(name)

    found = space.get_child(KIND, name)
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
    assert owner["uid"] == space.get_app(name)["metadata"]["uid"]
    assert found["metadata"]["labels"]["selfhealing.dev/app"] == name

    space.patch_spec(name, verticalScaling={"mode": "Off"})
    space.wait_until_reconciled(name)
    policies = space.get_child(KIND, name)["spec"]["resourcePolicy"]["containerPolicies"]
    assert policies[0]["controlledResources"] == ["cpu", "memory"]

    space.patch_spec(name, verticalScaling=None)
    space.wait_until_reconciled(name)
    assert eventually(lambda: space.find_child(KIND, name) is None)
    assert eventually(lambda: "verticalScaling" not in space.get_status(name))
    assert "DriftCorrected" not in space.count_events(name)


def test_a_recommendation_reaches_the_status(space: AppNamespace, name: str) -> None:
    """In amounts to copy; a figure that hardly moves is not written again."""
    space.create_app(name, **SPEC)
    space.wait_for_phase(name, "Ready")
    shown = space.get_status(name)["verticalScaling"]
    assert (shown["mode"], shown["controls"]) == ("Off", "cpu, memory")
    assert shown["message"].startswith("no recommendation yet")

    write_recommendation(space, name, "25m", "262144k")

    wanted = {"cpu": "25m", "memory": "250Mi"}
    assert eventually(lambda: get_recommended_target(space, name) == wanted, timeout=SHORT_TIMEOUT)
    shown = space.get_status(name)["verticalScaling"]
    assert (shown["lowerBound"], shown["upperBound"]) == (wanted, wanted)
    assert "message" not in shown

    before = space.get_app(name)["metadata"]["resourceVersion"]
    write_recommendation(space, name, "26m", "270000k")
    write_recommendation(space, name, "27m", "262144k")
    consistently(
        lambda: space.get_app(name)["metadata"]["resourceVersion"] == before,
        seconds=POLL_INTERVAL + 2,
        description="no write for a figure that moved by less than a tenth",
    )
    write_recommendation(space, name, "30m", "262144k")
    assert eventually(
        lambda: (get_recommended_target(space, name) or {})["cpu"] == "30m", timeout=SHORT_TIMEOUT
    )
    assert "DriftCorrected" not in space.count_events(name)


def test_drift(space: AppNamespace, name: str) -> None:
    """What somebody changes is put back at the next look, and what is deleted is made anew."""
    space.create_app(name, **SPEC)
    space.wait_until_reconciled(name)
    change = {"spec": {"updatePolicy": {"updateMode": "Recreate"}}}

    space.kube.merge_patch(KIND, space.name, name, change)
    eventually(
        lambda: space.get_child(KIND, name)["spec"]["updatePolicy"] == {"updateMode": "Off"},
        timeout=SHORT_TIMEOUT,
    )
    assert eventually(lambda: space.count_events(name).get("DriftCorrected")) == 1

    space.kube.delete(KIND, space.name, name)
    assert eventually(lambda: space.find_child(KIND, name), timeout=SHORT_TIMEOUT)
    space.wait_until_reconciled(name)


def test_a_strangers_is_left_alone(space: AppNamespace, name: str) -> None:
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
    space.create_app(name, **SPEC)

    def conflict() -> Json:
        found = space.get_condition(name, "Reconciled")
        assert found.get("reason") == "NameConflict", found
        return found

    assert (
        f"there is a {KIND} {name} that this resource did not make"
        in (eventually(conflict)["message"])
    )
    assert space.get_child(KIND, name)["spec"]["targetRef"] == ref

    space.kube.delete(KIND, space.name, name)
    space.wait_until_reconciled(name, timeout=45)
    assert space.get_child(KIND, name)["spec"]["targetRef"]["name"] == name


def test_deleted_with_the_app(space: AppNamespace, name: str) -> None:
    """By ownership alone."""
    space.create_app(name, **SPEC)
    space.wait_until_reconciled(name)

    space.kube.delete(APP, space.name, name)

    assert eventually(lambda: space.find_child(KIND, name) is None)
