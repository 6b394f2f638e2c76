"""Digests of ConfigMaps and Secrets: what changes them, which apps read them, what is not kept."""

import pickle
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given, strategies as st

from selfhealing.api.config_refs import ABSENT_DIGEST, CONFIG_MAP, SECRET, ConfigRef
from selfhealing.cache.config_digests import ConfigDigest, ConfigIndex, config_digest
from selfhealing.cache.parse import app_view
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from tests.unit import builders

KEY, OTHER = AppKey("shop", "web"), AppKey("shop", "other")
CONFIG_MAP_REF, SECRET_REF = ConfigRef(CONFIG_MAP, "settings"), ConfigRef(SECRET, "settings")

DATA = st.dictionaries(st.text(), st.text(), max_size=5)
KINDS = pytest.mark.parametrize("kind", [CONFIG_MAP, SECRET])


def build_digest(kind: str = CONFIG_MAP, **more: Any) -> ConfigDigest:  # noqa: ANN401 - JSON
    """Return the digest of a ConfigMap or Secret with these contents."""
    return config_digest(builders.config(kind, **{"data": {"mode": "fast"}, **more}))


class TestDigest:
    """The digest is a hash of the contents only."""

    @KINDS
    @given(data=DATA, more=st.data())
    def test_the_order_of_keys_does_not_count(
        self,
        kind: str,
        data: Any,  # noqa: ANN401 - JSON
        more: st.DataObject,
    ) -> None:
        """The API server need not keep the order of keys."""
        items = more.draw(st.permutations(list(data.items())))

        assert build_digest(kind, data=data) == build_digest(kind, data=dict(items))

    @KINDS
    @given(one=DATA, two=DATA)
    def test_another_value_is_another_digest(self, kind: str, one: Any, two: Any) -> None:  # noqa: ANN401 - JSON
        """Any change of the contents changes the digest."""
        digests = build_digest(kind, data=one).digest, build_digest(kind, data=two).digest

        assert (one == two) == (digests[0] == digests[1])
        assert {16} == {len(digest) for digest in digests}

    @KINDS
    def test_fields_that_count(self, kind: str) -> None:
        """Each field with contents counts; labels and resource versions do not."""
        a = {"a": "YQ=="}
        found = {
            build_digest(kind, data=a).digest,
            build_digest(kind, data={}, binaryData=a).digest,
            build_digest(kind, data={}, stringData=a).digest,
            build_digest(kind, data=None).digest,
        }

        assert 4 == len(found)
        assert (
            build_digest(kind).digest
            == build_digest(kind, version=9, labels={"seen": "yes"}).digest
        )
        assert build_digest(kind).digest != ABSENT_DIGEST

    def test_a_secret_s_digest_is_salted(self) -> None:
        """Two Secrets with the same contents have different digests, because of their UIDs."""
        assert build_digest(SECRET, uid="a").digest != build_digest(SECRET, uid="b").digest
        assert build_digest(uid="a").digest == build_digest(uid="b").digest

    @KINDS
    def test_the_contents_are_not_kept(self, kind: str) -> None:
        """No part of the contents is in the stored digest."""
        words = {"data": "hidden-word", "binaryData": "other-word", "stringData": "third-word"}
        held: dict[str, Any] = {field: {"k": word} for field, word in words.items()}
        thing = builders.config(kind, **held)
        configs = ConfigIndex()
        configs.upsert(config_digest(thing))
        stored = pickle.dumps(vars(configs))

        assert b"settings" in stored
        for word in words.values():
            assert word.encode() not in stored
            assert b64encode(word.encode()) not in stored


@pytest.fixture
def configs() -> ConfigIndex:
    """An index with two apps, one of which has more references."""
    configs = ConfigIndex()
    configs.set_references(KEY, frozenset({CONFIG_MAP_REF, SECRET_REF}))
    configs.set_references(OTHER, frozenset({CONFIG_MAP_REF}))
    return configs


def test_changes_return_the_readers(configs: ConfigIndex) -> None:
    """The readers are returned when an object is added, changed or deleted."""
    assert {KEY, OTHER} == configs.upsert(build_digest())
    assert {KEY} == configs.upsert(build_digest(SECRET))
    assert frozenset() == configs.upsert(build_digest(version=2, labels={"seen": "yes"}))
    assert {KEY, OTHER} == configs.upsert(build_digest(version=3, data={"mode": "slow"}))
    assert {KEY} == configs.delete(SECRET, AppKey("shop", "settings"), "uid-of-settings")
    assert {
        CONFIG_MAP_REF: build_digest(data={"mode": "slow"}).digest,
        SECRET_REF: ABSENT_DIGEST,
    } == configs.digests_for(KEY)


def test_names_are_those_of_a_namespace(configs: ConfigIndex) -> None:
    """An object of the same name in another namespace does not count."""
    assert frozenset() == configs.upsert(build_digest(namespace="bank"))
    assert {CONFIG_MAP_REF: ABSENT_DIGEST} == configs.digests_for(OTHER)


def test_an_older_version_is_ignored(configs: ConfigIndex) -> None:
    """An older version does not replace a newer one."""
    configs.upsert(build_digest(version=5))

    assert frozenset() == configs.upsert(build_digest(version=4, data={"mode": "slow"}))
    assert {CONFIG_MAP_REF: build_digest().digest} == configs.digests_for(OTHER)


def test_a_recreated_object_stays(configs: ConfigIndex) -> None:
    """The deletion of an earlier object of this name, or of an unknown one, changes nothing."""
    configs.upsert(build_digest(version=5, uid="new"))

    assert frozenset() == configs.delete(CONFIG_MAP, AppKey("shop", "settings"), "old")
    assert frozenset() == configs.delete(CONFIG_MAP, AppKey("shop", "unknown"), "old")
    assert {CONFIG_MAP_REF: build_digest().digest} == configs.digests_for(OTHER)
    assert {"new": AppKey("shop", "settings")} == configs.uids(CONFIG_MAP)
    assert {} == configs.uids(SECRET)


def test_an_app_may_refer_to_others_later(configs: ConfigIndex) -> None:
    """New references find objects that are already stored; removed ones no longer count."""
    configs.upsert(build_digest(SECRET))
    configs.set_references(OTHER, frozenset({SECRET_REF}))

    assert {SECRET_REF: build_digest(SECRET).digest} == configs.digests_for(OTHER)
    assert {KEY} == configs.upsert(build_digest())
    assert {KEY, OTHER} == configs.upsert(build_digest(SECRET, version=2, data={}))

    configs.set_references(KEY, frozenset())
    configs.set_references(OTHER, frozenset())

    assert {} == configs.digests_for(KEY)
    assert frozenset() == configs.upsert(build_digest(version=3, data={}))


def test_a_deleted_app_has_no_references() -> None:
    """The references of a deleted app are removed."""
    store = Store()
    store.upsert_app(app_view(builders.app()))
    store.config_index.upsert(build_digest())
    store.config_index.set_references(KEY, frozenset({CONFIG_MAP_REF, SECRET_REF}))
    facts = store.snapshot(KEY)

    assert facts is not None
    assert {
        CONFIG_MAP_REF: build_digest().digest,
        SECRET_REF: ABSENT_DIGEST,
    } == facts.config_digests
    assert {"uid-of-settings": AppKey("shop", "settings")} == store.uids(CONFIG_MAP)

    store.delete_app(KEY, builders.APP_UID)

    assert {} == store.config_index.digests_for(KEY)
    assert frozenset() == store.config_index.upsert(build_digest(version=2, data={}))
