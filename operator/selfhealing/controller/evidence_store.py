"""Saves the evidence of an action: the pod, its Events, logs and usage before they are gone.

A part that cannot be read in time is left out, with the reason, and remediation continues.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import Any, Final, TypeVar

from cachetools import LRUCache

from selfhealing.api import names
from selfhealing.api.healing_status import HealingAction
from selfhealing.cache.ownership import is_own_orphan
from selfhealing.cache.parse import has_owner
from selfhealing.cache.views import AppKey, AppView, PodView
from selfhealing.controller.evidence_privacy import EvidencePrivacy
from selfhealing.controller.fair_slots import FairSlots
from selfhealing.evidence.bundle import (
    ContainerLog,
    EvidenceBundle,
    build_retention_patch,
    config_map_name,
    evidence_key,
    is_evidence_of,
    render_evidence,
    repeated_evidence_key,
    without_details,
)
from selfhealing.evidence.format import (
    LogSource,
    find_log_sources,
    shorten_event,
    without_log_messages,
    without_outputs,
)
from selfhealing.evidence.log_consent import find_log_refusal
from selfhealing.evidence.redaction import Checkpoint
from selfhealing.kube.client import Client
from selfhealing.kube.errors import (
    ApiError,
    InvalidError,
    NotFoundError,
    ResponseTooLargeError,
    is_outage,
)
from selfhealing.kube.resources import CONFIG_MAPS, EVENTS, POD_METRICS, PODS
from selfhealing.remediation.reconcile_input import ReconcileInput
from selfhealing.render.meta import Owner, build_metadata

logger = logging.getLogger(__name__)

Json = dict[str, Any]
T = TypeVar("T")

READ_TIMEOUT: Final = 5.0
"""Seconds for the pod, and again for its Events and logs: a lost node's kubelet does not answer."""
LOG_TAIL_LINES: Final = 40
LOG_LIMIT_BYTES: Final = 64 * 1024
"""The most of a log that is read, far more than is saved: the server cuts off the end, which is the
part that matters."""
MAX_EVENTS: Final = 200
"""The most Events of a pod that are read."""


TOO_LARGE_STATUS: Final = 413
"""The HTTP status of a request that is refused for the size of its result."""

MAX_EVIDENCES: Final = 2
"""Evidences that are collected at the same time: what they are made of may be large."""

MAX_REMEMBERED: Final = 1024
"""Evidences that this process knows to have written, and that a record may not name yet."""

RENDER_TIMEOUT: Final = 2.0
"""Seconds of processor time and waiting for the text of one evidence, which takes some
milliseconds."""


class RenderTimeoutError(Exception):
    """The text of the evidence took too long."""


def _deadline_check(seconds: float) -> Checkpoint:
    """Return a function that raises RenderTimeoutError ``seconds`` after its first call."""
    deadline: float | None = None

    def check() -> None:
        nonlocal deadline
        now = monotonic()
        if deadline is None:
            deadline = now + seconds
        if now > deadline:
            raise RenderTimeoutError

    return check


class ForeignEvidenceError(Exception):
    """The ConfigMap for the evidence belongs to another owner, or somebody has spoilt it."""


