"""Translates the words that the version before wrote into `status.healing`.

A status is translated each time it is read, until the operator has written it once in its own
words. The CRD declares the old fields, too, because the API server prunes a stored resource when it
reads it from etcd (Kubernetes KEP-2332): without that, they would be gone before the operator sees
them.
"""

from collections.abc import Mapping
from typing import Any, Final

from selfhealing.api import names

RENAMED_FIELDS: Final[Mapping[str, str]] = {
    "hold": "blockedReason",
    "template": "desiredRevision",
    "templateSince": "desiredSince",
    "wellSince": "healthySince",
    "goodTemplate": "stableRevision",
    "goodImage": "stableImage",
    "failedTemplate": "failedRevision",
    "avoidedNode": "excludedNode",
    "budgetFrom": "budgetResetTime",
    "resumed": "observedResume",
}
"""Fields of `status.healing`, the old name first."""

MEMORY_LIMIT: Final = "memoryLimit"
"""A field of `status.healing`: the memory limit of the app's container, the first entry of
`memoryLimits` now."""

RENAMED_ACTION_FIELDS: Final[Mapping[str, str]] = {"remedy": "remediation"}
"""Fields of an entry of `status.healing.history`, the old name first."""

FORMER_NAMES: Final[Mapping[str, str]] = {**RENAMED_FIELDS, MEMORY_LIMIT: "memoryLimits"}
"""By each old field of `status.healing` the one that replaces it."""

FORMER_ACTION_NAMES: Final = RENAMED_ACTION_FIELDS
"""The same of an entry of `status.healing.history`."""

RENAMED_VALUES: Final[Mapping[str, Mapping[str, str]]] = {
    "blockedReason": {"StaleFacts": "StaleCache", "NoRemedy": "NoRemediation"},
    "remediation": {"Recycle": "ReplacePod", "Relocate": "AvoidNode"},
    "outcome": {
        "Started": "InProgress",
        "Helped": "Succeeded",
        "NoHelp": "Failed",
        "Overtaken": "Superseded",
        "Done": "Completed",
    },
}
"""The values of an enum by the new name of its field, the old value first."""


def migrate_healing_status(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return `status.healing` with the fields and values of this version.

    A field that is stored under both names keeps the value of its new name.

    Args:
        stored: `status.healing` as it is stored; nothing in it has been validated.
    """
    migrated = _rename(stored, RENAMED_FIELDS)
    limit = migrated.pop(MEMORY_LIMIT, None)
    if limit is not None:
        migrated.setdefault("memoryLimits", [{"container": names.CONTAINER_NAME, "limit": limit}])
    if isinstance(history := migrated.get("history"), list):
        migrated["history"] = [
            _rename(action, RENAMED_ACTION_FIELDS) if isinstance(action, Mapping) else action
            for action in history
        ]
    return migrated


def _rename(stored: Mapping[str, Any], new_names: Mapping[str, str]) -> dict[str, Any]:
    renamed: dict[str, Any] = {}
    for name, value in stored.items():
        new_name = new_names.get(name, name)
        if new_name == name or new_name not in stored:
            renamed[new_name] = _rename_value(new_name, value)
    return renamed


def _rename_value(field: str, value: object) -> object:
    """Return the new name of an enum value; any other value unchanged."""
    return RENAMED_VALUES.get(field, {}).get(value, value) if isinstance(value, str) else value
