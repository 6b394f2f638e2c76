"""References to ConfigMaps and Secrets in a spec, and the hash of their digests."""

from typing import Any

import orjson
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
    MAX_TRACKED,
    find_references,
    has_too_many_references,
    hash_config_digests,
    mount_config_copies,
    required_references,
    tracked_references,
)

Json = dict[str, Any]

SETTINGS, PASSWORD = ConfigRef(CONFIG_MAP, "settings"), ConfigRef(SECRET, "password")


def spec(**fields: object) -> SelfHealingAppSpec:
    """Return a spec with these fields."""
    return parse_spec({"image": "web:v1", **fields})


def value(field: str, name: str, **more: object) -> list[Json]:
    """Return variables, one of them with this source."""
    target = {"name": name, "key": "k", **more}
    return [
        {"name": "A", "value": "a"},
        {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "C", "valueFrom": {field: target}},
    ]


def volume(**source: object) -> list[Json]:
    """Return volumes, one of them with these fields."""
    return [{"name": "cache", "emptyDir": {}}, {"name": "it", **source}]


def container(**fields: object) -> list[Json]:
    """Return containers, one of them with these fields."""
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
def test_find_references(fields: Json, found: ConfigRef) -> None:
    """A reference is required by default."""
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
def test_excluded_references(fields: Json) -> None:
    """A change of these objects needs no new pods."""
    assert frozenset() == find_references(spec(**fields))


def test_a_secret_of_that_name_is_one_like_any_other() -> None:
    """Only the ConfigMap of that name is excluded."""
    found = find_references(spec(volumes=volume(secret={"secretName": ROOT_CA_CONFIG_MAP})))

    assert {ConfigRef(SECRET, ROOT_CA_CONFIG_MAP)} == found


def test_optional_references() -> None:
    """A reference is optional only if it is optional in each place."""
    optional = {"envFrom": [{"secretRef": {"name": "password", "optional": True}}]}
    both = {**optional, "env": value("secretKeyRef", "password", optional=False)}

    assert {PASSWORD} == find_references(spec(**optional)) == find_references(spec(**both))
    assert frozenset() == required_references(spec(**optional))
    assert {PASSWORD} == required_references(spec(**both))


def test_tracked_references() -> None:
    """All references, unless restartOnConfigChange is false or the app is a Job."""
    reads = {"envFrom": [{"configMapRef": {"name": "settings"}}]}

    assert (
        {SETTINGS: None}
        == tracked_references(spec(**reads))
        == tracked_references(spec(restartOnConfigChange=True, **reads))
    )
    assert {} == tracked_references(spec(restartOnConfigChange=False, **reads))
    assert {} == tracked_references(spec(restartPolicy="Never", **reads))


MOUNT = {"name": "it", "mountPath": "/a"}


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        ({"env": value("configMapKeyRef", "settings")}, {"k"}),
        (
            {
                "env": [
                    *value("configMapKeyRef", "settings"),
                    *value("configMapKeyRef", "settings", key="l"),
                ]
            },
            {"k", "l"},
        ),
        (
            {
                "env": value("configMapKeyRef", "settings"),
                "envFrom": [{"configMapRef": {"name": "settings"}}],
            },
            None,
        ),
        (
            {
                "envFrom": [{"configMapRef": {"name": "settings"}}],
                "sidecars": container(env=value("configMapKeyRef", "settings")),
            },
            None,
        ),
        (
            {
                "volumes": volume(
                    configMap={"name": "settings", "items": [{"key": "a", "path": "b"}]}
                )
            },
            {"a"},
        ),
        ({"volumes": volume(configMap={"name": "settings"})}, None),
        ({"volumes": volume(configMap={"name": "settings"}), "volumeMounts": [MOUNT]}, None),
        (
            {
                "volumes": volume(configMap={"name": "settings"}),
                "volumeMounts": [{**MOUNT, "subPath": "./nginx.conf"}],
            },
            {"nginx.conf"},
        ),
        (
            {
                "volumes": volume(configMap={"name": "settings"}),
                "volumeMounts": [{**MOUNT, "subPath": "a"}],
                "initContainers": container(volumeMounts=[MOUNT]),
            },
            None,
        ),
        (
            {
                "volumes": volume(configMap={"name": "settings"}),
                "volumeMounts": [{**MOUNT, "subPath": "."}],
            },
            None,
        ),
        (
            {
                "volumes": volume(
                    projected={
                        "sources": [
                            {
                                "configMap": {
                                    "name": "settings",
                                    "items": [{"key": "a", "path": "b"}],
                                }
                            }
                        ]
                    }
                )
            },
            {"a"},
        ),
    ],
    ids=[
        "a key",
        "two keys",
        "a key and all",
        "all and a key",
        "items",
        "not mounted",
        "mounted",
        "a file",
        "a file and all",
        "all as a path",
        "projected items",
    ],
)
def test_the_keys_that_are_read(fields: Json, keys: set[str] | None) -> None:
    """Those that are named; all of them where one place reads all."""
    assert {SETTINGS: keys} == tracked_references(spec(**fields))


