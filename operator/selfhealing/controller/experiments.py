"""Tries without side effects what a rollback would meet (docs/adr/0024-dry-runs.md).

A pod of the stable and one of the desired template are created in a dry run, both are compared with
the nodes, and what the stable one reads is looked up.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from cachetools import TTLCache

from selfhealing.api.config_refs import ABSENT_DIGEST, CONFIG_MAP, SECRET, ConfigRef, ConfigWatch
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import AppKey, AppView
from selfhealing.controller.backoff import Backoff
from selfhealing.controller.fair_slots import FairSlots
from selfhealing.controller.node_health import NodeHealth
from selfhealing.controller.reconcile_order import RollbackPreview
from selfhealing.health.attribution import Cause
from selfhealing.health.experiments import (
    QUOTA_REFUSAL,
    DryRun,
    Experiments,
    NodeFit,
    judge_dry_run,
    judge_node_fit,
)
from selfhealing.health.messages import count_affinity_misfits, refusal_cause
from selfhealing.health.node_fit import (
    adds_pod_affinity,
    asks_for_more,
    could_fit,
    count_fitting,
    may_grow,
)
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.health.pod_problems import is_active
from selfhealing.health.rollout import current_template_hash
from selfhealing.health.template_change import find_required_references
from selfhealing.kube.client import Client
from selfhealing.kube.errors import (
    ApiError,
    ForbiddenError,
    InvalidError,
    UnavailableError,
    is_right_missing,
)
from selfhealing.kube.resources import CONFIG_MAPS, CONFIG_SOURCES
from selfhealing.remediation.reconcile_input import ReconcileInput
from selfhealing.remediation.steps import build_overrides

logger = logging.getLogger(__name__)

Json = dict[str, Any]

RESULT_TTL: Final = 30.0
"""Seconds for which a result is used, and for which the first failed experiment is not repeated."""
MAX_RETRY_DELAY: Final = 300.0
CACHE_SIZE: Final = 256
"""Results in memory: those of apps with a fault on probation."""
MAX_EXPERIMENTS: Final = 4
"""Apps for which requests are in flight at the same time; of one app it is one at most."""
MAX_REFERENCES: Final = 20
"""Objects that are looked up for one app."""

_NO_DRY_RUN: Final = "dry run"
"""In the API server's message when a webhook with side effects refuses every dry run."""
_MALFORMED: Final = (AttributeError, KeyError, TypeError, ValueError)
"""Errors of reading a template with a field of a wrong type: no such pod can be created."""

_PREVIEWED: Final = frozenset(
    {
        DiagnosisType.PODS_REFUSED,
        DiagnosisType.QUOTA_EXCEEDED,
        DiagnosisType.UNSCHEDULABLE,
        DiagnosisType.ROLLOUT_STALLED,
    }
)
"""Diagnoses of which only the experiments tell the cause."""

_STABLE_REFUSED: Final = frozenset({DryRun.BOTH_REFUSED, DryRun.ONLY_STABLE_REFUSED})

_REPLICA_FAILURE: Final = ("ReplicaFailure", "True")
"""Type and status of the condition of a Deployment that can create no pods."""

_UNKNOWN_KEYS: Final = frozenset({"?"})
"""The keys of an object that exists and was not read."""

_ResultKey = tuple[str, str, str, str]
"""The UID of the app, both revisions, and what the cluster says."""


def should_preview(snapshot: AppSnapshot, inputs: ReconcileInput) -> bool:
    """Whether a rollback may be considered: pods are not made, or a version is blamed."""
    return (
        bool(_find_refusal(snapshot))
        or _has_unschedulable_pod(snapshot)
        or any(
            diagnosis.cause == Cause.NEW_VERSION or diagnosis.type in _PREVIEWED
            for diagnosis in inputs.record.diagnoses
        )
    )


