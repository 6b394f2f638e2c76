"""Whatever an adversary writes, the operator touches only what is the app's, by its owners.

The real operator from the watch events to the requests runs against `SimApiServer`. Two namespaces
have an app each; one adversary may do in the namespace ``shop`` all that the role ``edit`` allows,
the other may also write the status of the app and ControllerRevisions. The app in the namespace
``bank`` must get the same writes as in a cluster without the adversary.
"""

import asyncio
import os
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, cast

from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from selfhealing.cache.store import Store
from selfhealing.cache.views import MAX_STATUS_BYTES, AppKey
from selfhealing.controller.child_sync import ChildSync
from selfhealing.controller.config_reader import ConfigReader
from selfhealing.controller.event_handlers import DELETED, EventHandlers
from selfhealing.controller.reconciler import Reconciler
from selfhealing.controller.recorder import EventRecorder
from selfhealing.controller.remediator import Remediator
from selfhealing.controller.settings import Settings
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.errors import ApiError
from selfhealing.render.overrides import template_revision
from tests.unit import builders
from tests.unit.controller.fake_api_server import build_slots
from tests.unit.controller.fake_loop import FakeLoop, now
from tests.unit.controller.sim_api_server import Json, SimApiServer, controller_uid
from tests.unit.examples import scale_examples

EXAMPLES: Final = int(os.environ.get("ADVERSARY_EXAMPLES") or scale_examples(40))
"""The number of examples; each has up to 30 steps."""

SHOP, BANK = "shop", "bank"
SPEC: Final[Json] = {
    "image": "web:v1",
    "port": 5000,
    "replicas": 3,
    "resources": {"limits": {"memory": "100Mi"}},
    "healing": {
        "cooldown": "30s",
        "window": "1h",
        "budget": 2,
        "memory": {"max": "200Mi"},
        "replacePod": {"after": "30s"},
        "rollback": {"probation": "1m"},
    },
}
STATEFUL_POD = "db-0"
"""A pod of somebody else in the adversary's namespace."""

VICTIM_UID = f"{BANK}-Pod-4"


class Cluster:
    """A cluster with its operator."""

    def __init__(self) -> None:
        self.server = SimApiServer()
        self.loop = FakeLoop()
        for namespace in (SHOP, BANK):
            self.server.put(
                {**builders.app(SPEC), "metadata": {"namespace": namespace, "name": "web"}}
            )
            self._put_pod(namespace, STATEFUL_POD, {}, "StatefulSet")
        self.start_operator()
        for _ in range(6):
            self.run(20)

    def _put_pod(self, namespace: str, name: str, labels: Json, owner: str) -> None:
        pod = builders.pod(
            f"{name}-x-x",
            builders.crash_loop(9, builders.termination()),
            labels=labels,
            ownerReferences=[builders.controller_reference(owner, f"uid-of-{owner}")],
        )
        pod["metadata"] |= {"name": name, "namespace": namespace}
        self.server.put(pod)

    def start_operator(self) -> None:
        """Start a process that knows nothing but what the server has."""
        self.store = Store()
        self.server.undelivered.clear()
        kinds = ["SelfHealingApp", "Deployment", "ReplicaSet", "Service"]
        for kind in (*kinds, "PodDisruptionBudget", "Job", "Pod"):
            for namespace in (SHOP, BANK):
                for manifest in self.server.select(kind, namespace):
                    self.server.undelivered.append(("ADDED", manifest))

        async def start() -> None:
            queue: WorkQueue[AppKey] = WorkQueue()
            self.event_handlers = EventHandlers(self.store, queue, 0)
            options = Settings(healing_quiet=0, status_interval=0)
            client = self.server.client
            optional = type("Served", (), {"is_missing": staticmethod(lambda _: False)})
            silent = type("Silent", (), {"record_event": staticmethod(lambda *_: None)})
            self.reconciler = Reconciler(
                client,
                self.store,
                queue,
                cast("EventRecorder", silent),
                ChildSync(client, self.store, cast("Any", optional), build_slots()),
                Remediator(client, self.store, queue, options, now, self.server_now),
                ConfigReader(client, self.store.config_index, queue, (), 0),
                options,
                now,
                self.server_now,
            )

        self.loop.run_until_complete(start())

    def server_now(self) -> datetime:
        """Tell the API server's time."""
        return builders.at(self.server.seconds)

    def deliver(self) -> None:
        """Let the watches bring what has changed."""
        handlers: dict[str, Callable[[Json], None]] = {
            "SelfHealingApp": self.event_handlers.on_app,
            "ReplicaSet": self.event_handlers.on_replica_set,
            "Pod": self.event_handlers.on_pod,
            "Event": self.event_handlers.on_pod_event,
        }
        events, self.server.undelivered[:] = list(self.server.undelivered), []
        for change, manifest in events:
            if manifest["kind"] in {"ConfigMap", "ControllerRevision"}:
                continue
            is_labelled = "selfhealing.dev/app" in (manifest["metadata"].get("labels") or {})
            watched = manifest["kind"] in {"SelfHealingApp", "Event"} or is_labelled
            handler = handlers.get(manifest["kind"], self.event_handlers.on_child)
            # A watch with a label selector reports a lost label as a deletion.
            handler({"type": change if watched else DELETED, "object": manifest})

    def run(self, seconds: float, *, is_cache_stale: bool = False) -> None:
        """Let time pass, the controllers act, and both apps be reconciled."""
        self.server.seconds += seconds
        self.server.run_controllers()

        async def reconcile() -> None:
            cast("FakeLoop", asyncio.get_running_loop()).block(seconds)
            if not is_cache_stale:
                self.deliver()
            for namespace in (BANK, SHOP):
                try:
                    await self.reconciler._reconcile(AppKey(namespace, "web"))  # noqa: SLF001 - once
                except ApiError:
                    continue

        self.loop.run_until_complete(reconcile())

    def close(self) -> None:
        """Close the loop."""
        self.loop.close()


