"""What one reconcile costs: everything is read, rendered and hashed once, then only passed on."""

import sys
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import orjson
import pytest

from selfhealing.api.healing_status import ActionOutcome, HealingStatus, Remediation
from selfhealing.api.spec import parse_spec
from selfhealing.api.status import SelfHealingAppStatus, read_status
from selfhealing.apply.config_hash import desired_config_hash
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.child_sync import ChildSync
from selfhealing.controller.config_reader import ConfigReader
from selfhealing.controller.optional_kinds import OptionalKinds
from selfhealing.controller.reconciler import Reconciler
from selfhealing.controller.recorder import EventRecorder
from selfhealing.controller.remediator import Remediator
from selfhealing.controller.settings import Settings
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.remediation.policy import build_policy
from selfhealing.render import Owner, build_children
from selfhealing.render.job import build_job
from selfhealing.render.overrides import build_revision, template_revision
from selfhealing.render.pod import build_pod_template
from tests.unit import builders
from tests.unit.controller.fake_api_server import (
    APP_SPEC,
    FakeApiServer,
    Json,
    build_action,
    build_record,
    build_slots,
    revision_of,
)
from tests.unit.controller.fake_loop import now
from tests.unit.snapshots import KEY, put_object

POD = "web-abc-1"
READ_LABELS = f"get Namespace/{builders.NAMESPACE}"
"""Once a minute for all apps of a namespace."""
OWNER = Owner(builders.NAMESPACE, builders.APP, builders.APP_UID)
STABLE_TEMPLATE = build_pod_template(builders.APP, parse_spec({**APP_SPEC, "image": "web:v0"}))
STABLE_REVISION = template_revision(STABLE_TEMPLATE)

COUNTED: tuple[Callable[..., Any], ...] = (
    parse_spec,
    build_policy,
    build_pod_template,
    template_revision,
    desired_config_hash,
    build_job,
    read_status,
)


