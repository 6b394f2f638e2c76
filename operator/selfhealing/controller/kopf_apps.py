"""Has kopf read apps one by one, and keep of each only what the operator needs.

kopf parses a page of apps at once, and holds each object for a moment. As Python objects an app
whose metadata.managedFields or annotations have many small parts takes forty times its size, and a
page of ten such apps is more than the memory. kopf has no setting for that, so two names of its
module for requests are replaced (kopf 1.45: ``kopf._cogs.clients.api``).
"""

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final

from kopf._cogs.clients import api as kopf_api

from selfhealing.api import names

Json = dict[str, Any]

ITEMS: Final = '"items":['
"""Where the objects of a list begin: the API server writes them without blanks."""

_HEAD_LENGTH: Final = 256
"""Characters within which the objects of a list of custom resources begin."""

_META_FIELDS: Final = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
)
_ANNOTATIONS: Final = (names.ANNOTATION_APPROVE, names.ANNOTATION_RESUME)

_DECODER: Final = json.JSONDecoder()


def reduce_app(raw: Json) -> Json:
    """Return what the operator reads of an app; another object is returned as it is."""
    if raw.get("kind") != names.KIND or raw.get("apiVersion") != names.API_VERSION:
        return raw
    meta: Mapping[str, Any] = raw.get("metadata") or {}
    annotations: Mapping[str, Any] = meta.get("annotations") or {}
    return {
        **{field: raw[field] for field in ("apiVersion", "kind", "spec", "status") if field in raw},
        "metadata": {
            **{field: meta[field] for field in _META_FIELDS if field in meta},
            "annotations": {key: annotations[key] for key in _ANNOTATIONS if key in annotations},
        },
    }


def parse_event(line: str) -> Json:
    """Parse a line of a watch."""
    event: Json = json.loads(line)
    if isinstance(event.get("object"), dict):
        event["object"] = reduce_app(event["object"])
    return event


def parse_list(text: str) -> Json:
    """Parse a list of apps, of which only one is held whole at a time."""
    start = text.index(ITEMS, 0, _HEAD_LENGTH) + len(ITEMS)
    items, position = [], start
    while text[position] != "]":
        item, position = _DECODER.raw_decode(text, position)
        items.append(reduce_app({"apiVersion": names.API_VERSION, "kind": names.KIND, **item}))
        del item
        if text[position] == ",":
            position += 1
    page: Json = json.loads(text[:start] + text[position:])
    return {**page, "items": items}


async def get(url: str, **options: Any) -> Any:  # noqa: ANN401 - as kopf's own
    """Read an object or a list, in place of kopf's function."""
    response = await kopf_api.request(method="get", url=url, **options)
    async with response:
        text = await response.text()
    is_of_apps = text.startswith(f'{{"apiVersion":"{names.API_VERSION}"')
    return parse_list(text) if is_of_apps and ITEMS in text[:_HEAD_LENGTH] else json.loads(text)


def install() -> None:
    """Replace kopf's functions, once for the process."""
    setattr(kopf_api, "get", get)  # noqa: B010 - a name of another package
    setattr(kopf_api, "json", SimpleNamespace(loads=parse_event))  # noqa: B010
