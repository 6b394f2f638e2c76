"""The overrides of remediations: what they replace, and what they keep."""

import copy
from typing import Any

import pytest

from selfhealing.api import names
from selfhealing.api.container_limits import LimitedResource
from selfhealing.api.spec import parse_spec
from selfhealing.render import Owner, build_children
from selfhealing.render.overrides import (
    NO_OVERRIDES,
    REQUIRED_NODE_AFFINITY,
    Overrides,
    build_revision,
    get_config_hash,
    get_limits,
    resources_with_limit,
    template_revision,
    template_with_memory_limits,
    without_config_hash,
)
from selfhealing.render.pod import build_pod_template

Json = dict[str, Any]

OWNER = Owner(namespace="shop", name="web", uid="u")


def template(**spec: object) -> Json:
    """Return the pod template of an app."""
    return build_pod_template("web", parse_spec({"image": "web:v1", **spec}))


def template_with_limit(limit: str | int, request: str | int | None = None, **spec: object) -> Json:
    """Return the pod template of an app with a memory limit."""
    requests = {} if request is None else {"requests": {"memory": request, "cpu": "1"}}
    return template(resources={"limits": {"memory": limit, "cpu": "2"}, **requests}, **spec)


def template_with_sidecars() -> Json:
    """Return the pod template of an app with a sidecar, a native one, and an init container."""
    proxy, native, migrate = (
        {"name": name, "image": "web:v1", "resources": {"limits": {"memory": limit}}}
        for name, limit in (("proxy", "64Mi"), ("native", "32Mi"), ("migrate", "16Mi"))
    )
    return template(
        sidecars=[proxy], initContainers=[{**native, "restartPolicy": "Always"}, migrate]
    )


def memory_request_and_limit(pod_template: Json) -> tuple[Any, Any]:
    """Return memory request and limit of the app's container."""
    (main,) = (c for c in pod_template["spec"]["containers"] if c["name"] == "app")
    resources = main.get("resources", {})
    return (
        resources.get("requests", {}).get("memory"),
        resources.get("limits", {}).get("memory"),
    )


ZONE: Json = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
DISK: Json = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-8"]}]}


class TestRevision:
    """The revision is a hash of the pod template."""

    def test_the_same_template(self) -> None:
        """A change that is not in the pod template keeps the revision."""
        same: list[Json] = [
            {},
            {"replicas": 3},
            {"paused": True},
            {"healing": {"mode": "Off"}},
            {"rollout": {"minReadySeconds": 5}},
        ]

        assert 1 == len(
            {
                template_revision(
                    build_pod_template("web", parse_spec({"image": "web:v1", **spec}))
                )
                for spec in same
            }
        )

    def test_another_template(self) -> None:
        """A change in the pod template changes the revision."""
        specs: list[Json] = [
            {"image": "web:v1"},
            {"image": "web:v2"},
            {"image": "web:v1", "env": [{"name": "A", "value": "1"}]},
            {"image": "web:v1", "resources": {"limits": {"memory": "64Mi"}}},
        ]
        found = {template_revision(build_pod_template("web", parse_spec(spec))) for spec in specs}

        assert 4 == len(found)
        assert {10} == {len(each) for each in found}

    def test_the_order_of_fields_does_not_matter(self) -> None:
        """A client may write the fields in any order."""
        one = parse_spec(
            {"image": "web:v1", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}
        )
        two = parse_spec(
            {"resources": {"limits": {"memory": "1Gi", "cpu": "1"}}, "image": "web:v1"}
        )

        assert template_revision(build_pod_template("web", one)) == template_revision(
            build_pod_template("web", two)
        )


