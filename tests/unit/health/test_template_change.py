"""What a version changed in the pod template."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from selfhealing.api.names import ANNOTATION_CONFIG_HASH
from selfhealing.health.template_change import (
    Reference,
    compare_templates,
    find_required_references,
)

Json = dict[str, Any]


def template(*containers: Json, config_hash: str = "", **spec: Any) -> Json:  # noqa: ANN401 - JSON
    """Return a pod template; by default with the app's container alone."""
    annotations = {ANNOTATION_CONFIG_HASH: config_hash} if config_hash else {}
    return {
        "metadata": {"annotations": annotations},
        "spec": {"containers": list(containers) or [app()], **spec},
    }


def app(**fields: Any) -> Json:  # noqa: ANN401 - JSON
    """Return the app's container."""
    return {"name": "app", "image": "web:1", **fields}


def with_metadata(metadata: Json) -> Json:
    """Return a pod template with these labels and annotations."""
    return {**template(), "metadata": metadata}


@pytest.mark.parametrize(
    ("good", "new", "text"),
    [
        ({"labels": {"a": "1"}}, {"labels": {"a": "2"}}, "labels"),
        ({}, {"annotations": {"a": "2"}}, "annotations"),
        ({}, {"annotations": {ANNOTATION_CONFIG_HASH: "abc"}}, "nothing"),
    ],
)
def test_metadata_that_differs(good: Json, new: Json, text: str) -> None:
    """An injector may change the pods by it; the config hash says nothing of the metadata."""
    change = compare_templates(with_metadata(good), with_metadata(new))

    assert text == change.describe()
    assert change.affected_containers == (frozenset() if text == "nothing" else {"app"})


KEY_OF_SECRET = {"secretKeyRef": {"name": "db", "key": "password"}}
SETTINGS = {"configMapRef": {"name": "settings"}}


@pytest.mark.parametrize(
    ("new", "text"),
    [
        (template(), "nothing"),
        (template(app(image="web:2")), "image of app: web:1 -> web:2"),
        (
            template(app(image="web:2", args=["-v"], env=[{"name": "LEVEL", "value": "secret"}])),
            "image of app: web:1 -> web:2; args of app; env LEVEL of app",
        ),
        (
            template(app(env=[{"name": name, "value": "x"} for name in "EDCBA"])),
            "env A, B, C and 2 more of app",
        ),
        (
            template(app(), {"name": "proxy", "image": "p"}),
            "image of proxy: p; container proxy added",
        ),
        (template(app(), volumes=[{"name": "data", "emptyDir": {}}]), "volume data"),
        (template(app(), nodeSelector={"gpu": "true"}), "nodeSelector"),
        (
            template(app(), initContainers=[{"name": "migrate", "image": "m"}]),
            "image of migrate: m; container migrate added",
        ),
    ],
)
def test_the_difference_in_words(new: Json, text: str) -> None:
    """Values of variables are not in it."""
    assert text == compare_templates(template(), new).describe()


def test_what_is_removed() -> None:
    """It is named, and affects no container that is left."""
    change = compare_templates(template(app(), {"name": "proxy", "image": "p"}), template())

    assert "container proxy removed" == change.describe()
    assert not change.affected_containers


def test_the_first_version() -> None:
    """Everything of it is new."""
    change = compare_templates(None, template(app(envFrom=[SETTINGS])))

    assert {"app"} == change.affected_containers
    assert {"app": ("", "web:1")} == change.images
    assert change.introduces("ConfigMap", "settings")
    assert "everything: there is no earlier version" == change.describe()


def build_with(field: str) -> Json:
    """Return a template with one more field of the pod."""
    result = template()
    result["spec"][field] = {"a": "b"}
    return result


@pytest.mark.parametrize(
    ("field", "affects"),
    [("securityContext", True), ("nodeSelector", True), ("imagePullSecrets", False)],
)
def test_fields_of_the_pod(field: str, affects: bool) -> None:  # noqa: FBT001 - a table's column
    """Most of them may make any container fail."""
    change = compare_templates(template(), build_with(field))

    assert (field,) == change.pod_fields
    assert affects is ("app" in change.affected_containers)


def test_a_volume_that_differs() -> None:
    """It affects the containers that mount it."""
    mounted = app(volumeMounts=[{"name": "data", "mountPath": "/data"}])
    proxy = {"name": "proxy", "image": "p"}
    good = template(mounted, proxy, volumes=[{"name": "data", "emptyDir": {}}])
    new = template(mounted, proxy, volumes=[{"name": "data", "hostPath": {"path": "/"}}])

    assert {"app"} == compare_templates(good, new).affected_containers


