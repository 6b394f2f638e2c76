"""Sees to it that each action has its evidence before it is carried out, once.

Evidence is a courtesy to people: it keeps no app from being healed for more than a moment.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from selfhealing.api.healing_status import HealingAction, HealingStatus
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.apply.config_hash import config_mark
from selfhealing.cache.snapshot import Facts
from selfhealing.cache.views import AppKey
from selfhealing.controller.evidence_store import EvidenceRoom
from selfhealing.kube.client import Client
from selfhealing.kube.errors import UnavailableError
from selfhealing.remediation.actions import unwitnessed, witness
from selfhealing.render.pod import build_pod_template

logger = logging.getLogger(__name__)

Json = dict[str, Any]

RECENT: Final = timedelta(minutes=5)
"""How long after an app was left to people its evidence is still worth taking."""

PATIENCE: Final = timedelta(minutes=1)
"""How long an action waits for its evidence while the API server is out of reach for it."""

_Deed = tuple[str, int, datetime]
"""An action: ids begin anew where an app is made anew, or its status is lost."""


class Witness:
    """Takes the evidence of what was decided."""

    def __init__(self, client: Client) -> None:
        """Look and write by ``client``."""
        self._room = EvidenceRoom(client)
        self._taken: dict[AppKey, tuple[_Deed, str | None]] = {}
        """By app, where the evidence is that no record names yet; None where there is none."""

    async def see(
        self,
        facts: Facts,
        spec: SelfHealingAppSpec,
        record: HealingStatus,
        kept: Json | None,
        now: datetime,
    ) -> Mapping[int, str]:
        """Take the evidence that ``record`` lacks; returns where it is, by the action's id.

        Args:
            facts: what is.
            spec: what is asked for.
            record: what was decided.
            kept: the pod template of another version, to go back to.
            now: the time.

        Raises:
            UnavailableError: the API server is out of reach, and the action can wait.
        """
        key = facts.app.key
        action = unwitnessed(record, now - RECENT)
        if action is None:
            self._taken.pop(key, None)
            return {}
        deed = facts.app.uid, action.id, action.at
        known, place = self._taken.get(key, (None, None))
        if known != deed:
            mark = config_mark(facts, spec)
            wanted = build_pod_template(key.name, spec, mark) if kept else None
            place = await self._take(facts, action, wanted, kept, now)
            self._taken[key] = deed, place
        return {action.id: place} if place else {}

    def forget(self, key: AppKey) -> None:
        """The app is gone."""
        self._taken.pop(key, None)

    async def _take(
        self,
        facts: Facts,
        action: HealingAction,
        wanted: Json | None,
        kept: Json | None,
        now: datetime,
    ) -> str | None:
        pod = witness(action, facts)
        name = pod.name if pod else None
        try:
            return await self._room.take(facts.app, action, name, wanted, kept)
        except UnavailableError as error:
            if now < action.at + PATIENCE:
                raise
            logger.warning("%s: healing goes on without evidence: %s", facts.app.key, error)
        except Exception:
            logger.exception("%s: a fault of the operator: there is no evidence", facts.app.key)
        return None