LABELS: Final = st.fixed_dictionaries(
    {},
    optional={
        "selfhealing.dev/app": st.sampled_from(["web", "other"]),
        "selfhealing.dev/quarantined": st.just("web"),
    },
)
OWNERS: Final = st.sampled_from(
    ["none", "replica set", "deployment", "app", "other", "bank app", "bank replica set"]
)
STATES: Final = st.sampled_from(["ready", "crash", "failed", "unready", "lost"])
PODS: Final = st.sampled_from(["evil-1", "evil-2", "evil-3", STATEFUL_POD, "own-0", "own-1"])
TIMES: Final = st.sampled_from(
    ["2020-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"]
    + [builders.iso(seconds) for seconds in (0, 130, 3000, 90000)]
)
REVISIONS: Final = st.sampled_from(["0123456789", "forged", "../../secrets/x", "own", "desired"])


class Adversary(RuleBasedStateMachine):
    """An editor of the namespace ``shop``."""

    def __init__(self) -> None:
        super().__init__()
        self.attacked, self.quiet = Cluster(), Cluster()
        self.server = self.attacked.server

    def teardown(self) -> None:
        """Close the loops."""
        self.attacked.close()
        self.quiet.close()

    # What the adversary does.

    def _own_pods(self) -> list[str]:
        return [
            pod["metadata"]["name"]
            for pod in self.server.select("Pod", SHOP)
            if pod["metadata"]["name"].startswith("web-")
        ]

    def _pod_name(self, name: str) -> str:
        """The name of a pod of the app for ``own-N``, if there is one."""
        own = self._own_pods()
        return own[int(name[-1])] if name.startswith("own") and int(name[-1]) < len(own) else name

    def _owners(self, owner: str) -> list[Json]:
        namespace = BANK if owner.startswith("bank") else SHOP
        reference = builders.controller_reference
        if owner.endswith("app"):
            uid = self.server.objects["SelfHealingApp", namespace, "web"]["metadata"]["uid"]
            return [builders.app_reference(uid)]
        if owner == "other":
            return [reference("DaemonSet", "uid-of-another")]
        kind = "ReplicaSet" if owner.endswith("replica set") else "Deployment"
        found = next(self.server.select(kind, namespace), None)
        if owner == "none" or found is None:
            return []
        meta = found["metadata"]
        return [reference(kind, meta["uid"], name=meta["name"])]

    @rule(name=PODS, labels=LABELS, owner=OWNERS, state=STATES)
    def write_pod(self, name: str, labels: Json, owner: str, state: str) -> None:
        """Create a pod, or change the metadata of one, also of the app's own."""
        self._set_pod(self._pod_name(name), labels, self._owners(owner), state)

    @rule(name=PODS)
    def copy_labels_of_the_app(self, name: str) -> None:
        """Make a pod look like one of the app's, but for its owner."""
        own = self._own_pods()
        if own:
            found = self.server.objects["Pod", SHOP, own[0]]["metadata"]
            self._set_pod(self._pod_name(name), found["labels"], self._owners("other"), "failed")

    def _set_pod(self, name: str, labels: Json, owners: list[Json], state: str) -> None:
        live = self.server.find("Pod", SHOP, name)
        if live is None:
            live = builders.pod(f"{name}-x-x", _container(state), created=0, labels={})
            live["metadata"] |= {"name": name, "namespace": SHOP}
            if state == "failed":
                live["status"]["phase"] = "Failed"
        live["metadata"] |= {"labels": dict(labels), "ownerReferences": owners}
        self.server.put(live)

    @rule(name=PODS)
    def delete_pod(self, name: str) -> None:
        """Delete a pod."""
        self.server.remove("Pod", SHOP, self._pod_name(name))

    @rule(owner=OWNERS, name=st.sampled_from(["forged", "own"]), label=st.booleans())
    def write_replica_set(self, owner: str, name: str, *, label: bool) -> None:
        """Create a ReplicaSet, or change the owner of the app's."""
        own = next(self.server.select("ReplicaSet", SHOP), None)
        meta = own["metadata"] if own is not None and name == "own" else {"name": "web-forged"}
        self.server.put(
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {
                    **meta,
                    "namespace": SHOP,
                    "labels": {"selfhealing.dev/app": "web"} if label else {},
                    "ownerReferences": self._owners(owner),
                },
            }
        )

    @rule(
        kind=st.sampled_from(["Deployment", "Service"]),
        change=st.sampled_from(["delete", "disown", "steal", "drift", "adopt", "unlabel"]),
    )
    def change_child(self, kind: str, change: str) -> None:
        """Delete a child, change it, or put another in its place."""
        live = self.server.find(kind, SHOP)
        self.server.remove(kind, SHOP, "web") if change == "delete" else None
        if live is None or change == "delete":
            return
        meta = live["metadata"]
        if change in {"disown", "adopt"}:
            meta["ownerReferences"] = []
        if change == "adopt":
            meta["annotations"] = {**meta.get("annotations", {}), "selfhealing.dev/adopt": "true"}
        if change == "steal":
            meta["ownerReferences"] = self._owners("bank app")
        if change == "drift" and kind == "Deployment":
            live["spec"]["template"]["spec"]["tolerations"] = [{"operator": "Exists"}]
        if change == "unlabel":
            meta["labels"] = {}
        self.server.put(live)

    @rule(
        kind=st.sampled_from(["ConfigMap", "Job", "PodDisruptionBudget"]),
        owner=st.sampled_from(["none", "app", "other"]),
    )
    def take_a_name(self, kind: str, owner: str) -> None:
        """Create an object with the name of a child, or of the evidence."""
        name = "web-evidence" if kind == "ConfigMap" else "web"
        manifest = builders.child(kind, owner="", name=name)
        manifest["metadata"] |= {"namespace": SHOP, "ownerReferences": self._owners(owner)}
        self.server.put(manifest)

    @rule(
        pod=PODS,
        namespace=st.sampled_from([SHOP, BANK]),
        component=st.sampled_from(["kubelet", "evil"]),
        stop=st.booleans(),
    )
    def write_event(self, pod: str, namespace: str, component: str, *, stop: bool) -> None:
        """Create Killing Events in the own namespace, about pods of any."""
        pods = [self.server.find("Pod", SHOP, self._pod_name(pod))]
        if namespace == BANK:
            pods = list(self.server.select("Pod", BANK))
        for found in filter(None, pods):
            meta = found["metadata"]
            build = builders.pod_stop_event if stop else builders.probe_kill_event
            event = build(meta["name"], self.server.seconds)
            event["source"]["component"] = component
            event["involvedObject"]["uid"] = meta["uid"]
            self.server.undelivered.append(("ADDED", event))

    # What happens anyway, in both clusters.

    @rule(state=STATES, number=st.integers(0, 2))
    def a_pod_of_the_bank_changes(self, state: str, number: int) -> None:
        """A pod of the app that nobody attacks has a fault, or recovers."""
        for cluster in (self.attacked, self.quiet):
            set_state(cluster.server, BANK, number, state)

    @rule(state=STATES, number=st.integers(0, 2))
    def a_pod_of_the_shop_changes(self, state: str, number: int) -> None:
        """A pod of the attacked app has a fault, or recovers."""
        set_state(self.server, SHOP, number, state)

    @rule(seconds=st.sampled_from([1, 10, 31, 40, 61, 301]), is_cache_stale=st.booleans())
    def time_passes(self, seconds: float, *, is_cache_stale: bool) -> None:
        """Time passes, and the apps are reconciled, by an old cache or by a new one."""
        self.attacked.run(seconds, is_cache_stale=is_cache_stale)
        self.quiet.run(seconds, is_cache_stale=is_cache_stale)

    @rule()
    def the_operator_restarts(self) -> None:
        """Another process goes on with what is stored."""
        for cluster in (self.attacked, self.quiet):
            cluster.start_operator()
            cluster.run(1)

    @invariant()
    def only_what_is_the_apps_is_touched(self) -> None:
        """Its chain of owners leads to the app at the moment of the write."""
        violations = self.server.violations + self.quiet.server.violations

        assert [] == violations, violations

    @invariant()
    def the_other_app_does_not_notice(self) -> None:
        """It gets the same writes as without the adversary."""
        writes = {cluster: bank_writes(cluster.server) for cluster in (self.attacked, self.quiet)}

        assert writes[self.quiet] == writes[self.attacked]


