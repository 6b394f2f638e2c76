"""The body of a server-side apply, which the API server reads as YAML."""

from typing import Any, Final

import orjson

Json = dict[str, Any]

_YAML_ESCAPES: Final = {
    code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF)
}
"""YAML 1.1, sections 4.1.1 (printable characters) and 4.1.4 (line breaks)."""


def encode_yaml(body: Json) -> bytes:
    """Serialise a manifest to YAML in UTF-8.

    It is JSON, with the characters escaped that YAML 1.1 does not allow or takes for line ends.
    Escaped surrogates, as the standard library writes them for an emoji, are no YAML.
    """
    return orjson.dumps(body).decode().translate(_YAML_ESCAPES).encode()
