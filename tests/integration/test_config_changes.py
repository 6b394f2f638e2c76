"""Pods are made anew when a ConfigMap or Secret changes that they read, and only then.

On fake nodes no container reads anything: looked at is what the Deployment asks for.
"""

from base64 import b64encode
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from hack.testkit.fake_kubelet import Kubelet
from hack.testkit.kube_client import Json, Kube, namespace_for
from hack.testkit.namespace import FAKE_NODES, NOWHERE, Space
from hack.testkit.operator_process import OperatorProcess, running
from hack.testkit.service_account import identity, rights
from hack.testkit.wait import eventually, stays
from selfhealing.api.config import ConfigWatch
from selfhealing.kube.resources import LEASES, in_scope

pytestmark = pytest.mark.usefixtures("operator")

LIMIT = 40
STILL = 2.0
"""Seconds in which a change would have reached a Deployment."""


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """Healing in a twentieth of the time."""
    return {"SELFHEALING_HEALING_SCALE": "0.05"}


def config_map(space: Space, name: str, labels: Json | None = None, **data: str) -> None:
    """Let there be a ConfigMap that holds this."""
    meta = {"name": name, "namespace": space.name, "labels": labels or {}}
    space.kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})


def secret(space: Space, name: str, **data: str) -> None:
    """Let there be a Secret that holds this."""
    meta = {"name": name, "namespace": space.name}
    held = {key: b64encode(value.encode()).decode() for key, value in data.items()}
    space.kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": held})


def template(space: Space, name: str) -> Json:
    """The pod template of the app's Deployment."""
    found: Json = space.deployment(name)["spec"]["template"]
    return found


def mark(space: Space, name: str) -> str:
    """The mark of the configuration in the pod template; empty for none."""
    notes = template(space, name)["metadata"].get("annotations") or {}
    found: str = notes.get("selfhealing.dev/config", "")
    return found


def marked(space: Space, name: str, **spec: object) -> str:
    """Make an app and wait for its Deployment; its mark."""
    space.create(name, **{**NOWHERE, **spec})
    space.reconciled(name)
    return mark(space, name)


def changes(space: Space, name: str, before: str) -> str:
    """Wait until the mark is another one."""
    eventually(lambda: mark(space, name) != before, says="the pods are made anew")
    return mark(space, name)


def stays_so(space: Space, name: str) -> None:
    """The Deployment's pods stay those that they are."""
    known = template(space, name)
    stays(lambda: template(space, name) == known, seconds=STILL)


def test_a_config_map(space: Space, name: str) -> None:
    """Another value makes the pods anew, another label does not, and the old value goes back."""
    config_map(space, name, mode="fast")
    first = marked(space, name, envFrom=[{"configMapRef": {"name": name}}])
    assert first

    config_map(space, name, {"seen": "yes"}, mode="fast")
    stays_so(space, name)
    config_map(space, name, mode="slow")
    second = changes(space, name, first)
    config_map(space, name, mode="fast")

    assert second != first == changes(space, name, second)
    assert space.told(name)["Updated"] >= 2


def named(part: object, name: str) -> object:
    """A copy in which every "?" is the name."""
    if isinstance(part, dict):
        return {key: named(value, name) for key, value in part.items()}
    if isinstance(part, list):
        return [named(each, name) for each in part]
    return name if part == "?" else part


@pytest.mark.parametrize(
    "reads",
    [
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "?", "key": "word"}}}]},
        {"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "?"}}]}}]},
    ],
    ids=["env", "projected"],
)
def test_a_secret(space: Space, name: str, reads: Json) -> None:
    """Wherever the pods read it; what it holds is seen nowhere."""
    secret(space, name, word="before")
    first = marked(space, name, **{field: named(part, name) for field, part in reads.items()})
    assert first

    secret(space, name, word="after")

    changes(space, name, first)
    assert "after" not in str(space.deployment(name))


def test_what_is_not_read(space: Space, name: str) -> None:
    """Of another ConfigMap nothing follows, and who reads nothing has no mark."""
    config_map(space, name, mode="fast")

    assert not marked(space, name)

    config_map(space, name, mode="slow")
    stays_so(space, name)


def test_not_wanted(space: Space, name: str) -> None:
    """False: no mark, and no new pods."""
    config_map(space, name, mode="fast")
    reads = {"envFrom": [{"configMapRef": {"name": name}}]}

    assert not marked(space, name, restartOnConfigChange=False, **reads)

    config_map(space, name, mode="slow")
    stays_so(space, name)
    space.edit(name, restartOnConfigChange=None)
    changes(space, name, "")
    space.edit(name, restartOnConfigChange=False)
    eventually(lambda: not mark(space, name), says="the mark is taken away")


def test_a_job_does_not_run_again(space: Space, name: str) -> None:
    """Its configuration is that of the time when it began."""
    config_map(space, name, mode="fast")
    reads = {"envFrom": [{"configMapRef": {"name": name}}]}
    space.create(name, restartPolicy="Never", **NOWHERE, **reads)
    space.reconciled(name)
    uid = space.child("Job", name)["metadata"]["uid"]

    config_map(space, name, mode="slow")

    stays(lambda: space.child("Job", name)["metadata"]["uid"] == uid, seconds=STILL)