class EvidenceStore:
    """Saves the evidence of an app's last actions in one ConfigMap per app."""

    def __init__(self, client: Client, privacy: EvidencePrivacy, slots: FairSlots) -> None:
        """Read and write by ``client``, as far as ``privacy`` allows, while a slot is held."""
        self._client = client
        self._privacy = privacy
        self._slots = slots
        self._renderer = ThreadPoolExecutor(1, thread_name_prefix="evidence")
        self._written: LRUCache[tuple[str, str], bytes] = LRUCache(MAX_REMEMBERED)
        """By UID of the app and key, the digests of the texts that this process has written."""

    async def save(  # noqa: PLR0913, PLR0917 - what evidence is made of
        self,
        app: AppView,
        inputs: ReconcileInput,
        action: HealingAction,
        pod: PodView | None,
        desired_template: Json | None,
        stable_template: Json | None,
        now: datetime,
    ) -> str | None:
        """Collect and save the evidence of an action, unless this process has saved it already.

        A text that another process of the operator, or anybody else, may have written stays: before
        a crash there may have been more to see. The evidence is saved beside it then.

        Args:
            app: the app.
            inputs: its spec, which says whether log lines are saved, and its pod template.
            action: the action that will be carried out.
            pod: the pod of the action, or one that shows the diagnosis; None for no pod.
            desired_template: the pod template of the spec, to compare with ``stable_template``.
            stable_template: the pod template of the stable revision, if that is another one.
            now: the time.

        Returns:
            The key of the evidence in the ConfigMap; None when it cannot be saved.

        Raises:
            UnavailableError: the API server is out of reach.
            ForeignEvidenceError: a ConfigMap of another owner has the name, or nothing can be added
                to that of the app any more.
            NoSlotError: the evidence of other apps is collected.
        """

        async def make_text(gaps: Sequence[str]) -> str:
            bundle = await self._collect(
                app.key, inputs, action, pod, desired_template, stable_template, now
            )
            return await self._render(replace(bundle, missing=(*bundle.missing, *gaps)))

        with self._slots.hold(app.key):
            return await self._save(app, action, make_text)

    async def save_header(
        self, app: AppView, action: HealingAction, reason: str, now: datetime
    ) -> str | None:
        """Save as evidence what the action itself says, and the reason why there is no more.

        It takes no slot. The result and the errors are those of ``save``.
        """

        async def make_text(gaps: Sequence[str]) -> str:
            missing = (f"everything else: {reason}", *gaps)
            return render_evidence(EvidenceBundle(app.key, action, now, missing=missing))

        return await self._save(app, action, make_text)

    async def _save(
        self,
        app: AppView,
        action: HealingAction,
        make_text: Callable[[Sequence[str]], Awaitable[str]],
    ) -> str | None:
        """Save a text as evidence; ``make_text`` gets the gaps that the text has to name."""
        name = config_map_name(app.key.name)
        try:
            live = await self._client.get(CONFIG_MAPS, app.key.namespace, name)
            if (
                live is not None
                and not has_owner(live["metadata"], app.uid)
                and not is_own_orphan(live["metadata"], app.key.name)
            ):
                message = f"no evidence saved: the ConfigMap {name} belongs to another owner"
                raise ForeignEvidenceError(message)
            data = (live or {}).get("data") or {}
            if (saved := self._find_own(app, action, data)) is not None:
                return saved
            key, gaps = evidence_key(action), list[str]()
            is_repeated = is_evidence_of(action, data.get(key, ""))
            if is_repeated:
                gaps.append(f"who wrote {key} is not known: it was there before this process")
                key = repeated_evidence_key(action)
                logger.warning("%s: %s; the evidence is %s", app.key, gaps[0], key)
            text = await make_text(gaps)
            self._written[app.uid, key] = _digest(text)
            patch = build_retention_patch(action, text, data, is_repeated=is_repeated)
            await self._write_config_map(app, live, patch)
        except ApiError as error:
            if is_outage(error):
                raise
            logger.warning("%s: no evidence saved: %s", app.key, error)
            if _is_spoilt(error):
                message = f"no evidence saved: the ConfigMap {name} is immutable or too large"
                raise ForeignEvidenceError(message) from error
            return None
        return key

    def _find_own(self, app: AppView, action: HealingAction, data: Mapping[str, str]) -> str | None:
        """Return the key of the evidence that this process has written for an action, if any."""
        for key in (evidence_key(action), repeated_evidence_key(action)):
            text = data.get(key, "")
            is_own = self._written.get((app.uid, key)) == _digest(text)
            if is_own and is_evidence_of(action, text):
                return key
        return None

    async def _render(self, bundle: EvidenceBundle) -> str:
        """Render the evidence in a thread: the text is the app's, and may take long to redact.

        What cannot be rendered in RENDER_TIMEOUT is left out, with the reason. The thread ends by
        itself, between two passes over a text that take milliseconds.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self._renderer, render_evidence, bundle, _deadline_check(RENDER_TIMEOUT)
            )
        except RenderTimeoutError:
            reason = f"everything else: not rendered in {RENDER_TIMEOUT:.0f} s"
            return render_evidence(without_details(bundle, reason))

    async def _collect(  # noqa: PLR0913, PLR0917 - as save
        self,
        app: AppKey,
        inputs: ReconcileInput,
        action: HealingAction,
        target: PodView | None,
        desired_template: Json | None,
        stable_template: Json | None,
        now: datetime,
    ) -> EvidenceBundle:
        """Read all parts at the same time; each may fail alone."""
        missing: list[str] = []
        pod: Json | None = None
        events: Sequence[Mapping[str, Any]] | None = None
        usage: Sequence[Json] | None = None
        logs: Sequence[ContainerLog | None] = ()
        if target is not None:
            pod = await _try_read(f"pod {target.name}", self._get_pod(app, target), missing)
        if pod is not None:
            log_sources = find_log_sources(pod)
            if refusal := _find_log_refusal(inputs):
                pod = dict(without_log_messages(pod))
                missing += [f"log lines: {refusal}"] if log_sources else []
                log_sources = []
            log_reads = [
                _try_read(_describe_log(log), self._read_log(app, pod, log), missing)
                for log in log_sources
            ]
            events, usage, logs = await asyncio.gather(
                _try_read("Events", self._list_events(app, pod["metadata"]["uid"]), missing),
                _try_read(
                    "CPU and memory usage",
                    self._get_usage(app, pod["metadata"]["name"]),
                    missing,
                ),
                asyncio.gather(*log_reads),
            )
            if refusal and events:
                events = without_outputs(events, pod)
        pod_specs = (
            inputs.pod_template["spec"],
            *([pod.get("spec") or {}] if pod else []),
        )
        return EvidenceBundle(
            app=app,
            action=action,
            collected_at=now,
            pod=pod,
            events=events or (),
            logs=[log for log in logs if log is not None],
            desired_template=desired_template,
            stable_template=stable_template,
            usage=usage or (),
            missing=missing,
            known_values=await self._privacy.read_known_values(app, inputs.spec, *pod_specs),
        )

    async def _get_pod(self, app: AppKey, target: PodView) -> Json:
        pod = await self._client.get(PODS, app.namespace, target.name)
        if pod is None or pod["metadata"]["uid"] != target.uid:
            raise NotFoundError(404, "NotFound", "the pod is deleted")
        return pod

    async def _list_events(self, app: AppKey, uid: str) -> list[Mapping[str, Any]]:
        events: list[Mapping[str, Any]] = []
        selector = f"involvedObject.uid={uid}"
        async for event in self._client.list_objects(EVENTS, app.namespace, fields=selector):
            events.append(shorten_event(event))
            if len(events) == MAX_EVENTS:
                break
        return events

    async def _get_usage(self, app: AppKey, pod: str) -> Sequence[Json]:
        labels = f"{names.LABEL_APP}={app.name}"
        async for item in self._client.list_objects(POD_METRICS, app.namespace, labels):
            if item["metadata"]["name"] == pod:
                containers: Sequence[Json] = item.get("containers") or ()
                return containers
        raise NotFoundError(404, "NotFound", "the pod is not measured yet")

    async def _read_log(self, app: AppKey, pod: Json, source: LogSource) -> ContainerLog:
        text = await self._client.read_log(
            app.namespace,
            pod["metadata"]["name"],
            source.container,
            previous=source.previous,
            lines=LOG_TAIL_LINES,
            limit_bytes=LOG_LIMIT_BYTES,
        )
        return ContainerLog(source, text)

    async def _write_config_map(
        self, app: AppView, live: Json | None, data: dict[str, str | None]
    ) -> None:
        """Patch the ConfigMap that was read, or create it.

        The UID in the patch makes it a conflict if another ConfigMap has that name meanwhile.
        """
        name = config_map_name(app.key.name)
        owner = Owner(app.key.namespace, app.key.name, app.uid)
        metadata = build_metadata(owner, is_controller=False)
        if live is not None:
            patched = {"uid": live["metadata"]["uid"]}
            if not live["metadata"].get("ownerReferences"):
                patched["ownerReferences"] = metadata["ownerReferences"]
            patch = {"metadata": patched, "data": data}
            await self._client.merge_patch(CONFIG_MAPS, app.key.namespace, name, patch)
            return
        body = {
            "apiVersion": CONFIG_MAPS.api_version,
            "kind": CONFIG_MAPS.kind,
            "metadata": {**metadata, "name": name},
            "data": data,
        }
        await self._client.create(CONFIG_MAPS, body)


async def _try_read(description: str, request: Awaitable[T], missing: list[str]) -> T | None:
    """Await a request; on failure return None and add the reason to ``missing``."""
    try:
        async with asyncio.timeout(READ_TIMEOUT):
            return await request
    except TimeoutError:
        missing.append(f"{description}: no answer in {READ_TIMEOUT:.0f} s")
    except ApiError as error:
        missing.append(f"{description}: {error.message}")
    return None


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def _find_log_refusal(inputs: ReconcileInput) -> str | None:
    """Find why no log lines of an app are collected; None if they may be."""
    evidence = inputs.spec.healing.evidence if inputs.spec.healing else None
    return find_log_refusal(evidence.logs if evidence else None, inputs.namespace_labels)


def _describe_log(source: LogSource) -> str:
    run = "previous log" if source.previous else "log"
    return f"{run} of container {source.container}"


def _is_spoilt(error: ApiError) -> bool:
    """Whether a ConfigMap cannot be read or filled because of what it is."""
    is_too_large = isinstance(error, ResponseTooLargeError) or error.status == TOO_LARGE_STATUS
    return is_too_large or isinstance(error, InvalidError)
