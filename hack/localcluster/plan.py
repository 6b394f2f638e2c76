"""Deciding what to do with the cluster that is found: keep, start, create or replace it.

Pure: what was found and what is wanted go in, a verdict with its reason comes out.  A cluster is
trusted only if this tool recorded it as complete and its containers are still those of the record.
"""

import enum
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hack.localcluster.engine import Container
from hack.localcluster.kind_config import Wish, node_names, render


class Action(enum.Enum):
    """What to do."""

    CREATE = "create"
    KEEP = "keep"
    START = "start"
    REPLACE = "replace"


@dataclass(frozen=True)
class Verdict:
    """What to do and, for a person, why."""

    action: Action
    reason: str


@dataclass(frozen=True)
class Record:
    """What was written down when a cluster was complete."""

    way: str
    key: str
    workers: int
    containers: Mapping[str, str] = field(default_factory=dict)
    made_network: bool = False
    docker_host: str = ""


def wish_key(wish: Wish) -> str:
    """Hash everything a cluster is made from: with another wish it is another cluster."""
    return hashlib.sha256(json.dumps(render(wish), sort_keys=True).encode()).hexdigest()[:16]


def judge(found: Sequence[Container], record: Record | None, wish: Wish) -> Verdict:
    """Decide what to do with what is there."""
    if not found:
        return Verdict(Action.CREATE, "there is none")
    if record is None:
        return Verdict(Action.REPLACE, "it was never finished")
    mismatch = _mismatch(found, record, wish)
    if mismatch:
        return Verdict(Action.REPLACE, mismatch)
    stopped = [container.name for container in found if not container.running]
    if stopped:
        return Verdict(Action.START, f"{', '.join(stopped)} stopped")
    return Verdict(Action.KEEP, "it runs")


def _mismatch(found: Sequence[Container], record: Record, wish: Wish) -> str | None:
    """Say how the cluster that was recorded is not the one that is there or wanted."""
    present = {container.name: container.ident for container in found}
    if record.workers != wish.workers:
        return f"it has {record.workers} workers, not {wish.workers}"
    if record.key != wish_key(wish):
        return "it was made with another node image or other settings"
    if present != dict(record.containers):
        return "some of its nodes are gone or are others"
    if set(present) != set(node_names(wish.name, wish.workers)):
        return "its nodes have other names"
    return None


def read_record(text: str) -> Record | None:
    """Read a record back; one that is damaged or from another version counts as none."""
    try:
        content: dict[str, Any] = json.loads(text)
        return Record(**content)
    except (ValueError, TypeError):
        return None
