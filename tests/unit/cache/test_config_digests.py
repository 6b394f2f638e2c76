"""Digests of ConfigMaps and Secrets: what changes them, which apps read them, what is not kept."""

import hashlib
import pickle
from base64 import b64encode
from itertools import combinations
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, strategies as st

from selfhealing.api.config_refs import (
    ABSENT_DIGEST,
    CONFIG_MAP,
    SECRET,
    UNREAD_DIGEST,
    ConfigObject,
    ConfigRef,
)
from selfhealing.cache import config_digests
from selfhealing.cache.config_digests import (
    ABSENT,
    MAX_KEYS,
    ConfigDigest,
    ConfigIndex,
    config_digest,
    copy_digests,
    select_contents,
)
from selfhealing.cache.parse import app_view
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from tests.unit import builders

KEY, OTHER = AppKey("shop", "web"), AppKey("shop", "other")
CONFIG_MAP_REF, SECRET_REF = ConfigRef(CONFIG_MAP, "settings"), ConfigRef(SECRET, "settings")

DATA = st.dictionaries(st.text() | st.sampled_from("abcd"), st.text(), max_size=5)
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
        target = ConfigObject("shop", ConfigRef(kind, "settings"))
        configs.set_references(KEY, {target.reference: None})
        configs.upsert(target, config_digest(thing))
        stored = pickle.dumps(vars(configs))

        assert b"settings" in stored
        for word in words.values():
            assert word.encode() not in stored
            assert b64encode(word.encode()) not in stored

    def test_which_values_have_digests(self) -> None:
        """Those of a ConfigMap with few keys: the keys of a Secret are not for everybody."""
        few = build_digest(data={"mode": "fast"}, binaryData={"logo": "AAAA"}).keys

        assert {"mode", "logo"} == few.keys()
        assert few["mode"] != few["logo"]
        assert few["mode"] == build_digest(data={"mode": "fast", "level": "1"}).keys["mode"]
        assert not build_digest(SECRET).keys
        assert not build_digest(data={str(n): "x" for n in range(MAX_KEYS + 1)}).keys


MAP, SECRET_OBJECT = ConfigObject("shop", CONFIG_MAP_REF), ConfigObject("shop", SECRET_REF)


@pytest.fixture
def configs() -> ConfigIndex:
    """An index with two apps, one of which has more references."""
    configs = ConfigIndex()
    configs.set_references(KEY, {CONFIG_MAP_REF: None, SECRET_REF: None})
    configs.set_references(OTHER, {CONFIG_MAP_REF: None})
    return configs


def test_changes_return_the_readers(configs: ConfigIndex) -> None:
    """The readers are returned when an object is first read, changed or deleted."""
    assert {KEY, OTHER} == configs.upsert(MAP, build_digest())
    assert {KEY} == configs.upsert(SECRET_OBJECT, build_digest(SECRET))
    assert frozenset() == configs.upsert(MAP, build_digest(version=2, labels={"seen": "yes"}))
    assert {KEY, OTHER} == configs.upsert(MAP, build_digest(version=3, data={"mode": "slow"}))
    assert {KEY} == configs.upsert(SECRET_OBJECT, ABSENT)
    assert {
        CONFIG_MAP_REF: build_digest(data={"mode": "slow"}).digest,
        SECRET_REF: ABSENT_DIGEST,
    } == configs.digests_for(KEY)
    assert {CONFIG_MAP_REF: build_digest(data={"mode": "slow"}).keys} == configs.key_digests_for(
        KEY
    )


def test_only_the_keys_that_an_app_reads_count() -> None:
    """A change of another key concerns the app that reads all of them."""
    configs = ConfigIndex()
    configs.set_references(KEY, {CONFIG_MAP_REF: frozenset({"mine"})})
    configs.set_references(OTHER, {CONFIG_MAP_REF: None})

    def store(**data: str) -> frozenset[AppKey]:
        raw = builders.config(data=data)
        return configs.upsert(MAP, config_digest(raw, configs.selections(MAP)))

    assert {KEY, OTHER} == store(mine="1", other="1")
    before = configs.digests_for(KEY)
    assert {OTHER} == store(mine="1", other="2")
    assert before == configs.digests_for(KEY)
    assert {KEY, OTHER} == store(mine="2", other="2")
    assert {KEY, OTHER} == configs.upsert(MAP, ABSENT)
    assert {CONFIG_MAP_REF: ABSENT_DIGEST} == configs.digests_for(KEY)
    assert {KEY, OTHER} == store(other="2")


def test_other_keys_have_to_be_read() -> None:
    """The contents are not kept, so their digest is not known."""
    configs = ConfigIndex()
    configs.set_references(KEY, {CONFIG_MAP_REF: frozenset({"a"})})
    raw = builders.config(data={"a": "1", "b": "1"}, binaryData={"c": "YQ=="})
    configs.upsert(MAP, config_digest(raw, configs.selections(MAP)))
    configs.set_references(KEY, {CONFIG_MAP_REF: frozenset({"a", "c"})})

    assert {CONFIG_MAP_REF: UNREAD_DIGEST} == configs.digests_for(KEY)
    assert {MAP} == set(configs.find_unread(KEY))
    assert {KEY} == configs.upsert(MAP, config_digest(raw, configs.selections(MAP)))
    assert set() == set(configs.find_unread(KEY))


