"""What holds for the children of any spec that the CRD takes."""

import copy
from typing import Any

from hypothesis import HealthCheck, assume, given, settings, strategies as st

from selfhealing.api.errors import InvalidSpecError
from selfhealing.api.spec import parse_spec
from selfhealing.apply.drift import matches
from selfhealing.apply.reset import reset_to_desired
from selfhealing.render import Owner, build_children
from tests.unit.api.strategies import specs

Json = dict[str, Any]
Where = tuple[str | int, ...]

OWNER = Owner("shop", "web", "uid-of-web")

CHOSEN = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@st.composite
def any_children(draw: st.DrawFn) -> list[Json]:
    """All children of some app."""
    try:
        spec = parse_spec(draw(specs()))
    except InvalidSpecError:
        assume(False)
        raise
    return [copy.deepcopy(child) for child in build_children(OWNER, spec)]


def leaves(value: Any, path: Where = ()) -> list[Where]:  # noqa: ANN401 - any JSON value
    """The paths of all scalars that an API server would not leave out."""
    if isinstance(value, dict):
        return [where for key in value for where in leaves(value[key], (*path, key))]
    if isinstance(value, list):
        return [where for i, item in enumerate(value) for where in leaves(item, (*path, i))]
    return [path] if value else []


def change_leaf(child: Json, where: Where) -> Json:
    """A copy of ``child`` in which one scalar is another one of the same type."""
    result = copy.deepcopy(child)
    at: Any = result
    for part in where[:-1]:
        at = at[part]
    old = at[where[-1]]
    at[where[-1]] = (
        (not old) if isinstance(old, bool) else old + (1 if not isinstance(old, str) else "x")
    )
    return result


@CHOSEN
@given(any_children())
def test_nothing_is_left_to_chance(all_children: list[Json]) -> None:
    """A child holds itself, is named and owned as every other one, and is marked."""
    for child in all_children:
        assert matches(copy.deepcopy(child), child)
        assert ("web", "shop") == (child["metadata"]["name"], child["metadata"]["namespace"])
        assert ["uid-of-web"] == [o["uid"] for o in child["metadata"]["ownerReferences"]]
        assert child["metadata"]["annotations"]["selfhealing.dev/applied"]


@CHOSEN
@given(any_children(), st.data())
def test_every_leaf_is_ours(all_children: list[Json], data: st.DataObject) -> None:
    """One changed value anywhere is drift, and putting it right puts all right."""
    child = data.draw(st.sampled_from(all_children))
    where = data.draw(st.sampled_from(leaves(child)))
    drifted = change_leaf(child, where)

    assert not matches(drifted, child)
    assert matches(reset_to_desired(drifted["spec"], child["spec"]), child["spec"])


@CHOSEN
@given(any_children())
def test_the_template_carries_the_selector(all_children: list[Json]) -> None:
    """A Deployment whose pods it does not find would be refused; so would a Service be blind."""
    workload = all_children[0]
    labels = workload["spec"]["template"]["metadata"]["labels"]

    assert workload["kind"] in {"Deployment", "Job"}
    for child in all_children:
        selector = child["spec"].get("selector", {})
        wanted = selector.get("matchLabels", selector)
        assert wanted.items() <= labels.items()
