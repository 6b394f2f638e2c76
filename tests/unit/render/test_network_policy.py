"""The NetworkPolicy: who may call the pods, whom they may call, and what is never cut."""

import copy
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st

from selfhealing.api import names
from selfhealing.api.errors import InvalidSpecError
from selfhealing.api.label_selector import selects_labels
from selfhealing.api.spec import parse_spec
from selfhealing.apply.drift import matches
from selfhealing.kube.resources import CHILDREN, WATCHED_CHILDREN
from selfhealing.render import Owner, build_children
from selfhealing.render.network_policy import build_network_policy
from selfhealing.render.pod import build_pod_template
from tests.unit.api.strategies import leaves, specs
from tests.unit.examples import scale_examples

OWNER = Owner(namespace="shop", name="web", uid="uid-of-web")
SAME_NAMESPACE: list[dict[str, Any]] = [{"from": [{"podSelector": {}}], "ports": []}]
DNS = {
    "to": [],
    "ports": [
        {"protocol": "UDP", "port": 53},
        {"protocol": "TCP", "port": 53},
        {"protocol": "UDP", "port": 5353},
        {"protocol": "TCP", "port": 5353},
    ],
}
POLICY_LEAVES = [path for path in leaves() if path[0] == "networkPolicy"]


def render_policy(policy: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return the spec of the NetworkPolicy."""
    built = build_network_policy(OWNER, parse_spec({"image": "web:v1", "networkPolicy": policy}))
    assert built is not None
    spec: dict[str, Any] = built["spec"]
    return spec


def test_an_app_without_it_has_none() -> None:
    """Nothing is cut unless the spec asks for it."""
    children = build_children(OWNER, parse_spec({"image": "web:v1", "port": 80}))

    assert "NetworkPolicy" not in {child["kind"] for child in children}


def test_the_default_admits_the_namespace_and_cuts_no_call_of_the_pods() -> None:
    """The whole policy of an empty part of the spec."""
    assert {
        "podSelector": {
            "matchLabels": {
                "app": "web",
                "app.kubernetes.io/managed-by": "selfhealing-operator",
            },
            "matchExpressions": [{"key": "selfhealing.dev/name", "operator": "DoesNotExist"}],
        },
        "policyTypes": ["Ingress"],
        "ingress": SAME_NAMESPACE,
    } == render_policy({})


@pytest.mark.parametrize("given", [{}, {"app": "shop"}, {"app": "other"}])
@pytest.mark.parametrize("name", ["web", "shop"])
def test_isolated_pods_stay_under_the_policy(name: str, given: dict[str, str]) -> None:
    """They lose the app's label, and keep those that the policy of their app selects by."""
    spec = {"image": "web:v1", "networkPolicy": {}, "podMetadata": {"labels": given}}
    labels = dict(build_pod_template("web", parse_spec(spec))["metadata"]["labels"])
    del labels[names.LABEL_APP]
    plain = {} if name == "shop" else {"podMetadata": {"labels": given}}
    owner = Owner(namespace="shop", name=name, uid="uid")
    built = build_network_policy(owner, parse_spec({**spec, "podMetadata": {}, **plain}))
    assert built is not None
    selector = built["spec"]["podSelector"]

    is_selected = selector["matchLabels"].items() <= labels.items() and not any(
        expression["key"] in labels for expression in selector.get("matchExpressions", ())
    )
    assert (name == "web") is is_selected


def test_nobody() -> None:
    """An empty list is no list that is missing; DNS stays."""
    assert [] == render_policy({"allowFrom": []})["ingress"]
    assert ["Ingress", "Egress"] == render_policy({"allowTo": []})["policyTypes"]
    assert [DNS] == render_policy({"allowTo": []})["egress"]


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ({"app": "db"}, {"podSelector": {"matchLabels": {"selfhealing.dev/app": "db"}}}),
        ({"podLabels": {"a": "b"}}, {"podSelector": {"matchLabels": {"a": "b"}}}),
        (
            {"namespace": "data"},
            {
                "podSelector": {},
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "data"}},
            },
        ),
        (
            {"app": "db", "namespaceLabels": {"team": "blue"}},
            {
                "podSelector": {"matchLabels": {"selfhealing.dev/app": "db"}},
                "namespaceSelector": {"matchLabels": {"team": "blue"}},
            },
        ),
        ({"namespaceLabels": {}}, {"podSelector": {}, "namespaceSelector": {}}),
        (
            {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]},
            {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
        ),
    ],
)
def test_a_peer(peer: dict[str, Any], expected: dict[str, Any]) -> None:
    """Pods, by app or labels, here or in other namespaces; or addresses. On both sides alike."""
    ports = [{"port": 5432}]

    assert [{"from": [expected], "ports": ports}] == render_policy(
        {"allowFrom": [{**peer, "ports": ports}]}
    )["ingress"]
    assert [DNS, {"to": [expected], "ports": []}] == render_policy({"allowTo": [peer]})["egress"]


