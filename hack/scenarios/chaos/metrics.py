"""From what was seen to figures: served again after how long, and what was done about it. Pure.

An app is served in full when all pods that it wants are there, ready and in the Service, no other
is in trouble, and no request fails. Times are seconds, on one clock for looks and requests.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hack.scenarios.common.cluster_state import Happening, Picture
from hack.scenarios.common.timeline import Kind, Mark, Sample, Timeline

CARRIED_OUT = ("Started", "Helped", "NoHelp", "Overtaken")
"""Outcomes of an action that was taken, and not only thought of."""

WAITING = ("Started", "Proposed")
"""Outcomes that are not known yet."""


@dataclass(frozen=True, slots=True)
class Act:
    """Something that the operator did, as its status tells; ``at`` is when that was first seen."""

    id: int
    remedy: str
    diagnosis: str
    outcome: str
    at: float
    target: str = ""
    message: str = ""

    @property
    def taken(self) -> bool:
        """Whether it was carried out."""
        return self.outcome in CARRIED_OUT

    def __str__(self) -> str:
        """What was done and what became of it."""
        return f"{self.remedy} {self.outcome}"


@dataclass(frozen=True, slots=True)
class Half:
    """A fault, with healing or without.

    Attributes:
        healing: whether the operator was to heal.
        limit: seconds that were waited at the most.
        line: what was seen, from some seconds before the fault.
        after: seconds from the fault until the app was served in full again; None if it was not.
        sent: requests from the fault on, until it was served again or the time was over.
        failed: those of them that failed.
        acts: what the operator did.
        diagnoses: what it said that the app had, at any time.
        phase: the app's phase at the end.
        reason: why, in a word.
        message: the same in a sentence.
        events: the Events about it.
        why: why it could not be played; all else is empty then.
    """

    healing: bool
    limit: int
    line: Timeline
    after: float | None = None
    sent: int = 0
    failed: int = 0
    acts: tuple[Act, ...] = ()
    diagnoses: tuple[str, ...] = ()
    phase: str = ""
    reason: str = ""
    message: str = ""
    events: tuple[Happening, ...] = ()
    why: str = ""

    @property
    def taken(self) -> tuple[Act, ...]:
        """The actions that were carried out."""
        return tuple(act for act in self.acts if act.taken)

    @property
    def ended(self) -> str:
        """How the app ended, in two words."""
        return f"{self.phase}, {self.reason}" if self.reason else self.phase

    @property
    def served(self) -> str:
        """When it was served again, for people."""
        if self.why:
            return "not played"
        return f"not within {self.limit} s" if self.after is None else f"{self.after:.0f} s"


def full(now: Picture, wanted: int) -> bool:
    """Whether an app that wants so many pods has them, all of them serving."""
    staying = now.staying
    return len(staying) >= wanted and all(pod.is_ready and pod.serving for pod in staying)


def well_since(
    samples: Sequence[Sample], failed: Iterable[float], struck: float, wanted: int
) -> float | None:
    """Since when the app has been served in full after a fault.

    None while it is not, and as long as nothing of the fault has shown: it may be about to.

    Args:
        samples: the looks.
        failed: when requests failed.
        struck: when the fault was made.
        wanted: how many pods there must be.
    """
    looks = [(each.at, full(each.picture, wanted)) for each in samples if each.at > struck]
    hurt = [at for at in failed if at > struck]
    short = [at for at, good in looks if not good]
    if not looks or not looks[-1][1] or not (hurt or short):
        return None
    last = max(short, default=struck)
    first = next(at for at, _ in looks if at > last)
    return max([first, *hurt])


def acts(samples: Sequence[Sample], struck: float) -> tuple[Act, ...]:
    """What the operator has done since the fault, the oldest first, each as it was seen last."""
    found: dict[int, Act] = {}
    for sample in samples:
        for entry in healing(sample.picture).get("history", ()):
            act = Act(
                id=entry["id"],
                remedy=entry["remedy"],
                diagnosis=entry["diagnosis"],
                outcome=entry["outcome"],
                at=sample.at,
                target=entry.get("target", ""),
                message=entry.get("message", ""),
            )
            before = found.get(act.id)
            found[act.id] = replace(act, at=before.at) if before else act
    return tuple(found[key] for key in sorted(found) if found[key].at > struck)


def diagnoses(samples: Sequence[Sample], struck: float) -> tuple[str, ...]:
    """What the app was said to have at any time since the fault, in the order of appearance."""
    found: dict[str, None] = {}
    for sample in samples:
        if sample.at > struck:
            for entry in healing(sample.picture).get("diagnoses", ()):
                found.setdefault(entry["type"])
    return tuple(found)


def reason(now: Picture) -> str:
    """Why the app is as it is, in a word."""
    for condition in now.status.get("conditions", ()):
        if condition["type"] == "Ready":
            return str(condition.get("reason", ""))
    return ""


def marks(found: Iterable[Act]) -> tuple[Mark, ...]:
    """The actions on a timeline."""
    return tuple(
        Mark(act.at, f"{act}: {act.message or act.diagnosis}", Kind.ACTION) for act in found
    )


def moved(found: Iterable[Mark], seconds: float) -> tuple[Mark, ...]:
    """The marks at other times."""
    return tuple(replace(mark, at=max(0.0, mark.at + seconds)) for mark in found)


def since(found: Iterable[Act], struck: float) -> tuple[Act, ...]:
    """The actions with times that begin at the fault."""
    return tuple(replace(act, at=act.at - struck) for act in found)


def cut(samples: Sequence[Sample], start: float) -> tuple[Sample, ...]:
    """The looks from ``start`` on, with times that begin there; the last one before it is kept."""
    before = [sample for sample in samples if sample.at <= start]
    after = [sample for sample in samples if sample.at > start]
    return tuple(replace(each, at=max(0.0, each.at - start)) for each in [*before[-1:], *after])


def healing(now: Picture) -> dict[str, Any]:
    """What the status says about healing; empty where it says nothing."""
    found: dict[str, Any] = now.status.get("healing") or {}
    return found
