"""When an object that is offered is taken over: never so that its callers lose their pods."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from selfhealing.api.spec import parse_spec
from selfhealing.apply.adoption import has_other_selector, must_wait
from selfhealing.cache.child_views import CHILD_VIEWS, deployment_view
from selfhealing.cache.views import ChildView, DeploymentView
from selfhealing.render import Owner, build_children
from tests.unit import builders

Json = dict[str, Any]

SPEC: Json = {
    "image": "web:v1",
    "port": 8080,
    "replicas": 2,
    "ingress": {"hosts": [{"host": "shop.example.com"}]},
    "networkPolicy": {"allowTo": []},
    "serviceAccount": {"create": True},
}
CHILDREN = {
    child["kind"]: child
    for child in build_children(Owner(builders.NAMESPACE, builders.APP, ""), parse_spec(SPEC))
}
READY = deployment_view(builders.deployment(2))


def offered(kind: str, spec: Json | None = None, *, adopt: bool = True) -> ChildView:
    """Return an object of somebody else, with the spec of the app's or another one."""
    meta: Json = {"annotations": {"selfhealing.dev/adopt": "true"}} if adopt else {}
    given = CHILDREN[kind].get("spec", {}) if spec is None else spec
    return CHILD_VIEWS[kind](builders.child(kind, copy.deepcopy(given), owner="", **meta))


@pytest.mark.parametrize(
    "deployment",
    [
        None,
        deployment_view(builders.deployment(2, available=1)),
        deployment_view(builders.deployment(2, updated=1)),
        deployment_view(builders.deployment(2, observed=False)),
        deployment_view(builders.deployment(0)),
    ],
    ids=["none", "unavailable", "rolling out", "not observed", "no pods"],
)
@pytest.mark.parametrize("kind", ["Service", "PodDisruptionBudget", "Ingress"])
def test_what_leads_to_pods_waits_for_those_of_the_app(
    kind: str, deployment: DeploymentView | None
) -> None:
    """Until then the old pods serve, and are protected."""
    live = offered(kind, {"selector": {"app": "old"}})

    assert must_wait(live, CHILDREN[kind], deployment, ())
    assert not must_wait(live, CHILDREN[kind], READY, ())


@pytest.mark.parametrize("kind", ["Service", "PodDisruptionBudget"])
def test_what_selects_the_pods_of_the_app_is_taken_at_once(kind: str) -> None:
    """An orphan of the operator: nothing changes for its callers."""
    assert not must_wait(offered(kind), CHILDREN[kind], None, ())


def test_what_is_not_known_waits() -> None:
    live = replace(offered("Service"), manifest_json=b"")

    assert must_wait(live, CHILDREN["Service"], None, ())


@pytest.mark.parametrize("kind", ["Service", "Ingress", "NetworkPolicy"])
def test_nothing_is_taken_while_the_deployment_is_somebody_elses(kind: str) -> None:
    """A wrong adoption is refused as a whole."""
    assert must_wait(offered(kind), CHILDREN[kind], READY, {"Deployment"})


@pytest.mark.parametrize("kind", ["Deployment", "ServiceAccount"])
def test_what_the_pods_need_does_not_wait_for_them(kind: str) -> None:
    """They would never come."""
    assert not must_wait(offered(kind), CHILDREN[kind], None, {"Deployment"})


def test_the_policy_of_pods_that_are_not_ready_is_taken() -> None:
    """Without it they may never become ready."""
    live = offered("NetworkPolicy", {"podSelector": {}})

    assert not must_wait(live, CHILDREN["NetworkPolicy"], None, ())


def test_the_selector_of_a_deployment() -> None:
    """Only that of a Deployment is immutable, and only a known one differs."""
    other = offered("Deployment", {"selector": {"matchLabels": {"app": "old"}}})

    assert has_other_selector(other, CHILDREN["Deployment"])
    assert not has_other_selector(replace(other, manifest_json=b""), CHILDREN["Deployment"])
    assert not has_other_selector(offered("Deployment"), CHILDREN["Deployment"])
    assert not has_other_selector(
        offered("Service", {"selector": {"app": "old"}}), CHILDREN["Service"]
    )
