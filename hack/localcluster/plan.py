"""Decides what to do with the cluster that is found: keep, start, create or replace it. Pure.

A cluster is kept only if this tool recorded it as complete and its containers are those of the
record.
"""

import enum
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hack.localcluster.engine import NodeContainer
from hack.localcluster.kind_config import DesiredCluster, node_names, render


class Action(enum.Enum):
    """What to do with the cluster."""

    CREATE = "create"
    KEEP = "keep"
    START = "start"
    REPLACE = "replace"


@dataclass(frozen=True)
class PlannedAction:
    """The action and its reason for people."""

    action: Action
    reason: str


@dataclass(frozen=True)
class ClusterRecord:
    """What was recorded when the cluster was complete."""

    mode: str
    key: str
    workers: int
    containers: Mapping[str, str] = field(default_factory=dict)
    made_network: bool = False
    docker_host: str = ""


def cluster_config_hash(desired: DesiredCluster) -> str:
    """Hash everything that a cluster is made from; another hash needs another cluster."""
    return hashlib.sha256(json.dumps(render(desired), sort_keys=True).encode()).hexdigest()[:16]


def plan_action(
    found: Sequence[NodeContainer], record: ClusterRecord | None, desired: DesiredCluster
) -> PlannedAction:
    """Decide what to do with the cluster that is found."""
    if not found:
        return PlannedAction(Action.CREATE, "there is none")
    if record is None:
        return PlannedAction(Action.REPLACE, "it was never finished")
    mismatch = _find_mismatch(found, record, desired)
    if mismatch:
        return PlannedAction(Action.REPLACE, mismatch)
    stopped = [container.name for container in found if not container.running]
    if stopped:
        return PlannedAction(Action.START, f"{', '.join(stopped)} stopped")
    return PlannedAction(Action.KEEP, "it runs")


def _find_mismatch(
    found: Sequence[NodeContainer], record: ClusterRecord, desired: DesiredCluster
) -> str | None:
    """Return how the cluster differs from its record or the desired one, or None."""
    present = {container.name: container.ident for container in found}
    if record.workers != desired.workers:
        return f"it has {record.workers} workers, not {desired.workers}"
    if record.key != cluster_config_hash(desired):
        return "it was made with another node image or other settings"
    if present != dict(record.containers):
        return "some of its nodes are gone or are others"
    if set(present) != set(node_names(desired.name, desired.workers)):
        return "its nodes have other names"
    return None


def read_record(text: str) -> ClusterRecord | None:
    """Parse a record; None if it is damaged or from another version."""
    try:
        content: dict[str, Any] = json.loads(text)
        if "way" in content:  # the key until the mode was called so
            content["mode"] = content.pop("way")
        return ClusterRecord(**content)
    except (ValueError, TypeError):
        return None
