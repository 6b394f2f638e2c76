"""Digests of ConfigMaps and Secrets: what changes them, whom it concerns, what is not kept."""

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
    """View one that holds something."""
    return config_digest(builders.config(kind, **{"data": {"mode": "fast"}, **more}))


class TestDigest:
    """A hash of what something holds, and of nothing else."""

    @KINDS
    @given(data=DATA, more=st.data())
    def test_the_order_does_not_count(self, kind: str, data: Any, more: st.DataObject) -> None:  # noqa: ANN401 - JSON
        """As the API server need not keep it."""
        items = more.draw(st.permutations(list(data.items())))

        assert build_digest(kind, data=data) == build_digest(kind, data=dict(items))

    @KINDS
    @given(one=DATA, two=DATA)
    def test_another_value_is_another_digest(self, kind: str, one: Any, two: Any) -> None:  # noqa: ANN401 - JSON
        """Whichever it is."""
        digests = build_digest(kind, data=one).digest, build_digest(kind, data=two).digest

        assert (one == two) == (digests[0] == digests[1])
        assert {16} == {len(digest) for digest in digests}

    @KINDS
    def test_what_counts(self, kind: str) -> None:
        """The fields that hold something, each on its own, and no labels or versions."""
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

    def test_a_secret_s_digest_cannot_be_tried_out(self) -> None:
        """Who guesses what it holds would have to guess its uid, too."""
        assert build_digest(SECRET, uid="a").digest != build_digest(SECRET, uid="b").digest
        assert build_digest(uid="a").digest == build_digest(uid="b").digest

    @KINDS
    def test_the_contents_are_not_kept(self, kind: str) -> None:
        """Nowhere in what is stored."""
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
    """Two apps of which one refers to more than the other."""
    configs = ConfigIndex()
    configs.set_references(KEY, frozenset({CONFIG_MAP_REF, SECRET_REF}))
    configs.set_references(OTHER, frozenset({CONFIG_MAP_REF}))
    return configs


def test_whom_it_concerns(configs: ConfigIndex) -> None:
    """Those that refer to it, when it comes, changes and goes."""
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
    """The same name elsewhere is something else."""
    assert frozenset() == configs.upsert(build_digest(namespace="bank"))
    assert {CONFIG_MAP_REF: ABSENT_DIGEST} == configs.digests_for(OTHER)


def test_what_is_older_is_no_news(configs: ConfigIndex) -> None:
    """The newer one stays."""
    configs.upsert(build_digest(version=5))

    assert frozenset() == configs.upsert(build_digest(version=4, data={"mode": "slow"}))
    assert {CONFIG_MAP_REF: build_digest().digest} == configs.digests_for(OTHER)


def test_one_that_was_made_anew_stays(configs: ConfigIndex) -> None:
    """The end of the one before is no news any more; nor is that of one that never was."""
    configs.upsert(build_digest(version=5, uid="new"))

    assert frozenset() == configs.delete(CONFIG_MAP, AppKey("shop", "settings"), "old")
    assert frozenset() == configs.delete(CONFIG_MAP, AppKey("shop", "unknown"), "old")
    assert {CONFIG_MAP_REF: build_digest().digest} == configs.digests_for(OTHER)
    assert {"new": AppKey("shop", "settings")} == configs.uids(CONFIG_MAP)
    assert {} == configs.uids(SECRET)


def test_an_app_may_refer_to_others_later(configs: ConfigIndex) -> None:
    """To what came before it, too; and what it referred to no longer concerns it."""
    configs.upsert(build_digest(SECRET))
    configs.set_references(OTHER, frozenset({SECRET_REF}))

    assert {SECRET_REF: build_digest(SECRET).digest} == configs.digests_for(OTHER)
    assert {KEY} == configs.upsert(build_digest())
    assert {KEY, OTHER} == configs.upsert(build_digest(SECRET, version=2, data={}))

    configs.set_references(KEY, frozenset())
    configs.set_references(OTHER, frozenset())

    assert {} == configs.digests_for(KEY)
    assert frozenset() == configs.upsert(build_digest(version=3, data={}))


def test_an_app_that_goes_is_concerned_by_nothing() -> None:
    """Its facts have what it refers to, as long as it is there."""
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
