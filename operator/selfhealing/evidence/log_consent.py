"""Decides whether the evidence of an app may contain lines of its logs.

Logs hold what an app should not have logged, and the ConfigMap with the evidence is read by more
people than the logs. So the app, or its namespace, asks for them.
"""

from collections.abc import Mapping

from selfhealing.api import names


def find_log_refusal(wanted: bool | None, labels: Mapping[str, str] | None) -> str | None:  # noqa: FBT001 - the field of the spec
    """Find why no log lines are collected; None if they may be.

    Args:
        wanted: ``spec.healing.evidence.logs``; None without it.
        labels: the labels of the Namespace; None if they are unknown.
    """
    if labels is None:
        return "not collected, because the labels of the namespace cannot be read"
    label = labels.get(names.LABEL_EVIDENCE_LOGS)
    if label == "false":
        return f"the label {names.LABEL_EVIDENCE_LOGS} of the namespace forbids them"
    if wanted or (wanted is None and label == "true"):
        return None
    return "not asked for (spec.healing.evidence.logs)"