@pytest.mark.parametrize("who", ["ingressController", "monitoring"])
def test_the_ingress_controller_and_prometheus_come_beside_the_others(who: str) -> None:
    """They may call every port."""
    caller = {"from": [{"ipBlock": {"cidr": "10.9.0.0/16", "except": []}}], "ports": []}

    assert [*SAME_NAMESPACE, caller] == render_policy({who: {"cidr": "10.9.0.0/16"}})["ingress"]


def without_empty_lists(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a copy as the API server stores it: without empty lists of ports, peers and parts."""
    if isinstance(value, dict):
        return {key: without_empty_lists(item) for key, item in value.items() if item != []}
    return [without_empty_lists(item) for item in value] if isinstance(value, list) else value


@settings(
    max_examples=scale_examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(specs(st.sampled_from(POLICY_LEAVES)), st.data())
def test_any_policy_keeps_dns_and_notices_each_list_that_changes(
    spec: dict[str, Any], data: st.DataObject
) -> None:
    """What the API server stores is no drift; one more rule, peer or port is."""
    try:
        built = build_network_policy(OWNER, parse_spec(spec))
    except InvalidSpecError:
        assume(False)
        raise
    assume(built is not None)
    assert built is not None
    desired = built["spec"]
    stored = without_empty_lists(desired)

    assert matches(stored, desired)
    assert desired.get("egress", [DNS])[0] == DNS

    edited = copy.deepcopy(desired)
    lists = [edited["ingress"], edited["policyTypes"]]
    for rule in (*edited["ingress"], *edited.get("egress", ())):
        lists += [rule["ports"], rule.get("from", rule.get("to"))]
    data.draw(st.sampled_from(lists)).append({"port": 1, "protocol": "TCP"})

    assert not matches(edited, desired)


def test_the_operator_watches_it() -> None:
    """Every cluster serves the kind."""
    assert CHILDREN["NetworkPolicy"] in WATCHED_CHILDREN


@dataclass(frozen=True)
class Pod:
    """A pod that runs."""

    is_marked: bool


@pytest.mark.parametrize("first", [{}, {"app": "shop-web"}])
@pytest.mark.parametrize("then", [{}, {"app": "shop-web"}])
def test_the_pods_that_run_are_selected_until_they_are_replaced(
    first: dict[str, str], then: dict[str, str]
) -> None:
    """A first policy that came together with the label app left them open.

    For ever, if the new version did not come up.
    """
    specs_of = [
        parse_spec({"image": "web:v1", "networkPolicy": {}, "podMetadata": {"labels": given}})
        for given in (first, then)
    ]
    labels = [build_pod_template("web", spec)["metadata"]["labels"] for spec in specs_of]
    pods = [Pod(names.LABEL_NAME in each) for each in labels]

    def build_selector(pods: list[Pod]) -> dict[str, Any]:
        children = build_children(OWNER, specs_of[1], pods=pods)
        policy = next(child for child in children if child["kind"] == "NetworkPolicy")
        found: dict[str, Any] = policy["spec"]["podSelector"]
        return found

    assert all(selects_labels(build_selector(pods), each) for each in labels)
    assert selects_labels(build_selector(pods[1:]), labels[1])
    isolated = {key: value for key, value in labels[1].items() if key != names.LABEL_APP}
    assert selects_labels(build_selector(pods[1:]), isolated)
