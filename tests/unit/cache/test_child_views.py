"""Children to views."""

import orjson
import pytest

from selfhealing.cache.child_views import (
    deployment_view,
    hpa_view,
    job_view,
    pdb_view,
    service_view,
    vpa_view,
)
from selfhealing.cache.views import ConditionView, MetricView, ResourceQuantities
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
    """What is read of every child."""

    def test_whose_it_is_and_how_it_was_made(self) -> None:
        """Owner, mark, wish to be adopted, versions."""
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
        """Whatever is missing is empty."""
        found = service_view(BARE)

        assert ("", "", False, False) == (
            found.owner_uid,
            found.applied_hash,
            found.adopt,
            found.deleting,
        )
        assert (0, 0, "") == (found.port, found.node_port, found.ingress)

    def test_an_owner_that_does_not_control(self) -> None:
        """A stranger's reference says nothing of who manages it."""
        thing = service(owner="")
        thing["metadata"]["ownerReferences"] = [
            {"apiVersion": "x/v1", "uid": "u", "kind": "SelfHealingApp", "name": "x"},
            {"apiVersion": "selfhealing.dev/v1", "uid": "u", "kind": "Other", "name": "x"},
        ]

        assert "" == service_view(thing).owner_uid

    def test_an_app_that_owns_it_without_being_its_controller(self) -> None:
        """So it is with vertical scaling; another controller comes first."""
        app = {"apiVersion": "selfhealing.dev/v1alpha1", "kind": "SelfHealingApp", "uid": "app"}
        other = {"apiVersion": "x/v1", "kind": "X", "uid": "x", "controller": True}
        thing = service(owner="")
        thing["metadata"]["ownerReferences"] = [{**app, "name": "web", "controller": False}]
        assert "app" == service_view(thing).owner_uid

        thing["metadata"]["ownerReferences"].append({**other, "name": "x"})
        assert "x" == service_view(thing).owner_uid

    def test_the_document(self) -> None:
        """What drift is told by: no status, no bookkeeping of the API server."""
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

    def test_conditions(self) -> None:
        """With what may be missing."""
        thing = deployment(conditions=[{"type": "Available", "status": "True"}])

        assert (ConditionView("Available", "True", "", ""),) == deployment_view(thing).conditions


class TestDeployments:
    """A Deployment."""

    def test_figures(self) -> None:
        """What is wanted and what is there."""
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
        """A Deployment without a number of replicas wants one."""
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
    def test_the_hash_of_its_template(self, condition: Json, expected: str) -> None:
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
    def test_whose_replicas(self, managers: list[str], expected: bool) -> None:  # noqa: FBT001 - a column
        """Ours alone, or also somebody else's."""
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

    def test_where_it_is(self) -> None:
        """Ports and the load balancer's address."""
        found = service_view(
            service("LoadBalancer", node_port=30080, ingress=[{"ip": "192.0.2.7"}])
        )

        assert (80, 30080, "192.0.2.7") == (found.port, found.node_port, found.ingress)


class TestAutoscalers:
    """A HorizontalPodAutoscaler."""

    def test_figures(self) -> None:
        """What it sees and wants."""
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
        """Kubernetes' own default is a minimum of 1."""
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
        """By its name, as people read it; empty while nothing is known."""
        thing = hpa()
        thing["spec"]["metrics"] = [metric]
        thing["status"]["currentMetrics"] = [current]

        assert (expected,) == hpa_view(thing).metrics


class TestBudget:
    """What a PodDisruptionBudget lets happen."""

    def test_numbers(self) -> None:
        """As it is written, and as Kubernetes counts."""
        found = pdb_view(pdb(0, 1, 1, limit={"minAvailable": "50%"}))

        assert ("minAvailable 50%", 0, 1, 1) == (
            found.limit,
            found.disruptions_allowed,
            found.current_healthy,
            found.desired_healthy,
        )

    def test_not_counted_yet(self) -> None:
        """The figures of a former budget say nothing about this one."""
        found = pdb_view(pdb(observed=False))

        assert ("maxUnavailable 1", None, None, None) == (
            found.limit,
            found.disruptions_allowed,
            found.current_healthy,
            found.desired_healthy,
        )

    def test_bare(self) -> None:
        """Missing fields are empty values."""
        found = pdb_view(BARE)

        assert ("", None) == (found.limit, found.disruptions_allowed)


class TestJobs:
    """A Job."""

    def test_nothing_but_a_name(self) -> None:
        """Whatever is missing is as Kubernetes would have it."""
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

    def test_one_that_succeeded(self) -> None:
        """When it began and when it ended."""
        found = job_view(job(result="Complete", status={"failed": 2}))

        assert ("mark", "Complete", 1, 2) == (
            found.run_hash,
            found.result,
            found.succeeded,
            found.failed,
        )
        assert (at(0), at(50)) == (found.started_at, found.finished_at)

    def test_one_that_gave_up(self) -> None:
        """Its reason, and when it said so."""
        found = job_view(job(result="Failed", reason="DeadlineExceeded", message="too long"))

        assert ("Failed", "DeadlineExceeded", "too long") == (
            found.result,
            found.reason,
            found.message,
        )
        assert at(60) == found.finished_at

    def test_one_that_is_about_to_give_up(self) -> None:
        """The reason is known before the last pod has stopped."""
        found = job_view(job(result="FailureTarget", reason="BackoffLimitExceeded"))

        assert ("", "BackoffLimitExceeded", None) == (
            found.result,
            found.reason,
            found.finished_at,
        )

    def test_one_that_is_suspended(self) -> None:
        """A condition that is over counts no more."""
        thing = job(spec={"suspend": True, "parallelism": 3, "completions": None})
        thing["status"]["conditions"] = [{"type": "Complete", "status": "False"}]
        found = job_view(thing)

        assert (True, 3, None, "") == (
            found.suspended,
            found.parallelism,
            found.completions,
            found.result,
        )


class TestVertical:
    """What a VerticalPodAutoscaler says."""

    def test_of_the_app_s_container(self) -> None:
        """Not of its companions; a bound that is not there is None."""
        found = vpa_view(
            vpa({"cpu": "25m", "memory": "262144k"}, lower={"cpu": "5m"}, mode="Initial")
        )

        assert ("Initial", ("cpu", "memory")) == (found.update_mode, found.controlled_resources)
        assert ResourceQuantities("25m", "262144k") == found.target
        assert ResourceQuantities("5m", "") == found.lower_bound
        assert None is found.upper_bound

    def test_bare(self) -> None:
        """Missing fields are empty values."""
        found = vpa_view(BARE)

        assert ("", (), None) == (found.update_mode, found.controlled_resources, found.target)
