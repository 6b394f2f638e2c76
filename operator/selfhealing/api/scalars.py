"""The scalar types of the status: times, counts and texts of limited length."""

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, PlainSerializer

from selfhealing.api.base import Int32, SchemaKeywords


def _format_time(time: datetime) -> str:
    """Format a time as Kubernetes does: in UTC, cut to whole seconds."""
    return f"{time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def _require_plausible_time(time: datetime) -> datetime:
    """Refuse a time that a calculation with years and time zones could lead out of range."""
    if not _FIRST_YEAR <= time.year < _LAST_YEAR:
        msg = f"the year is not between {_FIRST_YEAR} and {_LAST_YEAR}"
        raise ValueError(msg)
    return time


_FIRST_YEAR, _LAST_YEAR = 1970, 3000

Time = Annotated[
    AwareDatetime,
    AfterValidator(_require_plausible_time),
    PlainSerializer(_format_time, return_type=str),
    SchemaKeywords({"maxLength": 64}),  # a fraction of a second may have any number of digits
]
"""A point in time; RFC 3339 in the resource."""


def _cut_to(limit: int) -> BeforeValidator:
    """Cut a longer text: the API server would refuse the whole status for it."""
    return BeforeValidator(lambda value: value[:limit] if isinstance(value, str) else value)


Count = Annotated[Int32, Field(ge=0)]
Name = Annotated[str, Field(max_length=253, pattern="^[ -~]*$")]
"""The name of an object, a container or a key: in Kubernetes all are of ASCII."""

Uid = Annotated[str, Field(max_length=64, pattern="^[ -~]*$")]
WORD_LIMIT: Final = 128
"""Characters; the maximum length of a word in the status."""

Word = Annotated[str, Field(max_length=WORD_LIMIT), _cut_to(WORD_LIMIT)]
Quantity = Annotated[str, Field(max_length=WORD_LIMIT, pattern="^[ -~]*$")]
"""A quantity of Kubernetes, such as 250Mi; one that is doubled may be longer than the spec's."""
TEXT_LIMIT: Final = 1024
"""Characters; the maximum length of a text in the status."""

Text = Annotated[str, Field(max_length=TEXT_LIMIT), _cut_to(TEXT_LIMIT)]
