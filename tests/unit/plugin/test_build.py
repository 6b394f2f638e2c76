"""What is made of the objects of an app."""

from dataclasses import replace

import pytest

from selfhealing.plugin.view.build import build_app, build_apps
from selfhealing.plugin.view.json_output import to_json
from selfhealing.plugin.view.level import Level
from selfhealing.plugin.view.model import RevisionRole
from selfhealing.plugin.view.objects import AppObjects
from tests.unit import builders as b
from tests.unit.plugin import apps


def test_a_revision_that_was_rolled_back_is_told_from_the_stable_one() -> None:
    model = build_app(apps.rolled_back_objects())

    assert [
        ("web-old", True, (RevisionRole.STABLE,)),
        ("web-new", False, (RevisionRole.DESIRED, RevisionRole.FAILED)),
    ] == [(each.name, each.current, each.roles) for each in model.revisions]
    assert [True, False] == [each.in_use for each in model.revisions]
    assert ("web:v1", "log:v1") == model.revisions[0].images


def test_the_revision_that_runs_is_the_desired_one_while_none_failed() -> None:
    objects = apps.rolled_back_objects()
    objects.app["status"]["healing"] |= {
        "failedRevision": None,
        "stableRevision": "rev-0",
        "previousStableRevision": "rev-1",
    }
    model = build_app(objects)

    assert (RevisionRole.DESIRED, RevisionRole.PREVIOUS_STABLE) == model.revisions[0].roles
    assert () == model.revisions[1].roles


def test_a_failed_revision_whose_replica_set_is_gone_has_no_role() -> None:
    objects = apps.rolled_back_objects()
    model = build_app(replace(objects, replica_sets=objects.replica_sets[:1]))

    assert [(RevisionRole.STABLE,)] == [each.roles for each in model.revisions]


def test_an_app_without_a_record_has_revisions_without_roles() -> None:
    objects = apps.rolled_back_objects()
    del objects.app["status"]
    model = build_app(objects)

    assert [(), ()] == [each.roles for each in model.revisions]
    assert ("Unknown", Level.NEUTRAL, False) == (model.phase, model.level, model.current)
    assert model.find_condition("Ready") is None


def test_a_pod_that_only_has_the_label_is_not_the_apps() -> None:
    foreign = b.pod("web-x-1", b.running(), ownerReferences=[])
    isolated = b.pod("web-y-1", b.running(), labels={"selfhealing.dev/quarantined": "web"})
    objects = apps.rolled_back_objects()
    model = build_app(replace(objects, pods=[*objects.pods, foreign, isolated]))

    assert [("web-x-1", False), ("web-y-1", True)] == [
        (pod.name, pod.isolated) for pod in model.other_pods
    ]
    assert ["web-old-1", "web-old-2"] == [
        pod.name for revision in model.revisions for pod in revision.pods
    ]


def test_replica_sets_of_another_deployment_are_left_out() -> None:
    objects = apps.rolled_back_objects()
    model = build_app(replace(objects, children={}))

    assert () == model.revisions
    assert 2 == len(model.other_pods)


def test_a_job_is_its_own_revision() -> None:
    job = apps.child("Job", {"parallelism": 1, "template": apps.template("job:v1")}, {"ready": 1})
    pod = b.pod("web-1", b.running(), ownerReferences=[b.controller_reference("Job", "uid-of-Job")])
    model = build_app(AppObjects(b.app(), apps.NOW, {"Job": job}, pods=[pod]))

    assert [("Job", "web", 1, 1, True)] == [
        (each.kind, each.name, each.wanted, each.ready, each.current) for each in model.revisions
    ]
    assert ["web-1"] == [pod.name for pod in model.revisions[0].pods]


def test_the_reason_of_a_restart_is_the_probe_that_the_kubelet_names() -> None:
    killed = b.pod("web-abc-1", b.crash_loop(3, b.termination(137, started=5, finished=30)))
    objects = replace(
        apps.rolled_back_objects(),
        pods=[killed],
        replica_sets=[apps.replica_set("abc", 3)],
        events=[b.probe_kill_event("web-abc-1", 30), b.unhealthy_event("web-abc-1")],
    )
    (pod,) = build_app(objects).revisions[0].pods

    assert pod.last_restart is not None
    assert ("LivenessProbe", 137) == (pod.last_restart.reason, pod.last_restart.exit_code)
    assert ("CrashLoopBackOff", Level.FAILED) == (pod.reason, pod.level)


