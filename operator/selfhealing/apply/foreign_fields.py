"""Finds and removes what other field managers have put into a Deployment's pod template.

A field is foreign if another manager owns it and the manifest does not set it. Server-side apply
cannot remove such a field, because the operator never owned it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from selfhealing.api import names
from selfhealing.api.text import join_first
from selfhealing.apply.field_tree import find_unrendered_paths, merge_tree, remove_fields
from selfhealing.cache.managed_fields import RESTART_FIELDS
from selfhealing.cache.views import DeploymentView, TemplateEdit

Json = Mapping[str, Any]

MAX_SHOWN_PATHS: Final = 3
"""Fields that a message names."""

UNKNOWN_FIELDS: Final = "more fields than are kept"
"""Stands for the fields of an edit of which only the manager and the time are kept."""


@dataclass(frozen=True, slots=True)
class ForeignEdit:
    """The foreign fields of one manager.

    Attributes:
        manager: the field manager.
        at: when it last changed one of its fields, by the API server's clock; None if unknown.
        paths: the fields, such as ``containers[app].command``: the highest that are foreign.
    """

    manager: str
    at: datetime | None
    paths: tuple[str, ...]

    @property
    def description(self) -> str:
        """The fields in a few words, without their values."""
        return join_first(self.paths, MAX_SHOWN_PATHS)


@dataclass(frozen=True, slots=True)
class EditSelection:
    """Which foreign edits are removed.

    Attributes:
        all: every one.
        one: the manager and the time of one of them.
    """

    all: bool = False
    one: tuple[str, datetime] | None = None

    def includes(self, edit: TemplateEdit) -> bool:
        """Whether the edit is removed."""
        return self.all or self.one == (edit.manager, edit.at)


def find_foreign_edits(
    deployment: DeploymentView | None, rendered: Json
) -> tuple[ForeignEdit, ...]:
    """Return the foreign fields of a live Deployment by manager, the newest edit first.

    Args:
        deployment: the live Deployment; None if there is none. If its manifest is too large to be
            kept, every field that a manager owns is taken for one that is there.
        rendered: the pod template that the operator applies.
    """
    if deployment is None or not deployment.template_edits:
        return ()
    template = _live_template(deployment) if deployment.manifest_json else None
    edits = (
        ForeignEdit(
            edit.manager,
            edit.at,
            tuple(find_unrendered_paths(template, _tree(edit), rendered))
            if edit.fields
            else (UNKNOWN_FIELDS,),
        )
        for edit in deployment.template_edits
    )
    return tuple(edit for edit in edits if edit.paths)


def select_edits(
    deployment: DeploymentView, desired: Json, selection: EditSelection
) -> tuple[TemplateEdit, ...]:
    """Return the edits of a live Deployment whose fields have to be removed.

    Those of ``kubectl rollout undo`` always are: they restore fields of an earlier version that the
    spec no longer asks for. By its annotation the operator knows that version as its own.

    Args:
        deployment: the live Deployment.
        desired: its manifest, with its applied hash.
        selection: which edits are removed beside them.
    """
    applied_hash = desired["metadata"]["annotations"][names.ANNOTATION_APPLIED_HASH]
    is_undone = deployment.applied_hash not in {"", applied_hash}
    selected = [
        edit
        for edit in deployment.template_edits
        if (is_undone and edit.is_undo) or selection.includes(edit)
    ]
    if not selected:
        return ()
    template, rendered = _live_template(deployment), desired["spec"]["template"]
    return tuple(
        edit for edit in selected if any(find_unrendered_paths(template, _tree(edit), rendered))
    )


def remove_foreign_fields(
    deployment: DeploymentView, edits: Sequence[TemplateEdit], rendered: Json
) -> dict[str, Any]:
    """Return the live pod template without the foreign fields of some edits.

    A field that no other manager owns anything of is removed as a whole, with Kubernetes' defaults
    in it.

    Args:
        deployment: the live Deployment.
        edits: the edits whose fields are removed.
        rendered: the pod template that the operator applies: nothing in it is removed.
    """
    removed: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    merge_tree(kept, RESTART_FIELDS)
    for edit in deployment.template_edits:
        merge_tree(removed if edit in edits else kept, _tree(edit))
    template: dict[str, Any] = remove_fields(_live_template(deployment), removed, kept, rendered)
    return template


def _live_template(deployment: DeploymentView) -> Json:
    template: Json = orjson.loads(deployment.manifest_json)["spec"].get("template") or {}
    return template


def _tree(edit: TemplateEdit) -> Json:
    tree: Json = orjson.loads(edit.fields)
    return tree
