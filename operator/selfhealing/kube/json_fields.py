"""Bounds what is parsed by the number of its fields, and not only by its bytes.

As Python objects, JSON of many small parts takes up to forty times its size, and 1.4 MB of it a
third of a second to parse. Anybody may store such objects: in metadata.managedFields, or as
thousands of terms of an affinity. Of an object with more fields than are parsed the identity is
read from its first bytes.
"""

from typing import Any, Final

import orjson

from selfhealing.api.linear_regex import compile_pattern

Json = dict[str, Any]

MAX_FIELDS: Final = 20_000
"""Fields of one object that are parsed, some 6 MiB as Python objects. A pod has 300; a Deployment
with 2,000 variables, those in managedFields included, 12,000."""

MAX_PAGE_FIELDS: Final = 5 * MAX_FIELDS
"""Fields of a page of several objects that are parsed: as many as 4 MiB of ordinary pods have."""

ARRAYS_PER_FIELD: Final = 10
"""So many brackets count as one field: a text may have many of them, and an empty list is small."""

UNREAD_KEY: Final = "selfhealing.dev/unread"
"""A key of an object of which only the identity was read."""

_MIN_FIELD_BYTES: Final = 4
"""No field has fewer bytes (``"":0``, and its share of brackets)."""

_HEAD_BYTES: Final = 4096
"""The identity is within the first bytes: the names in it have 253 characters at most."""

_IDENTITY: Final = compile_pattern(
    r'\{(?:"kind":"(?P<kind>[A-Za-z]*)","apiVersion":"(?P<api>[A-Za-z0-9./-]*)",)?'
    r'"metadata":\{"name":"(?P<name>[^"\\]*)"(?:,"generateName":"[^"\\]*")?'
    r'(?:,"namespace":"(?P<namespace>[^"\\]*)")?'
    r',"uid":"(?P<uid>[^"\\]*)","resourceVersion":"(?P<version>[0-9]*)"'
)
"""The beginning of an object of a built-in kind: the API server writes its fields in the order of
the Go struct (ObjectMeta of apimachinery's meta/v1)."""

_EVENT: Final = compile_pattern(r'\{"type":"(?P<type>[A-Z]+)","object":')


def count_fields(data: bytes | bytearray) -> int:
    """Count the fields of JSON as the API server writes it, without parsing it.

    In a string every quote has an odd number of backslashes before it. A text that begins with a
    colon counts, too.
    """
    text = data.replace(b"\\\\", b"..")
    fields = text.count(b'":') - text.count(b'\\":')
    return fields + data.count(b"[") // ARRAYS_PER_FIELD


def has_more_fields(data: bytes | bytearray, limit: int) -> bool:
    """Whether JSON has more than ``limit`` fields."""
    return len(data) > limit * _MIN_FIELD_BYTES and count_fields(data) > limit


def read_identity(data: bytes | bytearray) -> Json | None:
    """Read the identity of an object from its first bytes; None if they have none.

    The objects of a custom resource have none there: their fields are in the order of the alphabet.
    """
    match = _IDENTITY.match(data[:_HEAD_BYTES].decode(errors="replace"))
    if match is None:
        return None
    meta = {"name": match["name"], "uid": match["uid"], "resourceVersion": match["version"]}
    if match["namespace"] is not None:
        meta["namespace"] = match["namespace"]
    kind = {"kind": match["kind"], "apiVersion": match["api"]} if match["kind"] else {}
    return {**kind, "metadata": meta, UNREAD_KEY: True}


def read_event_identity(line: bytes) -> Json | None:
    """Read the identity of the object of a watch event; None if its first bytes have none."""
    match = _EVENT.match(line[:_HEAD_BYTES].decode(errors="replace"))
    target = read_identity(line[match.end() :]) if match is not None else None
    return {"type": match["type"], "object": target} if match is not None and target else None


def read_page_of_one(data: bytes | bytearray) -> Json:
    """Read a page with a single object without parsing the object: only its identity, if it can be.

    Raises:
        ValueError: it is no page.
    """
    head, _, items = data.partition(b'"items":[')
    if b'"metadata":{' in head:
        page: Json = orjson.loads(bytes(head) + b'"items":[]}')
        identity = read_identity(items[:_HEAD_BYTES])
        page["items"] = [identity] if identity is not None else []
        return page
    # A list of custom resources: its own kind and metadata come after the items.
    page = orjson.loads(b"{" + bytes(data[data.rindex(b'"kind":"') :]))
    return {**page, "items": []}