PODS = {
    "reported": (
        b.pod("web-old-1", b.running(ready=False)),
        ("NotServing", "the probe gets 500", Level.FAILED),
    ),
    "terminating": (
        b.pod("web-old-1", b.running(), deletionTimestamp=b.iso(0)),
        ("Terminating", "the probe gets 500", Level.BUSY),
    ),
    "no node": (
        b.pod("web-old-9", conditions=[b.unschedulable_condition("no node fits")], phase="Pending"),
        ("Unschedulable", "no node fits", Level.FAILED),
    ),
    "new": (b.pod("web-old-9", phase="Pending"), ("Pending", "", Level.BUSY)),
    "not ready": (b.pod("web-old-9", b.running(ready=False)), ("NotReady", "", Level.WARNING)),
    "ended": (
        b.pod("web-old-9", b.terminated(b.termination(0)), phase="Succeeded"),
        ("Completed", "", Level.OK),
    ),
    "evicted": (
        b.evicted_pod("web-old-9", message="The node had no memory"),
        ("Evicted", "The node had no memory", Level.FAILED),
    ),
}


@pytest.mark.parametrize("name", PODS)
def test_a_pod_is_described_by_its_problem_or_state(name: str) -> None:
    raw, expected = PODS[name]
    objects = replace(apps.rolled_back_objects(), pods=[raw])
    objects.app["status"]["pods"] = [
        {"name": "web-old-1", "reason": "NotServing", "message": "the probe gets 500"}
    ]
    (pod,) = build_app(objects).revisions[0].pods

    assert expected == (pod.reason, pod.message, pod.level)


def test_a_container_that_has_not_been_reported_is_unknown() -> None:
    pod = b.pod("web-old-1", b.container({}), b.terminated(b.termination(1), name="log"))
    (model,) = build_app(replace(apps.rolled_back_objects(), pods=[pod])).revisions[0].pods

    assert ["unknown", "terminated"] == [each.state for each in model.containers]


def test_a_terminating_pod_that_was_not_reported_has_no_message() -> None:
    pod = b.pod("web-old-1", b.running(), deletionTimestamp=b.iso(0))
    (model,) = build_app(replace(apps.rolled_back_objects(), pods=[pod])).revisions[0].pods

    assert ("Terminating", "") == (model.reason, model.message)