class Calls(Counter[str]):
    """Counts the calls of functions, wherever they were imported to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, status: bytes) -> None:
        super().__init__()
        for function in COUNTED:
            self._wrap_everywhere(monkeypatch, function)
        validate, loads = SelfHealingAppStatus.model_validate, orjson.loads

        def count_validation(*args: Any, **kwargs: Any) -> SelfHealingAppStatus:  # noqa: ANN401
            self["validate the status"] += 1
            return validate(*args, **kwargs)

        def count_loads(text: bytes) -> Any:  # noqa: ANN401 - any JSON value
            self["decode the status"] += text == status
            return loads(text)

        monkeypatch.setattr(SelfHealingAppStatus, "model_validate", count_validation)
        monkeypatch.setattr(orjson, "loads", count_loads)

    def _wrap_everywhere(
        self, monkeypatch: pytest.MonkeyPatch, function: Callable[..., Any]
    ) -> None:
        name = function.__name__

        def count(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever is wrapped
            self[name] += 1
            return function(*args, **kwargs)

        for module_name, imported in list(sys.modules.items()):
            if module_name.startswith("selfhealing.") and getattr(imported, name, None) is function:
                monkeypatch.setattr(imported, name, count)


def build_live_children(spec: Json) -> list[Json]:
    """The children as they were applied, with the status of a rollout that is complete."""
    children = []
    for child in build_children(OWNER, parse_spec(spec)):
        live = (
            builders.deployment()
            if child["kind"] == "Deployment"
            else builders.child(child["kind"])
        )
        metadata = {**live["metadata"], **child["metadata"]}
        children.append({**live, **child, "metadata": metadata})
    return children


async def count_calls(
    monkeypatch: pytest.MonkeyPatch, spec: Json, record: HealingStatus | None, *pods: Json
) -> tuple[dict[str, int], list[str]]:
    """Reconcile an app once whose children are as they should be.

    Returns:
        How often each function was called, and what was asked of the API server.
    """
    status = SelfHealingAppStatus(healing=record).to_json()
    revision = build_revision(OWNER, STABLE_REVISION, STABLE_TEMPLATE)
    revision["metadata"] = {**revision["metadata"], "uid": "uid-of-revision"}
    objects = [builders.app(spec, status), *build_live_children(spec), *pods]
    api_server, store = FakeApiServer(*objects, revision), Store()
    for manifest in objects:
        put_object(store, manifest)
    queue: WorkQueue[AppKey] = WorkQueue()
    settings, starts = Settings(healing_quiet=0), iter([0.0])
    optional_kinds = cast(
        "OptionalKinds", type("Served", (), {"is_missing": staticmethod(lambda _: False)})
    )
    recorder = cast(
        "EventRecorder", type("Silent", (), {"record_event": staticmethod(lambda *_: None)})
    )
    reconciler = Reconciler(
        api_server.client,
        store,
        queue,
        recorder,
        ChildSync(api_server.client, store, optional_kinds, build_slots()),
        # It was made long ago, so that it has watched for the whole probation.
        Remediator(
            api_server.client,
            store,
            queue,
            settings,
            lambda: next(starts, 10_000.0),
            lambda: builders.at(100),
        ),
        ConfigReader(api_server.client, store.config_index, queue, (), 0),
        settings,
        now,
        lambda: builders.at(100),
    )
    app = store.app(KEY)
    assert app is not None
    calls = Calls(monkeypatch, app.status)
    await reconciler._reconcile(KEY)  # noqa: SLF001 - exactly one, whatever it asks for later
    monkeypatch.undo()
    return dict(calls), api_server.requests


ONCE = {
    "parse_spec": 1,
    "build_policy": 1,
    "build_pod_template": 1,
    "template_revision": 1,
    "desired_config_hash": 1,
    "build_job": 1,
    "read_status": 1,
    "validate the status": 1,
    "decode the status": 1,
}


async def test_an_app_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """All is well, and nothing is to be done."""
    pods = (builders.pod(f"web-abc-{n}", builders.running()) for n in (1, 2))
    spec = {**APP_SPEC, "replicas": 2}
    calls, requests = await count_calls(monkeypatch, spec, build_record(), *pods)

    assert ONCE == calls
    assert [READ_LABELS, "merge/status SelfHealingApp/web"] == requests


async def test_an_app_with_a_running_action(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stable revision is loaded, evidence is collected and a pod is evicted."""
    spec = {**APP_SPEC, "replicas": 2}
    action = build_action(
        Remediation.REPLACE_POD,
        uid=f"uid-of-{POD}",
        outcome=ActionOutcome.IN_PROGRESS,
        evidence=None,
    )
    record = build_record(
        action, stable_revision=STABLE_REVISION, desired_revision=revision_of(replicas=2)
    )
    failing = builders.pod(POD, builders.crash_loop(5, builders.termination()), version=7)
    healthy = builders.pod("web-abc-2", builders.running())
    calls, requests = await count_calls(monkeypatch, spec, record, failing, healthy)

    assert {**ONCE, "template_revision": 2} == calls  # the saved template is checked by its hash
    steps = [
        f"get ControllerRevision/web-{STABLE_REVISION}",
        "create ConfigMap/web-evidence",
        f"evict Pod/{POD}",
        "merge/status SelfHealingApp/web",
    ]
    assert steps == [request for request in requests if request in steps]


async def test_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no configuration to be hashed, and is rendered once."""
    spec = {"image": builders.IMAGE, "restartPolicy": "Never"}
    calls, _ = await count_calls(monkeypatch, spec, None)

    assert {name: n for name, n in ONCE.items() if name != "desired_config_hash"} == calls


async def test_an_app_that_becomes_stable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its template is saved as it was applied."""
    spec = {**APP_SPEC, "replicas": 2}
    record = build_record(
        desired_revision=revision_of(replicas=2),
        desired_since=builders.at(-1000),
        healthy_since=builders.at(-1000),
    )
    pods = (builders.pod(f"web-abc-{n}", builders.running(-1000), since=-1000) for n in (1, 2))
    calls, requests = await count_calls(monkeypatch, spec, record, *pods)

    assert ONCE == calls
    assert "create ControllerRevision/web-" + revision_of(replicas=2) in requests
