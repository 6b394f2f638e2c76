"""How the CRD looks as a file: one field, one line.

A generated file is read in reviews. A field without fields of its own takes one line, so that a
change of a field is a change of a line, and the file stays small enough for `kubectl apply`, which
keeps a copy of it in an annotation.
"""

import json
import sys
from typing import Any, Final

import yaml

MAX_FILE_BYTES: Final = 270_000
MAX_ANNOTATION_BYTES: Final = 240_000
"""Bytes; the API server's limit for all annotations of an object is 262144."""

MAX_INLINE_DEPTH: Final = 2
"""Depth of a mapping that is written on one line."""


class TooLargeError(Exception):
    """The CRD has grown beyond what client-side `kubectl apply` can carry."""


class _Properties(dict[str, Any]):
    """The fields of an object: one below the other."""


class _Dumper(yaml.SafeDumper):
    """Writes a field on one line, unless it has fields of its own."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        """Write equal parts twice instead of once with a reference: people read this file."""
        return True

    def mapping_node(self, data: dict[str, Any]) -> yaml.MappingNode:
        """Choose the style by depth."""
        node = self.represent_mapping("tag:yaml.org,2002:map", data.items())
        node.flow_style = not isinstance(data, _Properties) and _depth(data) <= MAX_INLINE_DEPTH
        return node

    def sequence_node(self, data: list[Any]) -> yaml.SequenceNode:
        """Write words on one line."""
        has_only_scalars = not any(isinstance(item, dict | list) for item in data)
        return self.represent_sequence(
            "tag:yaml.org,2002:seq", data, flow_style=has_only_scalars or None
        )


_Dumper.add_representer(list, _Dumper.sequence_node)
_Dumper.add_representer(dict, _Dumper.mapping_node)
_Dumper.add_representer(_Properties, _Dumper.mapping_node)


def _depth(data: object) -> int:
    if isinstance(data, dict):
        return 1 + max(map(_depth, data.values()), default=0)
    if isinstance(data, list):
        return max(map(_depth, data), default=0)
    return 0


def _mark_properties(data: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Mark the fields of objects."""
    if isinstance(data, dict):
        return {
            key: _Properties({name: _mark_properties(field) for name, field in value.items()})
            if key == "properties"
            else _mark_properties(value)
            for key, value in data.items()
        }
    return [_mark_properties(item) for item in data] if isinstance(data, list) else data


def to_yaml(crd: dict[str, Any], header: str) -> str:
    """Write the CRD: the same bytes for the same models.

    Raises:
        TooLargeError: client-side `kubectl apply` could not carry it.
    """
    text = header + yaml.dump(
        _mark_properties(crd),
        Dumper=_Dumper,
        sort_keys=False,
        width=sys.maxsize,
        allow_unicode=True,
    )
    size = len(text.encode())
    annotation = len(json.dumps(crd, separators=(",", ":")).encode())
    if size > MAX_FILE_BYTES or annotation > MAX_ANNOTATION_BYTES:
        raise TooLargeError(
            f"the CRD has {size} bytes, {annotation} as an annotation:"
            f" shorten descriptions until it has {MAX_FILE_BYTES} and {MAX_ANNOTATION_BYTES}"
        )
    return text
