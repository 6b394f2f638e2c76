"""Children of an app are parsed into views."""

import orjson
import pytest

from selfhealing.api import names
from selfhealing.cache.child_views import (
    bound_manifest,
    deployment_view,
    hpa_view,
    job_view,
    pdb_view,
    service_view,
    vpa_view,
)
from selfhealing.cache.views import (
    MAX_CONDITIONS,
    MAX_MANIFEST_BYTES,
    MAX_WORD_LENGTH,
    ConditionView,
    DeploymentView,
    MetricView,
    ResourceQuantities,
)
from tests.unit import builders
from tests.unit.builders import (
    at,
    child,
    deployment,
    hpa,
    job,
    pdb,
    progressing_condition,
    service,
    vpa,
)
from tests.unit.snapshots import Json

BARE: Json = {"metadata": {"name": "web", "uid": "u"}}


class TestCommon:
    """The fields that all kinds of children share."""

    def test_owner_and_applied_hash(self) -> None:
        """Owner, applied hash, adoption, resource version."""
        found = service_view(
            service(
                annotations={"selfhealing.dev/applied": "1234", "selfhealing.dev/adopt": "true"},
                version=7,
                deletionTimestamp=builders.iso(0),
            )
        )

        assert ("Service", "web", "uid-of-Service", 7) == (
            found.kind,
            found.name,
            found.uid,
            found.resource_version,
        )
        assert ("uid-of-web", "1234", True, True) == (
            found.owner_uid,
            found.applied_hash,
            found.adopt,
            found.deleting,
        )

    def test_nothing_but_a_name(self) -> None:
        """A missing field becomes an empty value."""
        found = service_view(BARE)

        assert ("", "", False, False) == (
            found.owner_uid,
            found.applied_hash,
            found.adopt,
            found.deleting,
        )
        assert (0, 0, "") == (found.port, found.node_port, found.ingress)

    def test_an_owner_that_does_not_control(self) -> None:
        """A reference of another kind that is no controller does not count."""
        thing = service(owner="")
        thing["metadata"]["ownerReferences"] = [
            {"apiVersion": "x/v1", "uid": "u", "kind": "SelfHealingApp", "name": "x"},
            {"apiVersion": "selfhealing.dev/v1", "uid": "u", "kind": "Other", "name": "x"},
        ]

        assert "" == service_view(thing).owner_uid

    def test_an_app_that_owns_it_without_being_its_controller(self) -> None:
        """Such a reference is used with vertical scaling; a controller reference comes first."""
        app = {"apiVersion": "selfhealing.dev/v1alpha1", "kind": "SelfHealingApp", "uid": "app"}
        other = {"apiVersion": "x/v1", "kind": "X", "uid": "x", "controller": True}
        thing = service(owner="")
        thing["metadata"]["ownerReferences"] = [{**app, "name": "web", "controller": False}]
        assert "app" == service_view(thing).owner_uid

        thing["metadata"]["ownerReferences"].append({**other, "name": "x"})
        assert "x" == service_view(thing).owner_uid

    def test_manifest_json(self) -> None:
        """Drift is detected with it: it has no status and no metadata of the API server."""
        thing = child("Service", {"ports": []}, {"x": 1}, managedFields=[{}])

        assert {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                key: thing["metadata"][key]
                for key in ("name", "namespace", "labels", "ownerReferences")
            },
            "spec": {},
        } == orjson.loads(service_view(thing | {"spec": None}).manifest_json)

    def test_a_manifest_that_is_too_large(self) -> None:
        """It is not kept, but what others own in it is, and a change of it is seen."""
        edits = {"manager": "x", "fieldsV1": {"f:spec": {"f:template": {"f:x": {}}}}}
        texts = ["a" * MAX_MANIFEST_BYTES, "b" * MAX_MANIFEST_BYTES]
        views = [
            bound_manifest(
                deployment_view(deployment(annotations={"fat": text}, managedFields=[edits]))
            )
            for text in texts
        ]
        first, second = views

        assert [b""] * 2 == [view.manifest_json for view in views]
        assert isinstance(first, DeploymentView)
        assert [b'{"f:x":{}}'] == [edit.fields for edit in first.template_edits]
        assert b"" != first.manifest_digest != second.manifest_digest

    def test_what_others_own_in_it_is_too_large(self) -> None:
        """Whoever writes managedFields may name fields that do not exist."""
        name = "f:" + "x" * MAX_MANIFEST_BYTES
        edits = {"manager": "x", "fieldsV1": {"f:spec": {"f:template": {name: {}}}}}
        view = bound_manifest(deployment_view(deployment(managedFields=[edits])))

        assert isinstance(view, DeploymentView)
        assert b"" == view.manifest_json
        assert [("x", b"")] == [(edit.manager, edit.fields) for edit in view.template_edits]
        assert view.manifest_digest

    def test_an_ordinary_manifest(self) -> None:
        """It is kept."""
        view = service_view(service())

        assert view is bound_manifest(view)

    def test_texts_are_cut(self) -> None:
        """Those whose length Kubernetes does not limit, and lists."""
        long = "x" * 10_000
        found = deployment_view(
            deployment(
                annotations={names.ANNOTATION_APPLIED_HASH: long},
                conditions=[{"type": long, "status": "True"}] * 1000,
            )
        )

        assert "x" * MAX_WORD_LENGTH == found.applied_hash == found.conditions[0].type
        assert MAX_CONDITIONS == len(found.conditions)

    def test_conditions(self) -> None:
        """Reason, message and time may be missing."""
        thing = deployment(conditions=[{"type": "Available", "status": "True"}])

        assert (ConditionView("Available", "True", "", ""),) == deployment_view(thing).conditions


