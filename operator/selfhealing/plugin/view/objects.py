"""The raw objects that are shown of one app, and how they are found and cleaned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from selfhealing.api import names
from selfhealing.api.text import clean_line
from selfhealing.plugin.errors import PluginError

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


def find_app(objects: Sequence[Json], name: str = "") -> Json:
    """Return the SelfHealingApp among the objects of a file.

    Args:
        objects: the objects.
        name: its name; empty if there is only one.

    Raises:
        PluginError: there is none, or there are several.
    """
    apps = [raw for raw in objects if raw.get("kind") == names.KIND]
    found = [raw for raw in apps if not name or raw["metadata"].get("name") == name]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(sorted(str(raw["metadata"].get("name")) for raw in apps)) or "none"
    wanted = f"no SelfHealingApp {name}" if name else f"{len(found)} SelfHealingApps"
    raise PluginError(f"the file has {wanted}; it has: {listed}. Write NAME of one of them")


def clean_object(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value in which every text is one clean line, the names of fields included."""
    if isinstance(value, str):
        return clean_line(value)
    if isinstance(value, dict):
        return {clean_line(key): clean_object(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clean_object(item) for item in value]
    return value