class TestMemoryLimit:
    """Higher memory limits of containers."""

    @pytest.mark.parametrize(
        ("found", "limit"),
        [
            (template(), {}),
            (template(resources={"requests": {"memory": "1Gi"}}), {}),
            (template(resources={"limits": {"cpu": "1"}}), {("app", "cpu"): "1"}),
            (template_with_limit("64Mi"), {("app", "memory"): "64Mi", ("app", "cpu"): "2"}),
            (template_with_limit(67108864), {("app", "memory"): "67108864", ("app", "cpu"): "2"}),
            (
                template_with_sidecars(),
                {("proxy", "memory"): "64Mi", ("native", "memory"): "32Mi"},
            ),
        ],
    )
    def test_get_limits(self, found: Json, limit: dict[tuple[str, str], str]) -> None:
        """The limits are returned as they are written; not of containers that end before."""
        assert limit == get_limits(found)

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (template_with_limit("64Mi"), (None, "164Mi")),
            (template_with_limit("64Mi", "32Mi"), ("32Mi", "164Mi")),
            (template_with_limit("64Mi", "64Mi"), ("164Mi", "164Mi")),
        ],
        ids=["no request", "a smaller request", "an equal request"],
    )
    def test_with_memory_limit(self, before: Json, after: tuple[str | None, str]) -> None:
        """An equal request is raised with the limit, so that the QoS class stays."""
        kept = copy.deepcopy(before)

        assert after == memory_request_and_limit(
            template_with_memory_limits(before, {"app": "164Mi"})
        )
        assert kept == before

    def test_nothing_else_is_changed(self) -> None:
        """CPU, sidecars and all other fields stay."""
        sidecars = [
            {"name": "proxy", "image": "proxy:v1", "resources": {"limits": {"memory": "64Mi"}}}
        ]
        before = template_with_limit("64Mi", sidecars=sidecars)
        after = template_with_memory_limits(before, {"app": "164Mi"})

        after["spec"]["containers"][0]["resources"]["limits"]["memory"] = "64Mi"
        assert before == after

    def test_the_sidecar_that_was_killed(self) -> None:
        """Each container has its own limit, also one that is started before the app."""
        limits = {"proxy": "128Mi", "native": "100Mi", "migrate": "1Gi", "other": "1Gi"}
        after = template_with_memory_limits(template_with_sidecars(), limits)

        assert {("proxy", "memory"): "128Mi", ("native", "memory"): "100Mi"} == get_limits(after)
        (migrate,) = (c for c in after["spec"]["initContainers"] if c["name"] == "migrate")
        assert "16Mi" == migrate["resources"]["limits"]["memory"]

    def test_a_container_without_anything(self) -> None:
        """The resources of a live pod may be null."""
        assert {"limits": {"memory": "1Gi"}, "requests": None} == resources_with_limit(
            {"limits": None, "requests": None}, LimitedResource.MEMORY, "1Gi"
        )


class TestApplyTo:
    """The pod template with overrides."""

    def test_nothing(self) -> None:
        """Without overrides the template is unchanged."""
        asked = template_with_limit("64Mi")

        assert asked is NO_OVERRIDES.apply_to(asked)
        assert Overrides() == NO_OVERRIDES

    def test_another_pod_template(self) -> None:
        """The whole template is replaced; the stored one is not modified."""
        kept = template(image="web:v0")
        found = Overrides(pod_template=kept).apply_to(template())

        assert kept == found
        assert kept is not found

    @pytest.mark.parametrize(
        ("asked", "after"),
        [
            (template_with_limit("64Mi"), "164Mi"),
            (template_with_limit(67108864), "164Mi"),
            (template_with_limit("164Mi"), "164Mi"),
            (template_with_limit("1Gi"), "1Gi"),
            (template(), None),
        ],
        ids=["less", "less, as a number", "the same", "more", "no limit"],
    )
    def test_a_limit_is_only_ever_raised(self, asked: Json, after: str | None) -> None:
        """A stable revision may have a higher limit, or none."""
        assert (
            after
            == memory_request_and_limit(Overrides(memory_limits={"app": "164Mi"}).apply_to(asked))[
                1
            ]
        )
        assert (
            after
            == memory_request_and_limit(
                Overrides(pod_template=asked, memory_limits={"app": "164Mi"}).apply_to(
                    template_with_limit("1Mi")
                )
            )[1]
        )

    @pytest.mark.parametrize(
        ("affinity", "terms"),
        [
            (None, [{}]),
            ({"podAntiAffinity": {}}, [{}]),
            (
                {"nodeAffinity": {REQUIRED_NODE_AFFINITY: {"nodeSelectorTerms": [ZONE, DISK]}}},
                [ZONE, DISK],
            ),
        ],
        ids=["none", "another kind", "two places"],
    )
    def test_excluded_node(self, affinity: Json | None, terms: list[Json]) -> None:
        """Each term of the node affinity excludes the node; all else stays."""
        given = {"affinity": affinity} if affinity is not None else {}
        before = {"spec": {"containers": [{"name": "app"}], **given}}
        after = Overrides(excluded_node="node-7").apply_to(before)["spec"]["affinity"]
        ours = {"key": "metadata.name", "operator": "NotIn", "values": ["node-7"]}

        assert [
            {**term, "matchFields": [*term.get("matchFields", ()), ours]} for term in terms
        ] == (after["nodeAffinity"][REQUIRED_NODE_AFFINITY]["nodeSelectorTerms"])
        assert given == {k: v for k, v in before["spec"].items() if k == "affinity"}
        assert {*(affinity or {}), "nodeAffinity"} == after.keys()

    @pytest.mark.parametrize(
        ("wanted", "fewest"), [(None, 2), (1, 2), (4, 4), (9, 5)], ids=["no", "less", "more", "max"]
    )
    def test_min_replicas_of_the_autoscaler(self, wanted: int | None, fewest: int) -> None:
        """The result is between minReplicas and maxReplicas of the spec."""
        spec = parse_spec({"image": "web:v1", "autoscaling": {"minReplicas": 2, "maxReplicas": 5}})
        made = build_children(OWNER, spec, Overrides(min_replicas=wanted))
        (autoscaler,) = (c for c in made if c["kind"] == "HorizontalPodAutoscaler")

        assert (fewest, 5) == (autoscaler["spec"]["minReplicas"], autoscaler["spec"]["maxReplicas"])


