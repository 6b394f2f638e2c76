"""Reads the evidence that the operator has saved before an action."""

from typing import Final

from selfhealing.api.text import clean_text
from selfhealing.cache.parse import has_owner
from selfhealing.evidence.bundle import config_map_name, is_evidence_of
from selfhealing.kube.errors import NotFoundError
from selfhealing.kube.resources import CONFIG_MAPS
from selfhealing.plugin.cluster.reader import Cluster
from selfhealing.plugin.errors import PluginError
from selfhealing.plugin.view.model import AppModel

MAX_TEXT: Final = 64 * 1024
"""Characters that are shown; the operator writes at most 16 KiB (``evidence.bundle``)."""


class EvidenceMissingError(PluginError):
    """There is no evidence of the action; the message says why."""


def read_evidence(cluster: Cluster, app: AppModel, action_id: int) -> str:
    """Read the evidence of an action of the app's record, cleaned.

    Raises:
        EvidenceMissingError: none was saved, or it is gone, or somebody else's.
        ApiError: it cannot be read.
    """
    history = app.healing.history if app.healing is not None else ()
    action = next((each for each in history if each.id == action_id), None)
    if action is None or action.evidence is None:
        raise EvidenceMissingError(f"no evidence was saved for the action {action_id}")
    name = config_map_name(app.key.name)
    try:
        config_map = cluster.get(CONFIG_MAPS, app.key.namespace, name)
    except NotFoundError as error:
        raise EvidenceMissingError(f"the ConfigMap {name} is gone") from error
    if not has_owner(config_map["metadata"], app.uid):
        raise EvidenceMissingError(f"the ConfigMap {name} is not the app's")
    text = (config_map.get("data") or {}).get(action.evidence)
    if not isinstance(text, str) or not is_evidence_of(action, text):
        raise EvidenceMissingError(f"the evidence of the action {action_id} is gone")
    return clean_text(text)[:MAX_TEXT]
