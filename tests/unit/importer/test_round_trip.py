"""Nothing that manifests say is lost: it is rendered again, or named with a reason."""

import copy
from typing import Any

from hypothesis import HealthCheck, assume, given, settings, strategies as st

from selfhealing.api.errors import InvalidSpecError
from selfhealing.api.spec import parse_spec
from selfhealing.importer.object_text import ImportRefusedError, read_objects
from selfhealing.importer.run import import_app
from selfhealing.importer.yaml_text import format_result
from selfhealing.render import Owner, build_children
from tests.unit.api.strategies import specs
from tests.unit.examples import scale_examples
from tests.unit.importer.leaves import find_lost, render
from tests.unit.importer.manifests import gaps

Json = dict[str, Any]

CHOSEN = settings(
    max_examples=scale_examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
KINDS = (
    "Deployment",
    "Service",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "Ingress",
    "ServiceAccount",
)


@st.composite
def manifests(draw: st.DrawFn) -> list[Json]:
    """Generate a Deployment with what belongs to it, as people write them."""
    try:
        spec = parse_spec(draw(specs()))
    except InvalidSpecError:
        assume(False)
        raise
    children = build_children(Owner("shop", "web", "uid-of-web"), spec)
    objects = [copy.deepcopy(child) for child in children if child["kind"] in KINDS]
    assume(objects and any(each["kind"] == "Deployment" for each in objects))
    return objects


SCALARS = st.none() | st.booleans() | st.integers(-5, 100_000) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=4,
)


def replace_somewhere(data: st.DataObject, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Replace a part of a value by anything."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    if not keys:
        return data.draw(VALUES)
    key = data.draw(st.sampled_from(keys))
    inner = value[key]
    goes_on = isinstance(inner, dict | list) and data.draw(st.integers(0, 4)) > 0
    new = replace_somewhere(data, inner) if goes_on else data.draw(VALUES)
    if isinstance(value, dict):
        return {**value, key: new}
    return [*value[:key], new, *value[key + 1 :]]


@CHOSEN
@given(manifests())
def test_every_leaf_is_rendered_again_or_named(objects: list[Json]) -> None:
    result = import_app(objects)

    assert [] == find_lost(objects, result)


@CHOSEN
@given(manifests())
def test_an_imported_app_is_imported_as_itself(objects: list[Json]) -> None:
    """What the operator renders of an app is imported without any loss."""
    children = render(import_app(objects))
    again = import_app(list(children.values()))

    assert {} == gaps(again)
    assert children == render(again)


@CHOSEN
@given(manifests(), st.data())
def test_any_manifest_is_imported_or_refused(objects: list[Json], data: st.DataObject) -> None:
    """Whatever stands in the files, nothing is lost, and there is no other error."""
    for _ in range(3):
        objects = [
            each if isinstance(each, dict) else {} for each in replace_somewhere(data, objects)
        ]
    try:
        result = import_app(objects)
    except ImportRefusedError:
        return
    assert read_objects(format_result(result), "result") == [result.app]
    assert [] == find_lost(objects, result)
