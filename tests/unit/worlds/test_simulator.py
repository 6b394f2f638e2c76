"""The simulated cluster does what Kubernetes does."""

from collections.abc import Callable

import orjson
import pytest

from hack.worlds.cluster import Cluster
from hack.worlds.merge import managed_fields, merge_apply, merge_patch
from hack.worlds.model import Effect, EffectKind, Json, Laws, Program, SimPod
from hack.worlds.raw import APP, render_pod
from hack.worlds.simulation import Simulation, build_bare
from selfhealing.cache.parse import pod_view

CRASH = Program(bug=Effect(EffectKind.CRASH))


def deployment(image: str = "web:1", replicas: int = 3, **fields: object) -> Json:
    """A Deployment as a manifest."""
    container = {
        "name": "app",
        "image": image,
        "readinessProbe": {"httpGet": {"path": "/ready"}, "periodSeconds": 5},
        "resources": {"limits": {"memory": "128Mi"}},
    }
    labels = {"selfhealing.dev/app": APP}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": APP, "labels": labels},
        "spec": {
            "replicas": replicas,
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            **fields,
        },
    }


def start(body: Json, nodes: int = 3, **programs: Program) -> Simulation:
    """A cluster with a Deployment whose pods have had a minute; images are ``web_1``."""
    laws = Laws(programs={"web:1": Program(), "web:2": Program()})
    laws.programs |= {name.replace("_", ":"): value for name, value in programs.items()}
    sim = build_bare(laws, nodes)
    sim.cluster.apply("Deployment", body, "kubectl")
    sim.cluster.timeline.run_until(60)
    return sim


def advance(sim: Simulation, seconds: float) -> None:
    """Let time pass."""
    sim.cluster.timeline.run_until(sim.cluster.now + seconds)


def ready(cluster: Cluster) -> int:
    """The number of ready pods."""
    return sum(pod.ready for pod in cluster.active_pods())


def condition(sim: Simulation, kind: str) -> Json | None:
    """A condition of the Deployment."""
    conditions = sim.cluster.children["Deployment"].status["conditions"]
    return next((each for each in conditions if each["type"] == kind), None)


def one_pod(sim: Simulation) -> SimPod:
    """The first pod."""
    return next(sim.cluster.active_pods())


def test_a_rolling_update_never_has_fewer_ready_pods_than_are_wanted() -> None:
    sim = start(deployment())
    sim.cluster.samples.clear()

    sim.cluster.apply("Deployment", deployment("web:2"), "kubectl")
    advance(sim, 120)

    assert min(sample.serving for sample in sim.cluster.samples) == 3
    assert {pod.spec["containers"][0]["image"] for pod in sim.cluster.active_pods()} == {"web:2"}
    assert condition(sim, "Progressing")["reason"] == "NewReplicaSetAvailable"  # type: ignore[index]


def test_a_rollout_that_crashes_keeps_the_old_pods_and_exceeds_its_deadline() -> None:
    sim = start(deployment(), web_2=CRASH)

    sim.cluster.apply("Deployment", deployment("web:2"), "kubectl")
    advance(sim, 700)

    progressing = condition(sim, "Progressing")
    assert progressing is not None
    assert (progressing["status"], progressing["reason"]) == ("False", "ProgressDeadlineExceeded")
    assert ready(sim.cluster) == 3


def test_recreate_stops_all_pods_first() -> None:
    body = deployment(strategy={"type": "Recreate"})
    sim = start(body)
    sim.cluster.samples.clear()

    changed = deployment("web:2", strategy={"type": "Recreate"})
    sim.cluster.apply("Deployment", changed, "kubectl")
    advance(sim, 60)

    assert min(sample.active for sample in sim.cluster.samples) == 0
    assert ready(sim.cluster) == 3


def test_a_container_that_crashes_is_restarted_with_a_back_off() -> None:
    sim = start(deployment(replicas=1), web_1=CRASH)
    restarts = []

    for _ in range(6):
        restarts.append(pod_view(render_pod(one_pod(sim))).containers[0].restarts)
        advance(sim, 300)

    assert restarts == sorted(restarts)
    # 0, 10, 20, 40, 80, 160, 300 s: then one restart in about 5 minutes.
    assert restarts[-1] - restarts[-2] == 1


