"""How the CRD looks as a file: one field, one line.

A generated file is read in reviews. A field without fields of its own takes one line, so that a
change of a field is a change of a line, and the file stays small enough for `kubectl apply`, which
keeps a copy of it in an annotation.
"""

import json
import sys
from typing import Any, Final

import yaml

LARGEST_FILE: Final = 270_000
LARGEST_ANNOTATION: Final = 240_000
"""Bytes; the API server's limit for all annotations of an object is 262144."""

ONE_LINE: Final = 2
"""Depth of a mapping that is written on one line."""


class TooLargeError(Exception):
    """The CRD has grown beyond what client-side `kubectl apply` can carry."""


class _Fields(dict[str, Any]):
    """The fields of an object: one below the other."""


class _Dumper(yaml.SafeDumper):
    """Writes a field on one line, unless it has fields of its own."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        """Write equal parts twice instead of once with a reference: people read this file."""
        return True

    def mapping(self, data: dict[str, Any]) -> yaml.MappingNode:
        """Choose the style by depth."""
        node = self.represent_mapping("tag:yaml.org,2002:map", data.items())
        node.flow_style = not isinstance(data, _Fields) and _depth(data) <= ONE_LINE
        return node

    def sequence(self, data: list[Any]) -> yaml.SequenceNode:
        """Write words on one line."""
        words = not any(isinstance(item, dict | list) for item in data)
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=words or None)


_Dumper.add_representer(list, _Dumper.sequence)
_Dumper.add_representer(dict, _Dumper.mapping)
_Dumper.add_representer(_Fields, _Dumper.mapping)


def _depth(data: object) -> int:
    if isinstance(data, dict):
        return 1 + max(map(_depth, data.values()), default=0)
    if isinstance(data, list):
        return max(map(_depth, data), default=0)
    return 0


def _marked(data: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Mark the fields of objects."""
    if isinstance(data, dict):
        return {
            key: _Fields({name: _marked(field) for name, field in value.items()})
            if key == "properties"
            else _marked(value)
            for key, value in data.items()
        }
    return [_marked(item) for item in data] if isinstance(data, list) else data


def to_yaml(crd: dict[str, Any], header: str) -> str:
    """Write the CRD: the same bytes for the same models.

    Raises:
        TooLargeError: client-side `kubectl apply` could not carry it.
    """
    text = header + yaml.dump(
        _marked(crd), Dumper=_Dumper, sort_keys=False, width=sys.maxsize, allow_unicode=True
    )
    size = len(text.encode())
    annotation = len(json.dumps(crd, separators=(",", ":")).encode())
    if size > LARGEST_FILE or annotation > LARGEST_ANNOTATION:
        raise TooLargeError(
            f"the CRD has {size} bytes, {annotation} as an annotation:"
            f" shorten descriptions until it has {LARGEST_FILE} and {LARGEST_ANNOTATION}"
        )
    return text