class RollbackExperiments:
    """Carries out the experiments, with a cache."""

    def __init__(
        self,
        client: Client,
        node_health: NodeHealth,
        config_watch: ConfigWatch,
        slots: FairSlots,
        clock: Callable[[], float],
    ) -> None:
        """Create it without results.

        Args:
            client: creates pods in dry runs.
            node_health: lists the nodes.
            config_watch: tells whether Secrets are read.
            slots: one is held while experiments are carried out.
            clock: returns monotonic seconds.
        """
        self._client = client
        self._node_health = node_health
        self._sources = {
            CONFIG_MAP: CONFIG_MAPS,
            **{source.kind: source for source in CONFIG_SOURCES[config_watch]},
        }
        self._cache: TTLCache[_ResultKey, RollbackPreview] = TTLCache(CACHE_SIZE, RESULT_TTL, clock)
        self._backoff: Backoff[AppKey] = Backoff(clock, initial=RESULT_TTL, maximum=MAX_RETRY_DELAY)
        self._slots = slots

    async def preview(
        self, snapshot: AppSnapshot, inputs: ReconcileInput, stable_template: Json
    ) -> RollbackPreview:
        """Return what a rollback to ``stable_template`` would meet; it is cached for RESULT_TTL.

        The caller asks for one app once at a time.

        Raises:
            NoSlotError: experiments of other apps are carried out.
        """
        # Without what changes on each retry, such as the name of the pod.
        obstacle = refusal_cause(_find_refusal(snapshot)) or str(_has_unschedulable_pod(snapshot))
        key = (snapshot.app.uid, str(inputs.record.stable_revision), inputs.revision, obstacle)
        cached = self._cache.get(key)
        if cached is not None or self._backoff.retry_after(snapshot.app.key):
            return cached or RollbackPreview()
        with self._slots.hold(snapshot.app.key):
            try:
                found = await self._try_both(snapshot, inputs, stable_template)
            except (ApiError, *_MALFORMED) as error:
                delay = self._backoff.record_failure(snapshot.app.key)
                logger.warning(
                    "%s: a rollback cannot be tried, retry in %.0f s: %s",
                    snapshot.app.key,
                    delay,
                    error,
                )
                return RollbackPreview()
        self._backoff.forget(snapshot.app.key)
        self._cache[key] = found
        return found

    def forget_app(self, key: AppKey) -> None:
        """Forget the failures of an app that is deleted."""
        self._backoff.forget(key)

    async def _try_both(
        self, snapshot: AppSnapshot, inputs: ReconcileInput, stable_template: Json
    ) -> RollbackPreview:
        desired = build_overrides(inputs.record, None).apply_to(inputs.pod_template)
        result, new, stable = await self._dry_run_both(snapshot, desired, stable_template)
        node_fit = NodeFit.UNKNOWN
        if _has_unschedulable_pod(snapshot):
            node_fit = await self._compare_with_nodes(snapshot, desired, stable_template)
        obstacle = await self._find_missing(snapshot, stable_template)
        # The pods that a rollback replaces give their share of a quota back.
        if result in _STABLE_REFUSED and not obstacle and QUOTA_REFUSAL not in stable:
            obstacle = f"a pod of it is refused: {refusal_cause(stable)}"
        return RollbackPreview(
            is_known=True,
            experiments=Experiments(result, new or stable, node_fit),
            obstacle=obstacle,
        )

    async def _dry_run_both(
        self, snapshot: AppSnapshot, desired: Json, stable_template: Json
    ) -> tuple[DryRun, str, str]:
        """Return the result, and why the new and the stable pod are refused."""
        new = await self._dry_run(snapshot, desired)
        stable = await self._dry_run(snapshot, stable_template)
        needs_more = asks_for_more(desired, stable_template)
        result = judge_dry_run(new, stable, needs_more=needs_more)
        if result is DryRun.ONLY_NEW_REFUSED:
            # What refused it may have ended between the two: a quota may have been raised.
            new = await self._dry_run(snapshot, desired)
            result = judge_dry_run(new, stable, needs_more=needs_more)
        if result is DryRun.BOTH_REFUSED and not _find_refusal(snapshot):
            # Pods are created all the same: it is the operator itself that may create none.
            result = DryRun.UNKNOWN
        return result, new or "", stable or ""

    async def _dry_run(self, snapshot: AppSnapshot, template: Json) -> str | None:
        """Return why a pod of a template is refused; empty if it is accepted, None if unknown."""
        try:
            await self._client.try_create_pod(_build_pod(snapshot, template))
        except UnavailableError:
            return None  # also a webhook that fails
        except (ForbiddenError, InvalidError) as error:
            is_about_pod = not is_right_missing(error) and _NO_DRY_RUN not in error.message
            return error.message if is_about_pod else None
        return ""

    async def _compare_with_nodes(
        self, snapshot: AppSnapshot, desired: Json, stable_template: Json
    ) -> NodeFit:
        nodes = await self._node_health.list_nodes()
        if not nodes:
            return NodeFit.UNKNOWN
        new_count = count_fitting(desired, nodes)
        return judge_node_fit(
            new_fits=new_count > 0,
            stable_fits=could_fit(stable_template, nodes),
            may_grow=may_grow(nodes),
            # A node that is full, cordoned or not ready fits, and is not among the misfits.
            only_affinity_fails=adds_pod_affinity(desired, stable_template)
            and _count_affinity_misfits(snapshot) >= new_count,
        )

    async def _find_missing(self, snapshot: AppSnapshot, template: Json) -> str:
        """Return which object or key a pod of a template could not start without.

        Of an object that the operator may not read, nothing is known.
        """
        references = sorted(set(find_required_references(template["spec"])))
        found: dict[tuple[str, str], frozenset[str] | None] = {}  # the keys
        for kind, name, key in references:
            source = self._sources.get(kind)
            if kind == SECRET and ConfigRef(kind, name) in snapshot.config_digests:
                is_absent = snapshot.config_digests[ConfigRef(kind, name)] == ABSENT_DIGEST
                found[kind, name] = None if is_absent else _UNKNOWN_KEYS
            elif source is not None and (kind, name) not in found and len(found) < MAX_REFERENCES:
                raw = await self._client.get(source, snapshot.app.key.namespace, name)
                found[kind, name] = None if raw is None else _list_keys(raw)
                del raw  # it may be large
            if (kind, name) not in found:
                continue
            keys = found[kind, name]
            if keys is None:
                return f"{kind} {name} does not exist any more"
            if key and keys is not _UNKNOWN_KEYS and key not in keys:
                return f"{kind} {name} has no key {key} any more"
        return ""


