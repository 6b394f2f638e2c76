"""Has kopf read of each app only what the operator needs, and leave the rest unparsed.

kopf parses a page of apps at once, and holds each object for a moment. As Python objects an app
with many small parts takes up to forty times its size, and metadata.managedFields of 1.3 MB a tenth
of a second to parse. So of an app the spec and the status stay the JSON text that they are (a text
that is too large for the operator is left out), and other fields are skipped without an object of
them. kopf has no setting for that, so two names of its module for requests are replaced (kopf 1.45:
``kopf._cogs.clients.api``).
"""

import json
from types import SimpleNamespace
from typing import Any, Final

import msgspec
from kopf._cogs.clients import api as kopf_api

from selfhealing.api import names
from selfhealing.cache.parse import longest_json_text
from selfhealing.cache.views import MAX_SPEC_BYTES, MAX_STATUS_BYTES

Json = dict[str, Any]

_LIST_HEAD: Final = f'{{"apiVersion":"{names.API_VERSION}","items":['.encode()
"""How a list of apps begins: the API server writes it without blanks, and the fields of custom
resources in the order of the alphabet."""

_KEPT_ANNOTATIONS: Final = (names.ANNOTATION_APPROVE, names.ANNOTATION_RESUME)


class _Metadata(msgspec.Struct, rename="camel"):
    """The fields of the metadata that the operator reads; None stands for a missing one."""

    name: str | None = None
    namespace: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    generation: int | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    annotations: dict[str, str] | None = None


class _App(msgspec.Struct, rename="camel"):
    """An app as text, or another object of which only the kind counts."""

    api_version: str = ""
    kind: str = ""
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    spec: msgspec.Raw = msgspec.Raw()
    status: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct):
    """A line of a watch."""

    type: str
    object: _App | None


class _AppList(msgspec.Struct, rename="camel"):
    """A page of apps."""

    api_version: str
    kind: str
    metadata: Json
    items: list[_App]


_EVENT_DECODER: Final = msgspec.json.Decoder(_Event)
_LIST_DECODER: Final = msgspec.json.Decoder(_AppList)


def parse_event(line: str) -> Json:
    """Parse a line of a watch; another object than an app is parsed as a whole."""
    event = _EVENT_DECODER.decode(line)
    app = event.object
    if app is None or (app.api_version, app.kind) != (names.API_VERSION, names.KIND):
        other: Json = json.loads(line)
        return other
    return {"type": event.type, "object": _as_object(app)}


def parse_list(page: bytes) -> Json:
    """Parse a list of apps."""
    parsed = _LIST_DECODER.decode(page)
    return {
        "apiVersion": parsed.api_version,
        "kind": parsed.kind,
        "metadata": parsed.metadata,
        "items": [_as_object(app) for app in parsed.items],
    }


def forget_texts(raw: Json) -> None:
    """Drop the texts of an app that has been handled.

    kopf's wrapper of an object refers to itself (``Body`` and its ``meta``), so Python frees it
    only in a collection, which goes by the number of objects and not by their size.
    """
    for field in ("spec", "status"):
        raw.pop(field, None)
    raw["metadata"].pop("annotations", None)


def _as_object(app: _App) -> Json:
    """Return an app as kopf and ``cache.parse.app_view`` read it."""
    meta = {
        json_name: value
        for name, json_name in zip(
            _Metadata.__struct_fields__, _Metadata.__struct_encode_fields__, strict=True
        )
        if name != "annotations" and (value := getattr(app.metadata, name)) is not None
    }
    annotations = app.metadata.annotations or {}
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {
            **meta,
            "annotations": {
                key: annotations[key] for key in _KEPT_ANNOTATIONS if key in annotations
            },
        },
        **_keep_text("spec", app.spec, MAX_SPEC_BYTES),
        **_keep_text("status", app.status, MAX_STATUS_BYTES),
    }


def _keep_text(field: str, text: msgspec.Raw, limit: int) -> dict[str, bytes | int]:
    """Return a field as its JSON text, or only the bytes of a text that is not read anyway."""
    size = memoryview(text).nbytes
    if not size:
        return {}
    return {field: size if size > longest_json_text(limit) else bytes(text)}


async def get(url: str, **options: Any) -> Any:  # noqa: ANN401 - as kopf's own
    """Read an object or a list, in place of kopf's function."""
    response = await kopf_api.request(method="get", url=url, **options)
    async with response:
        body = await response.read()
    return parse_list(body) if body.startswith(_LIST_HEAD) else json.loads(body)


def install() -> None:
    """Replace kopf's functions, once for the process."""
    setattr(kopf_api, "get", get)  # noqa: B010 - a name of another package
    setattr(kopf_api, "json", SimpleNamespace(loads=parse_event))  # noqa: B010
