"""Finds and removes what other field managers have put into a Deployment's pod template.

A field is foreign if another manager owns it and the manifest does not set it. Server-side apply
cannot remove such a field, because the operator never owned it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from selfhealing.api import names
from selfhealing.api.text import clean_line
from selfhealing.apply.drift import LIST_KEYS, PORT_KEYS, item_key
from selfhealing.cache.managed_fields import RESTART_FIELDS
from selfhealing.cache.views import DeploymentView, TemplateEdit

Json = Mapping[str, Any]

MAX_SHOWN_PATHS: Final = 3
"""Fields that a message names."""

UNKNOWN_FIELDS: Final = "more fields than are kept"
"""Stands for the fields of an edit of which only the manager and the time are kept."""

_MAX_KEY_LENGTH: Final = 63
"""Characters of a key in a path that are shown."""

_MAPS: Final = frozenset({"labels", "annotations"})
"""Maps whose keys are independent of each other: one that nobody owns stays."""

_KEY_FIELDS: Final = frozenset(
    tuple(sorted(fields)) for fields in (*LIST_KEYS.values(), *PORT_KEYS)
)
"""The key fields of list items that a pod template has."""


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
        shown = ", ".join(self.paths[:MAX_SHOWN_PATHS])
        more = len(self.paths) - MAX_SHOWN_PATHS
        return f"{shown} and {more} more" if more > 0 else shown


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
            tuple(_find_paths(template, _tree(edit), rendered))
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
    return tuple(edit for edit in selected if any(_find_paths(template, _tree(edit), rendered)))


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
    _merge_tree(kept, RESTART_FIELDS)
    for edit in deployment.template_edits:
        _merge_tree(removed if edit in edits else kept, _tree(edit))
    template: dict[str, Any] = _remove(_live_template(deployment), removed, kept, rendered)
    return template


def _live_template(deployment: DeploymentView) -> Json:
    template: Json = orjson.loads(deployment.manifest_json)["spec"].get("template") or {}
    return template


def _tree(edit: TemplateEdit) -> Json:
    tree: Json = orjson.loads(edit.fields)
    return tree


def _merge_tree(target: dict[str, Any], tree: Json) -> None:
    for key, inner in tree.items():
        _merge_tree(target.setdefault(key, {}), inner)


_Key = str | tuple[tuple[str, str], ...]
"""The name of a field, or the key fields of a list item with their values."""


def _find_paths(live: Any, tree: Json, rendered: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """Yield the foreign fields of a tree; of a live value that is unknown (None) all are there."""
    owned = _parse_tree(tree)
    live_parts = dict.fromkeys(owned) if live is None else _index_parts(live, owned)
    rendered_parts = _index_parts(rendered, owned)
    for key, inner in owned.items():
        if key not in live_parts:
            continue
        inner_path = _extend_path(path, key)
        if key in rendered_parts:
            yield from _find_paths(live_parts[key], inner, rendered_parts[key], inner_path)
        else:
            yield inner_path


def _parse_tree(tree: Json) -> dict[_Key, Json]:
    """Return the fields or list items of one level of a field tree."""
    parsed = ((_parse_key(name), inner) for name, inner in tree.items())
    return {key: inner for key, inner in parsed if key is not None}


def _parse_key(name: str) -> _Key | None:
    """Parse a key of a field tree; None for one that names neither a field nor a keyed item."""
    if name.startswith("f:"):
        return name[2:]
    if not name.startswith("k:"):
        return None
    try:
        keys = orjson.loads(name[2:])
    except orjson.JSONDecodeError:
        return None
    if not isinstance(keys, dict) or tuple(sorted(keys)) not in _KEY_FIELDS:
        return None
    return tuple((field, str(value)) for field, value in sorted(keys.items()))


def _index_parts(value: Any, owned: Iterable[_Key]) -> Mapping[_Key, Any]:  # noqa: ANN401 - any JSON value
    """Return the fields of an object, or the items of a list by the key fields in ``owned``."""
    if isinstance(value, Mapping):
        return value
    if not isinstance(value, Sequence) or isinstance(value, str):
        return {}
    field_names = {tuple(field for field, _ in key) for key in owned if isinstance(key, tuple)}
    return {
        _item_key(item, names_of_key): item
        for names_of_key in field_names
        for item in value
        if isinstance(item, Mapping)
    }


def _item_key(item: Json, fields: Sequence[str]) -> _Key:
    return tuple(zip(fields, map(str, item_key(item, tuple(fields))), strict=True))


def _extend_path(path: str, key: _Key) -> str:
    if isinstance(key, tuple):
        shown = next(value for field, value in key if field != "protocol")
        return f"{path}[{clean_line(shown)[:_MAX_KEY_LENGTH]}]"
    if not path and key == "spec":
        return ""
    shown = clean_line(key)[:_MAX_KEY_LENGTH]
    return f"{path}.{shown}" if path else shown


def _remove(live: Any, removed: Json, kept: Json, rendered: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value without the fields of the tree ``removed`` that ``rendered`` does not have.

    Args:
        live: the value.
        removed: the fields that are removed.
        kept: the fields of managers whose fields stay.
        rendered: the value that the operator applies; None without one.
    """
    owned, others = _parse_tree(removed), _parse_tree(kept)
    rendered_parts = _index_parts(rendered, owned)

    def reduce_part(key: _Key, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        if key not in owned:
            return value
        is_rendered = key in rendered_parts
        if not is_rendered and key not in others and key not in _MAPS:
            return None
        reduced = _remove(value, owned[key], others.get(key, {}), rendered_parts.get(key))
        return reduced if is_rendered or reduced else None

    if isinstance(live, Mapping):
        parts = [(key, reduce_part(key, value)) for key, value in live.items()]
        return {key: value for key, value in parts if value is not None}
    field_names = {tuple(name for name, _ in key) for key in owned if isinstance(key, tuple)}
    if not field_names or not isinstance(live, Sequence):
        return live
    items = []
    for item in live:
        keys = (_item_key(item, fields) for fields in field_names if isinstance(item, Mapping))
        key = next((key for key in keys if key in owned), None)
        reduced = item if key is None else reduce_part(key, item)
        if reduced is not None:
            items.append(reduced)
    return items