def test_one_that_may_be_missing(space: Space, name: str) -> None:
    """It comes, and the pods that began without it are made anew; it goes, and they are again."""
    reads = {"envFrom": [{"configMapRef": {"name": name, "optional": True}}]}
    first = marked(space, name, **reads)
    assert first

    config_map(space, name, mode="fast")
    second = changes(space, name, first)
    space.kube.delete("ConfigMap", space.name, name)

    assert first == changes(space, name, second)


def test_one_that_must_be_there(space: Space, name: str) -> None:
    """While it is away no pod is touched: a new one could not start."""
    config_map(space, name, mode="fast")
    first = marked(space, name, envFrom=[{"configMapRef": {"name": name}}])

    space.kube.delete("ConfigMap", space.name, name)
    stays_so(space, name)
    space.edit(name, env=[{"name": "A", "value": "b"}])  # everything else is followed
    eventually(lambda: "env" in space.container(name), says="the spec is followed")
    assert first == mark(space, name)

    config_map(space, name, mode="slow")
    changes(space, name, first)


def test_a_new_start_writes_nothing(space: Space, operator: OperatorProcess, name: str) -> None:
    """What it did not see while it was away, it sees then; what it knew before is no news."""
    config_map(space, name, mode="fast")
    secret(space, name, word="before")
    sources = [{"configMapRef": {"name": name}}, {"secretRef": {"name": name}}]
    first = marked(space, name, envFrom=sources)
    known = space.deployment(name)["metadata"]["generation"]

    with operator.away():
        pass
    space.edit(name, service={"enabled": False})  # the answer shows that it works
    space.reconciled(name)
    assert known == space.deployment(name)["metadata"]["generation"]
    assert not [what for what in operator.wrote() if what.endswith("Deployment")]

    with operator.away():
        secret(space, name, word="after")
    changes(space, name, first)


def test_a_bad_configuration_is_rolled_back(space: Space, kubelet: Kubelet, name: str) -> None:
    """The pods that read the values before go on serving; a better configuration is tried."""
    config_map(space, name, mode="fast")
    healing = {"cooldown": "20s", "rollback": {"probation": "40s"}}
    reads = {"envFrom": [{"configMapRef": {"name": name}}]}
    # On fake nodes a pod is ready at once, before it can crash: the old ones are to wait for more.
    rollout = {"minReadySeconds": 5}
    space.create(name, replicas=3, healing=healing, rollout=rollout, **FAKE_NODES, **reads)
    space.is_(name, "Ready")
    eventually(
        lambda: (found := space.status(name)["healing"])["template"] == found.get("goodTemplate"),
        timeout=LIMIT,
        says="the version has proved itself",
    )
    first, old = mark(space, name), {pod["metadata"]["uid"] for pod in space.pods(name)}
    crash = partial(_crash, space, kubelet, name, first)

    config_map(space, name, mode="broken")

    def rolled_back() -> bool:
        crash()
        history = space.status(name)["healing"].get("history", ())
        assert [("Rollback", "Helped")] == [(a["remedy"], a["outcome"]) for a in history]
        return True

    eventually(rolled_back, timeout=LIMIT, says="it is rolled back")
    assert first == mark(space, name)
    assert old == {pod["metadata"]["uid"] for pod in space.pods(name)}
    assert "Degraded" == space.status(name)["phase"]

    config_map(space, name, mode="better")
    changes(space, name, first)
    space.is_(name, "Ready", timeout=LIMIT)


def _crash(space: Space, kubelet: Kubelet, name: str, good: str) -> None:
    """Let every pod crash that reads another configuration than the ``good`` one."""
    for pod in space.pods(name):
        notes = pod["metadata"].get("annotations") or {}
        entries = pod.get("status", {}).get("containerStatuses")
        fine = notes.get("selfhealing.dev/config") == good
        if not fine and entries and "waiting" not in entries[0]["state"]:
            with suppress(AssertionError):  # it may be gone meanwhile
                kubelet.ended(
                    pod["metadata"]["name"], "Error", 3, times=3, lived=timedelta(seconds=5)
                )
                kubelet.back_off(pod["metadata"]["name"])


@pytest.mark.parametrize("watch", ["configmaps", "off"])
def test_without_the_right_to_secrets(kube: Kube, tmp_path: Path, watch: ConfigWatch) -> None:
    """With exactly the rights of the setting: what may not be read is not followed."""
    with namespace_for(kube, "test-no-secrets") as where:
        space = Space(kube, where)
        config_map(space, "settings", mode="fast")
        secret(space, "password", word="before")
        allowed = rights((*in_scope(watch), LEASES))
        config = identity(kube, where, "operator", allowed, tmp_path)
        chosen = {"SELFHEALING_CONFIG_WATCH": watch}
        with running([where], tmp_path / "log", kubeconfig=config, settings=chosen) as operator:
            sources = [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "password"}}]
            first = marked(space, "app", envFrom=sources)
            secret(space, "password", word="after")
            stays_so(space, "app")
            config_map(space, "settings", mode="slow")
            if watch == "off":
                stays_so(space, "app")
                assert not first
            else:
                changes(space, "app", first)

            assert "forbidden" not in operator.text().lower()