class TestDeployments:
    """A Deployment."""

    def test_numbers_of_replicas(self) -> None:
        """Desired and observed numbers."""
        found = deployment_view(
            deployment(3, updated=2, available=1, observed=False, min_ready_seconds=5)
        )

        assert (2, 1) == (found.generation, found.observed_generation)
        assert (3, 2, 1, 5) == (
            found.replicas,
            found.updated_replicas,
            found.available_replicas,
            found.min_ready_seconds,
        )

    def test_nothing_but_a_name(self) -> None:
        """Without ``replicas`` Kubernetes' default of 1 counts."""
        found = deployment_view(BARE)

        assert (1, 0, 0, 0) == (
            found.replicas,
            found.updated_replicas,
            found.generation,
            found.observed_generation,
        )

    @pytest.mark.parametrize(
        ("condition", "expected"),
        [
            (progressing_condition("NewReplicaSetAvailable", "5d4f8c7b9"), "5d4f8c7b9"),
            (progressing_condition("NewReplicaSetCreated", "5d4f8c7b9"), "5d4f8c7b9"),
            (progressing_condition("FoundNewReplicaSet", "5d4f8c7b9"), "5d4f8c7b9"),
            (progressing_condition("ReplicaSetUpdated", "5d4f8c7b9"), "5d4f8c7b9"),
            (
                progressing_condition("ProgressDeadlineExceeded", "5d4f8c7b9", status="False"),
                "5d4f8c7b9",
            ),
            (progressing_condition("DeploymentPaused", status="Unknown"), ""),
            (
                {
                    "type": "Progressing",
                    "status": "False",
                    "reason": "ReplicaSetCreateError",
                    "message": 'Failed to create new replica set "web-5d4f8c7b9": denied',
                },
                "5d4f8c7b9",
            ),
            (
                progressing_condition()
                | {"message": 'ReplicaSet "other-5d4f8c7b9" is progressing.'},
                "",
            ),
            (progressing_condition() | {"type": "Available"}, ""),
        ],
    )
    def test_template_hash(self, condition: Json, expected: str) -> None:
        """The condition Progressing names the current ReplicaSet in each of its messages."""
        assert expected == deployment_view(deployment(conditions=[condition])).template_hash

    @pytest.mark.parametrize(
        ("managers", "expected"),
        [
            (["selfhealing-operator"], True),
            (["selfhealing-operator", "kube-controller-manager"], False),
            (["kubectl-edit"], False),
            ([], False),
        ],
    )
    def test_owns_replicas(self, managers: list[str], expected: bool) -> None:  # noqa: FBT001 - a column
        """True only if the operator is the only manager of the field."""
        fields: Json = {"f:spec": {"f:replicas": {}}}
        thing = deployment(
            managedFields=[
                *({"manager": manager, "fieldsV1": fields} for manager in managers),
                {"manager": "selfhealing-operator", "fieldsV1": {"f:metadata": {}}},
                {"manager": "selfhealing-operator"},
            ]
        )

        assert expected is deployment_view(thing).owns_replicas


class TestServices:
    """A Service."""

    def test_address(self) -> None:
        """Ports and the address of the load balancer are read."""
        found = service_view(
            service("LoadBalancer", node_port=30080, ingress=[{"ip": "192.0.2.7"}])
        )

        assert (80, 30080, "192.0.2.7") == (found.port, found.node_port, found.ingress)


