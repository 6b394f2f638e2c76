"""Collects the evidence of each action once, before the action is carried out.

An action waits for its evidence for MAX_EVIDENCE_DELAY at most.
"""

import logging
from datetime import datetime, timedelta
from typing import Any, Final

from selfhealing.api.healing_status import HealingAction
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import AppKey
from selfhealing.controller.evidence_privacy import EvidencePrivacy
from selfhealing.controller.evidence_store import EvidenceStore, ForeignEvidenceError
from selfhealing.controller.fair_slots import FairSlots, NoSlotError
from selfhealing.controller.reconcile_order import CollectedEvidence
from selfhealing.kube.client import Client
from selfhealing.kube.errors import UnavailableError
from selfhealing.remediation.reconcile_input import ReconcileInput
from selfhealing.remediation.steps import find_action_without_evidence, select_evidence_pod

logger = logging.getLogger(__name__)

Json = dict[str, Any]

EVIDENCE_WINDOW: Final = timedelta(minutes=5)
"""For how long after an app is quarantined its evidence is collected."""

MAX_EVIDENCE_DELAY: Final = timedelta(minutes=1)
"""How long an action waits for its evidence while the API server is unavailable, and again for a
slot."""

NO_TURN: Final = (
    "the evidence of other apps was collected for"
    f" {MAX_EVIDENCE_DELAY.total_seconds():.0f} s, and the action did not wait for longer"
)

_ActionKey = tuple[str, int, datetime]
"""An action: the UID of the app, the id and the time. Ids start again with a new app or status."""


class EvidenceCollector:
    """Collects the evidence that stored records lack."""

    def __init__(self, client: Client, privacy: EvidencePrivacy, slots: FairSlots) -> None:
        """Read and write by ``client``, as far as ``privacy`` allows, while a slot is held."""
        self._store = EvidenceStore(client, privacy, slots)
        self._slots = slots
        self._collected: dict[AppKey, tuple[_ActionKey, CollectedEvidence]] = {}
        """By app, the evidence that no stored record names yet."""
        self._waiting: dict[AppKey, tuple[_ActionKey, datetime]] = {}
        """By app, the action that waits for a slot, and since when."""

    async def collect(
        self,
        snapshot: AppSnapshot,
        inputs: ReconcileInput,
        stable_template: Json | None,
        now: datetime,
    ) -> CollectedEvidence:
        """Collect the evidence that the stored record lacks.

        Args:
            snapshot: the app and its pods.
            inputs: the record of healing and the desired pod template.
            stable_template: the pod template of the stable revision, if that is another one.
            now: the time.

        Raises:
            UnavailableError: the API server is out of reach, and the action can wait.
            NoSlotError: the evidence of other apps is collected, and the action can wait.
        """
        key = snapshot.app.key
        action = find_action_without_evidence(inputs.record, now - EVIDENCE_WINDOW)
        if action is None:
            self.forget_app(key)
            return CollectedEvidence()
        action_key = snapshot.app.uid, action.id, action.at
        known_action, evidence = self._collected.get(key, (None, CollectedEvidence()))
        if known_action != action_key:
            desired_template = inputs.pod_template if stable_template else None
            evidence = await self._collect_for_action(
                snapshot, inputs, action, desired_template, stable_template, now
            )
            self._collected[key] = action_key, evidence
            self._waiting.pop(key, None)
        return evidence

    def forget_app(self, key: AppKey) -> None:
        """Forget an app that is deleted, or lacks no evidence."""
        self._collected.pop(key, None)
        self._waiting.pop(key, None)
        self._slots.leave(key)

    async def _collect_for_action(  # noqa: PLR0913, PLR0917 - as EvidenceStore.save
        self,
        snapshot: AppSnapshot,
        inputs: ReconcileInput,
        action: HealingAction,
        desired_template: Json | None,
        stable_template: Json | None,
        now: datetime,
    ) -> CollectedEvidence:
        try:
            evidence_key = await self._save_in_turn(
                snapshot, inputs, action, desired_template, stable_template, now
            )
        except NoSlotError:
            raise
        except ForeignEvidenceError as error:
            return CollectedEvidence(obstacle=str(error))
        except UnavailableError as error:
            if now < action.at + MAX_EVIDENCE_DELAY:
                raise
            logger.warning(
                "%s: remediation continues without evidence: %s", snapshot.app.key, error
            )
        except Exception:
            logger.exception("%s: internal error: there is no evidence", snapshot.app.key)
        else:
            return CollectedEvidence({action.id: evidence_key} if evidence_key else {})
        return CollectedEvidence()

    async def _save_in_turn(  # noqa: PLR0913, PLR0917 - as EvidenceStore.save
        self,
        snapshot: AppSnapshot,
        inputs: ReconcileInput,
        action: HealingAction,
        desired_template: Json | None,
        stable_template: Json | None,
        now: datetime,
    ) -> str | None:
        """Save the evidence, or that there was no slot for it for as long as the action waits."""
        app, pod = snapshot.app, select_evidence_pod(action, snapshot)
        try:
            return await self._store.save(
                app, inputs, action, pod, desired_template, stable_template, now
            )
        except NoSlotError:
            action_key = app.uid, action.id, action.at
            waiting_action, since = self._waiting.get(app.key, (action_key, now))
            if waiting_action != action_key:
                since = now
            self._waiting[app.key] = action_key, since
            if now < since + MAX_EVIDENCE_DELAY:
                raise
        self._slots.leave(app.key)
        logger.warning("%s: remediation continues: %s", app.key, NO_TURN)
        return await self._store.save_header(app, action, NO_TURN, now)
