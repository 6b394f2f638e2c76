"""The config hash of the pod template."""

from dataclasses import replace
from typing import Any

import pytest

from selfhealing.api.config_refs import ABSENT_DIGEST, CONFIG_MAP, UNREAD_DIGEST, ConfigRef
from selfhealing.api.spec import parse_spec
from selfhealing.apply.config_hash import desired_config_hash
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.render.references import hash_config_digests
from tests.unit import builders, snapshots

SETTINGS = ConfigRef(CONFIG_MAP, "settings")
REQUIRED_SPEC = parse_spec(
    {"image": builders.IMAGE, "envFrom": [{"configMapRef": {"name": "settings"}}]}
)
OPTIONAL_SPEC = parse_spec(
    {
        "image": builders.IMAGE,
        "envFrom": [{"configMapRef": {"name": "settings", "optional": True}}],
    }
)


def app_snapshot(digest: str, template: dict[str, Any] | None = None, *more: str) -> AppSnapshot:
    """Return a snapshot with a Deployment of this template; without one, no Deployment."""
    deployment = builders.deployment()
    if template is not None:
        deployment["spec"]["template"] = template
    snapshot = snapshots.build_snapshot(*([] if "new" in more else [deployment]))
    return replace(snapshot, config_digests={SETTINGS: digest})


HASHED_TEMPLATE = {"metadata": {"annotations": {"selfhealing.dev/config": "0123"}}}


def test_existing_objects_count() -> None:
    """The live hash does not matter."""
    assert hash_config_digests({SETTINGS: "a"}) == desired_config_hash(
        app_snapshot("a", HASHED_TEMPLATE), REQUIRED_SPEC
    )
    assert "" == desired_config_hash(
        replace(app_snapshot("a", HASHED_TEMPLATE), config_digests={}), REQUIRED_SPEC
    )


def test_the_live_hash_stays_if_nothing_is_followed() -> None:
    """There are too many references."""
    snapshot = replace(app_snapshot("a", HASHED_TEMPLATE), config_digests={})

    assert "0123" == desired_config_hash(
        replace(snapshot, has_too_many_references=True), REQUIRED_SPEC
    )


def test_the_live_hash_stays_while_an_object_is_missing() -> None:
    """Only a required object keeps the live hash; a missing optional one changes it."""
    assert "0123" == desired_config_hash(
        app_snapshot(ABSENT_DIGEST, HASHED_TEMPLATE), REQUIRED_SPEC
    )
    assert hash_config_digests({SETTINGS: ABSENT_DIGEST}) == desired_config_hash(
        app_snapshot(ABSENT_DIGEST, HASHED_TEMPLATE), OPTIONAL_SPEC
    )


@pytest.mark.parametrize(
    "template",
    [None, {}, {"metadata": {}}, {"metadata": {"annotations": {"other": "a"}}}],
    ids=["no template", "no metadata", "no annotations", "others"],
)
def test_there_is_no_live_hash(template: dict[str, Any] | None) -> None:
    """A Deployment of an older version, or of another owner."""
    assert hash_config_digests({SETTINGS: ABSENT_DIGEST}) == desired_config_hash(
        app_snapshot(ABSENT_DIGEST, template), REQUIRED_SPEC
    )


def test_there_is_no_deployment() -> None:
    """The pods wait, and are replaced when the object is created."""
    assert hash_config_digests({SETTINGS: ABSENT_DIGEST}) == desired_config_hash(
        app_snapshot(ABSENT_DIGEST, None, "new"), REQUIRED_SPEC
    )


def test_the_live_hash_stays_while_an_object_cannot_be_read() -> None:
    """Nobody knows whether it has changed; a Deployment that is new gets its hash later."""
    assert "0123" == desired_config_hash(
        app_snapshot(UNREAD_DIGEST, HASHED_TEMPLATE), OPTIONAL_SPEC
    )
    assert "" == desired_config_hash(app_snapshot(UNREAD_DIGEST, None, "new"), OPTIONAL_SPEC)