def test_build_revision() -> None:
    """The ControllerRevision has a name, an owner and a copy of the template."""
    body = template()
    kept = build_revision(OWNER, "0123456789", body)

    assert "web-0123456789" == kept["metadata"]["name"] == names.revision_name("web", "0123456789")
    assert ("apps/v1", "ControllerRevision", 1) == (
        kept["apiVersion"],
        kept["kind"],
        kept["revision"],
    )
    assert "u" == kept["metadata"]["ownerReferences"][0]["uid"]
    assert "web" == kept["metadata"]["labels"]["selfhealing.dev/app"]
    assert {"template": body} == kept["data"]
    assert body is not kept["data"]["template"]
    limits = {"app": "1Gi"}
    assert {"template": body, "memoryLimits": limits} == build_revision(
        OWNER, "0123456789", body, limits
    )["data"]


def test_the_hash_of_the_configuration() -> None:
    """Templates that differ in it only are equal without it."""
    pod_template = template()
    first, second = (
        {
            **pod_template,
            "metadata": {"annotations": {names.ANNOTATION_CONFIG_HASH: value, "team": "shop"}},
        }
        for value in ("abc", "def")
    )

    assert ("abc", "def") == (get_config_hash(first), get_config_hash(second))
    assert without_config_hash(first) == without_config_hash(second)
    assert {"team": "shop"} == without_config_hash(first)["metadata"]["annotations"]
    assert "abc" == get_config_hash(first)
    assert "" == get_config_hash({})


@pytest.mark.parametrize(
    ("probe", "failures"),
    [({}, 9), ({"failureThreshold": 5}, 15), ({"failureThreshold": 2**31 - 1}, 2**31 - 1)],
    ids=["the default", "given", "the most"],
)
def test_a_relaxed_liveness_probe(probe: Json, failures: int) -> None:
    """It may fail three times as often; nothing else changes."""
    before = template(probes={"liveness": {"httpGet": {"path": "/live"}, **probe}})
    after = Overrides(relaxes_liveness=True).apply_to(before)
    changed = after["spec"]["containers"][0]["livenessProbe"]

    assert failures == changed["failureThreshold"]
    assert {**changed, "failureThreshold": None} == {
        **before["spec"]["containers"][0]["livenessProbe"],
        "failureThreshold": None,
    }


def test_no_liveness_probe_to_relax() -> None:
    """Nor is that of a sidecar."""
    before = template_with_sidecars()

    assert before == Overrides(relaxes_liveness=True).apply_to(before)
