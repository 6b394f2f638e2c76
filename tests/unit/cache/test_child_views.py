"""Children to views."""

import orjson
import pytest

from selfhealing.cache.child_views import (
    autoscaler_view,
    budget_view,
    deployment_view,
    job_view,
    service_view,
    vertical_view,
)
from selfhealing.cache.views import Amounts, ConditionView, MetricView
from tests.unit import builders
from tests.unit.builders import (
    at,
    autoscaler,
    budget,
    child,
    deployment,
    job,
    progressing,
    service,
    vertical,
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
            found.owned_by,
            found.applied,
            found.adopt,
            found.deleting,
        )

    def test_nothing_but_a_name(self) -> None:
        """Whatever is missing is empty."""
        found = service_view(BARE)

        assert ("", "", False, False) == (
            found.owned_by,
            found.applied,
            found.adopt,
            found.deleting,
        )
        assert ("ClusterIP", 0, 0, "") == (
            found.type,
            found.port,
            found.node_port,
            found.ingress,
        )

    def test_an_owner_that_does_not_control(self) -> None:
        """A stranger's reference says nothing of who manages it."""
        thing = service(owner="")
        thing["metadata"]["ownerReferences"] = [
            {"apiVersion": "x/v1", "uid": "u", "kind": "SelfHealingApp", "name": "x"},
            {"apiVersion": "selfhealing.dev/v1", "uid": "u", "kind": "Other", "name": "x"},
        ]

        assert "" == service_view(thing).owned_by

    def test_an_app_that_owns_it_without_being_its_controller(self) -> None:
        """So it is with vertical scaling; another controller comes first."""
        app = {"apiVersion": "selfhealing.dev/v1alpha1", "kind": "SelfHealingApp", "uid": "app"}
        other = {"apiVersion": "x/v1", "kind": "X", "uid": "x", "controller": True}
        thing = service(owner="")
        thing["metadata"]["ownerReferences"] = [{**app, "name": "web", "controller": False}]
        assert "app" == service_view(thing).owned_by

        thing["metadata"]["ownerReferences"].append({**other, "name": "x"})
        assert "x" == service_view(thing).owned_by

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
        } == orjson.loads(service_view(thing | {"spec": None}).document)

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
            (progressing("NewReplicaSetAvailable", "5d4f8c7b9"), "5d4f8c7b9"),
            (progressing("NewReplicaSetCreated", "5d4f8c7b9"), "5d4f8c7b9"),
            (progressing("FoundNewReplicaSet", "5d4f8c7b9"), "5d4f8c7b9"),
            (progressing("ReplicaSetUpdated", "5d4f8c7b9"), "5d4f8c7b9"),
            (progressing("ProgressDeadlineExceeded", "5d4f8c7b9", status="False"), "5d4f8c7b9"),
            (progressing("DeploymentPaused", status="Unknown"), ""),
            (
                {
                    "type": "Progressing",
                    "status": "False",
                    "reason": "ReplicaSetCreateError",
                    "message": 'Failed to create new replica set "web-5d4f8c7b9": denied',
                },
                "5d4f8c7b9",
            ),
            (progressing() | {"message": 'ReplicaSet "other-5d4f8c7b9" is progressing.'}, ""),
            (progressing() | {"type": "Available"}, ""),
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
        """Type, ports and the balancer's address."""
        found = service_view(
            service("LoadBalancer", node_port=30080, ingress=[{"ip": "192.0.2.7"}])
        )

        assert ("LoadBalancer", 80, 30080, "192.0.2.7") == (
            found.type,
            found.port,
            found.node_port,
            found.ingress,
        )


class TestAutoscalers:
    """A HorizontalPodAutoscaler."""

    def test_figures(self) -> None:
        """What it sees and wants."""
        thing = autoscaler(2, 3)
        thing["status"]["lastScaleTime"] = builders.iso(5)
        found = autoscaler_view(thing)

        assert (2, 3, 1, 5, builders.at(5)) == (
            found.current,
            found.desired,
            found.minimum,
            found.maximum,
            found.last_scale_time,
        )
        assert (MetricView("cpu", "31%", "50%"),) == found.metrics

    def test_nothing_but_a_name(self) -> None:
        """Kubernetes' own default is a minimum of 1."""
        found = autoscaler_view(BARE)

        assert (0, 0, 1, 0, None, ()) == (
            found.current,
            found.desired,
            found.minimum,
            found.maximum,
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
        thing = autoscaler()
        thing["spec"]["metrics"] = [metric]
        thing["status"]["currentMetrics"] = [current]

        assert (expected,) == autoscaler_view(thing).metrics


class TestBudget:
    """What a PodDisruptionBudget lets happen."""

    def test_numbers(self) -> None:
        """As it is written, and as Kubernetes counts."""
        found = budget_view(budget(0, 1, 1, limit={"minAvailable": "50%"}))

        assert ("minAvailable 50%", 0, 1, 1) == (
            found.limit,
            found.allowed,
            found.healthy,
            found.required,
        )

    def test_not_counted_yet(self) -> None:
        """The figures of a former budget say nothing about this one."""
        found = budget_view(budget(observed=False))

        assert ("maxUnavailable 1", None, None, None) == (
            found.limit,
            found.allowed,
            found.healthy,
            found.required,
        )

    def test_bare(self) -> None:
        """Missing fields are empty values."""
        found = budget_view(BARE)

        assert ("", None) == (found.limit, found.allowed)


class TestJobs:
    """A Job."""

    def test_nothing_but_a_name(self) -> None:
        """Whatever is missing is as Kubernetes would have it."""
        found = job_view(BARE)

        assert ("", 1, None, False) == (
            found.run,
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
            found.run,
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
        found = vertical_view(
            vertical({"cpu": "25m", "memory": "262144k"}, lower={"cpu": "5m"}, mode="Initial")
        )

        assert ("Initial", ("cpu", "memory")) == (found.mode, found.controls)
        assert Amounts("25m", "262144k") == found.target
        assert Amounts("5m", "") == found.lower
        assert None is found.upper

    def test_bare(self) -> None:
        """Missing fields are empty values."""
        found = vertical_view(BARE)

        assert ("", (), None) == (found.mode, found.controls, found.target)
