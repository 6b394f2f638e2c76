"""Cleans text from outside: nothing in it may change how other text is shown.

A terminal, a log viewer or a web page obeys control characters: they move the cursor, reorder a
line (CVE-2021-42574, "Trojan Source") or hide a part of it. Characters without width split words,
so that a search, or the search for a secret, does not find them.
"""

from collections.abc import Sequence
from typing import Final

from selfhealing.api.linear_regex import compile_pattern

_ESCAPE_SEQUENCES: Final = compile_pattern(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # terminal colours and cursor movements (ECMA-48, CSI)
    r"|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # terminal titles and links (OSC)
)

_LINE_ENDS: Final = dict.fromkeys((0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029), "\n")
"""Everything that some viewer shows as the end of a line (Unicode, section 5.8)."""

_SURROGATES: Final = dict.fromkeys(range(0xD800, 0xE000))
"""Halves of characters, which cannot be encoded and so cannot be stored or matched."""

_REMOVED: Final = dict.fromkeys(
    (
        *range(0x09),
        *range(0x0E, 0x20),
        *range(0x7F, 0xA0),
        # The property Default_Ignorable_Code_Point of Unicode 16: not shown, and most of them
        # without width. The bidirectional controls are among them.
        0xAD,
        0x34F,
        0x61C,
        *range(0x115F, 0x1161),
        *range(0x17B4, 0x17B6),
        *range(0x180B, 0x1810),
        *range(0x200B, 0x2010),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2070),
        0x3164,
        *range(0xFE00, 0xFE10),
        0xFEFF,
        0xFFA0,
        *range(0xFFF0, 0xFFFC),  # the last three begin and end an annotation
        *range(0x1BCA0, 0x1BCA4),
        *range(0x1D173, 0x1D17B),
        *range(0xE0000, 0xE1000),
    )
)
_TABLE: Final = {**_SURROGATES, **_REMOVED, **_LINE_ENDS}


def clean_text(text: str) -> str:
    """Remove control, bidirectional and invisible characters; every line end becomes a line feed.

    Tabs stay. The text that follows from a clean text by cutting or joining is clean.
    """
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    if "\x1b" in text:
        text = _ESCAPE_SEQUENCES.sub("", text.translate(_SURROGATES))
    return text.translate(_TABLE)


def clean_line(text: str) -> str:
    """Clean a text and put it in one line; a tab or a line end becomes a blank."""
    return clean_text(text).replace("\n", " ").replace("\t", " ")


def join_first(words: Sequence[str], limit: int) -> str:
    """Join the first ``limit`` words, and say how many there are beside: "a, b and 3 more"."""
    more = len(words) - limit
    return ", ".join(words[:limit]) + (f" and {more} more" if more > 0 else "")