class TestHpa:
    """A HorizontalPodAutoscaler."""

    def test_numbers_of_replicas(self) -> None:
        """Current and desired replicas, bounds and metrics."""
        thing = hpa(2, 3)
        thing["status"]["lastScaleTime"] = builders.iso(5)
        found = hpa_view(thing)

        assert (2, 3, 1, 5, builders.at(5)) == (
            found.current_replicas,
            found.desired_replicas,
            found.min_replicas,
            found.max_replicas,
            found.last_scale_time,
        )
        assert (MetricView("cpu", "31%", "50%"),) == found.metrics

    def test_nothing_but_a_name(self) -> None:
        """Kubernetes' default of minReplicas is 1."""
        found = hpa_view(BARE)

        assert (0, 0, 1, 0, None, ()) == (
            found.current_replicas,
            found.desired_replicas,
            found.min_replicas,
            found.max_replicas,
            found.last_scale_time,
            found.metrics,
        )

    @pytest.mark.parametrize(
        ("metric", "current", "expected"),
        [
            (
                {
                    "type": "Pods",
                    "pods": {
                        "metric": {"name": "requests"},
                        "target": {"type": "AverageValue", "averageValue": "10"},
                    },
                },
                {
                    "type": "Pods",
                    "pods": {"metric": {"name": "requests"}, "current": {"averageValue": "7500m"}},
                },
                MetricView("requests", "7500m", "10"),
            ),
            (
                {
                    "type": "External",
                    "external": {
                        "metric": {"name": "queue"},
                        "target": {"type": "Value", "value": "30"},
                    },
                },
                {"type": "", "external": None},
                MetricView("queue", "", "30"),
            ),
            (
                {
                    "type": "ContainerResource",
                    "containerResource": {
                        "name": "memory",
                        "container": "app",
                        "target": {"type": "Utilization", "averageUtilization": 80},
                    },
                },
                {
                    "type": "ContainerResource",
                    "containerResource": {
                        "name": "memory",
                        "container": "app",
                        "current": {"averageUtilization": 0, "averageValue": "0"},
                    },
                },
                MetricView("memory", "0%", "80%"),
            ),
        ],
        ids=["pods", "external", "container"],
    )
    def test_every_kind_of_metric(self, metric: Json, current: Json, expected: MetricView) -> None:
        """By name, formatted as text; empty while the autoscaler has no value."""
        thing = hpa()
        thing["spec"]["metrics"] = [metric]
        thing["status"]["currentMetrics"] = [current]

        assert (expected,) == hpa_view(thing).metrics


class TestPdb:
    """A PodDisruptionBudget."""

    def test_numbers(self) -> None:
        """The limit in the spec and the counts in the status."""
        found = pdb_view(pdb(0, 1, 1, limit={"minAvailable": "50%"}))

        assert ("minAvailable 50%", 0, 1, 1) == (
            found.limit,
            found.disruptions_allowed,
            found.current_healthy,
            found.desired_healthy,
        )

    def test_not_counted_yet(self) -> None:
        """Counts of an earlier generation are ignored."""
        found = pdb_view(pdb(observed=False))

        assert ("maxUnavailable 1", None, None, None) == (
            found.limit,
            found.disruptions_allowed,
            found.current_healthy,
            found.desired_healthy,
        )

    def test_bare(self) -> None:
        """A missing field becomes an empty value."""
        found = pdb_view(BARE)

        assert ("", None) == (found.limit, found.disruptions_allowed)


class TestJobs:
    """A Job."""

    def test_nothing_but_a_name(self) -> None:
        """A missing field becomes Kubernetes' default."""
        found = job_view(BARE)

        assert ("", 1, None, False) == (
            found.run_hash,
            found.parallelism,
            found.completions,
            found.suspended,
        )
        assert (0, 0, "", "", "") == (
            found.succeeded,
            found.failed,
            found.result,
            found.reason,
            found.message,
        )
        assert (None, None) == (found.started_at, found.finished_at)

    def test_succeeded(self) -> None:
        """Its start and completion times are read."""
        found = job_view(job(result="Complete", status={"failed": 2}))

        assert ("mark", "Complete", 1, 2) == (
            found.run_hash,
            found.result,
            found.succeeded,
            found.failed,
        )
        assert (at(0), at(50)) == (found.started_at, found.finished_at)

    def test_failed(self) -> None:
        """Its reason and the time of the condition Failed are read."""
        found = job_view(job(result="Failed", reason="DeadlineExceeded", message="too long"))

        assert ("Failed", "DeadlineExceeded", "too long") == (
            found.result,
            found.reason,
            found.message,
        )
        assert at(60) == found.finished_at

    def test_failure_target(self) -> None:
        """FailureTarget has the reason before the last pod has stopped."""
        found = job_view(job(result="FailureTarget", reason="BackoffLimitExceeded"))

        assert ("", "BackoffLimitExceeded", None) == (
            found.result,
            found.reason,
            found.finished_at,
        )

    def test_suspended(self) -> None:
        """A condition with the status False does not count."""
        thing = job(spec={"suspend": True, "parallelism": 3, "completions": None})
        thing["status"]["conditions"] = [{"type": "Complete", "status": "False"}]
        found = job_view(thing)

        assert (True, 3, None, "") == (
            found.suspended,
            found.parallelism,
            found.completions,
            found.result,
        )


class TestVpa:
    """A VerticalPodAutoscaler."""

    def test_of_the_app_s_container(self) -> None:
        """Recommendations for sidecars are ignored; a missing bound is None."""
        found = vpa_view(
            vpa({"cpu": "25m", "memory": "262144k"}, lower={"cpu": "5m"}, mode="Initial")
        )

        assert ("Initial", ("cpu", "memory")) == (found.update_mode, found.controlled_resources)
        assert ResourceQuantities("25m", "262144k") == found.target
        assert ResourceQuantities("5m", "") == found.lower_bound
        assert None is found.upper_bound

    def test_bare(self) -> None:
        """A missing field becomes an empty value."""
        found = vpa_view(BARE)

        assert ("", (), None) == (found.update_mode, found.controlled_resources, found.target)
