"""The raw objects of the cluster that are shown of one app, and how they are cleaned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from selfhealing.api.text import clean_line

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AppObjects:
    """What was read of one app.

    Attributes:
        app: the SelfHealingApp.
        read_at: when it was read, by the API server's clock.
        children: the objects with the app's name, by kind, whoever owns them.
        replica_sets: the ReplicaSets with the app's label.
        pods: the pods with the app's label, and the isolated ones.
        controller_revisions: the saved pod templates of the stable revisions.
        events: the Events about the app, its children and its pods.
        gaps: what could not be read, as sentences.
    """

    app: Json
    read_at: datetime
    children: Mapping[str, Json] = field(default_factory=dict)
    replica_sets: Sequence[Json] = ()
    pods: Sequence[Json] = ()
    controller_revisions: Sequence[Json] = ()
    events: Sequence[Json] = ()
    gaps: tuple[str, ...] = ()


def clean_object(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value in which every text is one clean line, the names of fields included."""
    if isinstance(value, str):
        return clean_line(value)
    if isinstance(value, dict):
        return {clean_line(key): clean_object(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clean_object(item) for item in value]
    return value
