"""Which configuration has changed since the children were last in sync."""

from collections.abc import Mapping

from selfhealing.api.config_refs import ABSENT_DIGEST, UNREAD_DIGEST, ChangedConfig, ConfigRef
from selfhealing.cache.views import AppKey
from selfhealing.controller.config_changes import ConfigChanges, Configuration

KEY = AppKey("shop", "web")
SETTINGS, PASSWORD = ConfigRef("ConfigMap", "settings"), ConfigRef("Secret", "password")


def configured(
    settings: str = "1",
    password: str = "1",  # noqa: S107 - a digest
    *,
    generation: int = 1,
    keys: Mapping[str, str] | None = None,
) -> Configuration:
    """The configuration of an app that reads a ConfigMap and a Secret."""
    digests = {SETTINGS: settings, PASSWORD: password}
    return Configuration(generation, digests, {SETTINGS: keys} if keys else {})


def synced(keys: Mapping[str, str] | None = None) -> ConfigChanges:
    """An app that is in sync with its first configuration."""
    changes = ConfigChanges()
    changes.note_synced(KEY, configured(keys=keys))
    return changes


def test_what_has_changed() -> None:
    """Each object with another digest, also one that is gone; until the children are in sync."""
    changes = synced()

    assert () == changes.find(KEY, configured())
    assert (ChangedConfig(SETTINGS),) == changes.find(KEY, configured("2"))
    assert (ChangedConfig(PASSWORD),) == changes.find(KEY, configured(password=ABSENT_DIGEST))
    changes.note_synced(KEY, configured("2"))
    assert () == changes.find(KEY, configured("2"))


def test_which_keys_have_changed() -> None:
    """Those that are new, gone or have another value; none if one side is not known."""
    changes = synced({"mode": "1", "level": "1", "old": "1"})

    (found,) = changes.find(KEY, configured("2", keys={"mode": "2", "level": "1", "new": "1"}))

    assert ChangedConfig(SETTINGS, ("mode", "new", "old")) == found
    assert (ChangedConfig(SETTINGS),) == changes.find(KEY, configured(ABSENT_DIGEST))
    assert (ChangedConfig(SETTINGS),) == synced().find(KEY, configured("2", keys={"mode": "2"}))


def test_what_nobody_can_tell() -> None:
    """At the first reconcile, after a change of the spec, and while an object is unread."""
    changes = synced()

    assert () == ConfigChanges().find(KEY, configured())
    assert () == changes.find(KEY, configured("2", generation=2))
    assert () == changes.find(KEY, configured(UNREAD_DIGEST))
    changes.note_synced(KEY, configured(UNREAD_DIGEST))
    assert (ChangedConfig(SETTINGS),) == changes.find(KEY, configured("2"))
    changes.forget(KEY)
    assert () == changes.find(KEY, configured("2"))


def test_a_change_that_is_not_applied_yet() -> None:
    """A reconcile while changes settle has the digest of before, and the values of now."""
    changes = synced({"mode": "1", "level": "1"})
    changes.note_synced(KEY, configured("1", keys={"mode": "2", "level": "1"}))

    (found,) = changes.find(KEY, configured("2", keys={"mode": "2", "level": "1"}))

    assert ChangedConfig(SETTINGS, ("mode",)) == found
