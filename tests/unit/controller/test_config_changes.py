"""Which configuration has changed since the children were last in sync."""

from selfhealing.api.config_refs import ABSENT_DIGEST, UNREAD_DIGEST, ConfigRef
from selfhealing.cache.views import AppKey
from selfhealing.controller.config_changes import ConfigChanges

KEY = AppKey("shop", "web")
SETTINGS, PASSWORD = ConfigRef("ConfigMap", "settings"), ConfigRef("Secret", "password")
FIRST = {SETTINGS: "1", PASSWORD: "1"}


def synced() -> ConfigChanges:
    """An app that is in sync with its first configuration."""
    changes = ConfigChanges()
    changes.note_synced(KEY, 1, FIRST)
    return changes


def test_what_has_changed() -> None:
    """Each object with another digest, also one that is gone; until the children are in sync."""
    changes = synced()

    assert () == changes.find(KEY, 1, FIRST)
    assert (SETTINGS,) == changes.find(KEY, 1, {**FIRST, SETTINGS: "2"})
    assert (PASSWORD,) == changes.find(KEY, 1, {**FIRST, PASSWORD: ABSENT_DIGEST})
    changes.note_synced(KEY, 1, {**FIRST, SETTINGS: "2"})
    assert () == changes.find(KEY, 1, {**FIRST, SETTINGS: "2"})


def test_what_nobody_can_tell() -> None:
    """At the first reconcile, after a change of the spec, and while an object is unread."""
    changes = synced()

    assert () == ConfigChanges().find(KEY, 1, FIRST)
    assert () == changes.find(KEY, 2, {**FIRST, SETTINGS: "2"})
    assert () == changes.find(KEY, 1, {**FIRST, SETTINGS: UNREAD_DIGEST})
    changes.note_synced(KEY, 1, {**FIRST, SETTINGS: UNREAD_DIGEST})
    assert (SETTINGS,) == changes.find(KEY, 1, {**FIRST, SETTINGS: "2"})
    changes.forget(KEY)
    assert () == changes.find(KEY, 1, {**FIRST, SETTINGS: "2"})