@pytest.mark.parametrize(
    ("reader", "volume"),
    [
        ({"envFrom": [SETTINGS]}, None),
        ({"env": [{"name": "P", "valueFrom": KEY_OF_SECRET}]}, None),
        ({"volumeMounts": [{"name": "v"}]}, {"configMap": {"name": "c"}}),
        ({"volumeMounts": [{"name": "v"}]}, {"secret": {"secretName": "s"}}),
        ({"volumeMounts": [{"name": "v"}]}, {"projected": {"sources": []}}),
    ],
)
def test_new_contents_of_a_configuration(reader: Json, volume: Json | None) -> None:
    """They affect the containers that read it, and no others."""
    proxy = {"name": "proxy", "image": "p", "volumeMounts": [{"name": "w"}]}
    spec = {
        "volumes": [{"name": "w", "emptyDir": {}}, *([{"name": "v", **volume}] if volume else ())]
    }
    good, new = (template(app(**reader), proxy, config_hash=each, **spec) for each in ("1", "2"))
    change = compare_templates(good, new)

    assert {"app"} == change.affected_containers
    assert change.configuration_changed
    assert "the contents of its ConfigMaps or Secrets" == change.describe()


def test_another_hash_that_says_nothing() -> None:
    """With another reference the hash differs in any case, and without one it is switched off."""
    good = template(app(envFrom=[SETTINGS]), config_hash="1")

    assert not compare_templates(good, template(config_hash="2")).configuration_changed
    assert not compare_templates(good, template(app(envFrom=[SETTINGS]))).configuration_changed


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": [app(envFrom=[SETTINGS])]}, {Reference("ConfigMap", "settings")}),
        (
            {"containers": [app(env=[{"name": "P", "valueFrom": KEY_OF_SECRET}, {"name": "Q"}])]},
            {Reference("Secret", "db"), Reference("Secret", "db", "password")},
        ),
        (
            {"volumes": [{"name": "v", "configMap": {"name": "c", "items": [{"key": "a.yaml"}]}}]},
            {Reference("ConfigMap", "c"), Reference("ConfigMap", "c", "a.yaml")},
        ),
        (
            {
                "volumes": [
                    {"name": "v", "secret": {"secretName": "s"}},
                    {"name": "w", "projected": {"sources": [{"secret": {"name": "t"}}]}},
                    {"name": "x", "persistentVolumeClaim": {"claimName": "p"}},
                    {"name": "y", "emptyDir": {}},
                ]
            },
            {
                Reference("Secret", "s"),
                Reference("Secret", "t"),
                Reference("PersistentVolumeClaim", "p"),
            },
        ),
        (
            {
                "containers": [
                    app(
                        envFrom=[{"secretRef": {"name": "s", "optional": True}}],
                        env=[
                            {
                                "name": "X",
                                "valueFrom": {
                                    "configMapKeyRef": {"name": "c", "key": "k", "optional": True}
                                },
                            }
                        ],
                    )
                ]
            },
            set(),
        ),
    ],
    ids=["env from", "a variable", "items", "volumes", "optional"],
)
def test_required_references(spec: Json, expected: set[Reference]) -> None:
    """What a pod cannot start without."""
    assert expected == set(find_required_references(spec))


def test_introduced_references() -> None:
    """The kubelet names some of them in part."""
    new = template(app(env=[{"name": "P", "valueFrom": KEY_OF_SECRET}]))
    change = compare_templates(template(app(envFrom=[SETTINGS])), new)

    assert change.introduces("Secret", "db")
    assert change.introduces("Secret", "", "password")
    assert not change.introduces("ConfigMap", "settings")
    assert not change.introduces("Secret", "db", "user")
    assert ["Secret db", "Secret db/password"] == sorted(map(str, change.references))


IMAGES = st.sampled_from(["web:1", "web:2"])


@given(IMAGES, IMAGES, st.booleans(), st.booleans())
def test_both_ways(first: str, second: str, has_proxy: bool, had_proxy: bool) -> None:  # noqa: FBT001
    """A template differs from itself in nothing, and from another one in both directions."""
    proxy = [{"name": "proxy", "image": "p"}]
    good = template(app(image=first), *(proxy * had_proxy))
    new = template(app(image=second), *(proxy * has_proxy))

    assert "nothing" == compare_templates(good, good).describe()
    assert (compare_templates(good, new).describe() == "nothing") is (
        compare_templates(new, good).describe() == "nothing"
    )


@pytest.mark.parametrize(
    ("before", "after", "is_lowered"),
    [
        ("128Mi", "64Mi", True),
        ("", "64Mi", True),
        ("64Mi", "128Mi", False),
        ("64Mi", "67108864", False),
        ("64Mi", "", False),
    ],
)
def test_a_memory_limit_that_is_lowered(before: str, after: str, is_lowered: bool) -> None:  # noqa: FBT001 - a table's column
    """Or new: what the container could use before was more."""
    good, new = (
        {
            "spec": {
                "containers": [
                    {"name": "app", **({"resources": {"limits": {"memory": at}}} if at else {})}
                ]
            }
        }
        for at in (before, after)
    )

    assert is_lowered is ("app" in compare_templates(good, new).lowered_memory)
    assert not compare_templates(None, new).lowered_memory
