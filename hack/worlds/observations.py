"""Notes what the operator shows and does in the course of a run."""

from dataclasses import dataclass, field
from typing import Final

from hack.worlds.cluster import Cluster
from hack.worlds.model import Json
from selfhealing.api import names

OVERRIDE_FIELDS: Final = (
    "failedRevision",
    "memoryLimit",
    "memoryLimits",
    "excludedNode",
    "fallbackReplicas",
    "relaxedUntil",
    "quarantined",
)
"""The fields of the record that say what is in place of the spec, or that nothing is done."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A diagnosis that was shown, as an interval of time."""

    type: str
    cause: str
    confidence: str
    begin: float
    end: float
    message: str = ""


@dataclass(slots=True)
class Action:
    """An action of the operator, by its id in the record."""

    id: int
    at: float
    remediation: str
    diagnosis: str
    target: str
    uid: str
    message: str
    outcome: str = ""
    ended: float | None = None
    cause: str = ""
    confidence: str = ""
    facts: Json = field(default_factory=dict)


class Observations:
    """Follows the status of the app."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.shown: list[Shown] = []
        self.actions: dict[tuple[int, str], Action] = {}
        self._open: dict[str, tuple[str, str, float, str]] = {}
        self._last: Json = {}
        self._phase = ""
        self.overrides: list[tuple[float, dict[str, object]]] = []
        self.status_writes = 0
        cluster.observers.append(self._observe)

    def _observe(self, kind: str, _: str, item: object) -> None:
        if kind != names.KIND or not isinstance(item, dict):
            return
        status = item.get("status") or {}
        record = status.get("healing") or {}
        self.status_writes += 1
        if record is not self._last:
            self._last = record
            self._follow_diagnoses(record)
            self._follow_actions(record)
            self._follow_overrides(record)
        phase = status.get("phase", "")
        if phase != self._phase:
            self._phase = phase
            self._cluster.tell("operator", f"{phase}: {status.get('message', '')}")

    def _follow_diagnoses(self, record: Json) -> None:
        now = self._cluster.now
        current = {
            d["type"]: (d["cause"], d["confidence"], d.get("message", ""))
            for d in record.get("diagnoses") or ()
        }
        for kind, (cause, confidence, begin, message) in list(self._open.items()):
            if current.get(kind, ("", "", ""))[:2] != (cause, confidence):
                self.shown.append(Shown(kind, cause, confidence, begin, now, message))
                del self._open[kind]
        for kind, (cause, confidence, message) in current.items():
            if kind not in self._open:
                self._open[kind] = cause, confidence, now, message
                self._cluster.tell("operator", f"sees {kind}, {cause} ({confidence}): {message}")

    def _follow_actions(self, record: Json) -> None:
        diagnoses = {d["type"]: d for d in record.get("diagnoses") or ()}
        for entry in record.get("history") or ():
            key = entry["id"], entry["at"]
            action = self.actions.get(key)
            if action is None:
                diagnosis = diagnoses.get(entry["diagnosis"]) or {}
                action = Action(
                    entry["id"],
                    self._cluster.now,
                    entry["remediation"],
                    entry["diagnosis"],
                    entry.get("target", ""),
                    entry.get("uid", ""),
                    entry.get("message", ""),
                    cause=diagnosis.get("cause", ""),
                    confidence=diagnosis.get("confidence", ""),
                )
                self.actions[key] = action
            if entry["outcome"] != action.outcome:
                action.outcome = entry["outcome"]
                if action.outcome != "InProgress":
                    action.ended = self._cluster.now
                self._cluster.tell(
                    "operator",
                    f"{action.remediation} {action.target}: {action.outcome}: {action.message}",
                )

    def _follow_overrides(self, record: Json) -> None:
        current = {name: record[name] for name in OVERRIDE_FIELDS if record.get(name)}
        if not self.overrides or self.overrides[-1][1] != current:
            self.overrides.append((self._cluster.now, current))
            self._cluster.tell("operator", f"in place of the spec: {current or 'nothing'}")

    def finish(self) -> None:
        """Close what is open at the end of the run."""
        for kind, (cause, confidence, begin, message) in self._open.items():
            end = self._cluster.now
            self.shown.append(Shown(kind, cause, confidence, begin, end, message))
        self._open.clear()

    @property
    def final_overrides(self) -> dict[str, object]:
        """What is in place of the spec at the end."""
        return self.overrides[-1][1] if self.overrides else {}
