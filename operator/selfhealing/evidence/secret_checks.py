"""Tells whether a text that a pattern has found is a secret: what RE2 cannot decide."""

from base64 import b64decode
from itertools import pairwise
from typing import Final

from selfhealing.evidence.secret_syntax import SCHEME_NAMES

_LONGEST_WORD: Final = 20
_SHORTEST_RANDOM_PART: Final = 10
_RANDOM_CHANGES: Final = 0.45
"""The least share of neighbours of different classes in a text that counts as random."""


def _has_digit(value: str) -> bool:
    return any(c.isdigit() for c in value)


def is_quoted(value: str) -> bool:
    """Whether a value is in quotes and not empty."""
    return value[0] in "'\"" and value not in {"''", '""'}


def is_no_number(value: str) -> bool:
    """Whether a value is something else than a number, such as a port."""
    return not value.isdecimal()


def is_no_word(value: str) -> bool:
    """Whether a value has quotes or something else than letters: not "the password is wrong."."""
    return not value.strip(".,;:!?)").isalpha()


def is_credential(value: str) -> bool:
    """Whether a value has a digit, or is as long as no word: not "Bearer authentication"."""
    return _has_digit(value) or len(value) >= _LONGEST_WORD


def is_authorization(value: str) -> bool:
    """Whether the value of the header Authorization has a scheme or a digit, and is no prose."""
    scheme, _, rest = value.lstrip("\"'[").partition(" ")
    return (bool(rest) and scheme.lower() in SCHEME_NAMES) or _has_digit(value)


def is_cookie(value: str) -> bool:
    """Whether a text sets a cookie."""
    return "=" in value


def is_basic_credential(value: str) -> bool:
    """Whether a text is base64 of "user:password" (RFC 7617)."""
    try:
        return b":" in b64decode(value + "=" * (-len(value) % 4), validate=True)
    except ValueError:
        return False


def is_random(value: str) -> bool:
    """Whether a long text looks like base64 of random bytes, and not like words or a path.

    In base64 about 64 % of all neighbours are of different classes (upper case, lower case, digit);
    in names in camelCase it is a third.
    """
    if not has_all_classes(value):
        return False
    longest_part = max(value.replace("=", "/").split("/"), key=len)
    if not has_all_classes(longest_part) or len(longest_part) < _SHORTEST_RANDOM_PART:
        return False
    classes = [_class_of(c) for c in value.rstrip("=")]
    changes = sum(left != right for left, right in pairwise(classes))
    return changes >= _RANDOM_CHANGES * (len(classes) - 1)


def has_all_classes(value: str) -> bool:
    """Whether a text has letters of both cases and digits."""
    return {0, 1, 2} <= {_class_of(c) for c in value}


def _class_of(character: str) -> int:
    if character.isupper():
        return 0
    if character.islower():
        return 1
    return 2 if character.isdigit() else 3
