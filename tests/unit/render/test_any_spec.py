"""Properties of the children of any spec that the CRD accepts."""

import copy
from typing import Any

from hypothesis import HealthCheck, assume, given, settings, strategies as st

from selfhealing.api.errors import InvalidSpecError
from selfhealing.api.names import WORKLOAD_KINDS
from selfhealing.api.spec import parse_spec
from selfhealing.apply.drift import matches
from selfhealing.apply.reset import reset_to_desired
from selfhealing.render import Owner, build_children
from tests.unit.api.strategies import specs
from tests.unit.examples import scale_examples

Json = dict[str, Any]
Where = tuple[str | int, ...]

OWNER = Owner("shop", "web", "uid-of-web")

CHOSEN = settings(
    max_examples=scale_examples(20),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@st.composite
def any_children(draw: st.DrawFn) -> list[Json]:
    """Generate the children of an app."""
    try:
        spec = parse_spec(draw(specs()))
    except InvalidSpecError:
        assume(False)
        raise
    return [copy.deepcopy(child) for child in build_children(OWNER, spec)]


def leaves(value: Any, path: Where = ()) -> list[Where]:  # noqa: ANN401 - any JSON value
    """Return the paths of all scalars that the API server does not omit."""
    if isinstance(value, dict):
        return [where for key in value for where in leaves(value[key], (*path, key))]
    if isinstance(value, list):
        return [where for i, item in enumerate(value) for where in leaves(item, (*path, i))]
    return [path] if value else []


def change_leaf(child: Json, where: Where) -> Json:
    """Return a copy of ``child`` with one scalar replaced by another of its type."""
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
def test_every_child_has_name_owner_and_applied_hash(all_children: list[Json]) -> None:
    """Each child matches itself and has name, owner and applied hash."""
    for child in all_children:
        assert matches(copy.deepcopy(child), child)
        assert ("web", "shop") == (child["metadata"]["name"], child["metadata"]["namespace"])
        assert ["uid-of-web"] == [o["uid"] for o in child["metadata"]["ownerReferences"]]
        assert child["metadata"]["annotations"]["selfhealing.dev/applied"]


@CHOSEN
@given(any_children(), st.data())
def test_a_change_of_any_scalar_is_drift(all_children: list[Json], data: st.DataObject) -> None:
    """A change of any scalar is drift, and a reset removes it."""
    child = data.draw(st.sampled_from(all_children))
    where = data.draw(st.sampled_from(leaves(child)))
    drifted = change_leaf(child, where)

    assert not matches(drifted, child)
    if "spec" in child:  # a ServiceAccount has none, and is always applied as it is
        assert matches(reset_to_desired(drifted["spec"], child["spec"]), child["spec"])


@CHOSEN
@given(any_children())
def test_the_template_carries_the_selector(all_children: list[Json]) -> None:
    """The API server refuses a Deployment otherwise, and a Service would find no pods."""
    workload = next(child for child in all_children if child["kind"] in WORKLOAD_KINDS)
    labels = workload["spec"]["template"]["metadata"]["labels"]

    for child in all_children:
        selector = child.get("spec", {}).get("selector", {})
        wanted = selector.get("matchLabels", selector)
        assert wanted.items() <= labels.items()
