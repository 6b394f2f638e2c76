"""Clean text: what is removed, what stays, and that nothing else comes of it."""

import unicodedata

import pytest
from hypothesis import given, strategies as st

from selfhealing.api.text import clean_line, clean_text, join_first

FORBIDDEN = frozenset(
    map(
        chr,
        (
            *range(0x202A, 0x202F),
            *range(0x2066, 0x206A),
            *range(0x200B, 0x2010),
            0x61C,
            0x2060,
            0xFEFF,
            0x2028,
            0x2029,
        ),
    )
)
"""Bidirectional controls, characters without width, and separators of lines and paragraphs."""
ANY_TEXT = st.text(
    st.characters() | st.sampled_from(sorted(FORBIDDEN)) | st.sampled_from("\x1b[]\r\n\t")
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain text, 3 of 3", "plain text, 3 of 3"),
        ("naïve 日志 ✓ 🔥 e\u0301", "naïve 日志 ✓ 🔥 e\u0301"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x1b\\", "link"),
        ("a\r\nb\rc\u2028d\u2029e\x0bf\x0cg\x85h", "a\nb\nc\nd\ne\nf\ng\nh"),
        ("user\u202egnp.exe", "usergnp.exe"),
        ("pass\u200bword\u2060\ufeff", "password"),
        ("\u2066\u2069\u061c\u200e\u200f", ""),
        ("a\x00b\x08c\x7fd", "abcd"),
        ("half \ud83d", "half "),
        ("tab\tstays", "tab\tstays"),
    ],
)
def test_what_stays(text: str, expected: str) -> None:
    """Letters of every script stay, and so do tabs."""
    assert expected == clean_text(text)


@given(ANY_TEXT)
def test_no_text_keeps_a_dangerous_character(text: str) -> None:
    """And a clean text can be stored, and is not changed again."""
    clean = clean_text(text)

    assert not FORBIDDEN & set(clean)
    assert not [c for c in clean if unicodedata.category(c) == "Cc" and c not in "\n\t"]
    assert clean == clean.encode().decode()
    assert clean == clean_text(clean)


@given(ANY_TEXT)
def test_a_line_is_one_line(text: str) -> None:
    """For every reader of lines."""
    line = clean_line(text)

    assert len(line.splitlines()) <= 1
    assert not [c for c in line if unicodedata.category(c) == "Cc"]
    assert line == clean_line(line)


@pytest.mark.parametrize(
    ("limit", "expected"), [(1, "a and 2 more"), (2, "a, b and 1 more"), (3, "a, b, c")]
)
def test_the_first_words(limit: int, expected: str) -> None:
    """And how many there are beside."""
    assert expected == join_first(("a", "b", "c"), limit)
