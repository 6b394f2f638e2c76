"""What the pods read, wherever it stands in a spec, and the mark of it."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from selfhealing.api.config_refs import (
    ABSENT_DIGEST,
    CONFIG_MAP,
    ROOT_CA_CONFIG_MAP,
    SECRET,
    ConfigRef,
)
from selfhealing.api.spec import SelfHealingAppSpec, parse_spec
from selfhealing.render import Owner, build_children
from selfhealing.render.overrides import template_revision
from selfhealing.render.pod import build_pod_template
from selfhealing.render.references import (
    find_references,
    hash_config_digests,
    required_references,
    tracked_references,
)

Json = dict[str, Any]

SETTINGS, PASSWORD = ConfigRef(CONFIG_MAP, "settings"), ConfigRef(SECRET, "password")


def spec(**fields: object) -> SelfHealingAppSpec:
    """A spec with these fields."""
    return parse_spec({"image": "web:v1", **fields})


def value(field: str, name: str, **more: object) -> list[Json]:
    """Variables of which one is read from somewhere, and others are not."""
    target = {"name": name, "key": "k", **more}
    return [
        {"name": "A", "value": "a"},
        {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "C", "valueFrom": {field: target}},
    ]


def volume(**source: object) -> list[Json]:
    """Volumes of which one is this."""
    return [{"name": "cache", "emptyDir": {}}, {"name": "it", **source}]


def container(**fields: object) -> list[Json]:
    """Containers of which one has these fields."""
    return [{"name": "none", "image": "i"}, {"name": "it", "image": "i", **fields}]


READS: list[tuple[Json, ConfigRef]] = [
    ({"env": value("configMapKeyRef", "settings")}, SETTINGS),
    ({"env": value("secretKeyRef", "password")}, PASSWORD),
    ({"envFrom": [{"prefix": "A_", "configMapRef": {"name": "settings"}}]}, SETTINGS),
    ({"envFrom": [{"secretRef": {"name": "password"}}]}, PASSWORD),
    ({"volumes": volume(configMap={"name": "settings"})}, SETTINGS),
    ({"volumes": volume(secret={"secretName": "password"})}, PASSWORD),
    (
        {"volumes": volume(projected={"sources": [{"configMap": {"name": "settings"}}]})},
        SETTINGS,
    ),
    ({"volumes": volume(projected={"sources": [{"secret": {"name": "password"}}]})}, PASSWORD),
    ({"initContainers": container(env=value("secretKeyRef", "password"))}, PASSWORD),
    ({"sidecars": container(envFrom=[{"configMapRef": {"name": "settings"}}])}, SETTINGS),
]


@pytest.mark.parametrize(("fields", "found"), READS)
def test_everything_that_a_pod_reads(fields: Json, found: ConfigRef) -> None:
    """It must be there, unless something else is said."""
    assert {found} == find_references(spec(**fields)) == required_references(spec(**fields))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"imagePullSecrets": [{"name": "registry"}]},
        {"volumes": volume(projected={"sources": [{"downwardAPI": {"items": []}}]})},
        {"volumes": volume(configMap={"name": ROOT_CA_CONFIG_MAP})},
        {"envFrom": [{"configMapRef": {}}]},
    ],
    ids=["nothing", "pull secrets", "the pod itself", "the cluster's", "no name"],
)
def test_what_is_left_out(fields: Json) -> None:
    """Nothing that new pods would be needed for."""
    assert frozenset() == find_references(spec(**fields))


def test_a_secret_of_that_name_is_one_like_any_other() -> None:
    """The name that is left out is a ConfigMap's."""
    found = find_references(spec(volumes=volume(secret={"secretName": ROOT_CA_CONFIG_MAP})))

    assert {ConfigRef(SECRET, ROOT_CA_CONFIG_MAP)} == found


def test_what_may_be_missing() -> None:
    """At every place where it is read."""
    optional = {"envFrom": [{"secretRef": {"name": "password", "optional": True}}]}
    both = {**optional, "env": value("secretKeyRef", "password", optional=False)}

    assert {PASSWORD} == find_references(spec(**optional)) == find_references(spec(**both))
    assert frozenset() == required_references(spec(**optional))
    assert {PASSWORD} == required_references(spec(**both))


def test_what_is_followed() -> None:
    """What the pods read, unless somebody does not want it, or a Job would run again."""
    reads = {"envFrom": [{"configMapRef": {"name": "settings"}}]}

    assert (
        {SETTINGS}
        == tracked_references(spec(**reads))
        == tracked_references(spec(restartOnConfigChange=True, **reads))
    )
    assert frozenset() == tracked_references(spec(restartOnConfigChange=False, **reads))
    assert frozenset() == tracked_references(spec(restartPolicy="Never", **reads))


REFERENCES = st.builds(ConfigRef, st.sampled_from((CONFIG_MAP, SECRET)), st.text(min_size=1))
DIGESTS = st.dictionaries(REFERENCES, st.text(), min_size=1, max_size=5)


class TestMark:
    """One hash for all."""

    def test_nothing(self) -> None:
        """Who reads nothing has none."""
        assert "" == hash_config_digests({})

    @given(DIGESTS, st.randoms())
    def test_the_order_does_not_count(self, digests: dict[ConfigRef, str], random: Any) -> None:  # noqa: ANN401 - a Random
        """The same things make the same mark."""
        items = list(digests.items())
        random.shuffle(items)

        assert hash_config_digests(digests) == hash_config_digests(dict(items))
        assert 16 == len(hash_config_digests(digests))

    @given(DIGESTS, st.data())
    def test_any_change_counts(self, digests: dict[ConfigRef, str], data: st.DataObject) -> None:
        """One that changes, goes, or is read no more."""
        reference = data.draw(st.sampled_from(sorted(digests)))
        others = {each: digest for each, digest in digests.items() if each != reference}
        another = data.draw(st.text().filter(lambda text: text != digests[reference]))

        assert 3 == len(
            {
                hash_config_digests(digests),
                hash_config_digests(others),
                hash_config_digests({**others, reference: another}),
            }
        )

    def test_absent_is_a_state_too(self) -> None:
        """It stays the same until the thing comes."""
        assert (
            hash_config_digests({SETTINGS: ABSENT_DIGEST})
            == hash_config_digests({SETTINGS: ABSENT_DIGEST})
            != hash_config_digests({SETTINGS: "0123"})
        )


def test_the_mark_is_a_part_of_the_version() -> None:
    """And without one, the version is what it always was."""
    asked = spec()
    templates = [build_pod_template("web", asked, config) for config in ("", "one", "two")]

    assert build_pod_template("web", asked) == templates[0]
    assert 3 == len({template_revision(template) for template in templates})


def test_the_mark_stands_in_the_template_of_a_deployment() -> None:
    """Another one makes other pods."""
    owner = Owner("shop", "web", "u")
    template = build_pod_template("web", spec(), "0123")
    (deployment,) = build_children(owner, spec(), pod_template=template)[:1]

    meta = deployment["spec"]["template"]["metadata"]
    assert {"selfhealing.dev/config": "0123"} == meta["annotations"]
