"""Durations are parsed alike by the operator and by the API server."""

import re
from datetime import timedelta

import pytest
from hypothesis import given, strategies as st

from selfhealing.api.duration import DURATION_PATTERN, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("90s", 90),
        ("10m", 600),
        ("1h", 3600),
        ("1h30m", 5400),
        ("1h5s", 3605),
        ("0h0m1s", 1),
        ("007s", 7),
        ("9999h9999m99999s", 9999 * 3600 + 9999 * 60 + 99999),
    ],
)
def test_a_time(text: str, seconds: int) -> None:
    """Hours, minutes and seconds are optional."""
    assert timedelta(seconds=seconds) == parse_duration(text)


@pytest.mark.parametrize(
    "text",
    ["", "90", "s", "1d", "1.5h", "-1s", " 1s", "1s ", "1s\n", "5s1m", "1m1m", "100000s", "٩s"],
)
def test_no_time(text: str) -> None:
    """The message says what to write instead."""
    with pytest.raises(ValueError, match="write a time in hours, minutes and seconds, such as 90s"):
        parse_duration(text)


@given(
    st.one_of(
        st.text("0123456789hms\n -.", max_size=16), st.from_regex(DURATION_PATTERN, fullmatch=True)
    )
)
def test_the_api_server_and_the_operator_agree(text: str) -> None:
    """The operator parses exactly what the CRD accepts."""
    try:
        parse_duration(text)
    except ValueError:
        is_read = False
    else:
        is_read = True

    assert is_read == bool(text and re.fullmatch(DURATION_PATTERN.removesuffix("$"), text))