class StatusAdversary(Adversary):
    """An editor who may also write the status of the app and ControllerRevisions."""

    @rule(
        pod=st.sampled_from([STATEFUL_POD, "evil-1", "own-0", "bank", "path"]),
        until=TIMES,
        remediation=st.sampled_from(
            ["ReplacePod", "Failover", "Rollback", "RaiseMemory", "AvoidNode", "ScalingFallback"]
        ),
        outcome=st.sampled_from(["InProgress", "Proposed", "Completed", "Failed"]),
        action_id=st.sampled_from([0, 1, 7, 2**31 - 1]),
        restart=st.booleans(),
    )
    def forge_record(
        self,
        pod: str,
        until: str,
        remediation: str,
        outcome: str,
        action_id: int,
        *,
        restart: bool,
    ) -> None:
        """Name a pod of somebody else as isolated, or as the target of an action."""
        name = self._pod_name(pod)
        where = BANK if pod in {"bank", "path"} else SHOP
        if where == BANK:
            name = next(self.server.select("Pod", BANK))["metadata"]["name"]
        found = self.server.find("Pod", where, name)
        uid = found["metadata"]["uid"] if found is not None else VICTIM_UID
        action = {
            "id": action_id,
            "remediation": remediation,
            "diagnosis": "CrashLooping",
            "target": name,
            "uid": uid,
            "outcome": outcome,
            "at": until,
        }
        path = f"../../{BANK}/pods/{name}" if pod == "path" else name
        self._forge(
            restart=restart,
            quarantine={"pod": path, "uid": uid, "until": until},
            history=[action, action],
        )

    @rule(
        container=st.sampled_from(["app", "proxy", "x"]),
        memory=st.sampled_from(["64Gi", "1e999999999", "-1", "150Mi", "1Mi", "x"]),
        node=st.sampled_from(["node-1", "a b", "-"]),
        replicas=st.sampled_from([1, 9999]),
        is_in_template=st.booleans(),
        moment=TIMES,
        restart=st.booleans(),
    )
    def forge_overrides(
        self,
        memory: str,
        container: str,
        node: str,
        replicas: int,
        moment: str,
        *,
        is_in_template: bool,
        restart: bool,
    ) -> None:
        """Set the fields that override the spec, and the times."""
        self._forge(
            restart=restart,
            memoryLimits=[{"container": container, "limit": memory}],
            memoryInTemplate=is_in_template,
            excludedNode=node,
            fallbackReplicas=replicas,
            desiredSince=moment,
            healthySince=moment,
            budgetResetTime=moment,
            cooldownUntil=moment,
            nextId=2**31 - 1,
        )

    @rule(
        field=st.sampled_from(["hostNetwork", "nodeName", "image", "securityContext", "list"]),
        revision=REVISIONS,
        is_hash_right=st.booleans(),
        owned=st.booleans(),
        limit=st.sampled_from(["", "64Gi"]),
        restart=st.booleans(),
    )
    def forge_revision(
        self,
        field: str,
        revision: str,
        limit: str,
        *,
        is_hash_right: bool,
        owned: bool,
        restart: bool,
    ) -> None:
        """Save a template, and name it as the stable revision that has to run."""
        deployment = self.server.find("Deployment", SHOP)
        if deployment is None:
            return
        template: Any = deployment["spec"]["template"]
        if field == "hostNetwork":
            template["spec"]["hostNetwork"] = True
        elif field == "nodeName":
            template["spec"]["nodeName"] = "control-plane"
        elif field == "image":
            template["spec"]["containers"][0]["image"] = "evil:v1"
        elif field == "securityContext":
            template["spec"]["containers"][0]["securityContext"] = {"privileged": True}
        else:
            template = {"spec": [1, 2], "metadata": "x"}
        name = template_revision(template) if is_hash_right else revision
        record = self.server.find("SelfHealingApp", SHOP) or {}
        healing = record.get("status", {}).get("healing", {})
        if revision == "own":
            name = healing.get("stableRevision", name)
        owner = self._owners("app" if owned else "none")
        self.server.put(
            {
                "apiVersion": "apps/v1",
                "kind": "ControllerRevision",
                "metadata": {"namespace": SHOP, "name": f"web-{name}", "ownerReferences": owner},
                "revision": 1,
                "data": {
                    "template": template,
                    **({"memoryLimits": {"app": limit}} if limit else {}),
                },
            }
        )
        failed_revision = healing.get("desiredRevision", "x")
        self._forge(restart=restart, stableRevision=name, failedRevision=failed_revision)

    @rule(
        count=st.sampled_from([1, 500, 1500]),
        character=st.sampled_from(["x", "\0", "語"]),
        restart=st.booleans(),
    )
    def fill_the_status(self, count: int, character: str, *, restart: bool) -> None:
        """Write as much as the API server takes, also what the schema would not let through."""
        app = self.server.find("SelfHealingApp", SHOP)
        assert app is not None
        texts = [{"name": f"x{number}", "message": character * 1024} for number in range(count)]
        app.setdefault("status", {}).update(pods=texts, unknown={character: texts})
        self.server.put(app)
        self._forge(restart=restart, quarantined=True)

    def _forge(self, *, restart: bool, **fields: object) -> None:
        """Write into the record; a process that starts then does not know what was there."""
        app = self.server.find("SelfHealingApp", SHOP)
        assert app is not None
        status = app.setdefault("status", {})
        status["healing"] = {"mode": "Auto", "budgetLeft": 9, **status.get("healing", {}), **fields}
        self.server.put(app)
        if restart:
            self.the_operator_restarts()

    @invariant()
    def the_memory_holds(self) -> None:
        """No status that is kept is larger than the operator's own."""
        for namespace in (SHOP, BANK):
            app = self.attacked.store.app(AppKey(namespace, "web"))
            assert app is None or len(app.status) <= MAX_STATUS_BYTES

    @invariant()
    def the_policy_holds(self) -> None:
        """No memory above the maximum, and no more pods than the spec asks for."""
        for request, content in self.server.writes.get(SHOP, ()):
            if request.startswith(("apply Deployment", "resize")):
                assert "64Gi" not in content, request
                assert "9999" not in content, request