@pytest.mark.parametrize(("count", "is_tracked"), [(MAX_TRACKED, True), (MAX_TRACKED + 1, False)])
def test_the_number_of_references_is_bounded(count: int, *, is_tracked: bool) -> None:
    """A spec of 128 KiB may have 1,400, and ten times its size would be kept."""
    many = spec(envFrom=[{"configMapRef": {"name": f"c{number}"}} for number in range(count)])

    assert (count if is_tracked else 0) == len(tracked_references(many))
    assert is_tracked is not has_too_many_references(many)


REFERENCES = st.builds(ConfigRef, st.sampled_from((CONFIG_MAP, SECRET)), st.text(min_size=1))
DIGESTS = st.dictionaries(REFERENCES, st.text(), min_size=1, max_size=5)


class TestConfigHash:
    """One hash of all digests."""

    def test_nothing(self) -> None:
        """Without references the hash is empty."""
        assert "" == hash_config_digests({})

    @given(DIGESTS, st.randoms())
    def test_the_order_of_digests_does_not_count(
        self,
        digests: dict[ConfigRef, str],
        random: Any,  # noqa: ANN401 - a Random
    ) -> None:
        """The same digests give the same hash."""
        items = list(digests.items())
        random.shuffle(items)

        assert hash_config_digests(digests) == hash_config_digests(dict(items))
        assert 16 == len(hash_config_digests(digests))

    @given(DIGESTS, st.data())
    def test_any_change_counts(self, digests: dict[ConfigRef, str], data: st.DataObject) -> None:
        """A digest that is changed, missing or removed changes the hash."""
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
        """The hash with a missing object is stable."""
        assert (
            hash_config_digests({SETTINGS: ABSENT_DIGEST})
            == hash_config_digests({SETTINGS: ABSENT_DIGEST})
            != hash_config_digests({SETTINGS: "0123"})
        )


def test_the_config_hash_is_part_of_the_revision() -> None:
    """Without a config hash the revision is that of the template."""
    asked = spec()
    templates = [build_pod_template("web", asked, config) for config in ("", "one", "two")]

    assert build_pod_template("web", asked) == templates[0]
    assert 3 == len({template_revision(template) for template in templates})


def test_a_deployment_has_the_config_hash() -> None:
    """A changed hash replaces the pods."""
    owner = Owner("shop", "web", "u")
    template = build_pod_template("web", spec(), "0123")
    (deployment,) = build_children(owner, spec(), pod_template=template)[:1]

    meta = deployment["spec"]["template"]["metadata"]
    assert {"selfhealing.dev/config": "0123"} == meta["annotations"]


READS_EVERYWHERE: Json = {
    "env": [{"name": "A", "value": "a"}, *value("configMapKeyRef", "settings", optional=True)[1:]],
    "envFrom": [
        {"configMapRef": {"name": "settings"}},
        {"prefix": "P_", "configMapRef": {"name": "other"}},
        {"secretRef": {"name": "settings"}},
    ],
    "initContainers": [
        {"name": "init", "image": "i", "envFrom": [{"configMapRef": {"name": "settings"}}]}
    ],
    "sidecars": [{"name": "side", "image": "s", "env": [{"name": "B", "value": "b"}]}],
    "volumes": [
        {"name": "a", "configMap": {"name": "settings", "defaultMode": 256}},
        {"name": "b", "secret": {"secretName": "settings"}},
        {"name": "c", "projected": {"sources": [{"configMap": {"name": "settings"}}]}},
        {"name": "d", "projected": {"sources": [{"secret": {"name": "settings"}}]}},
        {"name": "e", "emptyDir": {}},
    ],
}


def test_copies_are_read_in_the_place_of_config_maps() -> None:
    """Wherever a template refers to a ConfigMap; Secrets and other ConfigMaps stay."""
    copies = {"settings": "web-config-1"}
    app_spec = spec(**READS_EVERYWHERE)
    template = build_pod_template("web", app_spec)

    mounted = mount_config_copies(template, copies)

    text = orjson.dumps(READS_EVERYWHERE).replace(
        b'"configMapRef":{"name":"settings"', b'"configMapRef":{"name":"web-config-1"'
    )
    text = text.replace(b'"configMap":{"name":"settings"', b'"configMap":{"name":"web-config-1"')
    text = text.replace(
        b'"configMapKeyRef":{"name":"settings"', b'"configMapKeyRef":{"name":"web-config-1"'
    )
    assert build_pod_template("web", spec(**orjson.loads(text))) == mounted
    assert mounted != template
    assert build_pod_template("web", app_spec) == template  # it is not changed itself
    assert mount_config_copies(template, {}) == template
    assert mount_config_copies(template, {"unknown": "x"}) == template
    bare = build_pod_template("web", spec())
    assert mount_config_copies(bare, copies) == bare
