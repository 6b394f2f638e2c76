"""Writes the CRD as YAML with one field per line.

A field without fields of its own takes one line: the change of a field is the change of one line in
a review, and the file is small.
"""

import sys
from typing import Any, Final

import yaml

MAX_FILE_BYTES: Final = 512 * 1024
"""Bytes of the file. Helm stores the files of a release in a Secret, which has at most 1 MiB
(core/v1 MaxSecretSize), and etcd takes 1.5 MiB in a request (its flag --max-request-bytes)."""

MAX_INLINE_DEPTH: Final = 2
"""The maximum depth of a mapping that is written on one line."""


class TooLargeError(Exception):
    """The CRD is too large to be installed beside other objects."""


class _Properties(dict[str, Any]):
    """The fields of an object, which are written one per line."""


class _Dumper(yaml.SafeDumper):
    """Writes a field on one line if it has no fields of its own."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        """Write equal parts twice, without YAML anchors and aliases, which are hard to read."""
        return True

    def mapping_node(self, data: dict[str, Any]) -> yaml.MappingNode:
        """Represent a mapping; on one line if its depth allows it."""
        node = self.represent_mapping("tag:yaml.org,2002:map", data.items())
        node.flow_style = not isinstance(data, _Properties) and _depth(data) <= MAX_INLINE_DEPTH
        return node

    def sequence_node(self, data: list[Any]) -> yaml.SequenceNode:
        """Represent a list; on one line if all items are scalars."""
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
    """Return the data with the fields of objects as _Properties."""
    if isinstance(data, dict):
        return {
            key: _Properties({name: _mark_properties(field) for name, field in value.items()})
            if key == "properties"
            else _mark_properties(value)
            for key, value in data.items()
        }
    return [_mark_properties(item) for item in data] if isinstance(data, list) else data


def to_yaml(crd: dict[str, Any], header: str) -> str:
    """Return the CRD as YAML; the same models give the same bytes.

    Raises:
        TooLargeError: the CRD exceeds MAX_FILE_BYTES.
    """
    text = header + yaml.dump(
        _mark_properties(crd),
        Dumper=_Dumper,
        sort_keys=False,
        width=sys.maxsize,
        allow_unicode=True,
    )
    size = len(text.encode())
    if size > MAX_FILE_BYTES:
        raise TooLargeError(
            f"the CRD has {size} bytes: shorten descriptions until it has {MAX_FILE_BYTES}"
        )
    return text
