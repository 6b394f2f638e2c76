"""A spec beside the objects of a cluster."""

from copy import deepcopy

import pytest

from selfhealing.plugin.errors import PluginError
from selfhealing.plugin.view.objects import find_app
from selfhealing.plugin.view.spec_diff import compare, render_app
from tests.unit import builders as b
from tests.unit.plugin.golden import check_golden

SPEC = {
    "image": "web:v1",
    "port": 5000,
    "replicas": 2,
    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
    "resources": {"limits": {"memory": "1Gi", "cpu": "500m"}},
}


def rendered(**changes: object) -> dict[str, dict[str, object]]:
    return {str(each["kind"]): each for each in render_app(b.app({**SPEC, **changes}), "shop")}


def test_what_was_rendered_does_not_differ() -> None:
    live = deepcopy(rendered())
    container = live["Deployment"]["spec"]["template"]["spec"]["containers"][0]  # type: ignore[index]
    container["resources"]["limits"]["cpu"] = "0.5"
    container["terminationMessagePath"] = "/dev/termination-log"

    assert {""} == {each.text for each in compare(list(rendered().values()), live)}


def test_a_difference_is_shown_from_the_cluster_to_the_spec() -> None:
    live = deepcopy(rendered())
    container = live["Deployment"]["spec"]["template"]["spec"]["containers"][0]  # type: ignore[index]
    container["image"] = "web:v0"
    container["resources"]["limits"]["cpu"] = "0.5"
    container["env"] = [{"name": "A", "value": "other"}, {"name": "C", "value": "x"}]
    live["Deployment"]["metadata"]["annotations"] = {"note": "of a person"}  # type: ignore[index]
    del live["Service"]
    live["Ingress"] = {"kind": "Ingress", "metadata": {"name": "web"}}
    manifests = list(rendered(podMetadata={"annotations": {"a": "b"}}).values())
    found = compare(manifests, live)

    check_golden("diff", "".join(f"{each.text}\n" for each in found if each.text))


def test_annotations_of_the_spec_are_compared() -> None:
    service = {"annotations": {"a": "b"}}
    live = rendered(service=service)
    manifests = list(rendered(service=service).values())

    assert {""} == {each.text for each in compare(manifests, live)}
    live["Service"]["metadata"]["annotations"] = {}  # type: ignore[index]
    assert "a: b" in "".join(each.text for each in compare(manifests, live))


def test_lists_without_keys_are_compared_as_a_whole() -> None:
    live = deepcopy(rendered(command=["run"]))
    manifests = list(rendered(command=["run", "--fast"]).values())
    (difference,) = (each for each in compare(manifests, live) if each.text)

    assert "+        - --fast" in difference.text


def test_a_value_of_another_shape_is_shown_as_it_is() -> None:
    live = deepcopy(rendered())
    live["Service"]["spec"] = "odd"
    differences = [each.text for each in compare(list(rendered().values()), live) if each.text]

    assert "-spec: odd" in differences[0]


def test_the_app_of_a_file_is_found() -> None:
    app, service = b.app(), {"kind": "Service", "metadata": {"name": "web"}}

    assert app == find_app([service, app])
    assert app == find_app([app, b.app(name="other")], "web")


@pytest.mark.parametrize(
    ("names", "name", "text"),
    [
        ([], "", "the file has 0 SelfHealingApps; it has: none"),
        (["a", "b"], "", "the file has 2 SelfHealingApps; it has: a, b"),
        (["a"], "x", "the file has no SelfHealingApp x; it has: a"),
    ],
)
def test_an_app_that_is_not_in_a_file(names: list[str], name: str, text: str) -> None:
    with pytest.raises(PluginError, match=text):
        find_app([b.app(name=each) for each in names], name)


def test_an_app_without_a_namespace_gets_the_given_one() -> None:
    raw = {"kind": "SelfHealingApp", "metadata": {"name": "web"}, "spec": SPEC}

    assert {"shop"} == {each["metadata"]["namespace"] for each in render_app(raw, "shop")}
