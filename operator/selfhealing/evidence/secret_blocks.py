"""Masks secrets that take several lines: private keys, YAML blocks, the data of a Secret."""

import re
from collections.abc import Iterator
from typing import Final

from selfhealing.api.linear_regex import compile_pattern
from selfhealing.evidence.secret_checks import has_all_classes
from selfhealing.evidence.secret_names import is_secret_name
from selfhealing.evidence.secret_syntax import MASK

_KEY_BEGIN: Final = compile_pattern(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_END: Final = compile_pattern(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_BODY: Final = re.compile(r"[ \t]*+[A-Za-z0-9+/]{60,76}={0,2}[ \t\r]*+\Z")
"""A line of the body of a PEM file (RFC 7468: 64 characters; OpenSSH writes 70)."""

_BLOCK: Final = compile_pattern(
    r"^([ \t]*(?:-[ ]+)?)[\"']?([\pL\pN_. -]+)[\"']?[ \t]*:"
    r"[ \t]*(?:[|>][+-]?\d?[+-]?|&\w+|!\w+)?[ \t]*$"
)
"""A YAML key whose value is in the following, deeper lines."""
_ENTRY: Final = compile_pattern(
    r"^([ \t]*(?:-[ \t]+)?)(?:([\"']?[^\s:\"'{}]+[\"']?[ \t]*:)(?:[ \t]+|$))?(.*)$"
)
"""A line of YAML: its indentation, its key with the colon, and its value."""
_VALUE_KEYS: Final = frozenset(
    ("value", "val", "plain", "plaintext", "raw", "content", "data", "current", "string", "text")
)
_SECRET_KIND: Final = compile_pattern(r"(?m)[\"']?\bkind[\"']?[ \t]*:[ \t]*[\"']?Secret\b[\"']?")
_SECRET_DATA: Final = compile_pattern(r"([\"'](?:data|stringData)[\"'][ \t]*:[ \t]*)\{[^{}]*\}?")
_DATA_KEYS: Final = frozenset(("data", "stringData"))


def mask_blocks(text: str) -> str:
    """Mask the secrets of ``text`` that take several lines.

    A private key is masked from its beginning to its end; one without an end to the end of the
    text, and one without a beginning from the beginning of the text, as in the last lines of a log.
    """
    if "PRIVATE KEY" in text:
        text = _mask_private_keys(text)
    is_manifest = _SECRET_KIND.search(text) is not None
    if is_manifest:
        text = _SECRET_DATA.sub(lambda match: f'{match[1]}"{MASK}"', text)
    if "\n" not in text:
        return text
    return "\n".join(_mask_lines(text.split("\n"), is_manifest=is_manifest))


def _mask_private_keys(text: str) -> str:
    pieces: list[str] = []
    position = 0
    ends = [match.end() for match in _KEY_END.finditer(text)]
    begins = [match.start() for match in _KEY_BEGIN.finditer(text)]
    if ends and (not begins or ends[0] < begins[0]):
        pieces.append(MASK)
        position = ends[0]
    index = 0
    for begin in begins:
        if begin < position:
            continue
        while index < len(ends) and ends[index] <= begin:
            index += 1
        pieces += (text[position:begin], MASK)
        position = ends[index] if index < len(ends) else len(text)
    return "".join((*pieces, text[position:]))


def _mask_lines(lines: list[str], *, is_manifest: bool) -> Iterator[str]:
    block = _Block(-1, is_opaque=False)
    for line in lines:
        if _KEY_BODY.match(line) and has_all_classes(line):  # not a digest
            yield MASK
            continue
        indent = _indent_of(line)
        if line.strip() and not block.holds(line, indent):
            block = _Block(-1, is_opaque=False)
        if block.indent >= 0 and line.strip():
            yield block.mask(line)
            continue
        if header := _BLOCK.match(line):
            prefix, key = header.groups()
            block = _open_block(prefix or "", key or "", line, is_manifest=is_manifest)
        yield line


def _open_block(prefix: str, key: str, line: str, *, is_manifest: bool) -> "_Block":
    if is_manifest and key in _DATA_KEYS:
        return _Block(len(prefix), is_opaque=True)
    if is_secret_name(key):
        return _Block(len(prefix), is_opaque=line.rstrip()[-1:] != ":")
    return _Block(-1, is_opaque=False)


class _Block:
    """The lines under a key: all of them are secret, or the values that no other key explains."""

    def __init__(self, indent: int, *, is_opaque: bool) -> None:
        self.indent = indent
        self._is_opaque = is_opaque

    def holds(self, line: str, indent: int) -> bool:
        """Whether the line is deeper, or an item of a list at the same depth."""
        if self.indent < 0:
            return False
        is_item = line.lstrip().startswith("- ")
        return indent > self.indent or (is_item and indent == self.indent and not self._is_opaque)

    def mask(self, line: str) -> str:
        """Mask the value of a line."""
        match = _ENTRY.match(line)
        if match is None or not match[3]:
            return line
        prefix, key, _ = match.groups()
        name = (key or "").rstrip(" :").strip("\"'")
        if self._is_opaque or not key or name in _VALUE_KEYS or is_secret_name(name):
            separator = f"{key} " if key else ""
            return f"{prefix}{separator}{MASK}"
        return line


def _indent_of(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))