STALLED = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
CHILDREN = [
    (apps.deployment(3), "2 of 2 available", Level.OK),
    (apps.deployment(3, availableReplicas=1), "1 of 2 available", Level.WARNING),
    (apps.deployment(3, updatedReplicas=1), "2 of 2 available; 1 updated", Level.BUSY),
    (
        apps.deployment(3, conditions=[STALLED]),
        "2 of 2 available; ProgressDeadlineExceeded",
        Level.FAILED,
    ),
    (apps.child("Job", {}, {"succeeded": 1}), "running; 1 succeeded, 0 failed", Level.BUSY),
    (
        apps.child("Job", {"suspend": True}),
        "suspended; 0 succeeded, 0 failed",
        Level.WARNING,
    ),
    (
        apps.child("Job", {}, {"conditions": [{"type": "Complete", "status": "True"}]}),
        "complete; 0 succeeded, 0 failed",
        Level.OK,
    ),
    (
        apps.child(
            "Job", {}, {"conditions": [{"type": "Failed", "status": "True", "reason": "Backoff"}]}
        ),
        "failed: Backoff; 0 succeeded, 0 failed",
        Level.FAILED,
    ),
    (
        apps.child(
            "HorizontalPodAutoscaler",
            {
                "minReplicas": 1,
                "maxReplicas": 5,
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "cpu",
                            "target": {"type": "Utilization", "averageUtilization": 80},
                        },
                    }
                ],
            },
            {"desiredReplicas": 2},
        ),
        "2 of 1 to 5 pods; cpu ?/80%",
        Level.OK,
    ),
    (
        apps.child(
            "HorizontalPodAutoscaler",
            {"maxReplicas": 5},
            {
                "conditions": [
                    {"type": "ScalingActive", "status": "False", "reason": "FailedGetMetric"}
                ]
            },
        ),
        "0 of 1 to 5 pods; FailedGetMetric",
        Level.WARNING,
    ),
    (apps.child("PodDisruptionBudget", {"maxUnavailable": 1}), "maxUnavailable 1", Level.BUSY),
    (
        apps.child(
            "PodDisruptionBudget",
            {"maxUnavailable": 1},
            {"observedGeneration": 1, "disruptionsAllowed": 1},
        ),
        "maxUnavailable 1; 1 may be evicted now",
        Level.OK,
    ),
    (
        apps.child("PodDisruptionBudget", {"maxUnavailable": 1}, {"observedGeneration": 1}),
        "maxUnavailable 1; 0 may be evicted now",
        Level.WARNING,
    ),
    (apps.child("Service", {"ports": [{"port": 80}]}), "port 80", Level.OK),
    (
        apps.child("Service", {"ports": [{"port": 80, "nodePort": 30000}]}),
        "port 80; 30000 on every node",
        Level.OK,
    ),
    (
        apps.child("Service", {"type": "LoadBalancer"}),
        "no port of TCP; the load balancer has no address yet",
        Level.BUSY,
    ),
    (apps.child("Ingress"), "no address yet", Level.BUSY),
    (
        apps.child("Ingress", {}, {"loadBalancer": {"ingress": [{"ip": "10.0.0.9"}]}}),
        "10.0.0.9",
        Level.OK,
    ),
    (apps.child("HTTPRoute"), "no gateway has answered", Level.BUSY),
    (
        apps.child(
            "HTTPRoute",
            {},
            {
                "parents": [
                    {
                        "parentRef": {"name": "gate"},
                        "conditions": [{"type": "Accepted", "status": "True"}],
                    }
                ]
            },
        ),
        "accepted by gate",
        Level.OK,
    ),
    (
        apps.child(
            "HTTPRoute",
            {},
            {
                "parents": [
                    {
                        "parentRef": {"name": "gate"},
                        "conditions": [
                            {"type": "Accepted", "status": "False", "reason": "NoMatch"}
                        ],
                    }
                ]
            },
        ),
        "refused by gate: NoMatch",
        Level.FAILED,
    ),
    (
        apps.child(
            "VerticalPodAutoscaler",
            {},
            {
                "recommendation": {
                    "containerRecommendations": [
                        {"containerName": "app", "target": {"memory": "250Mi"}}
                    ]
                }
            },
        ),
        "recommends memory 250Mi",
        Level.OK,
    ),
    (apps.child("VerticalPodAutoscaler"), "", Level.NEUTRAL),
    (apps.child("NetworkPolicy"), "", Level.NEUTRAL),
]


@pytest.mark.parametrize(("raw", "state", "level"), CHILDREN)
def test_a_child_is_described_in_a_clause(raw: apps.Json, state: str, level: Level) -> None:
    model = build_app(AppObjects(b.app(), apps.NOW, {raw["kind"]: raw}))

    assert [(raw["kind"], state, level, True)] == [
        (child.kind, child.state, child.level, child.owned) for child in model.children
    ]


def test_an_object_of_somebody_else_is_named_as_such() -> None:
    service = apps.child("Service", deletionTimestamp=b.iso(0))
    mine = build_app(AppObjects(b.app(), apps.NOW, {"Service": service})).children[0]
    del service["metadata"]["ownerReferences"]
    foreign = build_app(AppObjects(b.app(), apps.NOW, {"Service": service})).children[0]

    assert ("is being deleted", "belongs to somebody else") == (mine.state, foreign.state)
    assert (True, False) == (mine.owned, foreign.owned)


def test_text_from_the_cluster_is_clean() -> None:
    objects = AppObjects(b.app(status={"message": "red \x1b[31m\u202ealert\nnow"}), apps.NOW)

    assert "red alert now" == build_app(objects).status.message


def test_apps_that_need_a_person_come_first() -> None:
    phases = ("Ready", "Degraded", "Progressing", "Paused")
    found = [
        AppObjects(b.app(status={"phase": phase}, name=phase.lower()), apps.NOW) for phase in phases
    ]

    assert ["degraded", "paused", "progressing", "ready"] == [
        app.key.name for app in build_apps(found)
    ]


def test_a_model_is_json_with_names_as_kubernetes_has_them() -> None:
    found = to_json(build_app(apps.rolled_back_objects()))

    assert {"namespace": "shop", "name": "web"} == found["key"]
    assert "2026-01-01T13:00:00Z" == found["readAt"]
    assert "rev-2" == found["status"]["healing"]["failedRevision"]
    assert ["desired", "failed"] == found["revisions"][1]["roles"]
