"""The mark of the configuration that the pods are to run by."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from selfhealing.api.config import ABSENT, CONFIG_MAP, ConfigRef
from selfhealing.api.spec import parse
from selfhealing.apply.config_hash import config_mark
from selfhealing.cache.snapshot import Facts
from selfhealing.render.references import mark
from tests.unit import builders, snapshots

SETTINGS = ConfigRef(CONFIG_MAP, "settings")
MUST = parse({"image": builders.IMAGE, "envFrom": [{"configMapRef": {"name": "settings"}}]})
MAY = parse(
    {
        "image": builders.IMAGE,
        "envFrom": [{"configMapRef": {"name": "settings", "optional": True}}],
    }
)


def facts(digest: str, template: dict[str, Any] | None = None, *more: str) -> Facts:
    """An app whose Deployment has this template; without one there is no Deployment."""
    thing = builders.deployment()
    if template is not None:
        thing["spec"]["template"] = template
    found = snapshots.facts(*([] if "new" in more else [thing]))
    return replace(found, config={SETTINGS: digest})


MARKED = {"metadata": {"annotations": {"selfhealing.dev/config": "0123"}}}


def test_what_is_there_counts() -> None:
    """Whatever the Deployment has."""
    assert mark({SETTINGS: "a"}) == config_mark(facts("a", MARKED), MUST)
    assert "" == config_mark(replace(facts("a", MARKED), config={}), MUST)


def test_while_something_is_missing_the_mark_stays() -> None:
    """If a pod cannot start without it; else that it is missing is a state like another."""
    assert "0123" == config_mark(facts(ABSENT, MARKED), MUST)
    assert mark({SETTINGS: ABSENT}) == config_mark(facts(ABSENT, MARKED), MAY)


@pytest.mark.parametrize(
    "template",
    [None, {}, {"metadata": {}}, {"metadata": {"annotations": {"other": "a"}}}],
    ids=["no template", "no metadata", "no annotations", "others"],
)
def test_there_is_no_mark_yet(template: dict[str, Any] | None) -> None:
    """A Deployment of a time before, or of somebody else's making."""
    assert mark({SETTINGS: ABSENT}) == config_mark(facts(ABSENT, template), MUST)


def test_there_is_no_deployment_yet() -> None:
    """Its pods will wait, and are made anew when what they wait for comes."""
    assert mark({SETTINGS: ABSENT}) == config_mark(facts(ABSENT, None, "new"), MUST)


def test_a_deployment_s_document_may_be_empty() -> None:
    """A view need not have read a spec."""
    found = facts(ABSENT)
    deployment = found.children["Deployment"]
    bare = replace(deployment, document=orjson.dumps({"spec": {}}))

    assert mark({SETTINGS: ABSENT}) == config_mark(
        replace(found, children={"Deployment": bare}), MUST
    )