def _container(state: str) -> Json:
    if state in {"crash", "failed"}:
        return builders.crash_loop(5, builders.termination())
    return builders.running(ready=state == "ready")


def set_state(server: SimApiServer, namespace: str, number: int, state: str) -> None:
    """Let a pod of the app's Deployment have a fault, or recover."""
    replica_sets = {r["metadata"]["uid"] for r in server.select("ReplicaSet", namespace)}
    pods = [p for p in server.select("Pod", namespace) if controller_uid(p) in replica_sets]
    if len(pods) <= number:
        return
    pod, made = (
        pods[number],
        builders.pod(
            "web-x-x",
            _container(state),
            since=server.seconds,
            ready_reason="" if state == "lost" else None,
            phase="Failed" if state == "failed" else "Running",
        ),
    )
    server.put({**pod, "status": made["status"]})


def bank_writes(server: SimApiServer) -> list[tuple[str, str]]:
    """What the operator wrote for the app that nobody attacks."""
    return [
        (request, _without_version(content)) for request, content in server.writes.get(BANK, ())
    ]


def _without_version(content: str) -> str:
    """A request without its resource version, which counts the writes of everybody."""
    head, separator, rest = content.partition('"resourceVersion":"')
    return head + rest.partition('"')[2] if separator else content


LIMITS: Final = settings(
    max_examples=EXAMPLES,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestEditor = Adversary.TestCase
TestEditor.settings = LIMITS
TestStatusWriter = StatusAdversary.TestCase
TestStatusWriter.settings = LIMITS
