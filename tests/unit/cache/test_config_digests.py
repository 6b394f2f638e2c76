"""Digests of ConfigMaps and Secrets: what changes them, whom it concerns, what is not kept."""

import pickle
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given, strategies as st

from selfhealing.api.config import ABSENT, CONFIG_MAP, SECRET, ConfigRef
from selfhealing.cache.config_digests import Configs, ConfigView, config_view
from selfhealing.cache.parse import app_view
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from tests.unit import builders

KEY, OTHER = AppKey("shop", "web"), AppKey("shop", "other")
MAP, HIDDEN = ConfigRef(CONFIG_MAP, "settings"), ConfigRef(SECRET, "settings")

DATA = st.dictionaries(st.text(), st.text(), max_size=5)
KINDS = pytest.mark.parametrize("kind", [CONFIG_MAP, SECRET])


def view(kind: str = CONFIG_MAP, **more: Any) -> ConfigView:  # noqa: ANN401 - JSON
    """View one that holds something."""
    return config_view(builders.config(kind, **{"data": {"mode": "fast"}, **more}))


class TestDigest:
    """A hash of what something holds, and of nothing else."""

    @KINDS
    @given(data=DATA, more=st.data())
    def test_the_order_does_not_count(self, kind: str, data: Any, more: st.DataObject) -> None:  # noqa: ANN401 - JSON
        """As the API server need not keep it."""
        items = more.draw(st.permutations(list(data.items())))

        assert view(kind, data=data) == view(kind, data=dict(items))

    @KINDS
    @given(one=DATA, two=DATA)
    def test_another_value_is_another_digest(self, kind: str, one: Any, two: Any) -> None:  # noqa: ANN401 - JSON
        """Whichever it is."""
        digests = view(kind, data=one).digest, view(kind, data=two).digest

        assert (one == two) == (digests[0] == digests[1])
        assert {16} == {len(digest) for digest in digests}

    @KINDS
    def test_what_counts(self, kind: str) -> None:
        """The fields that hold something, each on its own, and no labels or versions."""
        a = {"a": "YQ=="}
        found = {
            view(kind, data=a).digest,
            view(kind, data={}, binaryData=a).digest,
            view(kind, data={}, stringData=a).digest,
            view(kind, data=None).digest,
        }

        assert 4 == len(found)
        assert view(kind).digest == view(kind, version=9, labels={"seen": "yes"}).digest
        assert view(kind).digest != ABSENT

    def test_a_secret_s_digest_cannot_be_tried_out(self) -> None:
        """Who guesses what it holds would have to guess its uid, too."""
        assert view(SECRET, uid="a").digest != view(SECRET, uid="b").digest
        assert view(uid="a").digest == view(uid="b").digest

    @KINDS
    def test_the_contents_are_not_kept(self, kind: str) -> None:
        """Nowhere in what is stored."""
        words = {"data": "hidden-word", "binaryData": "other-word", "stringData": "third-word"}
        held: dict[str, Any] = {field: {"k": word} for field, word in words.items()}
        thing = builders.config(kind, **held)
        configs = Configs()
        configs.put(config_view(thing))
        stored = pickle.dumps(vars(configs))

        assert b"settings" in stored
        for word in words.values():
            assert word.encode() not in stored
            assert b64encode(word.encode()) not in stored


@pytest.fixture
def configs() -> Configs:
    """Two apps of which one refers to more than the other."""
    configs = Configs()
    configs.refer(KEY, frozenset({MAP, HIDDEN}))
    configs.refer(OTHER, frozenset({MAP}))
    return configs


def test_whom_it_concerns(configs: Configs) -> None:
    """Those that refer to it, when it comes, changes and goes."""
    assert {KEY, OTHER} == configs.put(view())
    assert {KEY} == configs.put(view(SECRET))
    assert frozenset() == configs.put(view(version=2, labels={"seen": "yes"}))
    assert {KEY, OTHER} == configs.put(view(version=3, data={"mode": "slow"}))
    assert {KEY} == configs.drop(SECRET, AppKey("shop", "settings"), "uid-of-settings")
    assert {MAP: view(data={"mode": "slow"}).digest, HIDDEN: ABSENT} == configs.of(KEY)


def test_names_are_those_of_a_namespace(configs: Configs) -> None:
    """The same name elsewhere is something else."""
    assert frozenset() == configs.put(view(namespace="bank"))
    assert {MAP: ABSENT} == configs.of(OTHER)


def test_what_is_older_is_no_news(configs: Configs) -> None:
    """The newer one stays."""
    configs.put(view(version=5))

    assert frozenset() == configs.put(view(version=4, data={"mode": "slow"}))
    assert {MAP: view().digest} == configs.of(OTHER)


def test_one_that_was_made_anew_stays(configs: Configs) -> None:
    """The end of the one before is no news any more; nor is that of one that never was."""
    configs.put(view(version=5, uid="new"))

    assert frozenset() == configs.drop(CONFIG_MAP, AppKey("shop", "settings"), "old")
    assert frozenset() == configs.drop(CONFIG_MAP, AppKey("shop", "unknown"), "old")
    assert {MAP: view().digest} == configs.of(OTHER)
    assert {"new": AppKey("shop", "settings")} == configs.uids(CONFIG_MAP)
    assert {} == configs.uids(SECRET)


def test_an_app_may_refer_to_others_later(configs: Configs) -> None:
    """To what came before it, too; and what it referred to no longer concerns it."""
    configs.put(view(SECRET))
    configs.refer(OTHER, frozenset({HIDDEN}))

    assert {HIDDEN: view(SECRET).digest} == configs.of(OTHER)
    assert {KEY} == configs.put(view())
    assert {KEY, OTHER} == configs.put(view(SECRET, version=2, data={}))

    configs.refer(KEY, frozenset())
    configs.refer(OTHER, frozenset())

    assert {} == configs.of(KEY)
    assert frozenset() == configs.put(view(version=3, data={}))


def test_an_app_that_goes_is_concerned_by_nothing() -> None:
    """Its facts have what it refers to, as long as it is there."""
    store = Store()
    store.put_app(app_view(builders.app()))
    store.configs.put(view())
    store.configs.refer(KEY, frozenset({MAP, HIDDEN}))
    facts = store.facts(KEY)

    assert facts is not None
    assert {MAP: view().digest, HIDDEN: ABSENT} == facts.config
    assert {"uid-of-settings": AppKey("shop", "settings")} == store.uids(CONFIG_MAP)

    store.drop_app(KEY, builders.APP_UID)

    assert {} == store.configs.of(KEY)
    assert frozenset() == store.configs.put(view(version=2, data={}))
