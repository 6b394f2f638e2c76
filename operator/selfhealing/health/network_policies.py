"""Names the NetworkPolicies that may have cut an app off: they select its pods, and are new.

Whether a policy lets the traffic of the app through cannot be told from it alone: it depends on the
network plugin and on what the app calls. So a policy is named, and nothing is done about it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import orjson

from selfhealing.api.label_selector import selects_labels
from selfhealing.api.text import join_first
from selfhealing.cache.parse import parse_time
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.pod_diagnosis import DiagnosisType

SUSPECT_WINDOW: Final = timedelta(minutes=15)
"""How long before a diagnosis a policy may have come: a probe that fails is a diagnosis after ten
minutes at the latest, the default progress deadline."""

MAX_SELECTOR_BYTES: Final = 1024
"""The largest selector that is kept, as JSON: who may write a policy may write a mebibyte."""

MAX_NAMED: Final = 3
"""Policies that a message names, the latest ones."""

_MAY_BE_NETWORK: Final = frozenset(
    {
        DiagnosisType.CRASH_LOOPING,
        DiagnosisType.LIVENESS_KILLED,
        DiagnosisType.ROLLOUT_STALLED,
        DiagnosisType.NOT_READY_TOO_LONG,
        DiagnosisType.DEPENDENCY_DOWN,
        DiagnosisType.READINESS_FLAPPING,
    }
)
"""Diagnoses of pods that run, but may not reach what they need, or not be reached."""


class NetworkPolicyFacts(NamedTuple):
    """What is known of a NetworkPolicy.

    Attributes:
        name: its name.
        changed_at: when it was created, or written last.
        is_new: it was not written since it was created.
        selector: the pods that it is about, a LabelSelector.
        owner_uids: the UIDs of its owners.
    """

    name: str
    changed_at: datetime
    is_new: bool
    selector: Mapping[str, Any]
    owner_uids: frozenset[str]


def parse_network_policy(raw: Mapping[str, Any]) -> NetworkPolicyFacts | None:
    """Read a NetworkPolicy; None if its selector is too large, or its time is not known."""
    metadata, selector = raw["metadata"], (raw.get("spec") or {}).get("podSelector") or {}
    created = parse_time(metadata.get("creationTimestamp"))
    if created is None or len(orjson.dumps(selector)) > MAX_SELECTOR_BYTES:
        return None
    writes = (parse_time(entry.get("time")) for entry in metadata.get("managedFields") or ())
    changed_at = max((time for time in writes if time is not None), default=created)
    return NetworkPolicyFacts(
        name=str(metadata["name"]),
        changed_at=max(created, changed_at),
        is_new=changed_at <= created,
        selector=selector,
        owner_uids=frozenset(
            str(owner.get("uid")) for owner in metadata.get("ownerReferences") or ()
        ),
    )


def name_new_policies(
    diagnoses: Iterable[AppDiagnosis],
    policies: Iterable[NetworkPolicyFacts],
    labels: Mapping[str, str],
    app_uid: str,
    first_seen: Callable[[AppDiagnosis], datetime],
) -> tuple[AppDiagnosis, ...]:
    """Add to the messages of diagnoses the policies that came shortly before them.

    Args:
        diagnoses: what is wrong with the app.
        policies: those of its namespace.
        labels: those of its pods.
        app_uid: the app's own policy is left out.
        first_seen: when a diagnosis was seen first.
    """
    about_pods = [
        policy
        for policy in policies
        if app_uid not in policy.owner_uids and selects_labels(policy.selector, labels)
    ]
    return tuple(_explain(each, about_pods, first_seen(each)) for each in diagnoses)


def _explain(
    diagnosis: AppDiagnosis, policies: Iterable[NetworkPolicyFacts], since: datetime
) -> AppDiagnosis:
    suspects = sorted(
        (policy for policy in policies if since - SUSPECT_WINDOW <= policy.changed_at <= since),
        key=lambda policy: (policy.changed_at, policy.name),
        reverse=True,
    )
    if not suspects or diagnosis.type not in _MAY_BE_NETWORK:
        return diagnosis
    described = [
        f"{policy.name} ({'created' if policy.is_new else 'changed'} at "
        f"{policy.changed_at:%H:%M:%S} UTC)"
        for policy in suspects
    ]
    noun = "NetworkPolicy" if len(suspects) == 1 else "NetworkPolicies"
    named = join_first(described, MAX_NAMED)
    return replace(
        diagnosis,
        message=f"{diagnosis.message}; shortly before, for these pods: {noun} {named}",
    )
