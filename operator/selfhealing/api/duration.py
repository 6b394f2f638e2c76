"""Durations as people write them: "90s", "10m", "1h30m"."""

import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import Field

from selfhealing.api.base import Rule

_DURATION_REGEX: Final = re.compile("(?:([0-9]{1,4})h)?(?:([0-9]{1,4})m)?(?:([0-9]{1,5})s)?")

DURATION_PATTERN: Final = "^([0-9]{1,4}h)?([0-9]{1,4}m)?([0-9]{1,5}s)?$"
"""The same for the API server, whose duration() reads whatever it matches but the empty text."""

DURATION_RULE: Final = Rule(
    cel=f"self != '' && self.matches('{DURATION_PATTERN}')",
    message="write a time in hours, minutes and seconds, such as 90s, 10m or 1h30m",
)

Duration = Annotated[str, Field(max_length=16), DURATION_RULE]
"""A time as the field of a spec."""


def parse_duration(text: str) -> timedelta:
    """Read a ``Duration``.

    Raises:
        ValueError: it is none.
    """
    match = _DURATION_REGEX.fullmatch(text)
    if match is None or not text:
        raise ValueError(f"{text!r}: {DURATION_RULE.message}")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)