def test_a_container_that_needs_more_memory_is_killed_and_runs_after_a_resize() -> None:
    sim = start(deployment(replicas=1), web_1=Program(memory=200))
    view = pod_view(render_pod(one_pod(sim)))
    last = view.containers[0].last_termination or view.containers[0].terminated

    assert last is not None
    assert last.reason == "OOMKilled"


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda sim: setattr(sim.laws, "webhook_error", "failed calling webhook"), "FailedCreate"),
        (lambda sim: setattr(sim.laws, "quota_memory", 1), "FailedCreate"),
        (lambda sim: setattr(sim.laws, "max_memory", 100), "FailedCreate"),
    ],
)
def test_refused_pods_are_reported_and_made_later(
    break_it: Callable[[Simulation], None], reason: str
) -> None:
    sim = start(deployment(replicas=1))
    break_it(sim)
    sim.cluster.apply("Deployment", deployment(replicas=2), "kubectl")
    advance(sim, 30)
    failure = condition(sim, "ReplicaFailure")
    assert failure is not None
    assert failure["reason"] == reason

    sim.laws.webhook_error, sim.laws.quota_memory, sim.laws.max_memory = "", None, None
    advance(sim, 1100)

    assert condition(sim, "ReplicaFailure") is None
    assert ready(sim.cluster) == 2


def test_a_lost_node_is_noticed_after_50_s_and_given_up_300_s_later() -> None:
    sim = start(deployment(replicas=2))
    node = sim.cluster.nodes[one_pod(sim).node]

    sim.scheduling.lose(node, is_power_off=True)
    advance(sim, 49)
    assert ready(sim.cluster) == 2
    advance(sim, 2)
    assert ready(sim.cluster) == 1
    view = pod_view(render_pod(next(p for p in sim.cluster.pods.values() if p.node == node.name)))
    assert (view.ready, view.ready_reason, view.containers[0].ready) == (False, "", True)
    advance(sim, 320)
    assert ready(sim.cluster) == 2


def test_a_node_that_was_off_starts_its_containers_anew() -> None:
    sim = start(deployment(replicas=1), nodes=1)
    node = sim.cluster.nodes["node-1"]

    sim.scheduling.lose(node, is_power_off=True)
    advance(sim, 100)
    sim.scheduling.recover(node)
    advance(sim, 30)

    view = pod_view(render_pod(one_pod(sim)))
    assert view.ready
    assert view.containers[0].restarts == 1


def test_the_autoscaler_is_blind_while_no_pod_is_ready() -> None:
    sim = start(deployment(replicas=1), web_1=CRASH)
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "metadata": {"name": APP},
        "spec": {"minReplicas": 1, "maxReplicas": 5},
    }
    sim.cluster.apply("HorizontalPodAutoscaler", autoscaler, "kubectl")
    sim.laws.load = 4
    advance(sim, 60)

    conditions = sim.cluster.children["HorizontalPodAutoscaler"].status["conditions"]
    active = next(each for each in conditions if each["type"] == "ScalingActive")
    assert (active["status"], active["reason"]) == ("False", "FailedGetResourceMetric")
    assert sim.cluster.children["Deployment"].spec["replicas"] == 1


def test_a_missing_key_keeps_a_container_waiting_until_it_is_there() -> None:
    body = deployment(replicas=1)
    source = {"configMapKeyRef": {"name": "settings", "key": "A"}}
    container = body["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [{"name": "A", "valueFrom": source}]
    sim = start(body)
    waiting = pod_view(render_pod(one_pod(sim))).containers[0]
    assert waiting.waiting_reason == "CreateContainerConfigError"

    sim.cluster.set_config("ConfigMap", "settings", {"A": "1"})
    advance(sim, 30)

    assert ready(sim.cluster) == 1


def test_an_apply_removes_what_its_manager_no_longer_gives_and_keeps_what_others_own() -> None:
    before = {"spec": {"containers": [{"name": "app", "image": "web:1", "env": [{"name": "A"}]}]}}
    live = orjson.loads(orjson.dumps(before))
    live["spec"]["containers"][0]["command"] = ["edited"]
    live["spec"]["containers"].append({"name": "injected"})
    after = {"spec": {"containers": [{"name": "app", "image": "web:2"}]}}

    merged = merge_apply(live, before, after)

    assert merged["spec"]["containers"] == [
        {"name": "app", "image": "web:2", "command": ["edited"]},
        {"name": "injected"},
    ]


def test_managed_fields_name_the_items_of_lists_by_their_keys() -> None:
    fields = managed_fields({"spec": {"containers": [{"name": "app", "image": "web:1"}]}})

    assert fields == {
        "f:spec": {"f:containers": {'k:{"name":"app"}': {".": {}, "f:name": {}, "f:image": {}}}}
    }


def test_a_merge_patch_removes_what_is_null() -> None:
    assert merge_patch({"a": 1, "b": {"c": 2}}, {"a": None, "b": {"d": 3}}) == {
        "b": {"c": 2, "d": 3}
    }