def test_selected_contents() -> None:
    """A copy of them, or of all contents, is known by its digests."""
    raw = builders.config(data={"a": "1", "b": "1"}, binaryData={"c": "YQ=="})
    keys = frozenset({"a", "c", "missing"})
    selected = select_contents(raw, keys)

    assert ({"a": "1"}, {"c": "YQ=="}) == (selected["data"], selected["binaryData"])
    assert config_digest(raw, [keys]).of_keys(keys) in copy_digests(selected)
    assert config_digest(raw).digest in copy_digests(raw)
    assert copy_digests(raw).isdisjoint(copy_digests(selected))
    assert copy_digests({**raw, "data": None}).isdisjoint(copy_digests(raw))
    assert raw is select_contents(raw, None)


SELECTION = st.frozensets(st.sampled_from("abcd"))


@KINDS
@given(one=DATA, two=DATA, keys=SELECTION)
def test_the_digest_of_some_keys_is_that_of_their_values(
    kind: str, one: dict[str, str], two: dict[str, str], keys: frozenset[str]
) -> None:
    """Whatever else the object has."""
    digests = [
        config_digest(builders.config(kind, data=data), [keys]).of_keys(keys) for data in (one, two)
    ]
    selected = [{key: data[key] for key in keys & data.keys()} for data in (one, two)]

    assert (digests[0] == digests[1]) == (selected[0] == selected[1])


@KINDS
def test_the_field_of_a_key_counts(kind: str) -> None:
    """The same text is another content in binaryData."""
    keys = frozenset({"a"})
    found = {
        config_digest(builders.config(kind, **contents), [keys]).of_keys(keys)
        for contents in cast(
            "list[dict[str, Any]]",
            [{"data": {"a": "YQ=="}}, {"data": {}, "binaryData": {"a": "YQ=="}}],
        )
    }

    assert 2 == len(found)


def test_a_secret_s_digest_of_keys_is_salted() -> None:
    """As that of all contents."""
    keys = frozenset({"mode"})
    found = {
        config_digest(builders.config(SECRET, data={"mode": "fast"}, uid=uid), [keys]).of_keys(keys)
        for uid in "ab"
    }

    assert 2 == len(found)


def test_each_value_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """196 apps with other keys of one ConfigMap of 1 MiB held the event loop up for 2.2 s."""
    hashed: list[int] = []

    def count(text: bytes) -> Any:  # noqa: ANN401 - a hash of hashlib
        hashed.append(len(text))
        return hashlib.sha256(text)

    monkeypatch.setattr(config_digests, "hashlib", SimpleNamespace(sha256=count))
    names = [f"key{number}" for number in range(12)]
    raw = builders.config(data=dict.fromkeys(names, 80000 * "x"))
    selections = [frozenset(pair) for pair in combinations(names, 8)]

    assert 495 == len(config_digest(raw, selections).by_keys)
    assert sum(hashed) < 2 * 12 * 80_100 + len(selections) * 8 * 100


def test_an_object_that_was_not_read_is_neither_there_nor_missing(configs: ConfigIndex) -> None:
    """Its digest is unknown, whatever a watch has told of it."""
    assert {CONFIG_MAP_REF: UNREAD_DIGEST} == configs.digests_for(OTHER)
    assert {MAP} == set(configs.find_unread(OTHER))
    assert configs.is_outdated(MAP, 0)

    configs.upsert(MAP, ABSENT)

    assert {CONFIG_MAP_REF: ABSENT_DIGEST} == configs.digests_for(OTHER)
    assert set() == set(configs.find_unread(OTHER))
    assert configs.is_outdated(MAP, 1)


def test_only_a_newer_version_has_to_be_read(configs: ConfigIndex) -> None:
    """And only of an object that an app refers to."""
    configs.upsert(MAP, build_digest(version=5))

    assert not configs.is_outdated(MAP, 5)
    assert configs.is_outdated(MAP, 6)
    assert not configs.is_outdated(ConfigObject("bank", CONFIG_MAP_REF), 6)


def test_nothing_is_kept_of_an_object_without_readers(configs: ConfigIndex) -> None:
    """Neither of one that never had any, nor of one whose last reader is gone."""
    stranger = ConfigObject("bank", CONFIG_MAP_REF)

    assert frozenset() == configs.upsert(stranger, build_digest())
    assert set() == configs.find_existing(CONFIG_MAP, None)

    configs.upsert(MAP, build_digest())
    configs.set_references(KEY, {})

    assert {MAP} == configs.find_existing(CONFIG_MAP, None)
    assert {OTHER} == configs.readers(MAP)

    configs.set_references(OTHER, {})

    assert set() == configs.find_existing(CONFIG_MAP, None)
    assert ConfigIndex().__dict__ == configs.__dict__


def test_those_that_exist_are_found_by_kind_and_namespace(configs: ConfigIndex) -> None:
    """Missing ones are none of them."""
    configs.upsert(MAP, build_digest())
    configs.upsert(SECRET_OBJECT, ABSENT)

    assert {MAP} == configs.find_existing(CONFIG_MAP, "shop")
    assert set() == configs.find_existing(CONFIG_MAP, "bank")
    assert set() == configs.find_existing(SECRET, None)


def test_a_deleted_app_has_no_references() -> None:
    """The references of a deleted app are removed."""
    store = Store()
    store.upsert_app(app_view(builders.app()))
    store.config_index.set_references(KEY, {CONFIG_MAP_REF: None, SECRET_REF: None})
    store.config_index.upsert(MAP, build_digest())
    facts = store.snapshot(KEY)

    assert facts is not None
    assert {
        CONFIG_MAP_REF: build_digest().digest,
        SECRET_REF: UNREAD_DIGEST,
    } == facts.config_digests

    store.delete_app(KEY, builders.APP_UID)

    assert {} == store.config_index.digests_for(KEY)
    assert frozenset() == store.config_index.readers(MAP)
