"""Objects that are not the app's, and records that are not the operator's; both are ignored."""

from dataclasses import dataclass
from enum import StrEnum


class FindingReason(StrEnum):
    """What was found: the reason of the condition OwnershipVerified, and of its Event.

    The members are in the order of their importance.
    """

    RECORD_REJECTED = "RecordRejected"
    """A part of ``status.healing`` asks for what the spec does not allow."""

    REVISION_REJECTED = "RevisionRejected"
    """The saved pod template of the stable revision is not used."""

    FOREIGN_PODS = "ForeignPods"
    """Pods carry the app's label, and are not the app's."""

    FOREIGN_EVIDENCE = "ForeignEvidence"
    """The ConfigMap for the app's evidence belongs to another owner."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason with its sentence, which contains no text from outside but names of objects."""

    reason: FindingReason
    message: str