def _has_unschedulable_pod(snapshot: AppSnapshot) -> bool:
    return any(is_active(pod) and pod.unschedulable for pod in snapshot.pods)


def _count_affinity_misfits(snapshot: AppSnapshot) -> int:
    """Count the nodes from which only its pod affinity keeps each new pod that has no node."""
    current_hash = current_template_hash(snapshot)
    return min(
        (
            count_affinity_misfits(pod.unschedulable)
            for pod in snapshot.pods
            if is_active(pod) and pod.unschedulable and pod.template_hash == current_hash
        ),
        default=0,
    )


def _list_keys(raw: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(key for field in ("data", "binaryData") for key in raw.get(field) or {})


def _find_refusal(snapshot: AppSnapshot) -> str:
    """Return why the Deployment can create no pods; empty if it can."""
    conditions = snapshot.deployment.conditions if snapshot.deployment else ()
    return next(
        (each.message for each in conditions if (each.type, each.status) == _REPLICA_FAILURE), ""
    )


def _build_pod(snapshot: AppSnapshot, template: Json) -> Json:
    """Return a pod of a template as the ReplicaSet would create it: policies ask for its owner."""
    app: AppView = snapshot.app
    name = f"{app.key.name}-{current_template_hash(snapshot)}"
    owner_uid = next((pod.controller_uid for pod in snapshot.pods if pod.controller_uid), app.uid)
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": name,
        "uid": owner_uid,
        "controller": True,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **template["metadata"],
            "namespace": app.key.namespace,
            "generateName": f"{name}-",
            "ownerReferences": [owner],
        },
        "spec": template["spec"],
    }
