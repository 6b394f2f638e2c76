"""What healing puts in place of the spec, and what it must never do to it."""

import copy
from typing import Any

import pytest

from selfhealing.api.spec import parse_spec
from selfhealing.render import Owner, build_children
from selfhealing.render.overrides import (
    NO_OVERRIDES,
    REQUIRED_NODE_AFFINITY,
    Overrides,
    build_revision,
    get_memory_limit,
    resources_with_memory_limit,
    revision_name,
    template_revision,
    template_with_memory_limit,
)
from selfhealing.render.pod import build_pod_template

Json = dict[str, Any]

OWNER = Owner(namespace="shop", name="web", uid="u")


def template(**spec: object) -> Json:
    """The pod template of an app."""
    return build_pod_template("web", parse_spec({"image": "web:v1", **spec}))


def template_with_limit(limit: str | int, request: str | int | None = None, **spec: object) -> Json:
    """The pod template of an app with a memory limit."""
    requests = {} if request is None else {"requests": {"memory": request, "cpu": "1"}}
    return template(resources={"limits": {"memory": limit, "cpu": "2"}, **requests}, **spec)


def memory_request_and_limit(pod_template: Json) -> tuple[Any, Any]:
    """Request and limit of the app's own container."""
    (main,) = (c for c in pod_template["spec"]["containers"] if c["name"] == "app")
    resources = main.get("resources", {})
    return (
        resources.get("requests", {}).get("memory"),
        resources.get("limits", {}).get("memory"),
    )


ZONE: Json = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
DISK: Json = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-8"]}]}


class TestVersion:
    """A version is what pods are made from, and nothing else."""

    def test_the_same_template(self) -> None:
        """What does not touch the pods is no new version: nothing would have to be proved."""
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
        """Whatever reaches the pods is."""
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
        """A client may write them in any."""
        one = parse_spec(
            {"image": "web:v1", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}
        )
        two = parse_spec(
            {"resources": {"limits": {"memory": "1Gi", "cpu": "1"}}, "image": "web:v1"}
        )

        assert template_revision(build_pod_template("web", one)) == template_revision(
            build_pod_template("web", two)
        )


class TestMemory:
    """Another memory limit for the app's own container."""

    @pytest.mark.parametrize(
        ("found", "limit"),
        [
            (template(), ""),
            (template(resources={"requests": {"memory": "1Gi"}}), ""),
            (template(resources={"limits": {"cpu": "1"}}), ""),
            (template_with_limit("64Mi"), "64Mi"),
            (template_with_limit(67108864), "67108864"),
        ],
    )
    def test_the_limit_that_is_asked_for(self, found: Json, limit: str) -> None:
        """As it is written."""
        assert limit == get_memory_limit(found)

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (template_with_limit("64Mi"), (None, "164Mi")),
            (template_with_limit("64Mi", "32Mi"), ("32Mi", "164Mi")),
            (template_with_limit("64Mi", "64Mi"), ("164Mi", "164Mi")),
        ],
        ids=["no request", "a smaller request", "an equal request"],
    )
    def test_more(self, before: Json, after: tuple[str | None, str]) -> None:
        """A request that was equal goes with it: the class of service stays as it was."""
        kept = copy.deepcopy(before)

        assert after == memory_request_and_limit(template_with_memory_limit(before, "164Mi"))
        assert kept == before

    def test_nothing_else_is_changed(self) -> None:
        """The CPU, the sidecars and everything else are the spec's."""
        sidecars = [
            {"name": "proxy", "image": "proxy:v1", "resources": {"limits": {"memory": "64Mi"}}}
        ]
        before = template_with_limit("64Mi", sidecars=sidecars)
        after = template_with_memory_limit(before, "164Mi")

        assert before == template_with_memory_limit(after, "64Mi")
        assert [c["name"] for c in before["spec"]["containers"]] == [
            c["name"] for c in after["spec"]["containers"]
        ]

    def test_a_container_without_anything(self) -> None:
        """A live pod's resources may be written as null."""
        assert {"limits": {"memory": "1Gi"}, "requests": None} == resources_with_memory_limit(
            {"limits": None, "requests": None}, "1Gi"
        )


class TestOver:
    """What is run instead of what the spec asks for."""

    def test_nothing(self) -> None:
        """Without a reason the spec counts."""
        asked = template_with_limit("64Mi")

        assert asked is NO_OVERRIDES.apply_to(asked)
        assert Overrides() == NO_OVERRIDES

    def test_a_kept_template(self) -> None:
        """As a whole; what is kept is not touched by later changes."""
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
        """The version that is gone back to may have more, or no limit at all."""
        assert after == memory_request_and_limit(Overrides(memory_limit="164Mi").apply_to(asked))[1]
        assert (
            after
            == memory_request_and_limit(
                Overrides(pod_template=asked, memory_limit="164Mi").apply_to(
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
    def test_a_node_to_keep_away_from(self, affinity: Json | None, terms: list[Json]) -> None:
        """Whichever of the terms holds, it is not that node; everything else stays."""
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
    def test_the_fewest_pods_of_the_autoscaler(self, wanted: int | None, fewest: int) -> None:
        """Never fewer than the spec says, and never more than its most."""
        spec = parse_spec({"image": "web:v1", "autoscaling": {"minReplicas": 2, "maxReplicas": 5}})
        made = build_children(OWNER, spec, Overrides(min_replicas=wanted))
        (autoscaler,) = (c for c in made if c["kind"] == "HorizontalPodAutoscaler")

        assert (fewest, 5) == (autoscaler["spec"]["minReplicas"], autoscaler["spec"]["maxReplicas"])


def test_what_keeps_a_version() -> None:
    """Found by its name, owned by the app, and it shares nothing that may change."""
    body = template()
    kept = build_revision(OWNER, "0123456789", body)

    assert "web-0123456789" == kept["metadata"]["name"] == revision_name("web", "0123456789")
    assert ("apps/v1", "ControllerRevision", 1) == (
        kept["apiVersion"],
        kept["kind"],
        kept["revision"],
    )
    assert "u" == kept["metadata"]["ownerReferences"][0]["uid"]
    assert "web" == kept["metadata"]["labels"]["selfhealing.dev/app"]
    assert body == kept["data"]
    assert body is not kept["data"]
