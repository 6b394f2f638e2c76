"""Durations in the notation of Kubernetes: "90s", "10m", "1h30m"."""

from datetime import timedelta
from typing import Annotated, Final

from pydantic import Field

from selfhealing.api.base import Rule
from selfhealing.api.linear_regex import compile_pattern

_DURATION_REGEX: Final = compile_pattern("(?:([0-9]{1,4})h)?(?:([0-9]{1,4})m)?(?:([0-9]{1,5})s)?")

DURATION_PATTERN: Final = "^([0-9]{1,4}h)?([0-9]{1,4}m)?([0-9]{1,5}s)?$"
"""The pattern for the API server. CEL's duration() parses all matches except the empty string."""

DURATION_RULE: Final = Rule(
    cel=f"self != '' && self.matches('{DURATION_PATTERN}')",
    message="write a time in hours, minutes and seconds, such as 90s, 10m or 1h30m",
)

Duration = Annotated[str, Field(max_length=16), DURATION_RULE]
"""The type of a duration in the spec."""


def parse_duration(text: str) -> timedelta:
    """Parse a ``Duration``.

    Raises:
        ValueError: the text is no duration.
    """
    match = _DURATION_REGEX.fullmatch(text)
    if match is None or not text:
        raise ValueError(f"{text!r}: {DURATION_RULE.message}")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)
